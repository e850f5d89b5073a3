"""A trained model on disk: one directory with everything that a translation needs, and nothing that can execute:

manifest.json       size and SHA-256 of every other file
bundle.json         format version, languages, and the facts of the training
config.yaml         the configuration it was trained with
model.safetensors   the weights
tokenizer/          the SentencePiece model or models
golden.jsonl        sentences with the translations this model gave when it was written
shortlist.safetensors  what each source piece became in training (not in bundles of older versions)
calibration.json    what the probabilities of its words are worth (not in bundles of older versions)
README.md           the model card, for people, who may change it: nothing is read from it (not in older bundles)
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from transformer_mt import __version__
from transformer_mt.card import model_card
from transformer_mt.config.loading import load_config, to_yaml
from transformer_mt.config.schema import Arithmetic, Config
from transformer_mt.data.shortlist import Shortlist
from transformer_mt.data.tokenizer import JOINT_FILE, SOURCE_FILE, TARGET_FILE, TokenizerPair
from transformer_mt.data.vocabulary import PAD_ID
from transformer_mt.errors import BundleError, DataError
from transformer_mt.evaluation.calibration import Calibration
from transformer_mt.files import (
    atomic_directory,
    atomic_file,
    copy_by_links,
    parse_json,
    read_json,
    read_small_text,
    sha256_of,
    write_json,
)
from transformer_mt.manifest import MANIFEST, update_manifest, verify_manifest, write_manifest
from transformer_mt.model.transformer import Transformer
from transformer_mt.tensors import load_tensors, load_weights, save_tensors

FORMAT_VERSION = 1
SHORTLIST_FILE = "shortlist.safetensors"
CALIBRATION_FILE = "calibration.json"
CARD_FILE = "README.md"
_FILES = (
    *("bundle.json", "config.yaml", "model.safetensors", "golden.jsonl", SHORTLIST_FILE, CALIBRATION_FILE),
    *(f"tokenizer/{name}" for name in (JOINT_FILE, SOURCE_FILE, TARGET_FILE)),
)


@dataclass(frozen=True, slots=True)
class Golden:
    """A sentence and the translation that the model gave for it, with this beam, in the arithmetic stated."""

    src: str
    translation: str
    beam_size: int
    precision: Arithmetic


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
    calibration: Calibration | None = None


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
        if bundle.calibration is not None:
            write_json(directory / CALIBRATION_FILE, bundle.calibration.to_json())
        about = {"format_version": FORMAT_VERSION, "written_by": f"transformer_mt {__version__}"}
        languages = {"src_lang": bundle.config.data.src_lang, "tgt_lang": bundle.config.data.tgt_lang}
        write_json(directory / "bundle.json", {**about, **languages, "facts": bundle.facts})
        sizes = {path.name: path.stat().st_size for path in sorted(directory.iterdir()) if path.is_file()}
        (directory / CARD_FILE).write_text(model_card(bundle.config, bundle.facts, sizes), encoding="utf-8")
        write_manifest(directory)


def load_bundle(path: Path) -> Bundle:
    """Read a bundle, or the bundle of a run directory; every file is checked against its hash.

    Raises BundleError naming what is missing, damaged, newer than this program, or does not fit together.
    """
    directory = bundle_directory(path)
    verify_manifest(directory, _FILES, may_change=(CARD_FILE,))
    about = _read_about(directory)
    config = load_config(directory / "config.yaml")
    tokenizers = TokenizerPair.load(directory / "tokenizer", untrusted=True)  # a bundle may come from anyone
    _check_shared(config, tokenizers, directory)
    weights = load_tensors(directory / "model.safetensors")
    _check_size(config, tokenizers, weights, directory)
    with NoDraws():
        model = build_model(config, tokenizers)
    load_weights(model, weights, directory / "model.safetensors")
    golden = _read_golden(directory / "golden.jsonl", tokenizers)
    shortlist = _read_shortlist(directory / SHORTLIST_FILE, tokenizers)
    calibration = _read_calibration(directory / CALIBRATION_FILE)
    return Bundle(config, model.eval(), tokenizers, golden, about["facts"], shortlist, directory, calibration)


def replace_calibration(bundle: Bundle, calibration: Calibration) -> None:
    """Write `calibration` into the directory that `bundle` was loaded from, atomically; all else stays as it is.

    Raises BundleError when it was replaced by another bundle meanwhile.
    """
    assert bundle.path is not None
    path = bundle.path.resolve()  # where it is a link, what it leads to is exchanged
    with atomic_directory(path) as directory:
        copy_by_links(path, directory)
        (directory / CALIBRATION_FILE).unlink(missing_ok=True)
        write_json(directory / CALIBRATION_FILE, calibration.to_json())
        update_manifest(directory, CALIBRATION_FILE)
        if _read_about(path)["facts"] != bundle.facts:
            raise BundleError(f"{path}: was replaced by another bundle meanwhile; run the same command again")


def _read_calibration(path: Path) -> Calibration | None:
    if not path.exists():
        return None
    try:
        return Calibration.from_json(read_json(path))
    except (DataError, ValueError) as error:
        raise BundleError(f"{path}: is damaged ({error})") from None


def _check_shared(config: Config, tokenizers: TokenizerPair, directory: Path) -> None:
    """Raise BundleError where one matrix is to serve two vocabularies that differ."""
    if config.model.tied_embeddings == "all" and not tokenizers.is_joint:
        src, tgt = (side.pieces(range(side.vocab_size)) for side in (tokenizers.src, tokenizers.tgt))
        if src != tgt:
            raise BundleError(
                f"{directory}: config.yaml has model.tied_embeddings: all, but source.model and target.model have "
                "different pieces; they are not of one model"
            )


def is_card_as_written(path: Path) -> bool:
    """Whether the model card of the sound bundle at `path` is what the training wrote, or there never was one."""
    directory = bundle_directory(path)
    entry = read_json(directory / MANIFEST)["files"].get(CARD_FILE)
    card = directory / CARD_FILE
    return entry is None or (card.is_file() and sha256_of(card) == entry["sha256"])


def _check_size(config: Config, tokenizers: TokenizerPair, weights: Mapping[str, Tensor], directory: Path) -> None:
    """Raise BundleError where `config` describes a larger model than these weights are of, before it takes memory."""
    model, held = config.model, sum(tensor.numel() for tensor in weights.values())
    num_layers = model.num_encoder_layers + model.num_decoder_layers
    of_layer = model.d_model * (4 * model.d_model + 2 * model.d_ff)
    of_positions = model.max_positions if model.positions == "learned" else 0
    least = num_layers * of_layer + (tokenizers.tgt.vocab_size + of_positions) * model.d_model
    if least > held or num_layers > len(weights):
        raise BundleError(
            f"{directory}: config.yaml describes {num_layers:,} layers with {least:,} weights or more, but "
            f"model.safetensors holds {held:,}; they are not of one model"
        )


class NoDraws(TorchFunctionMode):
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
    facts = about.get("facts") if isinstance(about, dict) else None
    if not isinstance(version, int) or not isinstance(facts, dict):
        raise BundleError(f"{directory / 'bundle.json'}: is not the description of a bundle")
    if version > FORMAT_VERSION:
        writer = about.get("written_by", "a newer version")
        raise BundleError(
            f"{directory}: format {version} was written by {writer}, this is transformer_mt {__version__}, which reads "
            f"up to format {FORMAT_VERSION}; update transformer_mt"
        )
    longest = facts.get("max_source_pieces", 1)
    if type(longest) is not int or longest < 1:
        raise BundleError(f"{directory / 'bundle.json'}: max_source_pieces must be a whole number, 1 or above")
    return about


def _read_shortlist(path: Path, tokenizers: TokenizerPair) -> Shortlist | None:
    if not path.exists():
        return None
    tensors = load_tensors(path)
    dimensions = {name: tensor.dim() for name, tensor in tensors.items()}
    is_right = dimensions == {"likely": 2, "always": 1} and len(tensors["likely"]) == tokenizers.src.vocab_size
    if not is_right or any(tensor.dtype != torch.int32 for tensor in tensors.values()):
        raise BundleError(f"{path}: does not fit the tokenizer of this bundle")
    tables = {name: tensor.numpy() for name, tensor in tensors.items()}
    if any(np.any((table < 0) | (table >= tokenizers.tgt.vocab_size)) for table in tables.values()):
        raise BundleError(f"{path}: names pieces that the tokenizer of this bundle does not have")
    return Shortlist(**tables)


def _write_golden(path: Path, golden: Sequence[Golden]) -> None:
    with atomic_file(path) as file:
        for one in golden:
            file.write(json.dumps(asdict(one), ensure_ascii=False).encode() + b"\n")


def _read_golden(path: Path, tokenizers: TokenizerPair) -> list[Golden]:
    try:
        lines = read_small_text(path).split("\n")
        found = [Golden(**parse_json(line, "a line")) for line in lines if line]
        if not all(_is_golden(one, tokenizers.tgt.vocab_size) for one in found):
            raise ValueError("a line holds no sentence with its translation")
    except (DataError, ValueError, TypeError) as error:
        raise BundleError(f"{path}: is damaged ({error})") from None
    return found


def _is_golden(one: Golden, largest_beam: int) -> bool:
    is_text = isinstance(one.src, str) and isinstance(one.translation, str) and isinstance(one.precision, str)
    has_beam = type(one.beam_size) is int and 1 <= one.beam_size <= largest_beam
    return is_text and has_beam and one.precision in get_args(Arithmetic)
