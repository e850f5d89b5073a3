"""`transformer-mt translate`: N lines in, N lines out, in order."""

import argparse
import json
import math
import sys
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

from transformer_mt.cli.options import add_decoding_arguments, load_translator
from transformer_mt.errors import TransformerMTError
from transformer_mt.files import UTF8_BOM, atomic_file, check_readable_file

EXAMPLES = """\
examples:
  transformer-mt translate runs/multi30k input.en -o output.fr
  cat input.en | transformer-mt translate runs/multi30k > output.fr
  transformer-mt translate runs/multi30k input.en --n-best 3 --json
  transformer-mt translate runs/multi30k input.en -o output.fr --report report.jsonl --strict

flags in the report: split (translated in parts), truncated (cut short at the maximum length), empty
(nothing came out), copied (the output is the input), replaced (invalid characters became U+FFFD).
"""


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "translate",
        help="translate a file or standard input",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("bundle", type=Path, help="bundle, or run directory that holds one")
    parser.add_argument(
        "input", nargs="?", default="-", help="text file, one sentence or paragraph a line (default: -)"
    )
    parser.add_argument("-o", "--output", type=Path, help="file for the translations (default: standard output)")
    parser.add_argument("--report", type=Path, help="write one JSON object a line: score and flags")
    parser.add_argument("--strict", action="store_true", help="exit with 3 when a line was flagged")
    parser.add_argument("--json", action="store_true", help="write JSON lines with scores and alternatives")
    parser.add_argument("--n-best", type=int, default=1, metavar="N", help="alternatives for each line (with --json)")
    parser.add_argument("--quiet", action="store_true", help="no progress on standard error")
    add_decoding_arguments(parser)
    sampling = parser.add_argument_group("sampling (draws instead of searching)")
    sampling.add_argument("--sample", action="store_true", help="draw translations at random")
    sampling.add_argument("--temperature", type=float, help="below 1 keeps to the likely (default: 1)")
    sampling.add_argument("--top-k", type=int, help="draw from the k likeliest tokens only")
    sampling.add_argument("--top-p", type=float, help="draw from the likeliest tokens of this probability")
    sampling.add_argument("--seed", type=int, help="seed of the draws (default: 1)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Translate, report, and tell how many lines were flagged."""
    _check(args)
    translator = load_translator(args).translator
    if not args.sample and args.n_best > translator.settings.beam_size:
        raise TransformerMTError(
            f"--n-best: must be at most the beam size ({translator.settings.beam_size}), got {args.n_best}"
        )
    sampling = _sampling(args) if args.sample else None
    num_flagged, num_lines, raised = 0, 0, Counter[str]()
    with ExitStack() as stack:
        lines = _progress(_input_lines(args.input, stack), args)
        write = _line_writer(args.output, stack)
        report = _line_writer(args.report, stack) if args.report else None
        for translation in translator.stream(lines, args.n_best, sampling):
            num_lines += 1
            num_flagged += bool(translation.flags)
            raised.update(translation.flags)
            write(_as_json(translation) if args.json else translation.text)
            if report is not None:
                entry = {"line": num_lines, "flags": translation.flags, "score": round(translation.score, 4)}
                report(json.dumps(entry, ensure_ascii=False))
    if num_lines == 0:
        print("transformer-mt: the input has no lines, and neither has the output", file=sys.stderr)
    if num_flagged:
        where = f"see {args.report}" if args.report else "--report FILE lists them"
        flags = ", ".join(f"{count} {flag}" for flag, count in raised.most_common())
        print(f"transformer-mt: {num_flagged} of {num_lines} lines are flagged: {flags}; {where}", file=sys.stderr)
    return 3 if num_flagged and args.strict else 0


def _check(args: argparse.Namespace) -> None:
    """Raise TransformerMTError for options that do not go together or files that would be lost."""
    if args.n_best < 1:
        raise TransformerMTError(f"--n-best: must be at least 1, got {args.n_best}")
    if args.n_best > 1 and not args.json:
        raise TransformerMTError("--n-best: alternatives need --json; plain output has one line a sentence")
    _check_sampling(args)
    if args.output is not None and args.report is not None and args.output.resolve() == args.report.resolve():
        raise TransformerMTError(f"--report: {args.report} is the output; choose another file")
    for name, path in (("--output", args.output), ("--report", args.report)):
        if path is not None and path.is_dir():
            raise TransformerMTError(f"{name}: {path} is a directory, a file is needed")
    if args.input != "-":
        check_readable_file(Path(args.input))
        for name, path in (("--output", args.output), ("--report", args.report)):
            if path is not None and path.exists() and path.samefile(args.input):
                raise TransformerMTError(f"{name}: {path} is the input; choose another file")


def _check_sampling(args: argparse.Namespace) -> None:
    given = [name for name in ("temperature", "top_k", "top_p", "seed") if getattr(args, name) is not None]
    if given and not args.sample:
        raise TransformerMTError(f"--{given[0].replace('_', '-')}: goes with --sample")
    if args.sample and args.beam_size is not None:
        raise TransformerMTError("--beam-size: does not go with --sample, which draws instead of searching")
    if args.temperature is not None and not 0 < args.temperature < math.inf:
        raise TransformerMTError(f"--temperature: must be a finite number above 0, got {args.temperature}")
    if args.top_p is not None and not 0 < args.top_p <= 1:
        raise TransformerMTError(f"--top-p: must be in (0, 1], got {args.top_p}")
    if args.top_k is not None and args.top_k < 1:
        raise TransformerMTError(f"--top-k: must be at least 1, got {args.top_k}")
    if args.seed is not None and args.seed < 0:
        raise TransformerMTError(f"--seed: must be 0 or above, got {args.seed}")


def _sampling(args: argparse.Namespace) -> Any:
    from transformer_mt.decoding.search import Sampling

    names = ("temperature", "top_k", "top_p", "seed")
    return Sampling(**{name: getattr(args, name) for name in names if getattr(args, name) is not None})


def _input_lines(name: str, stack: ExitStack) -> Iterator[str]:
    r"""Lines of the file or of standard input; "\n" ends a line, bytes that are no UTF-8 become U+FFFD."""
    if name == "-":
        if sys.stdin.isatty():
            print("transformer-mt: reading lines from the terminal; Ctrl-D ends", file=sys.stderr)
        file: IO[bytes] = sys.stdin.buffer
    else:
        file = stack.enter_context(Path(name).open("rb"))
    for number, raw in enumerate(file):
        if number == 0 and raw.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
            raise TransformerMTError(f"{name}: is UTF-16; write it as UTF-8 first: iconv -f UTF-16 -t UTF-8")
        raw = raw.removeprefix(UTF8_BOM) if number == 0 else raw
        yield raw.decode("utf-8", "replace").removesuffix("\n").removesuffix("\r")


def _line_writer(path: Path | None, stack: ExitStack) -> Callable[[str], None]:
    """A function that writes one line to the file, which appears whole at the end, or to standard output."""
    if path is None:
        return print
    is_regular = not path.exists() or path.is_file()  # a pipe or device is written to, never replaced
    file = stack.enter_context(atomic_file(path.resolve()) if is_regular else path.open("wb"))

    def write(line: str) -> None:
        file.write(line.encode() + b"\n")

    return write


def _progress(lines: Iterator[str], args: argparse.Namespace) -> Iterator[str]:
    from tqdm import tqdm

    hidden = args.quiet or not sys.stderr.isatty()
    return iter(tqdm(lines, unit=" lines", disable=hidden, file=sys.stderr))


def _as_json(translation: Any) -> str:
    entry = {"translation": translation.text, "score": translation.score, "flags": translation.flags}
    alternatives = [{"translation": text, "score": score} for text, score in translation.alternatives]
    return json.dumps({**entry, "alternatives": alternatives}, ensure_ascii=False)
