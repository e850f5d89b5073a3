"""Hard terminology: words of the source whose translation is given, and a search that says it.

A sentence's hypotheses are kept by how much of its terms they have said (Post and Vilar 2018, "Fast Lexically
Constrained Decoding with Dynamic Beam Allocation"): the best of each amount first, then the second best, and so on.
Axes: b sentences, K hypotheses of each, V vocabulary, t tokens so far (the leading bos included), C candidates.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from transformer_mt.data.tokenizer import META_BLANK, Tokenizer
from transformer_mt.data.vocabulary import EOS_ID, UNK_ID
from transformer_mt.decoding.glossary_file import folded, read_glossary
from transformer_mt.decoding.search import Beam, Candidates
from transformer_mt.errors import DataError

_UNSAID = -1e4
"""Added to the log-probability of an end before all terms are said: the last resort, at the maximum length."""
_PROBE = "-"
"""What a term is tokenised behind, to learn its pieces where no blank comes before it."""


@dataclass(frozen=True, slots=True)
class Form:
    """One way to write a term in tokens."""

    tokens: tuple[int, ...]
    is_inside: bool
    """Whether it follows an apostrophe, a hyphen or an opening bracket, and not a blank."""


@dataclass(frozen=True, slots=True)
class Term:
    """What a translation has to say, as whole words."""

    text: str
    forms: tuple[Form, ...]

    def __len__(self) -> int:
        return len(self.forms[0].tokens)


class Glossary:
    """Terms of the source language with their translations."""

    def __init__(self, entries: Iterable[tuple[str, str]], tokenizer: Tokenizer) -> None:
        """`entries` are pairs of source and target; `tokenizer` is that of the target language.

        Raises DataError for a target term that the tokenizer cannot write.
        """
        self.terms = {folded(src): make_term(tgt, tokenizer) for src, tgt in entries}
        longest_first = sorted(self.terms, key=len, reverse=True)
        self._pattern = re.compile(r"(?<!\w)(?:" + "|".join(map(re.escape, longest_first)) + r")(?!\w)")

    @classmethod
    def load(cls, path: Path, tokenizer: Tokenizer) -> "Glossary":
        """As `read_glossary` has it, which raises DataError."""
        return cls(read_glossary(path), tokenizer)

    def terms_of(self, line: str) -> list[Term]:
        """The terms to be said for `line`, in its order, each once; whole words are looked for, in any case."""
        found = (self.terms[match.group()] for match in self._pattern.finditer(folded(line)))
        return list(dict.fromkeys(found))


def make_term(text: str, tokenizer: Tokenizer) -> Term:
    """A term in the tokens of the target language; raises DataError where it has no pieces for it."""
    after_blank, probe, behind = tokenizer.encode([text, _PROBE, _PROBE + text])
    if not after_blank or UNK_ID in after_blank:
        raise DataError(f"the tokenizer of the target language cannot write the term {text!r}")
    forms = [Form(tuple(after_blank), is_inside=False)]
    inside = tuple(behind[len(probe) :])
    if behind[: len(probe)] == probe and inside and inside != forms[0].tokens:
        forms.append(Form(inside, is_inside=True))
    return Term(text, tuple(forms))


def sayable_terms(texts: Iterable[str], tokenizer: Tokenizer) -> list[Term]:
    """Those of `texts` that the tokenizer can write, as terms."""
    terms = []
    for text in texts:
        with suppress(DataError):
            terms.append(make_term(text, tokenizer))
    return terms


class TermRules:
    """What a vocabulary says of words: which pieces go on with one, and behind which one begins without a blank."""

    def __init__(self, goes_on: Sequence[bool], is_open: Sequence[bool], eos_id: int) -> None:
        """For each id whether it goes on with the word before it, and whether a word may begin right behind it."""
        self.goes_on = torch.tensor(goes_on)
        self.is_open = is_open
        self.eos_id = eos_id

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> "TermRules":
        """The rules of a tokenizer's vocabulary."""
        pieces = tokenizer.pieces(range(tokenizer.vocab_size))
        is_open = [not piece[-1:].isalnum() and piece[-1:] != META_BLANK for piece in pieces]
        return cls([piece[:1].isalnum() for piece in pieces], is_open, EOS_ID)

    def allow(self, log_probs: Tensor, tokens: Tensor, terms: Sequence[Sequence[Term]]) -> Tensor:
        """`log_probs` (b, K, V) without what would make another word of a term that was just said.

        The end of a translation costs 1e4 as long as a term is missing.
        """
        beams = list(zip(tokens[..., 1:].tolist(), terms, strict=True))
        just_said = [[any(self._ends_with(row, term) for term in wanted) for row in rows] for rows, wanted in beams]
        misses_any = [[bool(self.unsaid(row, wanted)) for row in rows] for rows, wanted in beams]
        forbidden = torch.tensor(just_said, device=tokens.device).unsqueeze(-1) & self.goes_on.to(tokens.device)
        allowed = log_probs.masked_fill(forbidden, -torch.inf)
        allowed[..., self.eos_id] += _UNSAID * torch.tensor(misses_any, device=tokens.device)
        return allowed

    def unsaid(self, tokens: Sequence[int], terms: Sequence[Term]) -> list[Term]:
        """The terms that `tokens` do not hold as whole words."""
        return [term for term in terms if not any(self._says(tokens, form) for form in term.forms)]

    def progress(self, tokens: Sequence[int], terms: Sequence[Term]) -> tuple[int, list[int]]:
        """How many tokens of terms are said, a term begun at the end included, and the tokens that say more."""
        missing = self.unsaid(tokens, terms)
        said = sum(map(len, terms)) - sum(map(len, missing))
        begun = [found for term in missing for form in term.forms for found in self._begun(tokens, form)]
        return said + max((length for length, _ in begun), default=0), [token for _, token in begun]

    def _begun(self, tokens: Sequence[int], form: Form) -> Iterator[tuple[int, int]]:
        """How much of the form the end of `tokens` says, and the token that says more, if one may follow."""
        for length in range(min(len(form.tokens) - 1, len(tokens)), -1, -1):
            if self._is_at(tokens, len(tokens) - length, form, length):
                yield length, form.tokens[length]
                return

    def _says(self, tokens: Sequence[int], form: Form) -> bool:
        """Whether the form is said somewhere, and no token goes on with its last word."""
        start, size = -1, len(form.tokens)
        for _ in range(tokens.count(form.tokens[0])):  # which is quicker than to look at each place
            start = tokens.index(form.tokens[0], start + 1)
            if self._is_at(tokens, start, form, size):
                end = start + size
                if end == len(tokens) or not self.goes_on[tokens[end]]:
                    return True
        return False

    def _ends_with(self, tokens: Sequence[int], term: Term) -> bool:
        forms = ((form, len(form.tokens)) for form in term.forms)
        return any(self._is_at(tokens, len(tokens) - size, form, size) for form, size in forms)

    def _is_at(self, tokens: Sequence[int], start: int, form: Form, length: int) -> bool:
        """Whether the first `length` tokens of the form are what is said from `start` on, where it may begin."""
        if start < 0 or (form.is_inside and (start == 0 or not self.is_open[tokens[start - 1]])):
            return False
        return tuple(tokens[start : start + length]) == form.tokens[:length]


