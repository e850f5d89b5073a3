"""What the JSON files of a MarianMT checkpoint say of the model and of how it is searched, in our words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformer_mt.errors import BundleError
from transformer_mt.files import read_json

_ACTIVATIONS = {"swish": "silu", "silu": "silu", "relu": "relu", "gelu": "gelu"}
_MOST_POSITIONS = 1 << 16

_FITTING: dict[str, Sequence[Any]] = {
    "architectures": (["MarianMTModel"], None),
    "auto_map": (None,),
    "is_decoder": (False,),
    "share_encoder_decoder_embeddings": (True,),
    "tie_word_embeddings": (True,),
    "static_position_embeddings": (True,),
    "normalize_embedding": (False,),
    "normalize_before": (False,),
    "add_final_layer_norm": (False,),
    "activation_function": tuple(_ACTIVATIONS),
}
"""What these keys of config.json may say, if they are there."""
_NEUTRAL: dict[str, Sequence[Any]] = {
    "do_sample": (False, None),
    "forced_bos_token_id": (None,),
    "repetition_penalty": (1.0, None),
    "encoder_repetition_penalty": (1.0, None),
    "encoder_no_repeat_ngram_size": (0, None),
    "exponential_decay_length_penalty": (None,),
    "min_length": (0, None),
    "min_new_tokens": (0, None),
    "num_beam_groups": (1, None),
    "penalty_alpha": (0, None),
    "sequence_bias": (None,),
    "suppress_tokens": ([], None),
    "begin_suppress_tokens": ([], None),
    "force_words_ids": ([], None),
}
"""What has to be said of these ways to search, which are not ours, if anything is."""


@dataclass(frozen=True, slots=True)
class MarianSettings:
    """A checkpoint's settings; ids are its own."""

    model: dict[str, Any]
    """Keys of section model of our configuration."""
    decoding: dict[str, Any]
    """Keys of section decoding."""
    vocab_size: int
    pad_id: int
    eos_id: int
    start_id: int
    """Of the token that translations begin with."""
    forbidden: tuple[int, ...]
    """Tokens that may not be said."""


def read_settings(directory: Path) -> MarianSettings:
    """Read config.json and, where it is there, generation_config.json.

    Raises BundleError naming the keys whose value is not one that we have, and DataError for what is no JSON.
    """
    config = _Keys(directory / "config.json")
    if (kind := config.get("model_type")) != "marian":
        raise BundleError(f"{config.path}: model_type is {_short(kind)}; only models of type marian can be imported")
    config.check(_FITTING)
    if config.get("scale_embedding", False) is not True:
        config.problems.append("scale_embedding must be true, as ours are scaled")
    vocab_size = config.whole("vocab_size", 4, 1 << 24)
    if config.get("decoder_vocab_size") not in (None, vocab_size):
        config.problems.append("decoder_vocab_size must be vocab_size, for embeddings are shared")
    positions = config.whole("max_position_embeddings", 2, _MOST_POSITIONS)
    model = {**_sizes(config), "max_positions": positions}
    config.raise_problems()
    generation_path = directory / "generation_config.json"
    search = _Keys(generation_path, fallback=config) if generation_path.is_file() else config
    search.check(_NEUTRAL)
    found = MarianSettings(
        model=model,
        decoding=_decoding(search, positions),
        vocab_size=vocab_size,
        pad_id=search.token("pad_token_id", vocab_size),
        eos_id=search.token("eos_token_id", vocab_size),
        start_id=search.token("decoder_start_token_id", vocab_size),
        forbidden=_forbidden(search, vocab_size),
    )
    search.raise_problems()
    return found


