"""What a source piece becomes, against expectation maximisation in plain loops."""

from collections import defaultdict

import numpy as np

from transformer_mt.data import shortlist
from transformer_mt.data.shortlist import learn_shortlist
from transformer_mt.data.vocabulary import EOS_ID

PAIRS = [([4, 5, 3], [7, 8, 3]), ([4, 3], [7, 3]), ([5, 6, 3], [8, 9, 9, 3]), ([6, 3], [9, 3]), ([4, 6, 3], [7, 9, 3])]
SRC_PIECES = ["<pad>", "<unk>", "<s>", "</s>", "a", "b", "c", "d", "e", "f", "g"]
TGT_PIECES = ["<pad>", "<unk>", "<s>", "</s>", "u", "v", "w", "x", "y", "z", "d"]


def rows(places: list[int]) -> list[tuple[list[int], list[int]]]:
    return [PAIRS[place] for place in places]


def plain_model_1(iterations: int) -> dict[int, dict[int, float]]:
    table: dict[int, dict[int, float]] = defaultdict(dict)
    for src, tgt in PAIRS:
        for s in src:
            table[s].update(dict.fromkeys(tgt, 1.0))
    for _ in range(iterations):
        counts: dict[int, dict[int, float]] = defaultdict(lambda: defaultdict(float))
        for src, tgt in PAIRS:
            for t in tgt:
                total = sum(table[s][t] for s in src)
                for s in src:
                    counts[s][t] += table[s][t] / total
        table = {s: {t: n / sum(of.values()) for t, n in of.items()} for s, of in counts.items()}
    return table


def test_the_likely_pieces_are_those_of_model_1_in_its_order() -> None:
    table = plain_model_1(4)
    learnt = learn_shortlist(rows, len(PAIRS), SRC_PIECES, TGT_PIECES)
    for s, found in table.items():
        expected = sorted(found, key=lambda t: (-round(found[t], 9), t))
        assert learnt.likely[s, : len(expected)].tolist() == expected
    assert learnt.likely[[4, 5, 6], 0].tolist() == [7, 8, 9]
    assert (learnt.likely[8] == EOS_ID).all()  # never seen


def test_a_piece_of_both_vocabularies_may_be_copied_and_frequent_ones_may_always_be_said(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(shortlist, "NUM_ALWAYS", 2)
    learnt = learn_shortlist(rows, len(PAIRS), SRC_PIECES, TGT_PIECES)
    assert 10 in learnt.likely[7]  # d
    counts = np.bincount([t for _, tgt in PAIRS for t in tgt])
    assert set(learnt.always.tolist()) == set(np.argsort(-counts, kind="stable")[:2].tolist()) | {EOS_ID}


def test_only_so_many_links_are_looked_at(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(shortlist, "_MOST_LINKS", 1)
    monkeypatch.setattr(shortlist, "_PAIRS_AT_ONCE", 2)
    taken: list[int] = []

    def counted(places: list[int]) -> list[tuple[list[int], list[int]]]:
        taken.extend(places)
        return rows(places)

    learn_shortlist(counted, len(PAIRS), SRC_PIECES, TGT_PIECES)
    assert len(taken) == 2
