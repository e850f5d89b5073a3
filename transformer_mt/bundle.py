"""A trained model on disk: one directory with everything that a translation needs, and nothing that can execute:

manifest.json       size and SHA-256 of every other file
bundle.json         format version, languages, and the facts of the training
config.yaml         the configuration it was trained with
model.safetensors   the weights
tokenizer/          the SentencePiece model or models
golden.jsonl        sentences with the translations this model gave when it was written
shortlist.safetensors  what each source piece became in training (not in bundles of older versions)
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from transformer_mt import __version__
from transformer_mt.config.loading import load_config, to_yaml
from transformer_mt.config.schema import Config
from transformer_mt.data.shortlist import Shortlist
from transformer_mt.data.tokenizer import TokenizerPair
from transformer_mt.data.vocabulary import PAD_ID
from transformer_mt.errors import BundleError
from transformer_mt.files import atomic_directory, atomic_file, read_json, verify_manifest, write_json, write_manifest
from transformer_mt.model.transformer import Transformer
from transformer_mt.tensors import load_tensors, load_weights, save_tensors

FORMAT_VERSION = 1
SHORTLIST_FILE = "shortlist.safetensors"


@dataclass(frozen=True, slots=True)
class Golden:
    """A sentence and the translation that the model gave for it, with this beam, in fp32 or bf16 as stated."""

    src: str
    translation: str
    beam_size: int
    precision: Literal["fp32", "bf16"]


@dataclass(frozen=True, slots=True)
class Bundle:
    """A loaded bundle."""

    config: Config
    model: Transformer
    tokenizers: TokenizerPair
    golden: Sequence[Golden] = ()
    facts: dict[str, Any] = field(default_factory=dict)
    """Plain JSON: `max_source_pieces` (longest source trained on), and what the run knows of itself."""
    shortlist: Shortlist | None = None
    path: Path | None = None
    """Where it was loaded from."""


def build_model(config: Config, tokenizers: TokenizerPair) -> Transformer:
    """The untrained model that `config` describes for these vocabularies."""
    return Transformer(config.model, tokenizers.src.vocab_size, tokenizers.tgt.vocab_size, PAD_ID)


def save_bundle(path: Path, bundle: Bundle, weights: dict[str, Tensor] | None = None) -> None:
    """Write `bundle` to the directory `path`, atomically; `weights` stand in for the model's own if given."""
    with atomic_directory(path) as directory:
        save_tensors(directory / "model.safetensors", weights or dict(bundle.model.named_parameters()))
        bundle.tokenizers.save(directory / "tokenizer")
        (directory / "config.yaml").write_text(to_yaml(bundle.config), encoding="utf-8")
        _write_golden(directory / "golden.jsonl", bundle.golden)
        if bundle.shortlist is not None:
            tables = {name: torch.from_numpy(table) for name, table in asdict(bundle.shortlist).items()}
            save_tensors(directory / SHORTLIST_FILE, tables)
        about = {"format_version": FORMAT_VERSION, "written_by": f"transformer_mt {__version__}"}
        languages = {"src_lang": bundle.config.data.src_lang, "tgt_lang": bundle.config.data.tgt_lang}
        write_json(directory / "bundle.json", {**about, **languages, "facts": bundle.facts})
        write_manifest(directory)


def load_bundle(path: Path) -> Bundle:
    """Read a bundle, or the bundle of a run directory; every file is checked against its hash.

    Raises BundleError naming what is missing, damaged, newer than this program, or does not fit together.
    """
    directory = bundle_directory(path)
    verify_manifest(directory)
    about = _read_about(directory)
    config = load_config(directory / "config.yaml")
    tokenizers = TokenizerPair.load(directory / "tokenizer", untrusted=True)  # a bundle may come from anyone
    with _NoDraws():
        model = build_model(config, tokenizers)
    load_weights(model, load_tensors(directory / "model.safetensors"), directory / "model.safetensors")
    golden = _read_golden(directory / "golden.jsonl")
    shortlist = _read_shortlist(directory / SHORTLIST_FILE, tokenizers)
    return Bundle(config, model.eval(), tokenizers, golden, about["facts"], shortlist, directory)


class _NoDraws(TorchFunctionMode):
    """Nothing is drawn at random: for weights that are replaced right away."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (torch.Tensor.uniform_, torch.Tensor.normal_):
            return args[0]
        return func(*args, **(kwargs or {}))


def bundle_directory(path: Path) -> Path:
    """`path` if it is a bundle, or the bundle inside it if it is a run directory."""
    if (path / "bundle.json").is_file():
        return path
    if (path / "bundle" / "bundle.json").is_file():
        return path / "bundle"
    if not path.is_dir():
        raise BundleError(f"{path}: no such directory; give a bundle or a run directory that holds one")
    if (path / "checkpoints").is_dir() or (path / "log.txt").is_file():
        raise BundleError(f"{path}: this run has no bundle yet; it is written at the first validation")
    raise BundleError(f"{path}: is neither a bundle nor a run directory (it has no bundle.json)")


def _read_about(directory: Path) -> dict[str, Any]:
    about = read_json(directory / "bundle.json")
    version = about.get("format_version") if isinstance(about, dict) else None
    if not isinstance(version, int) or not isinstance(about.get("facts"), dict):
        raise BundleError(f"{directory / 'bundle.json'}: is not the description of a bundle")
    if version > FORMAT_VERSION:
        writer = about.get("written_by", "a newer version")
        raise BundleError(
            f"{directory}: format {version} was written by {writer}, this is transformer_mt {__version__}, which reads "
            f"up to format {FORMAT_VERSION}; update transformer_mt"
        )
    return about


def _read_shortlist(path: Path, tokenizers: TokenizerPair) -> Shortlist | None:
    if not path.exists():
        return None
    tables = {name: tensor.numpy() for name, tensor in load_tensors(path).items()}
    is_right = tables.keys() == {"likely", "always"} and len(tables["likely"]) == tokenizers.src.vocab_size
    if not is_right or any(
        table.dtype != np.int32 or table.min(initial=0) < 0 or table.max(initial=0) >= tokenizers.tgt.vocab_size
        for table in tables.values()
    ):
        raise BundleError(f"{path}: does not fit the tokenizer of this bundle")
    return Shortlist(**tables)


def _write_golden(path: Path, golden: Sequence[Golden]) -> None:
    with atomic_file(path) as file:
        for one in golden:
            file.write(json.dumps(asdict(one), ensure_ascii=False).encode() + b"\n")


def _read_golden(path: Path) -> list[Golden]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
        return [Golden(**json.loads(line)) for line in lines if line]
    except (OSError, ValueError, TypeError) as error:
        raise BundleError(f"{path}: is damaged ({error})") from None
