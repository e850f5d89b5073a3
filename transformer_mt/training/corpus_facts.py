"""What metrics.jsonl says of the training pairs, once and first of all: how their text was cut into pieces."""

from typing import Any

import numpy as np

from transformer_mt.data.prepared import PreparedCorpus
from transformer_mt.data.tokenizer import TokenizerPair
from transformer_mt.data.vocabulary import UNK_ID

QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
NUM_LOOKED_AT = 1000
"""Pairs of which the text is looked at, evenly spread over the corpus."""


def corpus_facts(corpus: PreparedCorpus, tokenizers: TokenizerPair) -> dict[str, Any]:
    """Number of pairs, how many were left out and why, and for each side:

    mean pieces of a sentence (end included), UTF-8 bytes a piece, share of unknown pieces, and the lengths in pieces at
    `QUANTILES` of all pairs.
    """
    indices = np.unique(np.linspace(0, len(corpus) - 1, NUM_LOOKED_AT, dtype=np.int64)).tolist()
    sides = zip(*corpus.rows(indices), strict=True)
    facts: dict[str, Any] = {"pairs": len(corpus), "left_out": dict(corpus.skipped), "quantiles": QUANTILES}
    for name, lengths in (("src", corpus.src_lengths), ("tgt", corpus.tgt_lengths)):
        facts[f"{name}_lengths"] = np.quantile(lengths, QUANTILES, method="nearest").tolist()
    for name, rows, tokenizer in zip(("src", "tgt"), sides, (tokenizers.src, tokenizers.tgt), strict=True):
        num_bytes = sum(len(text.encode()) for text in tokenizer.decode([row.tolist() for row in rows]))
        num_pieces = sum(len(row) - 1 for row in rows)  # without eos, which has no text
        facts[f"{name}_pieces"] = num_pieces / len(rows) + 1
        facts[f"{name}_bytes_per_piece"] = num_bytes / max(1, num_pieces)
        facts[f"{name}_unknown"] = sum(int((row == UNK_ID).sum()) for row in rows) / max(1, num_pieces)
    return facts
