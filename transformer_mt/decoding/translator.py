"""Lines in, lines out: the one way by which files, the Python API and validation are translated."""

import copy
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice, repeat
from pathlib import Path

import torch

from transformer_mt.bundle import Bundle, load_bundle
from transformer_mt.config.schema import DecodingConfig
from transformer_mt.data.shortlist import Shortlist
from transformer_mt.data.tokenizer import TokenizerPair, escape
from transformer_mt.data.vocabulary import EOS_ID
from transformer_mt.decoding.characters import LINE_BREAKS, without_surrogates
from transformer_mt.decoding.masking import Masked
from transformer_mt.decoding.narrowing import Narrowing
from transformer_mt.decoding.placeables import is_changed, lost, placeables
from transformer_mt.decoding.precision import decoding_precision
from transformer_mt.decoding.repetition import repeats_itself
from transformer_mt.decoding.search import Hypothesis
from transformer_mt.decoding.searcher import Searcher, Segment
from transformer_mt.decoding.segments import segments
from transformer_mt.decoding.terms import Term, TermRules, sayable_terms
from transformer_mt.decoding.translation import PLAIN, PieceScore, Scored, Translation, Wishes
from transformer_mt.decoding.word_alignment import ESCAPED_UNIT, UNIT, WORD, Link, word_links, word_of_each_piece
from transformer_mt.decoding.word_probs import named, probs_with_placeables, with_confidence, word_probs
from transformer_mt.device import resolve_device, set_threads
from transformer_mt.errors import BundleError, TransformerMTError
from transformer_mt.evaluation.calibration import Calibration
from transformer_mt.model.packing import packed
from transformer_mt.model.transformer import Transformer
from transformer_mt.native.build import library

WINDOW = 2048
"""Lines that are read ahead and sorted by length; bounds memory when a file streams through."""
MOST_LOST = 6.0
"""By how much, over the words of a translation, terms may lower its score with `Wishes.protect`: "4 personnes" for
"quatre personnes" costs 2 to 5, a number where the model expects none or that it cannot say 4 to 25 (Multi30k)."""


