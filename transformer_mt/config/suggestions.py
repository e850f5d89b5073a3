"""What someone may have meant by a word that is not known."""

import difflib
from collections.abc import Iterable, Mapping

FOREIGN_NAMES = {
    "learning_rate": "lr",
    "peak_lr": "lr",
    "hidden_size": "d_model",
    "embed_dim": "d_model",
    "ffn_dim": "d_ff",
    "feedforward_size": "d_ff",
    "attention_heads": "num_heads",
    "encoder_layers": "num_encoder_layers",
    "decoder_layers": "num_decoder_layers",
    "warmup": "warmup_steps",
    "warmup_updates": "warmup_steps",
    "epochs": "max_epochs",
    "max_updates": "max_steps",
    "train_steps": "max_steps",
    "max_tokens": "batch_size",
    "update_freq": "accumulation_steps",
    "gradient_accumulation_steps": "accumulation_steps",
    "clip_norm": "max_grad_norm",
    "smoothing": "label_smoothing",
    "early_stopping": "patience",
    "keep_checkpoints": "keep_last",
    "output_dir": "run_dir",
    "save_dir": "run_dir",
    "source_lang": "src_lang",
    "target_lang": "tgt_lang",
    "valid": "validation",
    "dev": "validation",
    "amp": "precision",
    "length_normalization": "length_penalty",
}
"""Names that other toolkits use, and ours."""


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known word that is most like `word`, if any is like it at all."""
    matches = difflib.get_close_matches(word[:100], list(known), n=1, cutoff=0.6)
    return matches[0] if matches else None


def closest_key(word: str, keys: Iterable[str]) -> str | None:
    """Like `closest`, for keys, which are also found by the names that other toolkits give them."""
    known = {key: key for key in keys}
    known.update((foreign, ours) for foreign, ours in FOREIGN_NAMES.items() if ours in known)
    match = closest(word, known)
    return known[match] if match else None


def unknown_key(key: str, section: str, keys_of: Mapping[str, Iterable[str]]) -> str:
    """The rule that an unknown `key` of `section` breaks, with the likeliest mend."""
    homes = [name for name, keys in keys_of.items() if name != section and key in keys]
    if homes:
        return f"unknown key (it belongs to section {' or '.join(homes)})"
    if match := closest_key(key, keys_of[section]):
        return f"unknown key (did you mean {match}?)"
    for name, keys in keys_of.items():
        if match := closest_key(key, keys):
            return f"unknown key (did you mean {match} of section {name}?)"
    return f"unknown key (known are {', '.join(keys_of[section])})"


def unknown_section(name: str, keys_of: Mapping[str, Iterable[str]]) -> str:
    """The rule that an unknown section breaks, with the likeliest mend."""
    homes = [section for section, keys in keys_of.items() if name in keys]
    if homes:
        return f"unknown section (it is a key of section {' or '.join(homes)})"
    if match := closest(name, keys_of):
        return f"unknown section (did you mean {match}?)"
    for section, keys in keys_of.items():
        if match := closest_key(name, keys):
            return f"unknown section (did you mean {match} of section {section}?)"
    return f"unknown section (known are {', '.join(keys_of)})"
