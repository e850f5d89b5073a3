"""What translations must or may not hold: a forced beginning, no repeated n-gram, the terms of a glossary.

Axes: b sentences, K hypotheses of each, V vocabulary, t tokens so far (the leading bos included), C candidates.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from transformer_mt.decoding.search import Beam, Candidates
from transformer_mt.decoding.terms import Term, TermRules, arrange_by_progress


class TokenConstraints:
    """See `search.Constraints`; all of it follows from the tokens of a hypothesis, so nothing is remembered."""

    def __init__(
        self,
        prefixes: Sequence[Sequence[int]] = (),
        no_repeat_ngram: int | None = None,
        terms: Sequence[Sequence[Term]] = (),
        rules: TermRules | None = None,
    ) -> None:
        """`prefixes` and `terms` come for each sentence; none at all where they are empty.

        By the `rules` of the vocabulary, which terms need, nothing goes on with the last word of a prefix.
        """
        self.prefixes = prefixes
        self.no_repeat_ngram = no_repeat_ngram
        self.terms = terms
        self.rules = rules

    def allow(self, log_probs: Tensor, tokens: Tensor, sentences: Tensor) -> Tensor:
        """See `search.Constraints`. While the forced beginning goes on it alone may follow, whatever else is asked.

        It must be shorter than the maximum length.
        """
        allowed = log_probs
        if self.no_repeat_ngram is not None:
            allowed = without_repeats(allowed, tokens, self.no_repeat_ngram)
        if self.terms and self.rules is not None:
            allowed = self.rules.allow(allowed, tokens, [self.terms[i] for i in sentences.tolist()])
        position = tokens.shape[-1] - 1
        if max(map(len, self.prefixes), default=-1) >= position:
            prefixes = [self.prefixes[i] for i in sentences.tolist()]
            allowed = self._forced(self._whole_words(allowed, position, prefixes), log_probs, position, prefixes)
        return allowed

    def arrange(self, candidates: Candidates, allowed: Tensor, live: Beam, sentences: Tensor) -> Candidates:
        """See `search.Constraints`."""
        if not self.terms or self.rules is None:
            return candidates
        terms = [self.terms[i] for i in sentences.tolist()]
        return arrange_by_progress(candidates, allowed, live, terms, self.rules)

    def _whole_words(self, allowed: Tensor, position: int, prefixes: Sequence[Sequence[int]]) -> Tensor:
        """`allowed` without what would go on with the last word of a prefix that ends here."""
        if self.rules is None:
            return allowed
        ends = [0 < len(prefix) == position and not self.rules.is_open[prefix[-1]] for prefix in prefixes]
        is_end = torch.tensor(ends, device=allowed.device).view(-1, 1, 1)
        return allowed.masked_fill(is_end & self.rules.goes_on.to(allowed.device), -torch.inf)

    def _forced(self, allowed: Tensor, log_probs: Tensor, position: int, prefixes: Sequence[Sequence[int]]) -> Tensor:
        """`allowed`, or, where a prefix goes on, its next token alone."""
        ids = [prefix[position] if position < len(prefix) else -1 for prefix in prefixes]
        forced = torch.tensor(ids, device=log_probs.device)  # (b,), -1 where the prefix has ended
        is_other = torch.arange(log_probs.shape[-1], device=log_probs.device) != forced.unsqueeze(-1)
        only = log_probs.masked_fill(is_other.unsqueeze(1), -torch.inf)
        return torch.where((forced >= 0).view(-1, 1, 1), only, allowed)


def without_repeats(log_probs: Tensor, tokens: Tensor, size: int) -> Tensor:
    """`log_probs` (b, K, V) with -inf for tokens that would make a run of `size` tokens occur twice in tokens."""
    said = tokens[..., 1:]
    if said.shape[-1] < size:
        return log_probs
    ngrams = said.unfold(-1, size, 1)  # (b, K, t - size, size)
    newest = said[..., said.shape[-1] - size + 1 :].unsqueeze(2)  # (b, K, 1, size - 1)
    was_said = (ngrams[..., :-1] == newest).all(dim=-1)  # (b, K, t - size)
    limit = torch.where(was_said, -torch.inf, torch.inf)
    return log_probs.scatter_reduce(-1, ngrams[..., -1], limit, "amin")
