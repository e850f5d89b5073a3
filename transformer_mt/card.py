"""The model card: what a bundle says of itself to people, and to the Hugging Face hub in the lines between `---`.

It is written from the configuration and from facts that the training has noted; what is not known is left out. Names
that come from data are escaped, so that no file name becomes a link, a heading or a tag.
"""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import yaml

from transformer_mt import __version__
from transformer_mt.config.schema import Config, ModelConfig

_LONGEST_NAME = 200
_LICENCE = """\
No licence is stated here. Whoever publishes this model chooses one that the licences of its training data allow, and
adds it above as `license: ...`.
"""
_HASHED = """\
The hash of a source is that of the hashes of its files: `sha256sum FILES | cut -c-64 | tr -d '\\n' | sha256sum`.
"""


class Use(NamedTuple):
    """How a directory is used."""

    library: str
    """What the hub calls the program."""
    text: str
    """Markdown."""


OURS = Use(
    "transformer-mt",
    """\
    pip install transformer-mt
    transformer-mt translate DIRECTORY in.txt -o out.txt

or from Python:

    from transformer_mt.decoding.translator import Translator

    translator = Translator.load("DIRECTORY")
    print(translator.translate(["..."]))

DIRECTORY is the one that this file is in. `transformer-mt verify DIRECTORY` checks the hash of every file
and replays translations that the model gave when it was written.
""",
)


def model_card(config: Config, facts: Mapping[str, Any], sizes: Mapping[str, int], use: Use = OURS) -> str:
    """The text of README.md for a model of `config`; `sizes` are those of the files beside it in bytes.

    A pure function of its arguments. `facts` may lack anything, and hold anything: a bundle may come from anyone.
    """
    pair = f"{config.data.src_lang} to {config.data.tgt_lang}"
    parts = [
        f"---\n{_front_matter(config, facts, use.library)}---\n",
        f"# Translation from {pair}\n",
        f"A Transformer that translates from {pair}, {_origin(facts)} by transformer_mt {__version__}.\n",
        "## Use\n",
        use.text,
        "## Scores\n",
        _scores(facts),
        "## Training data\n",
        _data(facts),
        "## Training\n",
        _list(_training(config, facts)),
        "## Model\n",
        _list(_model(config, facts, sizes)),
        "## Limits\n",
        _list(_limits(config, facts)),
        "## Licence\n",
        _LICENCE,
    ]
    return "\n".join(parts)


def _origin(facts: Mapping[str, Any]) -> str:
    return "imported" if _part(facts, "imported_from") else "trained and written"


def _front_matter(config: Config, facts: Mapping[str, Any], library: str) -> str:
    languages = [config.data.src_lang, config.data.tgt_lang]
    known: dict[str, Any] = {
        "language": languages,
        "library_name": library,
        "pipeline_tag": "translation",
        "tags": ["translation", "transformer-mt"],
        "metrics": ["bleu"],
    }
    hub = list(dict.fromkeys(source.hub for source in config.data.train if source.hub is not None))
    if hub:
        known["datasets"] = hub
    bleu = _number(_part(facts, "validation"), "bleu")
    if bleu is not None:
        known["model-index"] = [{"name": f"transformer-mt {'-'.join(languages)}", "results": [_result(config, bleu)]}]
    return str(yaml.safe_dump(known, sort_keys=False, allow_unicode=True))


def _result(config: Config, bleu: float) -> dict[str, Any]:
    """A score as the hub's `model-index` has them."""
    hub = next((source.hub for source in config.data.validation if source.hub), "validation")
    languages = f"{config.data.src_lang}-{config.data.tgt_lang}"
    return {
        "task": {"type": "translation", "name": f"Translation {languages}"},
        "dataset": {"type": hub, "name": f"validation pairs {languages}"},
        "metrics": [{"type": "bleu", "name": "BLEU (sacreBLEU)", "value": round(bleu, 2)}],
    }


