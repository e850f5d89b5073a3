"""`transformer-mt import`: a MarianMT checkpoint of Hugging Face transformers (such as OPUS-MT's) as a bundle."""

import argparse
import os
from pathlib import Path
from typing import Any

from transformer_mt.cli.options import tell
from transformer_mt.errors import TransformerMTError

EXAMPLES = """\
example:
  transformer-mt import opus-mt-en-fr bundles/en-fr --src-lang en --tgt-lang fr
  transformer-mt translate bundles/en-fr input.txt -o output.txt

"""
DESCRIPTION = """\
Make a bundle of a MarianMT checkpoint of Hugging Face transformers, such as OPUS-MT's: one that
translates as the checkpoint does, and can be trained on. The directory has config.json,
model.safetensors, source.spm, target.spm and vocab.json; nothing in it is executed.
"""


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "import",
        help="make a bundle of a MarianMT checkpoint of Hugging Face transformers",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("checkpoint", type=Path, metavar="CHECKPOINT_DIR", help="directory of the checkpoint")
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="directory to be made")
    parser.add_argument("--src-lang", required=True, metavar="CODE", help="source language, such as en")
    parser.add_argument("--tgt-lang", required=True, metavar="CODE", help="target language, such as fr")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Read the checkpoint and write the bundle."""
    if os.path.lexists(args.bundle):
        raise TransformerMTError(f"{args.bundle}: exists, and nothing is overwritten; remove it or choose another name")
    from transformer_mt.bundle import save_bundle
    from transformer_mt.interop.marian import import_marian

    bundle = import_marian(args.checkpoint, args.src_lang, args.tgt_lang)
    save_bundle(args.bundle, bundle)
    tell(
        f"{args.bundle}: {bundle.model.num_parameters():,} parameters, {bundle.tokenizers.src.vocab_size:,} pieces; "
        "translate and verify it, or train on from it with training.init_from (docs/huggingface.md)"
    )
    return 0
