"""`transformer-mt export`: a bundle in the format of another program."""

import argparse
import os
from importlib import import_module
from pathlib import Path
from typing import Any

from transformer_mt.cli.options import tell
from transformer_mt.errors import TransformerMTError

TARGETS = {
    "ctranslate2": "a directory for CTranslate2",
    "argos": "a package, PATH.argosmodel, for Argos Translate and LibreTranslate",
    "huggingface": "a directory for Hugging Face transformers",
}
"""Each is written by `export_NAME` of the module `interop.NAME`, given a bundle and a path."""
QUANTIZED = ("ctranslate2", "argos")
"""Those that also take a `quantization`."""

EXAMPLES = """\
examples:
  transformer-mt export runs/multi30k exported/multi30k-ct2 --to ctranslate2 --quantization int8
  transformer-mt export runs/multi30k exported/translate-en_fr.argosmodel --to argos
  transformer-mt export runs/multi30k exported/multi30k-hf --to huggingface
"""
DESCRIPTION = """\
Write a bundle in the format of another program: same tokens, same probabilities, where that program
is told to search as we do. docs/export.md and docs/huggingface.md say what each format carries.
"""


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "export",
        help="write a bundle in the format of another program",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("bundle", type=Path, help="bundle, or run directory that holds one")
    parser.add_argument("path", type=Path, help="what to write; it must not exist")
    kinds = "; ".join(f"{name}: {what}" for name, what in TARGETS.items())
    parser.add_argument("--to", choices=TARGETS, required=True, metavar="FORMAT", help=kinds)
    parser.add_argument(
        "--quantization",
        choices=["float32", "float16", "int8"],
        help=f"type of the weights, with {' and '.join(QUANTIZED)} (default: float32)",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write it, and say how large it is."""
    if os.path.lexists(args.path):
        raise TransformerMTError(f"{args.path}: exists, and nothing is overwritten; remove it or choose another name")
    if args.quantization is not None and args.to not in QUANTIZED:
        raise TransformerMTError(f"--quantization: cannot be chosen with --to {args.to}; leave it out")
    from transformer_mt.bundle import load_bundle

    options = {} if args.quantization is None else {"quantization": args.quantization}
    export = getattr(import_module(f"transformer_mt.interop.{args.to}"), f"export_{args.to}")
    export(load_bundle(args.bundle), args.path, **options)
    files = args.path.rglob("*") if args.path.is_dir() else [args.path]
    tell(f"{args.path}: {sum(one.stat().st_size for one in files) / 1e6:.1f} MB for {args.to}")
    return 0