def arrange_by_progress(
    candidates: Candidates, allowed: Tensor, live: Beam, terms: Sequence[Sequence[Term]], rules: TermRules
) -> Candidates:
    """As many candidates as there were, among them those that say the next token of a term.

    They come by how much of the terms they say: the best of each amount, the largest amount first, then the second
    best of each, and so on. `allowed` (b, K, V) are the log-probabilities of what may follow.
    """
    rows = []
    for row, wanted in enumerate(terms):
        one = Candidates(*(part[row] for part in candidates))
        rows.append(_arranged(one, allowed[row], live.rows(slice(row, row + 1)), wanted, rules) if wanted else one)
    return Candidates(*(torch.stack(parts) for parts in zip(*rows, strict=True)))


def _arranged(one: Candidates, allowed: Tensor, live: Beam, terms: Sequence[Term], rules: TermRules) -> Candidates:
    """`arrange_by_progress` for one sentence: candidates (C,), allowed (K, V)."""
    size = len(one.scores)
    said = [tokens[1:] for tokens in live.tokens[0].tolist()]
    pool = _pool(one, allowed, live.scores[0], said, terms, rules)
    by_amount: dict[int, list[tuple[int, int]]] = {}
    for parent, token in sorted(pool, key=lambda place: -pool[place]):
        amount, _ = rules.progress([*said[parent], token], terms)
        by_amount.setdefault(amount, []).append((parent, token))
    ranked = [(rank, -amount, place) for amount, places in by_amount.items() for rank, place in enumerate(places)]
    rows = [(pool[place], *place) for _, _, place in sorted(ranked)] + [(-torch.inf, 0, rules.eos_id)] * size
    scores, parents, tokens = (torch.tensor(column, device=allowed.device) for column in zip(*rows[:size], strict=True))
    return Candidates(scores, parents, tokens)


def _pool(
    one: Candidates, allowed: Tensor, scores: Tensor, said: Sequence[list[int]], terms: Sequence[Term], rules: TermRules
) -> dict[tuple[int, int], float]:
    """Score by (parent, token): the candidates, what says more of a term, and the best token of each hypothesis."""
    best = allowed.argmax(dim=-1).tolist()
    places = {(int(parent), int(token)) for parent, token in zip(one.parents, one.tokens, strict=True)}
    for parent, tokens in enumerate(said):
        places.update((parent, token) for token in (best[parent], *rules.progress(tokens, terms)[1]))
    found = {(parent, token): float(scores[parent] + allowed[parent, token]) for parent, token in sorted(places)}
    return {place: score for place, score in found.items() if score > -torch.inf}
