"""Subword regularisation: training text is cut into other pieces each time it is seen (Kudo 2018)."""

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from transformer_mt.data.prepared import Row
from transformer_mt.data.tokenizer import Tokenizer, TokenizerPair
from transformer_mt.data.vocabulary import EOS_ID, UNK_ID

Ids = npt.NDArray[np.int32]


class Resampler:
    """Cuts pairs that are ids already anew. What it draws depends on the ids and a key, and on nothing before."""

    def __init__(self, tokenizers: TokenizerPair, alpha: float, max_length: int) -> None:
        """`alpha` is tokenizer.sampling; what gets longer than `max_length`, eos included, stays as it is."""
        self._tokenizers = tokenizers
        self._alpha = alpha
        self._max_length = max_length

    def resample(self, rows: Sequence[Row], *key: int) -> list[Row]:
        """The same texts in other pieces. Rows end with eos, before and after."""
        src = self._resample(self._tokenizers.src, [src for src, _ in rows], (*key, 0))
        tgt = self._resample(self._tokenizers.tgt, [tgt for _, tgt in rows], (*key, 1))
        return list(zip(src, tgt, strict=True))

    def _resample(self, tokenizer: Tokenizer, rows: Sequence[Ids], key: tuple[int, ...]) -> list[Ids]:
        digest = hashlib.sha256(repr(key).encode()).digest()
        texts = tokenizer.decode([row[:-1].tolist() for row in rows])
        drawn = tokenizer.sample(texts, self._alpha, int.from_bytes(digest[:4], "little") >> 1)
        return [
            # an unknown piece has lost its text
            row if UNK_ID in row or len(ids) >= self._max_length else np.array([*ids, EOS_ID], np.int32)
            for row, ids in zip(rows, drawn, strict=True)
        ]
