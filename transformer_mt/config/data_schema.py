"""The sections about the corpus: its sources, which pairs are used, and how text becomes pieces."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from transformer_mt.config import rules


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceConfig:
    """One source of sentence pairs. Give `src` and `tgt`, or `path`, or `hub`; the rest describes it."""

    src: str | None = None
    """Text file with one source sentence per line; goes with tgt."""
    tgt: str | None = None
    """Text file with the translation of line i of src on its line i."""
    path: str | None = None
    """One file that holds both sides: tsv, csv, json lines, parquet or a dictionary."""
    hub: str | None = None
    """Id of a dataset on the Hugging Face hub, for example wmt/wmt14. The only setting that uses the network."""
    config: str | None = None
    """Configuration of the hub dataset, for example fr-en."""
    split: str = "train"
    """Split of the hub dataset."""
    format: Literal["auto", "tsv", "csv", "jsonl", "parquet", "dictionary"] = "auto"
    """Format of path; auto goes by the file's ending. A dictionary has lines `word<TAB>traduction` or `word = a; b`."""
    src_field: str | None = None
    """Column of the source, by name, in a tsv also by number from 1; default: the language code, in a tsv column 1."""
    tgt_field: str | None = None
    """Column of the translation; default: the language code, in a tsv column 2."""
    encoding: str = "utf-8"
    """Encoding of the text files."""
    weight: float = 1.0
    """How often each pair is seen in an epoch; 0.5 takes another half of them each epoch. Training only."""

    def problems(self) -> Iterator[str]:
        pair, given = (self.src, self.tgt), (self.path, self.hub)
        if sum([any(pair), *(value is not None for value in given)]) != 1 or (any(pair) and not all(pair)):
            yield "a source needs either src and tgt, or path, or hub"
        if self.path is None and self.format != "auto":
            yield f"format: goes with path, got {self.format} without one"
        if self.hub is None and self.config is not None:
            yield f"config: goes with hub, got {self.config} without one"
        for name in ("src", "tgt", "path", "hub", "config", "split", "src_field", "tgt_field"):
            yield from rules.not_empty(name, getattr(self, name))
        yield from rules.text_encoding("encoding", self.encoding)
        yield from rules.above_zero("weight", self.weight)


@dataclass(frozen=True, kw_only=True, slots=True)
class DataConfig:
    """Where sentence pairs come from and which of them are used."""

    src_lang: str = "en"
    """Code of the source language."""
    tgt_lang: str = "fr"
    """Code of the target language."""
    train: tuple[SourceConfig, ...] = ()
    """Sources of the training pairs: a list, or a single source."""
    validation: tuple[SourceConfig, ...] = ()
    """Sources of the pairs that are scored while training; never trained on."""
    test: tuple[SourceConfig, ...] = ()
    """Sources of the pairs that `evaluate` scores; never trained or tuned on."""
    max_length: int = 256
    """Longest side of a training pair in pieces, end of sentence included; longer pairs are left out and listed."""
    drop_leaks: bool = False
    """Leave out training pairs whose source or target also occurs in validation or test (they are always counted)."""
    allow_suspicious: bool = False
    """Train although more than a fifth of the pairs look copied or have their languages swapped."""
    skip_bad_lines: int = 0
    """Unreadable lines that a json lines, csv or tsv source may have; they are counted and listed."""
    cache_dir: str = "runs/cache"
    """Directory of tokenised data, which runs share; entries are found by content, so it may be deleted."""

    def problems(self) -> Iterator[str]:
        for name in ("src_lang", "tgt_lang"):
            yield from rules.language(name, getattr(self, name))
        yield from rules.not_empty("cache_dir", self.cache_dir)
        if self.src_lang == self.tgt_lang:
            yield f"tgt_lang: must differ from src_lang, got {self.tgt_lang} twice"
        yield from rules.at_least("max_length", self.max_length, 2)
        yield from rules.at_least("skip_bad_lines", self.skip_bad_lines, 0)


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenizerConfig:
    """The SentencePiece tokenizer, trained on the training pairs when there is none yet."""

    model_type: Literal["unigram", "bpe", "char", "word"] = "unigram"
    """How text is cut into pieces."""
    vocab_size: int = 8000
    """Pieces in each model, the four special ones and the 256 bytes of byte_fallback included."""
    joint: bool = True
    """One model for both languages (needed by tied_embeddings: all); false trains one for each."""
    byte_fallback: bool = True
    """Write unknown characters as bytes, so that nothing is ever unknown (unigram and bpe)."""
    normalization: Literal["nfkc", "identity"] = "nfkc"
    """nfkc unifies compatible characters and blanks; identity leaves the text as it is."""
    character_coverage: float = 1.0
    """Share of the characters that get a piece of their own."""
    max_train_lines: int = 2_000_000
    """Lines that the tokenizer is trained on at most; more are sampled evenly."""
    sampling: float = 0.0
    """Cut training text into other pieces each time it is seen, which helps where pairs are few; 0 does not. unigram:
    the alpha of Kudo (2018), the smaller the more varied, such as 0.3; bpe: the share of merges that are left out
    (Provilkov et al. 2020), such as 0.1. Sentences get longer by it, so batches do too."""

    def problems(self) -> Iterator[str]:
        smallest = 260 if self.uses_bytes else 5
        if self.vocab_size < smallest:
            yield f"vocab_size: must be at least {smallest} (special pieces and bytes), got {self.vocab_size}"
        if not 0.9 <= self.character_coverage <= 1.0:
            yield f"character_coverage: must be in [0.9, 1], got {self.character_coverage}"
        yield from rules.at_least("max_train_lines", self.max_train_lines, 1)
        if not 0 <= self.sampling <= 1:
            yield f"sampling: must be in [0, 1], got {self.sampling}"
        if self.sampling and self.model_type not in ("unigram", "bpe"):
            yield f"sampling: needs model_type unigram or bpe, for {self.model_type} cuts a text in one way only"

    @property
    def uses_bytes(self) -> bool:
        """Whether the model has byte pieces: SentencePiece has them for unigram and BPE only."""
        return self.byte_fallback and self.model_type in ("unigram", "bpe")
