"""Prepared corpora: ids as the tokenizer gives them, counts that add up, a cache trusted with care."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from transformer_mt.config.schema import DataConfig, SourceConfig, TokenizerConfig
from transformer_mt.data.corpus import read_pairs
from transformer_mt.data.fingerprint import check_unchanged
from transformer_mt.data.pairs import Pair
from transformer_mt.data.prepare import PreparedCorpora, prepare_corpora
from transformer_mt.data.tokenizer import Tokenizer, TokenizerPair, train_tokenizers
from transformer_mt.data.vocabulary import EOS_ID
from transformer_mt.errors import DataError

SRC_WORDS = "the cat sees a small dog and is happy with it here now you they have".split()
TGT_WORDS = "le chat voit un petit chien et est content avec lui ici vous ils ont déjà".split()


def make_pairs(count: int, seed: int = 0) -> list[tuple[str, str]]:
    draw = random.Random(seed)
    return [
        (
            " ".join(draw.choices(SRC_WORDS, k=draw.randint(3, 12))),
            " ".join(draw.choices(TGT_WORDS, k=draw.randint(3, 12))),
        )
        for _ in range(count)
    ]


@pytest.fixture(scope="module")
def tokenizers() -> TokenizerPair:
    pairs = [Pair(0, src, tgt) for src, tgt in make_pairs(500)]
    return train_tokenizers(TokenizerConfig(vocab_size=300), lambda: iter(pairs), lambda line: None)


class Workshop:
    """A directory of sources and their cache."""

    def __init__(self, directory: Path, tokenizers: TokenizerPair) -> None:
        self.directory = directory
        self.tokenizers = tokenizers
        self.told: list[str] = []

    def source(self, name: str, pairs: list[tuple[str, str]], weight: float = 1.0) -> SourceConfig:
        path = self.directory / f"{name}.tsv"
        path.write_text("".join(f"{src}\t{tgt}\n" for src, tgt in pairs), encoding="utf-8")
        return SourceConfig(path=str(path), weight=weight)

    def prepare(self, *train: SourceConfig, **settings: object) -> PreparedCorpora:
        settings = {"cache_dir": str(self.directory / "cache")} | settings
        self.told = []
        data = DataConfig(train=train, **settings)  # type: ignore[arg-type]
        return prepare_corpora(data, self.tokenizers, self.told.append)


@pytest.fixture
def shop(tmp_path: Path, tokenizers: TokenizerPair) -> Workshop:
    return Workshop(tmp_path, tokenizers)


def test_rows_are_the_ids_of_the_tokenizer(shop: Workshop) -> None:
    pairs = make_pairs(20_000, seed=1)  # several blocks
    first, second = shop.source("a", pairs[:12_345]), shop.source("b", pairs[12_345:])
    corpus = shop.prepare(first, second).train
    assert len(corpus) == 20_000 and corpus.weights is None
    order = np.random.default_rng(0).permutation(len(corpus))[:3000]
    rows = corpus.rows(order)
    for side, tokenizer in enumerate((shop.tokenizers.src, shop.tokenizers.tgt)):
        expected = tokenizer.encode([pairs[index][side] for index in order])
        assert [row[side].tolist() for row in rows] == [[*ids, EOS_ID] for ids in expected]
    assert all(row.dtype == np.int32 for pair in rows for row in pair)
    assert corpus.src_lengths.dtype == corpus.tgt_lengths.dtype == np.int32
    assert corpus.src_lengths[order].tolist() == [len(src) for src, _ in rows]
    assert corpus.tgt_lengths[order].tolist() == [len(tgt) for _, tgt in rows]
    assert corpus.rows([]) == []


def test_left_out_pairs_are_counted_and_listed(shop: Workshop) -> None:
    good = make_pairs(100)
    pairs = [*good[:50], ("", "x"), ("y", " \u2003"), ("z " * 300, "z"), *good[50:], ("only one column",)]
    path = shop.directory / "a.tsv"
    path.write_text("".join("\t".join(pair) + "\n" for pair in pairs), encoding="utf-8")
    corpus = shop.prepare(SourceConfig(path=str(path)), skip_bad_lines=1).train
    assert len(corpus) == 100
    assert corpus.skipped == {"blank": 2, "too_long": 1, "leak": 0, "bad": 1}
    listed = [json.loads(line) for line in corpus.skipped_path.read_text(encoding="utf-8").splitlines()]
    assert [(entry["line"], entry["reason"]) for entry in listed] == [
        (51, "blank"), (52, "blank"), (53, "too_long"), (104, "bad"),
    ]  # fmt: skip
    assert all(entry["source"] == str(path) for entry in listed)
    length = len(shop.tokenizers.src.encode(["z " * 300])[0]) + 1
    assert (listed[2]["src_length"], listed[2]["tgt_length"]) == (length, listed[2]["tgt_length"])
    assert any("100 pairs, left out: 2 blank on a side, 1 too long, 1 unreadable" in line for line in shop.told)
    assert any(f"{path}:104: passed over" in line for line in shop.told)
    assert any(str(corpus.skipped_path) in line for line in shop.told)


def test_longest_allowed_pair_is_kept(shop: Workshop) -> None:
    pairs = make_pairs(50)
    longest = max(len(ids) + 1 for side in zip(*pairs, strict=True) for ids in shop.tokenizers.src.encode(side))
    source = shop.source("a", pairs)
    assert len(shop.prepare(source, max_length=longest).train) == 50
    assert len(shop.prepare(source, max_length=longest - 1).train) < 50


def test_many_blank_lines_give_a_warning(shop: Workshop) -> None:
    for blanks, warned in ((5, False), (6, True)):
        shop.prepare(shop.source("a", [("", "x")] * blanks + make_pairs(100 - blanks)))
        assert any("blank on a side; are its files aligned" in line for line in shop.told) == warned


@pytest.mark.parametrize("pairs", [[], [("", "")] * 3, [("a " * 400, "b")]])
def test_nothing_left_is_an_error(shop: Workshop, pairs: list[tuple[str, str]]) -> None:
    with pytest.raises(DataError, match=r"data.train: no pairs are left to train on \("):
        shop.prepare(shop.source("a", pairs))


def test_a_single_pair_is_enough(shop: Workshop) -> None:
    assert len(shop.prepare(shop.source("a", [("the cat", "le chat")])).train) == 1


def test_weights_follow_the_pairs_of_their_source(shop: Workshop) -> None:
    one, half = shop.source("a", make_pairs(30)), shop.source("b", [("", ""), *make_pairs(20, seed=2)], weight=0.5)
    corpus = shop.prepare(one, half).train
    assert corpus.weights is not None and corpus.weights.dtype == np.float32
    assert corpus.weights.tolist() == [1.0] * 30 + [0.5] * 20
    again = shop.prepare(one, SourceConfig(path=half.path, weight=2.0)).train
    assert again.fingerprint == corpus.fingerprint and again.weights is not None and again.weights[-1] == 2.0


def test_one_source_twice_counts_twice(shop: Workshop) -> None:
    source = shop.source("a", make_pairs(10))
    corpus = shop.prepare(source, source).train
    assert len(corpus) == 20
    assert [entry["pairs"] for entry in corpus.data_fingerprint.values()] == [20]


def test_cache_is_found_by_content(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    source = shop.source("a", make_pairs(100))
    corpus = shop.prepare(source).train
    told = shop.told
    with monkeypatch.context() as patch:
        patch.setattr(Tokenizer, "encode", None)  # nothing is tokenised a second time
        assert shop.prepare(source).train.fingerprint == corpus.fingerprint
        assert shop.told == told
        moved = shop.directory / "moved.tsv"
        moved.write_bytes(Path(str(source.path)).read_bytes())
        found = shop.prepare(SourceConfig(path=str(moved))).train
        assert found.fingerprint == corpus.fingerprint and list(found.data_fingerprint) == [str(moved)]
    changed = shop.source("a", make_pairs(100)[:-1] + [("the", "le")])
    others = [
        shop.prepare(changed),
        shop.prepare(source, max_length=100),
        shop.prepare(source, source),
        shop.prepare(SourceConfig(path=source.path, src_field="2", tgt_field="1"), allow_suspicious=True),
    ]
    assert len({corpus.fingerprint, *(other.train.fingerprint for other in others)}) == 5


def test_damaged_cache_is_made_again(shop: Workshop) -> None:
    source = shop.source("a", make_pairs(100))
    corpus = shop.prepare(source).train
    entry = shop.directory / "cache" / corpus.fingerprint
    expected = [row.tolist() for pair in corpus.rows(range(100)) for row in pair]
    for damage in ("pairs.arrow", "report.json"):
        whole = (entry / damage).read_bytes()
        for content in (b"", whole[: len(whole) // 2], None):
            if content is None:
                (entry / damage).unlink()
            else:
                (entry / damage).write_bytes(content)
            again = shop.prepare(source).train
            assert [row.tolist() for pair in again.rows(range(100)) for row in pair] == expected
    for hashes in (shop.directory / "cache" / "hashes").iterdir():
        hashes.write_text("[1]")
    assert shop.prepare(source).train.fingerprint == corpus.fingerprint


def test_interrupted_preparation_leaves_nothing(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    source = shop.source("a", make_pairs(100))

    def interrupt(*args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("transformer_mt.data.writing._record_batch", interrupt)
        with pytest.raises(KeyboardInterrupt):
            shop.prepare(source)
    assert os.listdir(shop.directory / "cache") == ["hashes"]
    assert len(shop.prepare(source).train) == 100


def test_validation_keeps_every_line_and_the_loss_the_usable_ones(shop: Workshop) -> None:
    train = shop.source("a", make_pairs(50))
    lines = [("the cat", "le chat"), ("", "x"), ("cat " * 400, "chat"), ("a dog", "un chien")]
    validation = shop.prepare(train, validation=(shop.source("v", lines),)).validation
    assert [(pair.src, pair.tgt) for pair in validation.pairs] == lines
    assert validation.usable == [0, 3] and len(validation) == 2
    rows = validation.rows([1, 0])
    assert [row[0].tolist() for row in rows] == [
        [*ids, EOS_ID] for ids in shop.tokenizers.src.encode(["a dog", "the cat"])
    ]
    assert validation.src_lengths.tolist() == [len(rows[1][0]), len(rows[0][0])]
    with pytest.raises(DataError, match=r"data.test: no usable pairs in .*t\.tsv"):
        shop.prepare(train, test=(shop.source("t", [("", "")]),))


def test_leaks_are_counted_and_left_out_on_demand(shop: Workshop) -> None:
    pairs = make_pairs(40)
    train = shop.source("a", [*pairs, (pairs[0][0], "other"), ("other", pairs[1][1] + " ")])
    held_out = {"validation": (shop.source("v", [pairs[0]]),), "test": (shop.source("t", [pairs[1], ("", "")]),)}
    counted = shop.prepare(train, **held_out).train
    assert len(counted) == 42
    assert any("4 pairs have a side that is also in validation or test; data.drop_leaks" in line for line in shop.told)
    dropped = shop.prepare(train, drop_leaks=True, **held_out).train
    assert len(dropped) == 38 and dropped.skipped["leak"] == 4
    assert any("4 in validation or test" in line for line in shop.told)


def test_suspicious_pairs_warn_and_then_stop(shop: Workshop) -> None:
    pairs = make_pairs(1000)
    copied = [(src, src) for src, _ in pairs]
    swapped = [(tgt, src) for src, tgt in pairs]
    for wrong, what in ((copied, "same text on both sides"), (swapped, "languages swapped")):
        shop.prepare(shop.source("a", wrong[:100] + pairs[100:]))
        assert any("warning: " in line and what in line for line in shop.told)
        source = shop.source("a", wrong[:300] + pairs[300:])
        for _ in range(2):  # from the cache too
            with pytest.raises(DataError, match=rf"data.train: \d+% of the pairs .*{what}; .*data.allow_suspicious"):
                shop.prepare(source)
        assert len(shop.prepare(source, allow_suspicious=True).train) == 1000
    shop.prepare(shop.source("a", pairs + pairs))
    assert any("50.0% of the training pairs are repetitions" in line for line in shop.told)
    shop.prepare(shop.source("a", pairs))
    assert not any("warning" in line for line in shop.told)


def test_changed_or_missing_source_is_noticed(shop: Workshop) -> None:
    source = shop.source("a", make_pairs(100))
    path = Path(str(source.path))
    records = shop.prepare(source, validation=(shop.source("v", make_pairs(3)),)).records
    assert len(records) == 2
    check_unchanged(records)
    os.utime(path, ns=(1, 1))  # touched, not changed
    check_unchanged(records)
    content = path.read_bytes()
    path.write_bytes(content[:-2] + b"x\n")  # the same size
    with pytest.raises(DataError, match=r"a\.tsv: changed since"):
        check_unchanged(records)
    path.write_bytes(content)
    check_unchanged(records)
    path.unlink()
    with pytest.raises(DataError, match=r"a\.tsv: no such file"):
        check_unchanged(records)


def test_real_corpus_is_prepared_whole(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "multi30k"
    data = DataConfig(
        train=(SourceConfig(src=str(folder / "val.en"), tgt=str(folder / "val.fr")),),
        test=(SourceConfig(src=str(folder / "test_2016_flickr.en"), tgt=str(folder / "test_2016_flickr.fr")),),
        cache_dir=str(tmp_path),
    )
    tokenizers = train_tokenizers(
        TokenizerConfig(vocab_size=1200), lambda: read_pairs(data.train[0], data, print), lambda line: None
    )
    corpora = prepare_corpora(data, tokenizers, lambda line: None)
    assert (len(corpora.train), len(corpora.test), len(corpora.validation)) == (1014, 1000, 0)
    decoded = tokenizers.tgt.decode([tgt for _, tgt in corpora.train.rows(range(1014))])
    lines = (folder / "val.fr").read_text(encoding="utf-8").split("\n")[:-1]
    assert sum(" ".join(line.split()) == text for line, text in zip(lines, decoded, strict=True)) >= 1010


_MEASURE = """
import resource, sys
from pathlib import Path
from transformer_mt.config.schema import DataConfig, SourceConfig
from transformer_mt.data.prepare import prepare_corpora
from transformer_mt.data.tokenizer import TokenizerPair
folder = Path(sys.argv[1])
tokenizers = TokenizerPair.load(folder)
def peak(name):
    source = SourceConfig(src=f"{folder}/{name}.en", tgt=f"{folder}/{name}.fr")
    data = DataConfig(train=(source,), cache_dir=f"{folder}/cache", allow_suspicious=True)
    corpus = prepare_corpora(data, tokenizers, lambda line: None).train
    assert int(corpus.src_lengths.sum()) > 0
    return len(corpus), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
for name in ("small", "large"):
    print(*peak(name))
"""


def test_memory_grows_by_a_few_bytes_a_pair(tmp_path: Path, tokenizers: TokenizerPair) -> None:
    tokenizers.save(tmp_path)
    lines = make_pairs(1000)
    for name, times in (("small", 30), ("large", 300)):
        for side, code in enumerate(("en", "fr")):
            text = "".join(pair[side] + "\n" for pair in lines)
            (tmp_path / f"{name}.{code}").write_text(text * times, encoding="utf-8")
    done = subprocess.run([sys.executable, "-c", _MEASURE, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (few, before), (many, after) = (map(int, line.split()) for line in done.stdout.splitlines())
    assert (few, many) == (30_000, 300_000)
    assert (after - before) / (many - few) < 80  # the text alone is 70 bytes a pair, its ids as lists 800
