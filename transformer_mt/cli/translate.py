"""`transformer-mt translate`: N lines in, N lines out, in order."""

import argparse
import json
import math
import signal
import sys
import threading
import time
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Any

from transformer_mt.cli.line_files import LineFiles
from transformer_mt.cli.options import add_decoding_arguments, load_translator, tell, uncalibrated
from transformer_mt.decoding.glossary_file import read_glossary
from transformer_mt.errors import Interrupted, TransformerMTError
from transformer_mt.files import UTF8_BOM, check_readable_file, sha256_of

DESCRIPTION = """\
Translate a file or standard input: one line out for each line in, in order, whatever is in it.
Lines that were split, cut short, left empty or copied are counted, and listed by --report.
"""
EXAMPLES = """\
examples:
  transformer-mt translate runs/multi30k input.en -o output.fr
  cat input.en | transformer-mt translate runs/multi30k > output.fr
  transformer-mt translate runs/multi30k input.en -o output.fr --resume    # after an interruption
  transformer-mt translate runs/multi30k input.en --n-best 3 --json
  transformer-mt translate runs/multi30k input.en -o output.fr --report report.jsonl --strict
  transformer-mt translate runs/multi30k input.en --glossary en2fr.txt --alignments links.txt
  transformer-mt translate runs/multi30k input.en -o output.fr --protect    # {0}, %s, <b>, URLs
  transformer-mt translate runs/multi30k input.en --ensemble runs/second --ensemble runs/third
  transformer-mt translate runs/multi30k input.en -o output.fr --mbr 16 --top-p 0.9

flags in the report:
  split      translated in parts
  truncated  cut short at the maximum length
  empty      nothing came out
  copied     the output is the input
  replaced   invalid characters became U+FFFD
  term       a term of the glossary is missing
  repeated   it repeats itself, and a second search was no better
  changed    a number, URL, e-mail address, placeholder or tag did not come through; numbers may be
             written in another way, as 1,000.5 and 1 000,5
"""


