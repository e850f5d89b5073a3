"""Options that several commands share, and what they stand for."""

import argparse
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from transformer_mt.errors import TransformerMTError


def add_config_arguments(parser: argparse.ArgumentParser) -> None:
    """The configuration file and changes to it: `config` and `overrides` for `load_config`."""
    parser.add_argument("config", type=Path, metavar="CONFIG", help="YAML file, for example configs/quickstart.yaml")
    parser.add_argument(
        "--set",
        dest="overrides",
        metavar="SECTION.KEY=VALUE",
        action="append",
        default=[],
        help="use this value in place of the file's; may be repeated",
    )


def add_decoding_arguments(parser: argparse.ArgumentParser) -> None:
    """Options shared by all commands that translate."""
    group = parser.add_argument_group("decoding")
    group.add_argument(
        "--ensemble",
        type=Path,
        action="append",
        default=[],
        metavar="BUNDLE",
        help="another model with the same tokenizer, that votes; may be repeated",
    )
    group.add_argument(
        "--beam-size", type=int, metavar="K", help="hypotheses kept; 1 is greedy (default: the bundle's)"
    )
    group.add_argument("--length-penalty", type=float, metavar="A", help="a score is log P / length ** A")
    group.add_argument("--no-repeat-ngram", type=int, metavar="N", help="no run of N pieces occurs twice")
    group.add_argument(
        "--shortlist",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="look only at pieces that the source may become",
    )
    group.add_argument("--batch-tokens", type=int, metavar="N", help="source tokens translated together")
    group.add_argument(
        "--batch-invariant",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="let no bit of a translation depend on the lines beside it; slower unless in int8",
    )
    group.add_argument("--precision", choices=["auto", "fp32", "bf16", "int8"], help="arithmetic of the search")
    group.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps (default: auto)")
    group.add_argument("--threads", type=int, metavar="N", help="CPU threads (default: all cores)")


def tell(text: str) -> None:
    """Say something that is no result, on standard error."""
    print(f"transformer-mt: {text}", file=sys.stderr)


def uncalibrated(bundle: Path) -> str:
    """What to say of a bundle without confidence, and how it gets it."""
    return (
        "this bundle has no calibrated confidence; `transformer-mt evaluate "
        f"{shlex.quote(str(bundle))} --split validation --calibrate` learns it"
    )


class Loaded(NamedTuple):
    """A bundle and the translator made of it."""

    bundle: Any
    translator: Any


def load_translator(args: argparse.Namespace) -> Loaded:
    """The bundle, with the translator that the options of `add_decoding_arguments` describe."""
    from transformer_mt.bundle import load_bundle
    from transformer_mt.decoding.translator import Translator
    from transformer_mt.device import resolve_device, set_threads

    if args.threads is not None and args.threads < 1:
        raise TransformerMTError(f"--threads: must be at least 1, got {args.threads}")
    device = resolve_device(args.device)
    set_threads(args.threads)
    bundle, *others = (load_bundle(path) for path in (args.bundle, *args.ensemble))
    names = (
        "beam_size",
        "length_penalty",
        "no_repeat_ngram",
        "shortlist",
        "batch_tokens",
        "batch_invariant",
        "precision",
    )
    given = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    settings = replace(bundle.config.decoding, **given)
    if problems := list(settings.problems()):
        keys = (problem.partition(":") for problem in problems)
        raise TransformerMTError("; ".join(f"--{key.replace('_', '-')}:{rest}" for key, _, rest in keys))
    if settings.beam_size > (vocab_size := bundle.tokenizers.tgt.vocab_size):
        raise TransformerMTError(
            f"--beam-size: must be at most the vocabulary ({vocab_size}), got {settings.beam_size}"
        )
    return Loaded(bundle, Translator.from_bundles([bundle, *others], device, settings))
