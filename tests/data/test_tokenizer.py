"""SentencePiece models: round trips, special ids, determinism, and models or corpora that will not do."""

import io
import random
import struct
from pathlib import Path

import pytest
import sentencepiece
from hypothesis import example, given, settings
from hypothesis import strategies as st

from transformer_mt.config.schema import TokenizerConfig
from transformer_mt.data.pairs import Pair
from transformer_mt.data.tokenizer import Tokenizer, TokenizerPair, problem_in_child, train_tokenizers
from transformer_mt.data.vocabulary import BOS_ID, EOS_ID, PAD_ID, SPECIAL_PIECES, UNK_ID
from transformer_mt.errors import TokenizerError

SYLLABLES = "ba de ki lo mu na po ri sa tu vé zô".split()


def make_pairs(count: int = 300, seed: int = 0) -> list[Pair]:
    draw = random.Random(seed)
    words = ["".join(draw.choices(SYLLABLES, k=draw.randint(1, 4))) for _ in range(150)]
    sentence = lambda: " ".join(draw.choices(words, k=draw.randint(2, 9))).capitalize() + draw.choice(".?!")  # noqa: E731
    return [Pair(line, sentence(), sentence().upper()) for line in range(1, count + 1)]


PAIRS = make_pairs()


def train(pairs: list[Pair] = PAIRS, **options: object) -> TokenizerPair:
    config = TokenizerConfig(**({"vocab_size": 400} | options))  # type: ignore[arg-type]
    return train_tokenizers(config, lambda: iter(pairs), lambda line: None)


@pytest.fixture(scope="module")
def nfkc() -> Tokenizer:
    return train().src


@pytest.fixture(scope="module")
def identity() -> Tokenizer:
    return train(normalization="identity").src


@pytest.mark.parametrize(("model_type", "vocab_size"), [("unigram", 400), ("bpe", 400), ("char", 25), ("word", 100)])
def test_special_ids_are_fixed_in_every_model_type(model_type: str, vocab_size: int) -> None:
    pair = train(model_type=model_type, vocab_size=vocab_size, joint=False)
    for tokenizer in (pair.src, pair.tgt):
        assert tokenizer.vocab_size == vocab_size
        assert tokenizer.pieces([PAD_ID, UNK_ID, BOS_ID, EOS_ID]) == list(SPECIAL_PIECES)
        assert tokenizer.encode([""]) == [[]]
    ids = pair.src.encode([PAIRS[0].src], add_eos=True)[0]
    assert ids[-1] == EOS_ID and EOS_ID not in ids[:-1]
    assert pair.src.decode([ids]) == [PAIRS[0].src] or UNK_ID in ids and model_type in ("char", "word")


@settings(max_examples=150)
@given(text=st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("▁\ue581 <s>/01"), max_size=30))
@example(text="\ue581")
@example(text="\ue5811\ue5810▁0")
@example(text="  two  blanks  ")
@example(text="\t\u2028\ufffd\x00\u202f!")
def test_identity_is_lossless(identity: Tokenizer, text: str) -> None:
    ids = identity.encode([text])
    assert identity.decode(ids) == [text]
    assert not set(ids[0]) & {PAD_ID, UNK_ID, BOS_ID, EOS_ID}


@pytest.mark.parametrize("text", ["<s>", "</s>", "<unk>", "<pad>", "a <s> b", "▁", "a▁b", "<0x41>", "_a_"])
@pytest.mark.parametrize("model_type", ["unigram", "bpe"])
def test_what_looks_special_is_text(model_type: str, text: str) -> None:
    pairs = [Pair(0, text, text)] * 20 + PAIRS
    tokenizer = train(pairs, model_type=model_type, vocab_size=450).src
    ids = tokenizer.encode([text])
    assert not set(ids[0]) & {PAD_ID, UNK_ID, BOS_ID, EOS_ID}
    assert tokenizer.decode(ids) == [text]