@dataclass(frozen=True, slots=True)
class _Row:
    """A line with all that is asked for it alone."""

    line: str
    clean: str
    """The line without surrogates."""
    beginning: str
    like: Segment
    """Has the line's number and the beginning of its translation."""
    masked: Masked | None = None
    """What it is translated as, where something had to be protected."""
    numbers: Sequence[Term] = ()
    """Those that have to be said then."""

    @property
    def text(self) -> str:
        """What is translated."""
        return self.clean if self.masked is None else self.masked.text

    @property
    def words(self) -> re.Pattern[str]:
        """What is linked in escaped texts: units where placeables are to be put between them."""
        return WORD if self.masked is None else ESCAPED_UNIT


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
    links: list[list[Link]] = field(default_factory=list)
    """Of the best text, or of each. Source words are counted in the whole line, target words in the text."""
    word_probs: list[float] = field(default_factory=list)
    """Of the words that links are about, in the best text."""


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
        self.precision = decoding_precision(settings.precision, self.device)
        self.tokenizers = tokenizers
        self.settings = settings
        self.calibration: Calibration | None = None
        """What the probabilities of words are worth, where the bundle knows; without it there is no confidence."""
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
        made = cls(models, first.tokenizers, settings or first.config.decoding, min(limits), first.shortlist)
        made.calibration = first.calibration
        return made

    def checked(self, check: Callable[[], object]) -> "Translator":
        """One that calls `check` before each step of a search, in any thread: what that raises stops the work."""
        own = copy.copy(self)
        own.searcher = self.searcher.checked(check)
        return own

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
        wishes: Wishes = PLAIN,
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
            sources = self.tokenizers.src.encode([without_surrogates(src) for src, _ in window])
            targets = self.tokenizers.tgt.encode([without_surrogates(tgt) for _, tgt in window])
            rows = [(Segment([*src, EOS_ID]), tgt) for src, tgt in zip(sources, targets, strict=True)]
            for (_, ids), log_probs in zip(rows, self.searcher.token_log_probs(rows), strict=True):
                score = sum(log_probs) / len(log_probs) ** self.settings.length_penalty
                yield Scored(sum(log_probs), score, tuple(named(self.tokenizers.tgt, ids, log_probs)))

    def _translate_window(
        self, lines: Sequence[str], beginnings: Sequence[str], first_number: int, wishes: Wishes
    ) -> list[Translation]:
        prefixes = self.tokenizers.tgt.encode([without_surrogates(text) for text in beginnings])
        rows = [
            _row(line, beginning, Segment((), first_number + number, prefix), wishes.markup)
            for number, (line, beginning, prefix) in enumerate(zip(lines, beginnings, prefixes, strict=True))
        ]
        translations = self._translations(rows, wishes)
        plain = list(translations)
        for is_last in (False, True) if wishes.protect else ():
            again = {
                i: self._protected(row, translations[i], plain[i] if is_last else None, wishes)
                for i, row in enumerate(rows)
            }
            masked = {i: row for i, row in again.items() if row is not None}
            for i, better in zip(masked, self._translations(list(masked.values()), wishes), strict=True):
                translations[i] = better
        return translations

    def _protected(self, row: _Row, translation: Translation, plain: Translation | None, wishes: Wishes) -> _Row | None:
        """What to translate in place of a row whose translation does not keep its placeables; None where it does.

        First only those that were lost are masked, and numbers become terms, for they decide on what is around them.
        When that is not enough, comes to no end or is much less likely than the `plain` translation, all are masked.
        """
        wanted = placeables(row.clean)
        texts = {translation.text, *(text for text, _ in translation.alternatives)} if wanted else ()
        missing = {one for text in texts for one in lost(wanted, text)}
        if plain is not None:
            lost_score = (plain.score - translation.score) * len(translation.text.split())
            is_bad = missing or (
                translation is not plain and ("truncated" in translation.flags or lost_score > MOST_LOST)
            )
            return replace(row, masked=Masked(row.clean, wanted)) if is_bad else None
        if not missing:
            return None
        can_be_said = wishes.sampling is None  # a search is needed to say terms
        out = {one for one in wanted if one in missing and not (one.is_number and can_be_said)}
        masked = [one for one in wanted if one in out or (wishes.markup and one.is_tag)]
        numbers = {one.text for one in missing if one.is_number and can_be_said}
        terms = sayable_terms(sorted(numbers), self.tokenizers.tgt)
        return replace(row, masked=Masked(row.clean, masked), numbers=terms)

    def _translations(self, rows: Sequence[_Row], wishes: Wishes) -> list[Translation]:
        encoded = self.tokenizers.src.encode([row.text for row in rows])
        parts = [self._parts(row, ids, wishes) for row, ids in zip(rows, encoded, strict=True)]
        flat = [(row, part) for row, of_row in zip(rows, parts, strict=True) for part in of_row]
        answers = iter(self._answers(flat, wishes))
        return [
            self._join(row, of_row, [next(answers) for _ in of_row], wishes)
            for row, of_row in zip(rows, parts, strict=True)
        ]

    def _parts(self, row: _Row, ids: list[int], wishes: Wishes) -> list[_Part]:
        """The parts of a line that are translated on their own; none where there is nothing to say.

        The beginning of its translation is that of the first part.
        """
        limit = self.max_source_pieces - 1  # eos takes one
        line = row.text
        if not line.strip():
            return []
        texts, encode = [line], self.tokenizers.src.encode
        if len(ids) > limit:
            texts = segments(line, limit, lambda text: len(encode([text])[0]))
        parts: list[_Part] = []
        start = 0
        for text in texts:
            if text.strip():
                terms = wishes.glossary.terms_of(text) if wishes.glossary else []
                terms = [*terms, *(term for term in row.numbers if term.text in text)]
                own = ids if len(texts) == 1 else encode([text])[0]
                segment = Segment([*own, EOS_ID], row.like.key, () if parts else row.like.prefix, terms)
                parts.append(_Part(text, start, segment))
            start += len(text)
        return parts

    def _answers(self, parts: Sequence[tuple[_Row, _Part]], wishes: Wishes) -> list[_Answer]:
        """The translations of parts, each given with its row."""
        found = self.searcher.search([part.segment for _, part in parts], wishes.n_best, wishes.sampling)
        texts = iter(self.tokenizers.tgt.decode([one.tokens for hypotheses in found for one in hypotheses]))
        answers = [
            _Answer([LINE_BREAKS.sub(" ", next(texts)).strip() for _ in hypotheses], hypotheses) for hypotheses in found
        ]
        if wishes.by_consensus:
            answers = [_most_agreed_first(answer) for answer in answers]
        if parts and (wishes.token_scores or wishes.confidence):
            self._score(parts, answers, wishes)
        self._link(parts, answers, wishes)
        return answers

    def _score(self, parts: Sequence[tuple[_Row, _Part]], answers: Sequence[_Answer], wishes: Wishes) -> None:
        """Add to answers how probable the pieces, and the words, of each one's best text are."""
        best = [answer.hypotheses[0].tokens for answer in answers]
        log_probs = self.searcher.token_log_probs(list(zip((part.segment for _, part in parts), best, strict=True)))
        of_words = word_probs(self.tokenizers.tgt, best, log_probs, [row.words for row, _ in parts])
        for answer, ids, of_pieces, probs in zip(answers, best, log_probs, of_words, strict=True):
            answer.tokens.extend(named(self.tokenizers.tgt, ids, of_pieces) if wishes.token_scores else ())
            answer.word_probs.extend(probs)

    def _link(self, parts: Sequence[tuple[_Row, _Part]], answers: Sequence[_Answer], wishes: Wishes) -> None:
        """Add to answers the links that were asked for, and for masked rows those of every text, by units."""
        wanted = []
        for (row, part), answer in zip(parts, answers, strict=True):
            count = len(answer.texts) if row.masked else int(wishes.alignments)
            wanted += [(row, part, answer, one.tokens) for one in answer.hypotheses[:count]]
        if not wanted:
            return
        ids = [tokens for *_, tokens in wanted]
        src_ends = self.tokenizers.src.piece_ends([part.text for _, part, _, _ in wanted])
        texts, tgt_ends = self.tokenizers.tgt.decode(ids), self.tokenizers.tgt.decoded_ends(ids)
        attention = self.searcher.attention([(part.segment, tokens) for _, part, _, tokens in wanted])
        for place, (row, part, answer, _) in enumerate(wanted):
            words, start = row.words, len(escape(row.text[: part.start]))
            src_words = word_of_each_piece(escape(row.text), src_ends[place], start, words)
            tgt_words = word_of_each_piece(escape(texts[place]), tgt_ends[place], words=words)
            answer.links.append(word_links(attention[place], [*src_words, -1], tgt_words))  # eos is no word

    def _join(self, row: _Row, parts: Sequence[_Part], answers: Sequence[_Answer], wishes: Wishes) -> Translation:
        """One translation of a line from those of its parts."""
        if not answers and row.masked is None:
            return Translation(LINE_BREAKS.sub(" ", row.clean))
        text = " ".join(answer.texts[0] for answer in answers if answer.texts[0])
        links = list(_joined_links(answers, row.words)) if any(answer.links for answer in answers) else []
        alternatives: list[tuple[str, float]] = []
        if len(answers) == 1:  # alternatives of the parts do not make alternatives of the whole
            scores = (one.score for one in answers[0].hypotheses)
            alternatives = list(zip(answers[0].texts, scores, strict=True))
        probs = [prob for answer in answers for prob in answer.word_probs]
        if row.masked is not None:
            begin, text = len(UNIT.findall(row.beginning)), text if answers else row.beginning
            words = row.masked.words_of_units(text, links, begin)
            text, links = row.masked.put_back(text, links, begin)
            probs = probs_with_placeables(text, words, probs)
            for place, (other, score) in enumerate(alternatives):
                alternatives[place] = row.masked.put_back(other, answers[0].links[place], begin)[0], score
        found = Translation(
            text,
            sum(answer.hypotheses[0].score for answer in answers),
            tuple(self._flags(row, text, parts, answers, wishes)),
            tuple(alternatives),
            tuple(token for answer in answers for token in answer.tokens),
            tuple(links) if wishes.alignments else (),
        )
        return with_confidence(found, probs, self.calibration) if wishes.confidence else found

    def _flags(
        self, row: _Row, text: str, parts: Sequence[_Part], answers: Sequence[_Answer], wishes: Wishes
    ) -> Iterator[str]:
        """See `Translation.flags`."""
        best = [(part.segment, answer.hypotheses[0]) for part, answer in zip(parts, answers, strict=True)]
        flags = {
            "split": len(answers) > 1,
            "truncated": any(one.cut_short for _, one in best),
            "empty": not text,
            "copied": text == row.clean.strip() and bool(answers),
            "replaced": "\ufffd" in row.clean or row.line != row.clean,
            "term": any(self.rules.unsaid(one.tokens, segment.terms) for segment, one in best),
            "repeated": any(repeats_itself(one.tokens, segment.ids) for segment, one in best),
            "changed": is_changed(row.clean, text),
        }
        if row.masked is not None:  # numbers were terms too, and terms may have been taken apart
            terms = wishes.glossary.terms_of(row.clean) if wishes.glossary else []
            flags["term"] = any(term.text not in text for term in terms)
        return (flag for flag, is_raised in flags.items() if is_raised)


def _row(line: str, beginning: str, like: Segment, has_markup: bool) -> _Row:
    clean = without_surrogates(line)
    tags = [one for one in placeables(clean) if one.is_tag] if has_markup else []
    return _Row(line, clean, beginning, like, Masked(clean, tags) if tags else None)


def _most_agreed_first(answer: _Answer) -> _Answer:
    from transformer_mt.decoding.consensus import by_consensus  # sacreBLEU takes a while to import

    order = by_consensus(answer.texts)
    return _Answer([answer.texts[i] for i in order], [answer.hypotheses[i] for i in order])


def _joined_links(answers: Sequence[_Answer], words: re.Pattern[str]) -> Iterator[Link]:
    """The links of the best texts, one after the other, whose escaped words are these."""
    words_before = 0
    for answer in answers:
        yield from ((src, words_before + tgt) for src, tgt in answer.links[0])
        words_before += len(words.findall(escape(answer.texts[0])))