TELLING_SECONDS = 60
"""Between lines that tell how far the work is, where no bar is shown."""


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "translate",
        help="translate a file or standard input",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="bundle, or run directory that holds one")
    parser.add_argument(
        "input",
        nargs="?",
        default="-",
        metavar="INPUT",
        help="text file, one sentence or paragraph a line (default: -)",
    )
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="file for the translations (default: standard output)"
    )
    parser.add_argument(
        "--report", type=Path, metavar="FILE", help="write one JSON object a line: score, flags, confidence"
    )
    parser.add_argument("--strict", action="store_true", help="exit with 3 when a line was flagged")
    parser.add_argument("--json", action="store_true", help="write JSON lines with scores and alternatives")
    parser.add_argument("--n-best", type=int, default=1, metavar="N", help="alternatives for each line (with --json)")
    parser.add_argument("--token-scores", action="store_true", help="log-probability of each piece (with --json)")
    parser.add_argument(
        "--confidence",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="how sure each line is, and each word with --json (default: in the report only)",
    )
    parser.add_argument("--alignments", type=Path, metavar="FILE", help="write which words belong together, as 0-0 1-2")
    parser.add_argument("--resume", action="store_true", help="go on with an output that was interrupted")
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="processes that share the CPU's cores")
    parser.add_argument("--quiet", action="store_true", help="no progress on standard error, nor the arithmetic")
    add_decoding_arguments(parser)
    wanted = parser.add_argument_group("what translations must hold")
    wanted.add_argument("--glossary", type=Path, metavar="FILE", help="lines of a source term, a tab, its translation")
    wanted.add_argument("--beginnings", type=Path, metavar="FILE", help="the first words of each line's translation")
    wanted.add_argument(
        "--protect",
        action="store_true",
        help="numbers, URLs, e-mail addresses, placeholders and tags, with any model: put back where one is lost",
    )
    sampling = parser.add_argument_group("sampling (draws instead of searching)")
    sampling.add_argument("--sample", action="store_true", help="draw translations at random")
    sampling.add_argument("--mbr", type=int, metavar="N", help="draw N and take the one most like the others (by chrF)")
    sampling.add_argument("--temperature", type=float, metavar="T", help="below 1 keeps to the likely (default: 1)")
    sampling.add_argument("--top-k", type=int, metavar="K", help="draw from the k likeliest tokens only")
    sampling.add_argument("--top-p", type=float, metavar="P", help="draw from the likeliest tokens of this probability")
    sampling.add_argument("--seed", type=int, metavar="N", help="seed of the draws (default: 1)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Translate, report, and tell how many lines were flagged."""
    _check(args)
    translator = load_translator(args).translator
    if not _draws(args) and args.n_best > translator.settings.beam_size:
        raise TransformerMTError(
            f"--n-best: must be at most the beam size ({translator.settings.beam_size}), got {args.n_best}"
        )
    if _wants_confidence(args) and translator.calibration is None:
        if args.confidence:
            raise TransformerMTError(f"--confidence: {uncalibrated(args.bundle)}")
        tell(f"--report: {uncalibrated(args.bundle)}")
    paths = [path for path in (args.output, args.alignments, args.report) if path is not None]
    can_resume = args.input != "-" and args.output is not None
    with _termination_as_interrupt():
        files = LineFiles(paths, (lambda: _identity(args)) if can_resume else None, args.resume)
        try:
            with files:
                _translate(translator, args, files)
        except KeyboardInterrupt:
            if not files.saved_lines:
                raise
            kept = f"{files.saved_lines:,} lines are kept; the same command with --resume goes on"
            raise Interrupted(kept) from None
    return _conclude(args, files)


@contextmanager
def _termination_as_interrupt() -> Iterator[None]:
    """Let SIGTERM do what Ctrl-C does: what is kept is told of."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _translate(translator: Any, args: argparse.Namespace, files: LineFiles) -> None:
    """Write a line for each line of the input that is not translated yet."""
    from transformer_mt.decoding.translator import WINDOW
    from transformer_mt.decoding.word_alignment import pharaoh

    progress, start = files.progress, files.progress.lines
    if not args.quiet:
        tell(f"decoding in {translator.arithmetic}")
    if start:
        tell(f"going on after {start:,} lines")
    writers = iter(files.files)
    output, alignments, report = (next(writers) if p else None for p in (args.output, args.alignments, args.report))
    with ExitStack() as stack:
        tell_progress = _teller(args, start)
        lines = _progress(islice(_input_lines(args.input, stack), start, None), args, start)
        for translation in _stream(translator, args, lines, start, stack):
            progress.lines += 1
            progress.flagged += bool(translation.flags)
            progress.flags.update(translation.flags)
            text = _as_json(translation, bool(args.confidence)) if args.json else translation.text
            if output is None:
                print(text)
            else:
                output.write(text)
            if alignments is not None:
                alignments.write(pharaoh(translation.links))
            if report is not None:
                entry = {"line": progress.lines, "flags": translation.flags, "score": round(translation.score, 4)}
                entry["confidence"] = _rounded(translation.confidence)
                report.write(json.dumps(entry, ensure_ascii=False))
            tell_progress(progress.lines)
            if progress.lines % WINDOW == 0:
                files.save()


def _stream(
    translator: Any, args: argparse.Namespace, lines: Iterable[str], start: int, stack: ExitStack
) -> Iterator[Any]:
    """The translations of lines, of which the first has the number `start`."""
    from transformer_mt.decoding.workers import Recipe, stream_in_processes

    wishes = _wishes(args, translator)
    beginnings = islice(_input_lines(str(args.beginnings), stack), start, None) if args.beginnings else None
    if args.workers == 1:
        return translator.stream(lines, wishes, beginnings, start)  # type: ignore[no-any-return]
    if translator.device.type != "cpu":
        raise TransformerMTError(f"--workers: share the cores of a CPU, this is {translator.device.type}")
    from transformer_mt.device import set_threads

    threads = max(1, set_threads(args.threads) // args.workers)
    recipe = Recipe([args.bundle, *args.ensemble], translator.settings, threads)
    return stream_in_processes(recipe, args.workers, lines, wishes, beginnings, start)


def _conclude(args: argparse.Namespace, files: LineFiles) -> int:
    """Tell how many lines are flagged, and why; returns the exit code."""
    progress = files.progress
    if progress.lines == 0:
        tell("the input has no lines, and neither has the output")
    if progress.flagged:
        where = f"see {args.report}" if args.report else "--report FILE lists them"
        flags = ", ".join(f"{count} {flag}" for flag, count in progress.flags.most_common())
        count = f"{progress.flagged} of {progress.lines} lines are flagged"
        tell(f"{count}: {flags}; {where}")
    return 3 if progress.flagged and args.strict else 0


def _identity(args: argparse.Namespace) -> dict[str, Any]:
    """What makes lines of two commands belong together: models, texts and options."""
    from transformer_mt.bundle import bundle_directory
    from transformer_mt.manifest import MANIFEST

    bundles = [sha256_of(bundle_directory(path) / MANIFEST) for path in (args.bundle, *args.ensemble)]
    texts = {name: getattr(args, name) for name in ("input", "glossary", "beginnings")}
    hashes = {name: sha256_of(Path(path)) if path else None for name, path in texts.items()}
    other = ("bundle", "ensemble", *texts, "run", "resume", "quiet", "strict", "threads", "workers")
    options = {name: value for name, value in vars(args).items() if name not in other}
    return {"bundle": bundles, **hashes, **json.loads(json.dumps(options, default=str))}


def _check(args: argparse.Namespace) -> None:
    """Raise TransformerMTError for options that do not go together or files that would be lost."""
    for name in ("n_best", "workers", "mbr"):
        if (value := getattr(args, name)) is not None and value < 1:
            raise TransformerMTError(f"--{name.replace('_', '-')}: must be at least 1, got {value}")
    if args.n_best > 1 and not args.json:
        raise TransformerMTError("--n-best: alternatives need --json; plain output has one line a sentence")
    if args.token_scores and not args.json:
        raise TransformerMTError("--token-scores: need --json; plain output has one line a sentence")
    if args.confidence and not args.json and args.report is None:
        raise TransformerMTError("--confidence: needs --json or --report; plain output has one line a sentence")
    if args.resume and (args.output is None or args.input == "-"):
        raise TransformerMTError("--resume: needs an input file and -o FILE")
    _check_sampling(args)
    _check_files(args)


def _check_files(args: argparse.Namespace) -> None:
    named = {f"--{name}": getattr(args, name) for name in ("output", "alignments", "report")}
    seen: dict[Path, str] = {}
    for name, path in named.items():
        if path is None:
            continue
        if path.is_dir():
            raise TransformerMTError(f"{name}: {path} is a directory, a file is needed")
        if (other := seen.setdefault(path.resolve(), name)) != name:
            raise TransformerMTError(f"{name}: {path} is the file of {other}; choose another file")
    for given in (args.input, args.glossary, args.beginnings):
        if given is None or given == "-":
            continue
        check_readable_file(Path(given))
        for name, path in named.items():
            if path is not None and path.exists() and path.samefile(given):
                raise TransformerMTError(f"{name}: {path} is the input; choose another file")
    if args.glossary is not None:
        read_glossary(args.glossary)  # now, as the model takes a while to load
    if args.beginnings is not None and args.input != "-":
        counts = {path: _count_lines(path) for path in (args.beginnings, Path(args.input))}
        if len(set(counts.values())) > 1:
            told = " and ".join(f"{path} has {count:,} lines" for path, count in counts.items())
            raise TransformerMTError(f"--beginnings: {told}; each line needs a beginning, which may be blank")


def _count_lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(1 for _ in file)


def _wants_confidence(args: argparse.Namespace) -> bool:
    return args.report is not None if args.confidence is None else bool(args.confidence)


def _draws(args: argparse.Namespace) -> bool:
    return bool(args.sample or args.mbr)


def _check_sampling(args: argparse.Namespace) -> None:
    given = [name for name in ("temperature", "top_k", "top_p", "seed") if getattr(args, name) is not None]
    if given and not _draws(args):
        raise TransformerMTError(f"--{given[0].replace('_', '-')}: goes with --sample or --mbr")
    if _draws(args) and args.beam_size is not None:
        raise TransformerMTError("--beam-size: does not go with --sample or --mbr, which draw instead of searching")
    if _draws(args) and args.glossary is not None:
        raise TransformerMTError("--glossary: does not go with --sample or --mbr; a search is needed to say terms")
    if args.mbr and args.n_best > 1:
        raise TransformerMTError("--mbr: has its own number of draws; leave --n-best out")
    if args.temperature is not None and not 0 < args.temperature < math.inf:
        raise TransformerMTError(f"--temperature: must be a finite number above 0, got {args.temperature}")
    if args.top_p is not None and not 0 < args.top_p <= 1:
        raise TransformerMTError(f"--top-p: must be in (0, 1], got {args.top_p}")
    if args.top_k is not None and args.top_k < 1:
        raise TransformerMTError(f"--top-k: must be at least 1, got {args.top_k}")
    if args.seed is not None and args.seed < 0:
        raise TransformerMTError(f"--seed: must be 0 or above, got {args.seed}")


def _wishes(args: argparse.Namespace, translator: Any) -> Any:
    from transformer_mt.decoding.search import Sampling
    from transformer_mt.decoding.terms import Glossary
    from transformer_mt.decoding.translation import Wishes

    names = ("temperature", "top_k", "top_p", "seed")
    sampling = Sampling(**{name: getattr(args, name) for name in names if getattr(args, name) is not None})
    return Wishes(
        n_best=args.mbr or args.n_best,
        sampling=sampling if _draws(args) else None,
        by_consensus=bool(args.mbr),
        glossary=Glossary.load(args.glossary, translator.tokenizers.tgt) if args.glossary else None,
        token_scores=args.token_scores,
        confidence=_wants_confidence(args) and translator.calibration is not None,
        alignments=args.alignments is not None,
        protect=args.protect,
    )


def _input_lines(name: str, stack: ExitStack) -> Iterator[str]:
    r"""Lines of the file or of standard input; "\n" ends a line, bytes that are no UTF-8 become U+FFFD."""
    if name == "-":
        if sys.stdin.isatty():
            tell("reading lines from the terminal; Ctrl-D ends")
        file: IO[bytes] = sys.stdin.buffer
    else:
        file = stack.enter_context(Path(name).open("rb"))
    for number, raw in enumerate(file):
        if number == 0 and raw.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
            raise TransformerMTError(f"{name}: is UTF-16; write it as UTF-8 first: iconv -f UTF-16 -t UTF-8")
        raw = raw.removeprefix(UTF8_BOM) if number == 0 else raw
        yield raw.decode("utf-8", "replace").removesuffix("\n").removesuffix("\r")


def _progress(lines: Iterator[str], args: argparse.Namespace, start: int) -> Iterator[str]:
    from tqdm import tqdm

    hidden = args.quiet or not sys.stderr.isatty()
    return iter(tqdm(lines, initial=start, unit=" lines", disable=hidden, file=sys.stderr))


def _teller(args: argparse.Namespace, start: int) -> Callable[[int], None]:
    """What is called with the number of lines done, and tells it now and then where no bar is shown."""
    if args.quiet or sys.stderr.isatty():
        return lambda lines: None
    begun = told = time.monotonic()

    def tell_now_and_then(lines: int) -> None:
        nonlocal told
        if (now := time.monotonic()) - told >= TELLING_SECONDS:
            tell(f"{lines:,} lines done, {(lines - start) / (now - begun):,.1f} lines/s")
            told = now

    return tell_now_and_then


def _as_json(translation: Any, has_confidence: bool) -> str:
    entry: dict[str, Any] = {"translation": translation.text, "score": translation.score, "flags": translation.flags}
    entry["alternatives"] = [{"translation": text, "score": score} for text, score in translation.alternatives]
    if has_confidence:
        entry["confidence"] = _rounded(translation.confidence)
        entry["word_confidences"] = [_rounded(one) for one in translation.word_confidences]
    if translation.tokens:
        entry["tokens"] = [{"piece": piece, "log_prob": log_prob} for piece, log_prob in translation.tokens]
    return json.dumps(entry, ensure_ascii=False)


def _rounded(confidence: float | None) -> float | None:
    return None if confidence is None else round(confidence, 4)
