"""The four special ids, fixed for ever, and the pieces that stand for them in every SentencePiece model."""

PAD_ID = 0
UNK_ID = 1
BOS_ID = 2
EOS_ID = 3

SPECIAL_PIECES = ("<pad>", "<unk>", "<s>", "</s>")
"""The piece of each special id, by id. In text these strings are text: only ids stand for the special pieces."""