class _Keys:
    """The keys of a JSON file, with what is wrong with them."""

    def __init__(self, path: Path, fallback: "_Keys | None" = None) -> None:
        """Keys that the file does not have are looked for in `fallback`."""
        self.path = path
        self.values = read_json(path)
        if not isinstance(self.values, dict):
            raise BundleError(f"{path}: must hold keys with values; it describes no checkpoint")
        self.fallback: Mapping[str, Any] = fallback.values if fallback else {}
        self.problems: list[str] = []

    def get(self, key: str, default: Any = None) -> Any:
        return self.values.get(key, self.fallback.get(key, default))

    def check(self, allowed: Mapping[str, Sequence[Any]]) -> None:
        """Note each key of `allowed` that has a value which is not among its own."""
        for key, values in allowed.items():
            if (value := self.get(key, values[0])) not in values:
                wanted = " or ".join(_short(one) for one in values if one is not None) or "absent"
                self.problems.append(f"{key} is {_short(value)}, which we do not have (it can be {wanted})")

    def whole(self, key: str, least: int, most: int, default: int | None = None) -> int:
        """A whole number from `least` to `most`; `least` when it is something else, which is noted."""
        value = self.get(key, default)
        if type(value) is int and least <= value <= most:
            return value
        self.problems.append(f"{key} must be a whole number from {least} to {most:,}, got {_short(value)}")
        return least

    def share(self, key: str) -> float:
        """A probability, which is 0 where the key is missing."""
        value = self.get(key, 0.0)
        if isinstance(value, float | int) and 0 <= value < 1:
            return float(value)
        self.problems.append(f"{key} must be a number in [0, 1), got {_short(value)}")
        return 0.0

    def token(self, key: str, vocab_size: int) -> int:
        """A token, as a number or the only one of a list."""
        value = self.get(key)
        value = value[0] if isinstance(value, list) and len(value) == 1 else value
        if type(value) is int and 0 <= value < vocab_size:
            return value
        self.problems.append(f"{key} must be a token of the {vocab_size:,}, got {_short(value)}")
        return 0

    def raise_problems(self) -> None:
        """Raise a BundleError with the first problems, if there are any."""
        if self.problems:
            more = f"; and {len(self.problems) - 3} more" if len(self.problems) > 3 else ""
            raise BundleError(f"{self.path}: {'; '.join(self.problems[:3])}{more}")


def _sizes(config: _Keys) -> dict[str, Any]:
    most = 1 << 20
    found: dict[str, Any] = {
        "norm_order": "post",
        "tied_embeddings": "all",
        "output_bias": True,
        "d_model": config.whole("d_model", 2, most),
        "activation": _ACTIVATIONS.get(str(config.get("activation_function", "gelu"))),
        "dropout": config.share("dropout"),
        "embedding_dropout": config.share("dropout"),
        "attention_dropout": config.share("attention_dropout"),
        "activation_dropout": config.share("activation_dropout"),
        "num_encoder_layers": config.whole("encoder_layers", 1, most),
        "num_decoder_layers": config.whole("decoder_layers", 1, most),
    }
    for ours, theirs in (("num_heads", "attention_heads"), ("d_ff", "ffn_dim")):
        found[ours] = config.whole(f"encoder_{theirs}", 1, most)
        if config.get(f"decoder_{theirs}") != found[ours]:
            config.problems.append(f"decoder_{theirs} must be encoder_{theirs}")
    return found


def _decoding(search: _Keys, positions: int) -> dict[str, Any]:
    """Their limit counts the beginning of a translation, and is there for every source."""
    max_length = search.whole("max_length", 2, 1 << 31, default=positions)
    penalty = search.get("length_penalty", 1.0)
    if not isinstance(penalty, float | int) or not 0 <= penalty < 1e3:
        search.problems.append(f"length_penalty must be a number, 0 or above, got {_short(penalty)}")
    return {
        "beam_size": search.whole("num_beams", 1, 1 << 10, default=1),
        "length_penalty": penalty,
        "max_length_ratio": 0.0,
        "max_length_extra": min(max_length, positions) - 1,
        "no_repeat_ngram": search.get("no_repeat_ngram_size") or None,
    }


def _forbidden(search: _Keys, vocab_size: int) -> tuple[int, ...]:
    rows = search.get("bad_words_ids") or []
    if isinstance(rows, list) and all(isinstance(row, list) and len(row) == 1 for row in rows):
        ids = [row[0] for row in rows]
        if all(type(one) is int and 0 <= one < vocab_size for one in ids):
            return tuple(ids)
    search.problems.append(f"bad_words_ids must be lists of one token each, got {_short(rows)}")
    return ()


def _short(value: Any) -> str:
    """`value` as a message shows it."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
