"""Lines in, lines out: the one way by which files, the Python API and validation are translated."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from transformer_mt.bundle import Bundle, load_bundle
from transformer_mt.config.schema import DecodingConfig
from transformer_mt.data.batching import pad_rows
from transformer_mt.data.tokenizer import TokenizerPair
from transformer_mt.data.vocabulary import BOS_ID, EOS_ID
from transformer_mt.decoding.search import Hypothesis, Sampling, SearchSettings, beam_search, recurring_size, sample
from transformer_mt.decoding.segments import segments
from transformer_mt.decoding.step import ModelStep
from transformer_mt.device import has_fast_bf16, resolve_device, resolve_precision, set_threads, side_by_side
from transformer_mt.model.packing import packed
from transformer_mt.model.transformer import Transformer

WINDOW = 2048
"""Lines that are read ahead and sorted by length; bounds memory when a file streams through."""
MOST_HYPOTHESES = 640
"""Of all sentences of a batch on the CPU: more are not faster, and each remembers its past."""
LINE_BREAKS = re.compile("[\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029]+")
"""What some programs take for the end of a line; none of it may occur in an output line."""
SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Translation:
    """The answer to one input line."""

    text: str
    """The translation, without line breaks."""
    score: float = 0.0
    """Sum of the scores of its segments, see `search.Hypothesis`."""
    flags: tuple[str, ...] = ()
    """split: translated in parts; truncated: cut short at the maximum length; empty: nothing came out;
    copied: the output is the input; replaced: invalid characters became U+FFFD."""
    alternatives: tuple[tuple[str, float], ...] = ()
    """The n_best translations with their scores, this one first; when n_best was asked for."""


class Translator:
    """A model with its tokenizers and settings, ready to translate."""

    def __init__(
        self, model: Transformer, tokenizers: TokenizerPair, settings: DecodingConfig, max_source_pieces: int
    ) -> None:
        """`max_source_pieces` is the longest source, eos included, that is translated in one part."""
        self.device = next(model.parameters()).device
        self.precision = _decoding_precision(settings.precision, self.device)
        self.model = packed(model, self.precision)
        self.tokenizers = tokenizers
        self.settings = settings
        self.max_source_pieces = min(max_source_pieces, model.longest_sequence or max_source_pieces)

    @classmethod
    def load(
        cls, path: str | Path, device: str = "auto", settings: DecodingConfig | None = None, threads: int | None = None
    ) -> "Translator":
        """The translator of the bundle, or of the run directory, at `path`; `settings` replace the bundle's own."""
        set_threads(threads)
        return cls.from_bundle(load_bundle(Path(path)), resolve_device(device), settings)

    @classmethod
    def from_bundle(cls, bundle: Bundle, device: torch.device, settings: DecodingConfig | None = None) -> "Translator":
        """The translator of a loaded bundle."""
        limit = int(bundle.facts.get("max_source_pieces", bundle.config.data.max_length))
        return cls(bundle.model.to(device).eval(), bundle.tokenizers, settings or bundle.config.decoding, limit)

    def translate(self, lines: Iterable[str]) -> list[str]:
        """The translation of each line, in order; a blank line is answered by itself.

        Raises TypeError for a single string, whose characters would be taken for lines.
        """
        if isinstance(lines, str):
            raise TypeError("translate takes sentences, not one string: write translate([text])")
        return [translation.text for translation in self.stream(lines)]

    def stream(self, lines: Iterable[str], n_best: int = 1, sampling: Sampling | None = None) -> Iterator[Translation]:
        """Translate `lines` as they come, a window at a time: memory does not grow with their number.

        `n_best` asks for that many alternatives, at most beam_size unless they are drawn by `sampling`.
        """
        iterator, first_number = iter(lines), 0
        while window := list(islice(iterator, WINDOW)):
            yield from self._translate_window(window, first_number, n_best, sampling)
            first_number += len(window)

    def _translate_window(
        self, lines: Sequence[str], first_number: int, n_best: int, sampling: Sampling | None
    ) -> Iterator[Translation]:
        cleaned = [_without_surrogates(line) for line in lines]
        encoded = self.tokenizers.src.encode(cleaned)
        parts = [self._parts(line, ids) for line, ids in zip(cleaned, encoded, strict=True)]
        rows = [[*ids, EOS_ID] for part in parts for ids in part]
        keys = [first_number + number for number, part in enumerate(parts) for _ in part]
        found = self._search(rows, keys, n_best, sampling)
        texts = self.tokenizers.tgt.decode([one.tokens for hypotheses in found for one in hypotheses])
        answers = iter(_attach_texts(found, texts))
        for line, clean, part in zip(lines, cleaned, parts, strict=True):
            yield _join(line, clean, [next(answers) for _ in part])

    def _parts(self, line: str, ids: list[int]) -> list[list[int]]:
        """The source ids of each part of a line that is translated on its own; none where there is nothing to say."""
        limit = self.max_source_pieces - 1  # eos takes one
        if not line.strip():
            return []
        if len(ids) <= limit:
            return [ids]
        encode = self.tokenizers.src.encode
        parts = segments(line, limit, lambda text: len(encode([text])[0]))
        return encode([part for part in parts if part.strip()])

    def _search(
        self, rows: list[list[int]], keys: list[int], n_best: int, sampling: Sampling | None
    ) -> list[list[Hypothesis]]:
        """Hypotheses for each row of source ids, translated in batches of like length."""

        def search(batch: list[int]) -> list[list[Hypothesis]]:
            return self._search_batch([rows[i] for i in batch], [keys[i] for i in batch], n_best, sampling)

        found: list[list[Hypothesis]] = [[] for _ in rows]
        num_hypotheses = n_best if sampling else self.settings.beam_size
        most_sentences = max(1, MOST_HYPOTHESES // num_hypotheses) if self.device.type == "cpu" else len(rows)
        batches = list(_length_batches([len(row) for row in rows], self.settings.batch_tokens, most_sentences))
        with side_by_side(self.device, len(batches)) as run:
            for batch, results in zip(batches, run(search, batches), strict=True):
                for index, hypotheses in zip(batch, results, strict=True):
                    found[index] = hypotheses
        return found

    @torch.inference_mode()
    def _search_batch(
        self, rows: list[list[int]], keys: list[int], n_best: int, sampling: Sampling | None
    ) -> list[list[Hypothesis]]:
        src = torch.from_numpy(pad_rows(rows)).to(self.device)
        lengths = torch.tensor([len(row) for row in rows], device=self.device)
        max_lengths = (lengths * self.settings.max_length_ratio).long() + self.settings.max_length_extra
        max_lengths = max_lengths.clamp_max(self.model.longest_sequence or int(max_lengths.max()))
        settings = SearchSettings(
            beam_size=self.settings.beam_size,
            length_penalty=self.settings.length_penalty,
            bos_id=BOS_ID,
            eos_id=EOS_ID,
            n_best=n_best,
        )
        step = ModelStep(self.model, src)
        if sampling is not None:
            return sample(step, max_lengths, settings, sampling, keys)
        return beam_search(step, max_lengths, settings)


def _decoding_precision(wanted: Literal["auto", "fp32", "bf16"], device: torch.device) -> Literal["fp32", "bf16"]:
    if wanted == "auto":
        return "bf16" if has_fast_bf16(device) else "fp32"
    resolve_precision(wanted, device)
    return wanted


def _without_surrogates(line: str) -> str:
    """`line` with what cannot be written as UTF-8 replaced by U+FFFD."""
    return SURROGATE.sub("\ufffd", line)


def _length_batches(lengths: Sequence[int], batch_tokens: int, most_sentences: int) -> Iterator[list[int]]:
    """Indices of the rows in batches of at most `batch_tokens` padded tokens, longest rows first."""
    order = np.argsort(-np.asarray(lengths, dtype=np.int64), kind="stable").tolist()
    while order:
        size = recurring_size(max(1, min(batch_tokens // lengths[order[0]], most_sentences)))
        yield order[:size]
        order = order[size:]


@dataclass(frozen=True, slots=True)
class _Answer:
    """The translations of one segment, best first."""

    texts: list[str]
    hypotheses: list[Hypothesis]


def _attach_texts(found: list[list[Hypothesis]], texts: list[str]) -> Iterator[_Answer]:
    remaining = iter(texts)
    for hypotheses in found:
        yield _Answer([LINE_BREAKS.sub(" ", next(remaining)).strip() for _ in hypotheses], hypotheses)


def _join(line: str, clean: str, answers: Sequence[_Answer]) -> Translation:
    """One translation of a line from those of its segments."""
    if not answers:
        return Translation(LINE_BREAKS.sub(" ", clean))
    text = " ".join(answer.texts[0] for answer in answers if answer.texts[0])
    flags = {
        "split": len(answers) > 1,
        "truncated": any(answer.hypotheses[0].cut_short for answer in answers),
        "empty": not text,
        "copied": text == clean.strip(),
        "replaced": "\ufffd" in clean or line != clean,
    }
    raised = tuple(flag for flag, is_raised in flags.items() if is_raised)
    best = Translation(text, sum(answer.hypotheses[0].score for answer in answers), raised)
    if len(answers) > 1:  # alternatives of the parts do not make alternatives of the whole
        return best
    alternatives = zip(answers[0].texts, (one.score for one in answers[0].hypotheses), strict=True)
    return replace(best, alternatives=tuple(alternatives))
