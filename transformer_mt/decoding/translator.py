"""Lines in, lines out: the one way by which files, the Python API and validation are translated."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice, repeat
from pathlib import Path
from typing import Literal

import torch

from transformer_mt.bundle import Bundle, load_bundle
from transformer_mt.config.schema import DecodingConfig
from transformer_mt.data.shortlist import Shortlist
from transformer_mt.data.tokenizer import TokenizerPair, escape
from transformer_mt.data.vocabulary import EOS_ID, SPECIAL_PIECES
from transformer_mt.decoding.narrowing import Narrowing
from transformer_mt.decoding.search import Hypothesis
from transformer_mt.decoding.searcher import Pair, Searcher, Segment
from transformer_mt.decoding.segments import segments
from transformer_mt.decoding.terms import Term, TermRules
from transformer_mt.decoding.translation import PieceScore, Scored, Translation, Wishes
from transformer_mt.decoding.word_alignment import Link, word_links, word_of_each_piece
from transformer_mt.device import has_fast_bf16, resolve_device, resolve_precision, set_threads
from transformer_mt.errors import BundleError, TransformerMTError
from transformer_mt.model.packing import packed
from transformer_mt.model.transformer import Transformer
from transformer_mt.native.build import library

WINDOW = 2048
"""Lines that are read ahead and sorted by length; bounds memory when a file streams through."""
LINE_BREAKS = re.compile("[\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029]+")
"""What some programs take for the end of a line; none of it may occur in an output line."""
SURROGATE = re.compile("[\ud800-\udfff]")
_PLAIN = Wishes()


@dataclass(frozen=True, slots=True)
class _Part:
    """What is translated on its own: a line, or a part of one that is too long."""

    text: str
    start: int
    """Its place in the line."""
    segment: Segment


@dataclass(frozen=True, slots=True)
class _Answer:
    """The translations of a part, best first, and what was asked for beside."""

    texts: list[str]
    hypotheses: list[Hypothesis]
    tokens: list[PieceScore] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    """Source words are counted in the whole line, target words in the best text."""


class Translator:
    """A model with its tokenizers and settings, ready to translate; or several models that vote."""

    def __init__(
        self,
        models: Sequence[Transformer],
        tokenizers: TokenizerPair,
        settings: DecodingConfig,
        max_source_pieces: int,
        shortlist: Shortlist | None = None,
    ) -> None:
        """`max_source_pieces` is the longest source, eos included, that is translated in one part.

        Raises TransformerMTError when the settings ask for a shortlist and there is none.
        """
        self.device = next(models[0].parameters()).device
        self.precision = _decoding_precision(settings.precision, self.device)
        self.tokenizers = tokenizers
        self.settings = settings
        self.rules = TermRules.of(tokenizers.tgt)
        ready = [packed(model, self.precision) for model in models]
        self.searcher = Searcher(ready, settings, self.rules, self._narrowing(shortlist))
        self.max_source_pieces = min(max_source_pieces, self.searcher.longest_sequence or max_source_pieces)

    @classmethod
    def load(
        cls,
        path: str | Path,
        device: str = "auto",
        settings: DecodingConfig | None = None,
        threads: int | None = None,
        ensemble: Sequence[str | Path] = (),
    ) -> "Translator":
        """The translator of the bundle, or of the run directory, at `path`; `settings` replace the bundle's own.

        The models of the bundles `ensemble` vote with it; BundleError names one that has another tokenizer.
        """
        set_threads(threads)
        bundles = [load_bundle(Path(one)) for one in (path, *ensemble)]
        return cls.from_bundles(bundles, resolve_device(device), settings)

    @classmethod
    def from_bundles(
        cls, bundles: Sequence[Bundle], device: torch.device, settings: DecodingConfig | None = None
    ) -> "Translator":
        """The translator of loaded bundles, of which the first has the settings."""
        first = bundles[0]
        for bundle in bundles:
            if bundle.tokenizers.files() != first.tokenizers.files():
                raise BundleError(
                    f"{bundle.path}: has another tokenizer than {first.path}; only models that were trained with the "
                    "same tokenizer can vote"
                )
        limits = (int(one.facts.get("max_source_pieces", one.config.data.max_length)) for one in bundles)
        models = [bundle.model.to(device).eval() for bundle in bundles]
        return cls(models, first.tokenizers, settings or first.config.decoding, min(limits), first.shortlist)

    @property
    def arithmetic(self) -> str:
        """What is computed in, and where, as people read it."""
        if self.device.type != "cpu":
            return f"{self.precision} on {self.device}"
        return f"{self.precision} on the CPU, with{'' if library() else 'out'} compiled loops"

    def _narrowing(self, shortlist: Shortlist | None) -> Narrowing | None:
        if not self.settings.shortlist:
            return None
        if shortlist is None:
            raise TransformerMTError("decoding.shortlist: this bundle holds none; bundles of newer trainings do")
        return Narrowing(shortlist, self.tokenizers.tgt.vocab_size, self.device)

    def translate(self, lines: Iterable[str]) -> list[str]:
        """The translation of each line, in order; a blank line is answered by itself.

        Raises TypeError for a single string, whose characters would be taken for lines.
        """
        if isinstance(lines, str):
            raise TypeError("translate takes sentences, not one string: write translate([text])")
        return [translation.text for translation in self.stream(lines)]

    def stream(
        self,
        lines: Iterable[str],
        wishes: Wishes = _PLAIN,
        beginnings: Iterable[str] | None = None,
        first_number: int = 0,
    ) -> Iterator[Translation]:
        """Translate `lines` as they come, a window at a time: memory does not grow with their number.

        Each translation starts with its one of `beginnings`, which may be blank. `first_number` is the number of the
        first line, by which it draws. Raises TransformerMTError when there are fewer beginnings than lines.
        """
        iterator, starts = iter(lines), iter(repeat("") if beginnings is None else beginnings)
        while window := list(islice(iterator, WINDOW)):
            begun = list(islice(starts, len(window)))
            if len(begun) < len(window):
                raise TransformerMTError(f"there are beginnings for {first_number + len(begun)} lines, and more lines")
            yield from self._translate_window(window, begun, first_number, wishes)
            first_number += len(window)

    def score(self, pairs: Iterable[tuple[str, str]]) -> Iterator[Scored]:
        """What the model makes of each target as the translation of its source, as they come."""
        iterator = iter(pairs)
        while window := list(islice(iterator, WINDOW)):
            sources = self.tokenizers.src.encode([_without_surrogates(src) for src, _ in window])
            targets = self.tokenizers.tgt.encode([_without_surrogates(tgt) for _, tgt in window])
            rows = [(Segment([*src, EOS_ID]), tgt) for src, tgt in zip(sources, targets, strict=True)]
            for (_, ids), log_probs in zip(rows, self.searcher.token_log_probs(rows), strict=True):
                score = sum(log_probs) / len(log_probs) ** self.settings.length_penalty
                yield Scored(sum(log_probs), score, tuple(self._named(ids, log_probs)))

    def _translate_window(
        self, lines: Sequence[str], beginnings: Sequence[str], first_number: int, wishes: Wishes
    ) -> Iterator[Translation]:
        cleaned = [_without_surrogates(line) for line in lines]
        encoded = self.tokenizers.src.encode(cleaned)
        prefixes = self.tokenizers.tgt.encode([_without_surrogates(text) for text in beginnings])
        parts = [
            self._parts(line, ids, Segment((), first_number + number, prefix), wishes)
            for number, (line, ids, prefix) in enumerate(zip(cleaned, encoded, prefixes, strict=True))
        ]
        flat = [(line, part) for line, of_line in zip(cleaned, parts, strict=True) for part in of_line]
        answers = iter(self._answers(flat, wishes))
        for line, clean, of_line in zip(lines, cleaned, parts, strict=True):
            yield self._join(line, clean, of_line, [next(answers) for _ in of_line])

    def _parts(self, line: str, ids: list[int], like: Segment, wishes: Wishes) -> list[_Part]:
        """The parts of a line that are translated on their own; none where there is nothing to say.

        `like` has the line's number and the beginning of its translation, which is that of the first part.
        """
        limit = self.max_source_pieces - 1  # eos takes one
        if not line.strip():
            return []
        texts, encode = [line], self.tokenizers.src.encode
        if len(ids) > limit:
            texts = segments(line, limit, lambda text: len(encode([text])[0]))
        parts: list[_Part] = []
        start = 0
        for text in texts:
            if text.strip():
                terms = wishes.glossary.terms_of(text) if wishes.glossary else ()
                own = ids if len(texts) == 1 else encode([text])[0]
                segment = Segment([*own, EOS_ID], like.key, () if parts else like.prefix, terms)
                parts.append(_Part(text, start, segment))
            start += len(text)
        return parts

    def _answers(self, parts: Sequence[tuple[str, _Part]], wishes: Wishes) -> list[_Answer]:
        """The translations of parts, each given with its whole line."""
        searched = [part.segment for _, part in parts]
        found = self.searcher.search(searched, wishes.n_best, wishes.sampling)
        texts = iter(self.tokenizers.tgt.decode([one.tokens for hypotheses in found for one in hypotheses]))
        answers = [
            _Answer([LINE_BREAKS.sub(" ", next(texts)).strip() for _ in hypotheses], hypotheses) for hypotheses in found
        ]
        if wishes.by_consensus:
            answers = [_most_agreed_first(answer) for answer in answers]
        best = [(segment, answer.hypotheses[0].tokens) for segment, answer in zip(searched, answers, strict=True)]
        if wishes.token_scores:
            for answer, pair, log_probs in zip(answers, best, self.searcher.token_log_probs(best), strict=True):
                answer.tokens.extend(self._named(pair[1], log_probs))
        if wishes.alignments:
            for answer, links in zip(answers, self._links(parts, best), strict=True):
                answer.links.extend(links)
        return answers

    def _named(self, ids: Sequence[int], log_probs: Sequence[float]) -> list[PieceScore]:
        return list(zip([*self.tokenizers.tgt.pieces(ids), SPECIAL_PIECES[EOS_ID]], log_probs, strict=True))

    def _links(self, parts: Sequence[tuple[str, _Part]], best: Sequence[Pair]) -> Iterator[list[Link]]:
        ids = [tokens for _, tokens in best]
        src_ends = self.tokenizers.src.piece_ends([part.text for _, part in parts])
        texts, tgt_ends = self.tokenizers.tgt.decode(ids), self.tokenizers.tgt.decoded_ends(ids)
        for place, weights in enumerate(self.searcher.attention(best)):
            line, part = parts[place]
            start = len(escape(line[: part.start]))
            src_words = [*word_of_each_piece(escape(line), src_ends[place], start), -1]  # eos is no word
            yield word_links(weights, src_words, word_of_each_piece(escape(texts[place]), tgt_ends[place]))

    def _join(self, line: str, clean: str, parts: Sequence[_Part], answers: Sequence[_Answer]) -> Translation:
        """One translation of a line from those of its parts."""
        if not answers:
            return Translation(LINE_BREAKS.sub(" ", clean))
        text = " ".join(answer.texts[0] for answer in answers if answer.texts[0])
        flags = {
            "split": len(answers) > 1,
            "truncated": any(answer.hypotheses[0].cut_short for answer in answers),
            "empty": not text,
            "copied": text == clean.strip(),
            "replaced": "\ufffd" in clean or line != clean,
            "term": any(self._unsaid(part, answer) for part, answer in zip(parts, answers, strict=True)),
        }
        alternatives: tuple[tuple[str, float], ...] = ()
        if len(answers) == 1:  # alternatives of the parts do not make alternatives of the whole
            scores = (one.score for one in answers[0].hypotheses)
            alternatives = tuple(zip(answers[0].texts, scores, strict=True))
        return Translation(
            text,
            sum(answer.hypotheses[0].score for answer in answers),
            tuple(flag for flag, is_raised in flags.items() if is_raised),
            alternatives,
            tuple(token for answer in answers for token in answer.tokens),
            tuple(_joined_links(answers)),
        )

    def _unsaid(self, part: _Part, answer: _Answer) -> list[Term]:
        return self.rules.unsaid(answer.hypotheses[0].tokens, part.segment.terms)


def _decoding_precision(wanted: Literal["auto", "fp32", "bf16"], device: torch.device) -> Literal["fp32", "bf16"]:
    if wanted == "auto":
        return "bf16" if has_fast_bf16(device) else "fp32"
    resolve_precision(wanted, device)
    return wanted


def _without_surrogates(line: str) -> str:
    """`line` with what cannot be written as UTF-8 replaced by U+FFFD."""
    return SURROGATE.sub("\ufffd", line)


def _most_agreed_first(answer: _Answer) -> _Answer:
    from transformer_mt.decoding.consensus import by_consensus  # sacreBLEU takes a while to import

    order = by_consensus(answer.texts)
    return _Answer([answer.texts[i] for i in order], [answer.hypotheses[i] for i in order])


def _joined_links(answers: Sequence[_Answer]) -> Iterator[Link]:
    words_before = 0
    for answer in answers:
        yield from ((src, words_before + tgt) for src, tgt in answer.links)
        words_before += len(answer.texts[0].split())