def _scores(facts: Mapping[str, Any]) -> str:
    found = _part(facts, "validation")
    rows = [
        (name, f"{value:.{digits}f}")
        for name, key, digits in (("BLEU", "bleu", 2), ("perplexity of a piece", "perplexity", 3))
        if (value := _number(found, key)) is not None
    ]
    if not rows:
        return "Nothing was scored while training. `transformer-mt evaluate` does so on pairs that were held out.\n"
    lines = ["| on the validation pairs | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)]
    if signature := _text(facts.get("metric")):
        lines.append(f"| signature of sacreBLEU | {signature} |")
    if scored := _number(facts, "validation_lines"):
        lines.append(f"| sentences translated | {scored:,.0f} |")
    why = "These pairs chose which weights were kept, so other text scores a little lower."
    return "\n".join(lines) + f"\n\n{why} `transformer-mt evaluate` scores on a test set.\n"


def _data(facts: Mapping[str, Any]) -> str:
    lines = ["| source | role | pairs | SHA-256 |", "|---|---|---:|---|"]
    for key, role in (("data", "training"), ("validation_data", "validation")):
        for name, about in _part(facts, key).items():
            pairs = _number(about, "pairs") if isinstance(about, dict) else None
            digest = _text(about.get("sha256")) if isinstance(about, dict) else ""
            lines.append(f"| {_text(name)} | {role} | {'' if pairs is None else f'{pairs:,.0f}'} | {digest} |")
    return "\n".join(lines) + f"\n\n{_HASHED}" if len(lines) > 2 else "Not noted.\n"


def _training(config: Config, facts: Mapping[str, Any]) -> Iterator[str]:
    """What was done, on what, for how long."""
    if imported := _part(facts, "imported_from"):
        kind, name = (_text(imported.get(key)) for key in ("format", "directory"))
        yield f"Imported from the {kind} checkpoint {name}; how that was trained is not known here."
        return
    hardware, versions = _part(facts, "hardware"), _part(facts, "versions")
    processes = int(_number(hardware, "processes") or 1)
    command = "transformer-mt" if processes == 1 else f"torchrun --nproc-per-node {processes} -m transformer_mt"
    yield f"Command: `{command} train config.yaml`, with the `config.yaml` of the bundle, which holds every setting."
    if config.training.init_from:
        yield f"Began with the weights of {_text(config.training.init_from)}."
    minutes, step = _number(facts, "minutes"), _number(facts, "step")
    if minutes is not None and step is not None:
        tokens = _number(facts, "target_tokens")
        seen = "" if tokens is None else f", {tokens:,.0f} target tokens"
        yield f"{minutes:.1f} minutes, {step:,.0f} updates{seen}, up to the weights that are kept here."
    where = [_text(hardware.get(name)) for name in ("card", "processor", "device") if _text(hardware.get(name))]
    if where:
        threads = _number(hardware, "threads")
        yield f"Hardware: {', '.join(where)}" + ("." if threads is None else f", {threads:.0f} threads.")
    if precision := _text(facts.get("precision")):
        yield f"Precision: {precision}."
    if versions:
        yield f"Versions: {', '.join(f'{_text(name)} {_text(version)}' for name, version in versions.items())}."


def _model(config: Config, facts: Mapping[str, Any], sizes: Mapping[str, int]) -> Iterator[str]:
    model = config.model
    if (parameters := _number(facts, "parameters")) is not None:
        yield f"{parameters:,.0f} parameters."
    yield _shape(model)
    tokenizer = config.tokenizer
    yield (
        f"SentencePiece {tokenizer.model_type}, {tokenizer.vocab_size:,} pieces"
        + (" that both languages share." if tokenizer.joint else " for each language.")
    )
    named = ", ".join(f"{_text(name)} {size / 1e6:.1f} MB" for name, size in sizes.items() if size >= 50_000)
    if named:
        yield f"Files: {named}."


def _shape(model: ModelConfig) -> str:
    return (
        f"{model.num_encoder_layers} + {model.num_decoder_layers} layers of width {model.d_model}, {model.num_heads} "
        f"heads, feed-forward {model.d_ff} ({model.activation}), {model.positions} positions, {model.norm} norm."
    )


def _limits(config: Config, facts: Mapping[str, Any]) -> Iterator[str]:
    if _part(facts, "imported_from"):
        known = "What it has learnt from is not known here; its own card may say"
    elif config.training.init_from:
        known = "It has learnt from the pairs named above, and from those of the model that it began with"
    else:
        known = "It has learnt from the pairs named above and from nothing else"
    yield (
        f"{known}: text of another kind, and names, numbers and idioms that are not in them, are translated worse.\n"
        "  What is wrong or one-sided in them may come again."
    )
    yield "It translates sentence by sentence, without what comes before, and does not say when it is unsure."
    longest = _number(facts, "max_source_pieces")
    if longest is not None:
        yield f"The longest source that it is known to take has {longest:,.0f} pieces; longer lines are split."
    if config.tokenizer.uses_bytes:
        yield "Characters that it has never seen are read as bytes, which it can at best copy."


def _list(lines: Iterator[str]) -> str:
    return "".join(f"- {line}\n" for line in lines)


def _part(facts: Any, name: str) -> Mapping[str, Any]:
    part = facts.get(name)
    return part if isinstance(part, dict) else {}


def _number(facts: Mapping[str, Any], name: str) -> float | None:
    value = facts.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return value if math.isfinite(value) and abs(value) < 1e18 else None


def _text(value: Any) -> str:
    """A name in one line of Markdown, in which nothing has a meaning; empty for what is no text."""
    if not isinstance(value, str):
        return ""
    text = " ".join("".join(c if c.isprintable() else " " for c in value).split())
    text = text if len(text) <= _LONGEST_NAME else f"{text[:_LONGEST_NAME]}…"
    return re.sub(r"([\\`*_{}\[\]<>|~&@:#!$^=])", r"\\\1", text).replace("www.", "www\\.")
