"""Long lines are cut where a reader would cut them, and nothing is lost."""

from hypothesis import given
from hypothesis import strategies as st

from transformer_mt.decoding.segments import segments


def words(text: str) -> int:
    return len(text.split())


def test_a_line_within_the_limit_is_not_touched() -> None:
    assert segments("One. Two. Three.", 3, words) == ["One. Two. Three."]


def test_sentences_are_packed_up_to_the_limit() -> None:
    line = "One two. Three four. Five six. Seven."
    assert segments(line, 4, words) == ["One two. Three four. ", "Five six. Seven."]


def test_clauses_then_words_are_cut_when_a_sentence_is_too_long() -> None:
    assert segments("a b c, d e f", 4, words) == ["a b c, ", "d e f"]
    assert segments("a b c d e", 2, words) == ["a b ", "c d ", "e"]


def test_one_unbroken_run_is_cut_inside() -> None:
    assert segments("x" * 10, 8, len) == ["xxxxxxxx", "xx"]


@given(st.text(alphabet="ab .,!?\u00e9\u202f\n", max_size=200), st.integers(4, 30))
def test_segments_join_to_the_line_and_keep_to_the_limit(line: str, limit: int) -> None:
    parts = segments(line, limit, len)
    assert "".join(parts) == line
    assert all(len(part) <= limit for part in parts)


def test_a_megabyte_without_a_blank_is_cut_in_time() -> None:
    parts = segments("y" * 1_000_000, 128, len)
    assert "".join(parts) == "y" * 1_000_000