def test_nfkc_unifies_blanks_and_characters(nfkc: Tokenizer) -> None:
    texts = ["  a  b ", "ﬁn", "e\u0301t", "\u202f!", "a\u200bb", "\u3000"]
    assert nfkc.decode(nfkc.encode(texts)) == ["a b", "fin", "ét", "!", "a b", ""]


def test_encoding_equals_sentencepiece_and_does_not_depend_on_the_batch(nfkc: Tokenizer, tmp_path: Path) -> None:
    nfkc.save(tmp_path / "a.model")
    oracle = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "a.model"))
    lines = [pair.src for pair in PAIRS]
    rows = nfkc.encode(lines)
    assert rows == [oracle.encode(line) for line in lines] == [nfkc.encode([line])[0] for line in lines]
    assert nfkc.decode(rows) == [oracle.decode(row) for row in rows]


def test_special_ids_decode_to_nothing(nfkc: Tokenizer) -> None:
    ids = nfkc.encode([PAIRS[0].src])[0]
    assert nfkc.decode([[BOS_ID, *ids, EOS_ID, PAD_ID, PAD_ID], []]) == [PAIRS[0].src, ""]


def test_training_twice_gives_the_same_bytes() -> None:
    assert train().src.proto == train(list(PAIRS)).src.proto != train(make_pairs(seed=1)).src.proto


def test_sampling_takes_evenly_spaced_pairs() -> None:
    sampled = train(max_train_lines=200, vocab_size=330).src.proto
    every_third = [pair for number, pair in enumerate(PAIRS, start=1) if number % 3 == 0]
    assert sampled == train(every_third, vocab_size=330).src.proto
    assert sampled != train(PAIRS[:100], vocab_size=330).src.proto


def test_joint_model_knows_both_sides_and_separate_ones_only_their_own() -> None:
    joint, separate = train(), train(joint=False, vocab_size=330)
    assert joint.is_joint and joint.src is joint.tgt and not separate.is_joint
    pieces = lambda tokenizer: "".join(tokenizer.pieces(range(4 + 256, tokenizer.vocab_size)))  # noqa: E731
    assert any(char.islower() for char in pieces(joint.src)) and "É" in pieces(joint.src)
    assert "é" in pieces(separate.src) and "é" not in pieces(separate.tgt)


def test_pairs_are_saved_and_loaded_with_the_same_bytes(tmp_path: Path) -> None:
    for name, pair in (("joint", train()), ("separate", train(joint=False, vocab_size=330))):
        pair.save(tmp_path / name)
        assert sorted(path.name for path in (tmp_path / name).iterdir()) == sorted(pair.files())
        loaded = TokenizerPair.load(tmp_path / name, pair.files(), untrusted=True)
        assert loaded.is_joint == pair.is_joint and loaded.files() == pair.files()
        assert (loaded.src.proto, loaded.tgt.proto) == (pair.src.proto, pair.tgt.proto)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"vocab_size": 8000}, r"tokenizer.vocab_size: 8000 is more than these sentences support; at most \d+$"),
        ({"vocab_size": 8000, "joint": False}, r"8000 is more than the source sentences support; at most \d+$"),
        ({"vocab_size": 8000, "model_type": "bpe"}, r"at most \d+$"),
        ({"vocab_size": 8000, "model_type": "word"}, r"at most \d+$"),
        ({"vocab_size": 270}, r"270 has no room for every character of these sentences \(270 vs \d+\)"),
    ],
)
def test_vocabulary_that_does_not_fit_names_the_bound(options: dict[str, object], problem: str) -> None:
    with pytest.raises(TokenizerError, match=problem) as caught:
        train(**options)
    assert "\n" not in str(caught.value)


def test_allowed_maximum_is_the_maximum() -> None:
    with pytest.raises(TokenizerError) as caught:
        train(vocab_size=8000)
    maximum = int(str(caught.value).split()[-1])
    assert train(vocab_size=maximum).src.vocab_size == maximum
    with pytest.raises(TokenizerError):
        train(vocab_size=maximum + 1)


