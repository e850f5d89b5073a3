"""`transformer-mt serve`: translations over HTTP, as LibreTranslate's clients ask for them."""

import argparse
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from transformer_mt.cli.options import add_decoding_arguments, load_translator, tell
from transformer_mt.errors import MissingExtraError, TransformerMTError
from transformer_mt.files import check_readable_file

DESCRIPTION = """\
Translate over HTTP: a page for people, and the interface of LibreTranslate for programs. Several
bundles serve several directions. Ctrl-C or SIGTERM answers what has come, and ends.
"""
EXAMPLES = """\
examples:
  transformer-mt serve runs/multi30k                    # then open http://127.0.0.1:5000
  transformer-mt serve runs/en-fr runs/fr-en --protect
  transformer-mt serve runs/multi30k --host 0.0.0.0 --api-key-file keys.txt
  transformer-mt serve runs/multi30k --limit text_characters=20000 --limit seconds=60

  curl -d q='The cat is asleep.' -d source=en -d target=fr http://127.0.0.1:5000/translate

Only this machine is served unless there are keys (a file with one a line, or the variable
TRANSFORMER_MT_API_KEYS, with blanks between them) or you say --public. More: docs/serving.md.
"""
KEYS_VARIABLE = "TRANSFORMER_MT_API_KEYS"
SHORTEST_KEY = 16


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "serve",
        help="translate over HTTP",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "bundles",
        type=Path,
        nargs="+",
        metavar="BUNDLE",
        help="bundle, or run directory that holds one; one for each direction",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to serve at (default: %(default)s)")
    parser.add_argument("--port", type=int, default=5000, metavar="N", help="default: %(default)s; 0 takes a free one")
    parser.add_argument("--api-key-file", type=Path, metavar="FILE", help="answer only those who know a key of it")
    parser.add_argument("--public", action="store_true", help="serve other machines although there is no key")
    parser.add_argument("--protect", action="store_true", help="as that of translate, for every text")
    parser.add_argument(
        "--limit",
        dest="limits",
        action="append",
        default=[],
        metavar="NAME=N",
        help="bound what one client may ask for, see docs/serving.md; may be repeated",
    )
    add_decoding_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Serve until a signal."""
    from transformer_mt.serving.limits import parse_limits

    limits, keys = parse_limits(args.limits), _keys(args.api_key_file)
    if not 0 <= args.port <= 65535:
        raise TransformerMTError(f"--port: must be between 0 and 65535, got {args.port}")
    if len(args.bundles) > 1 and args.ensemble:
        raise TransformerMTError("--ensemble: goes with one bundle, whose direction the others vote on")
    try:
        from transformer_mt.serving.server import is_loopback, open_socket, serve, url_of
    except ModuleNotFoundError as error:
        if (package := (error.name or "").partition(".")[0]) not in ("fastapi", "uvicorn", "python_multipart"):
            raise
        raise MissingExtraError(package, "serve", "serving") from None
    with open_socket(args.host, args.port) as opened:
        if not (is_loopback(opened) or keys or args.public):
            raise TransformerMTError(
                f"--host {args.host}: other machines can reach it; give --api-key-file FILE, or say --public"
            )
        service = _service(args, limits)
        pairs = ", ".join(f"{source} to {target}" for source, target in service.directions.translators)
        was_cut_short = serve(service, opened, keys, lambda: tell(f"serving {pairs} at {url_of(opened)}"))
    tell("stopped")
    return 130 if was_cut_short else 0


def _service(args: argparse.Namespace, limits: Any) -> Any:
    """The service, whose translators have translated something, so that the first client does not wait for that."""
    from transformer_mt.serving.languages import Directions
    from transformer_mt.serving.metrics import Metrics
    from transformer_mt.serving.model_thread import ModelThread
    from transformer_mt.serving.service import Service

    directions = Directions(_translators(args))
    metrics = Metrics()
    return Service(directions, ModelThread(limits, metrics), limits, metrics, args.protect)


def _translators(args: argparse.Namespace) -> Iterator[tuple[str, str, Any]]:
    for path in args.bundles:
        bundle, translator = load_translator(argparse.Namespace(**{**vars(args), "bundle": path}))
        translator.translate(["."])
        tell(f"decoding in {translator.arithmetic}")
        yield bundle.config.data.src_lang, bundle.config.data.tgt_lang, translator


def _keys(path: Path | None) -> list[str]:
    """The keys of the file and of the environment."""
    keys = os.environ.get(KEYS_VARIABLE, "").split()
    if path is not None:
        check_readable_file(path)
        from_file = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        if not from_file:
            raise TransformerMTError(f"--api-key-file: {path} holds no key; write one a line")
        keys += from_file
    if any(len(key) < SHORTEST_KEY for key in keys):
        raise TransformerMTError(f"an API key must have {SHORTEST_KEY} characters at least; try: openssl rand -hex 16")
    return keys
