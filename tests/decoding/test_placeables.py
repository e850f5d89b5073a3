"""What has to be kept, and when it is: against every way to write a value, and against counting."""

import time
from collections import Counter
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transformer_mt.decoding.placeables import is_changed, lost, placeables

FOUND = {
    "{0} {name} {} {u.name} {0:.2f}": ["{0}", "{name}", "{}", "{u.name}", "{0:.2f}"],
    "{{ x }} {{x}} ${HOME} $VAR/bin": ["{{ x }}", "{{x}}", "${HOME}", "$VAR"],
    "%s %d, %(name)s %1$s %5.2f %-3d %lu %%": ["%s", "%d", "%(name)s", "%1$s", "%5.2f", "%-3d", "%lu", "%%"],
    "100% sure, 50%of it, 5 % or 5\u202f%. 5 %s": ["100%", "50", "5 %", "5\u202f%", "5", "%s"],
    '-3, (\u22124.5) a-5 6 -7 --8 "-9%"': ["-3", "\u22124.5", "a-5", "6", "7", "8", "-9%"],
    "<b>bold</b><br/> <a href='x y'>z</a> a < b > c": ["<b>", "</b>", "<br/>", "<a href='x y'>", "</a>"],
    "(see http://a.b/c?d=1,2). HTTPS://x.y/z!": ["http://a.b/c?d=1,2", "HTTPS://x.y/z"],
    "WWW.x.org, or ftp://a/b.": ["WWW.x.org", "ftp://a/b"],
    "me@x.org, j.d+e@a-b.co.uk. @me a@b": ["me@x.org", "j.d+e@a-b.co.uk"],
    "2nd covid-19 10h30 1,000.5kg $5": ["2nd", "covid-19", "10h30", "1,000.5kg", "5"],
    "10:30pm, 2024-05-12 or 12/5: 3-4": ["10:30pm", "2024-05-12", "12/5", "3-4"],
    "1990s x_1_y 5-year-old, 3.": ["1990s", "x_1_y", "5", "3"],
    "1 000 000 et 2\u202f500,5 en 2024": ["1 000 000", "2\u202f500,5", "2024"],
    "nothing: at all (here) & there #x /": [],
}


@pytest.mark.parametrize("text", FOUND)
def test_these_are_kept(text: str) -> None:
    found = placeables(text)
    assert [one.text for one in found] == FOUND[text]
    assert all(text[one.start : one.end] == one.text for one in found)


WHOLE = [1, 12, 123, 1234, 12_345, 1_234_567]
FRACTIONS = ["5", "234", "567"]
CONVENTIONS = [*product(",", ["."]), *product([".", " ", "\u00a0", "\u202f", "'", ""], [","]), ("", "."), ("’", ".")]
"""What parts thousands, and the decimal mark behind them."""


def values() -> dict[str, set[str]]:
    """For every way to write one of many values all values that may be meant."""
    meant: dict[str, set[str]] = {}
    for whole, (thousands, mark) in product(WHOLE, CONVENTIONS):
        written = f"{whole:,}".replace(",", thousands)
        meant.setdefault(written, set()).add(str(whole))
        for fraction in FRACTIONS:
            meant.setdefault(f"{written}{mark}{fraction}", set()).add(f"{whole}.{fraction}")
    return meant


def test_a_number_is_kept_when_it_is_written_as_one_of_the_same_value() -> None:
    meant = values()
    assert meant["1,234"] == {"1234", "1.234"} and meant["1\u202f234,5"] == {"1234.5"}
    for (source, values_of_source), (text, values_of_text) in product(meant.items(), meant.items()):
        assert is_changed(f"About {source}.", f"{text} environ") == (not values_of_source & values_of_text)


@pytest.mark.parametrize("sign", ["", "-", "\u2212"])
@pytest.mark.parametrize("blank", ["", " ", "\u00a0", "\u202f"])
def test_signs_and_units_are_part_of_the_value(sign: str, blank: str) -> None:
    other = "-" if not sign else ""
    assert not is_changed("It is -3 here.".replace("-", sign), f"Il fait {sign}3 ici.")
    assert is_changed("It is -3 here.".replace("-", sign), f"Il fait {other}3 ici.")
    for percent in (f"{blank}%", " pour cent"):
        assert not is_changed(f"{sign}50% of it", f"{sign}50{percent} en")
        assert is_changed(f"{sign}50% of it", f"{other}50{percent} en")
    assert is_changed("50% of -3", "50 des princesses 3.")
    assert is_changed("50% of 50", "50 % de 60") and is_changed("50%", "50 ou 60 %")
    assert not is_changed("50 and 50% and 50", f"50 et 50 et 50{blank}%")
    assert not is_changed("50 percent", f"50{blank}%") and not is_changed("3-5 on 2024-05-12", "3 à 5, 12-05-2024")


def test_numbers_of_other_scripts_have_their_values() -> None:
    assert not is_changed("٣٫٥ １２", "12 ٣٫٥") and not is_changed("١٢ friends", "12 amis")


MARKUP = ["{0}", "{name}", "%s", "%d", "%(n)s", "<b>", "</b>", "http://a.b/1", "me@x.org", "$HOME"]
NUMBERS = ["7", "42", "365"]
TOKENS = st.lists(st.sampled_from([*MARKUP, *NUMBERS]), max_size=6)


@given(TOKENS, st.randoms(), TOKENS, st.integers(0, 2))
def test_all_but_numbers_come_as_often_and_some_in_order(
    source: list[str], random, others: list[str], drop: int
) -> None:  # type: ignore[no-untyped-def]
    text = [*source, *others[:1]] if drop else list(source)
    random.shuffle(text)
    text = text[drop // 2 :]
    before, after = Counter(source), Counter(text)
    in_order = [[one for one in some if one in ("%s", "%d", "<b>", "</b>")] for some in (source, text)]
    changed = {one for one in MARKUP if before[one] != after[one]} | {
        one for one in NUMBERS if before[one] > after[one]
    }
    if in_order[0] != in_order[1]:
        changed |= {*in_order[0], *in_order[1]}
    assert is_changed(" a ".join(source), " é ".join(text)) == bool(changed)
    missing = lost(placeables(" a ".join(source)), " é ".join(text))
    assert {one.text for one in missing} == changed & {*source}


def test_most_translations_by_people_keep_theirs(shared_data: Path) -> None:
    sides = ((shared_data / "tico19" / f"dev.{side}").read_text(encoding="utf-8").split("\n") for side in ("en", "fr"))
    pairs = [(src, tgt) for src, tgt in zip(*sides, strict=True) if placeables(src)]
    changed = [pair for pair in pairs if is_changed(*pair)]
    assert len(pairs) > 300 and len(changed) < 0.02 * len(pairs)


@pytest.mark.parametrize(
    "unit", ["a", "a.", "<a ", "{", "a-", "%", "1,", "1 000", "http://", "@", "$", "a@a.", "-5", "_", "www.", "${{ "]
)
def test_a_long_line_takes_time_in_proportion(unit: str) -> None:
    started = time.process_time()
    placeables(unit * (100_000 // len(unit)) + " 5")
    assert time.process_time() - started < 10  # a second at most; in proportion to its square it would take hours


def test_many_numbers_take_time_in_proportion() -> None:
    started = time.process_time()
    assert len(lost(placeables("5 " * 30_000), "6 " * 30_000 + "5 " * 100)) == 29_900
    assert time.process_time() - started < 10  # a second; in proportion to its square some minutes