@pytest.mark.parametrize(
    ("pairs", "problem"),
    [
        ([], "there are no sentence pairs"),
        ([Pair(1, "", " "), Pair(2, "\u2028", "")], "there is no text"),
        ([Pair(1, "a", "a")] * 9, "at most 263"),
    ],
)
@pytest.mark.parametrize("model_type", ["unigram", "bpe"])
def test_corpus_that_is_too_small_is_refused(pairs: list[Pair], problem: str, model_type: str) -> None:
    with pytest.raises(TokenizerError, match=problem):
        train(pairs, model_type=model_type)


def test_training_is_silent_and_takes_long_lines(capfd: pytest.CaptureFixture[str]) -> None:
    long = Pair(1, "mot " * 5000, "word " * 20_000)
    tokenizer = train([long, *PAIRS]).src
    assert "▁mot" in tokenizer.pieces(range(tokenizer.vocab_size))
    assert len(tokenizer.encode(["x" * 100_000])[0]) >= 25_000
    assert capfd.readouterr() == ("", "")


def field(number: int, content: bytes) -> bytes:
    """A length-delimited protobuf field."""
    length, size = len(content), b""
    while length > 127:
        size, length = size + bytes([length & 127 | 128]), length >> 7
    return bytes([number << 3 | 2]) + size + bytes([length]) + content


def piece(text: bytes) -> bytes:
    return field(1, field(1, text) + b"\x15" + struct.pack("<f", -1.0))


def test_damaged_and_hostile_models_are_refused(nfkc: Tokenizer, tmp_path: Path) -> None:
    path = tmp_path / "a.model"
    other = sentencepiece_with_default_ids()
    hostile = {
        "empty": b"",
        "text": b"this is no model\n" * 99,
        "truncated": nfkc.proto[: len(nfkc.proto) // 2],
        "cut short": nfkc.proto[:-3],
        "only pieces": piece(b"a") * 5,
        "huge piece": nfkc.proto + piece(b"a" * 100_000) + piece(b"a" * 100_001),
        "other special ids": other,
    }
    for name, proto in hostile.items():
        path.write_bytes(proto)
        try:
            loaded = Tokenizer.load(path, untrusted=True)
        except TokenizerError as error:
            assert str(error).startswith(str(path)) and "\n" not in str(error), name
        else:
            assert name == "huge piece" and loaded.decode(loaded.encode(["ba de"])) == ["ba de"]
    with pytest.raises(TokenizerError, match=r"has special ids <pad> -1, <unk> 0, <s> 1, </s> 2; needed"):
        Tokenizer(other)


def sentencepiece_with_default_ids() -> bytes:
    model = io.BytesIO()
    lines = (pair.src for pair in PAIRS)
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=lines, model_writer=model, vocab_size=60, minloglevel=3, num_threads=1
    )
    return model.getvalue()


def test_crash_in_the_child_is_our_error(nfkc: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nfkc.save(tmp_path / "a.model")
    crash = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
    monkeypatch.setattr("transformer_mt.data.tokenizer._PROBE", crash)
    problem_in_child.cache_clear()
    with pytest.raises(TokenizerError, match=r"crashed on this model \(signal 11\)"):
        Tokenizer.load(tmp_path / "a.model", untrusted=True)


def test_missing_or_other_model_is_named(nfkc: Tokenizer, tmp_path: Path) -> None:
    with pytest.raises(TokenizerError, match=r"joint\.model: no such file"):
        TokenizerPair.load(tmp_path)
    nfkc.save(tmp_path / "joint.model")
    with pytest.raises(TokenizerError, match=rf"SHA-256 {nfkc.sha256}, expected 00ff"):
        TokenizerPair.load(tmp_path, {"joint.model": "00ff"})
