"""`transformer-mt doctor`: is this machine ready, what does it have, and what should be mended?"""

import argparse
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

EXAMPLES = """\
examples:
  transformer-mt doctor
  transformer-mt doctor /data/runs --json

Looks at versions, devices, precisions, threads, the loops in C, memory, disks and limits; takes
seconds and changes nothing but the cache of these loops. Exits with 2 when something must be fixed.
"""


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "doctor",
        help="say what this machine has, and what to fix",
        description="Say what this machine has for training and translating, what `auto` chooses, and what to fix.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "directory",
        type=Path,
        metavar="DIRECTORY",
        nargs="?",
        default=Path(),
        help="where runs are kept (default: here)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Examine, and tell."""
    from transformer_mt.machine.examination import examine

    logging.disable(logging.WARNING)  # what libraries warn of is among the findings
    try:
        sections = examine(args.directory.absolute())
    finally:
        logging.disable(logging.NOTSET)
    findings = [(section.name, finding) for section in sections for finding in section.findings]
    is_ready = not any(finding.must_be_fixed for _, finding in findings)
    if args.json:
        found = [{"section": name, **finding._asdict()} for name, finding in findings]
        facts = {section.name: section.facts for section in sections}
        print(json.dumps({"ready": is_ready, "facts": facts, "findings": found}, ensure_ascii=False))
    else:
        print("\n".join([*_as_text(sections), "", *_verdict(findings)]))
    return 0 if is_ready else 2


def _as_text(sections: Sequence[Any]) -> list[str]:
    lines = []
    for section in sections:
        lines.append(section.name)
        width = max(map(len, section.facts), default=0)
        lines += [f"  {name:{width}}  {value}" for name, value in section.facts.items()]
    return lines


def _verdict(findings: Sequence[tuple[str, Any]]) -> list[str]:
    lines = [] if any(finding.must_be_fixed for _, finding in findings) else ["Nothing has to be fixed."]
    for title, must_be_fixed in (("To be fixed:", True), ("Worth a look:", False)):
        told = [f"  {name}: {finding.text}" for name, finding in findings if finding.must_be_fixed is must_be_fixed]
        lines += [title, *told] if told else []
    return lines
