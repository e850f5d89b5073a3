"""The YAML reader: what values mean, where they stand, and that nothing but ConfigError comes out."""

import math
import subprocess
import sys
import time

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from transformer_mt.config.strict_yaml import (
    MAX_DEPTH,
    MAX_NODES,
    Listing,
    Mapping,
    Node,
    Scalar,
    parse,
    resolve,
    shorten,
)
from transformer_mt.errors import ConfigError


def where(line: int) -> str:
    return f"x:{line}"


def plain(node: Node | None) -> object:
    """The node as the plain value that other YAML readers would give."""
    if isinstance(node, Mapping):
        return {key: plain(entry.node) for key, entry in node.entries.items()}
    if isinstance(node, Listing):
        return [plain(item) for item in node.items]
    return node.value if isinstance(node, Scalar) else None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("1e4", 1e4),
        ("1E+4", 1e4),
        (".5", 0.5),
        ("5.", 5.0),
        ("-0.25", -0.25),
        ("+12", 12),
        ("-7", -7),
        ("0", 0),
        ("1e999", math.inf),
        (".inf", math.inf),
        ("-.Inf", -math.inf),
        ("true", True),
        ("True", True),
        ("FALSE", False),
        ("", None),
        ("~", None),
        ("null", None),
    ],
)
def test_the_core_schema_of_yaml_1_2(text: str, value: object) -> None:
    assert resolve(text) == value
    assert type(resolve(text)) is type(value)


@pytest.mark.parametrize(
    "text",
    ["no", "on", "yes", "off", "y", "N", "tRUE", "012", "0o14", "0x1F", "0b1", "1_000", "12:30", "2026-11-22", "1.5.2"]
    + ["inf", "nan", ".", "e5", "1e", "+-1", "١٢", "--1", "<<", "="],
)
def test_what_yaml_1_1_reads_in_its_own_way_is_text(text: str) -> None:
    assert resolve(text) == text


def test_nan_is_a_float() -> None:
    assert math.isnan(float(resolve(".nan") or 0))


def test_a_number_of_any_length_is_read_without_error() -> None:
    assert resolve("9" * 40) == 10**40 - 1
    assert resolve("9" * 10_000) == math.inf


def test_quoted_values_are_text() -> None:
    root, problems = parse("a: '1'\nb: \"true\"\nc: ''\n", where)
    assert plain(root) == {"a": "1", "b": "true", "c": ""} and problems == []


def test_positions_are_those_of_the_keys() -> None:
    root, _ = parse("# head\n\na:\n  b: 1\n  c:\n    - x\n    - {y: 2}\n", where)
    assert isinstance(root, Mapping)
    section = root.entries["a"]
    assert section.where == "x:3" and isinstance(section.node, Mapping)
    assert [entry.where for entry in section.node.entries.values()] == ["x:4", "x:5"]
    listing = section.node.entries["c"].node
    assert isinstance(listing, Listing) and [item.where for item in listing.items] == ["x:6", "x:7"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\nb: 2\na: 3\n", "x:3: a: is given twice, first at x:1; remove one"),
        ("a: {b: 1, b: 2}", "x:1: b: is given twice, first at x:1; remove one"),
        ("a: &name 1\n", "x:1: anchors (&name) are not supported; write the value out"),
        ("a: *name\n", "x:1: aliases (*name) are not supported; write the value out"),
        ("a:\n  <<: {b: 1}\n", "x:2: merge keys (<<) are not supported; write the keys out"),
        (
            "a: !!python/name:os.system x",
            "x:1: tags (tag:yaml.org,2002:python/name:os.system) are not supported; remove it",
        ),
        ("a: !!float 1", "x:1: tags (tag:yaml.org,2002:float) are not supported; remove it"),
        ("? [a, b]\n: 1\n", "x:1: a key must be a word, not a list or mapping"),
    ],
)
def test_what_is_not_supported_is_told_and_reading_goes_on(text: str, problem: str) -> None:
    root, problems = parse(text + "\n", where)
    assert problems == [problem]
    assert isinstance(root, Mapping)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: b: c", "x:1: is not valid YAML: mapping values are not allowed here"),
        ("a:\n\t- b", "x:2: is not valid YAML: * (indent with blanks, not with tabs)"),
        ("a: [1, 2\nb: 3\n", "x:2: is not valid YAML: *"),
        ("a: 'b\n", "x:2: is not valid YAML: *"),
        ("a: 1\n---\nb: 2\n", "x:2: a second document starts here; a file holds one"),
        ("a: 1\nb: \x00\n", "x:2: holds the character U+0000, which YAML does not allow"),
        ("a: \ud800", "x:1: holds the character U+D800, which YAML does not allow"),
        ("# a\nb: c\u2028d: e", "x:2: holds U+2028, which some YAML readers take for a line end; remove it"),
        ('a: "\\UFFFFFFFF"', "x:1: is not valid YAML: *"),
        ('a: "\\U00110000"', "x:1: is not valid YAML: *"),
        ("%YAML 9.9\n---\na: 1\n", "x:1: is not valid YAML: *"),
        ("\n" + "[" * 5000, f"x:2: is nested deeper than {MAX_DEPTH} levels"),
        ("- " * 5000, f"x:1: is nested deeper than {MAX_DEPTH} levels"),
        ("? " * 5000, f"x:1: is nested deeper than {MAX_DEPTH} levels"),
        ("{a: " * 5000, f"x:1: is nested deeper than {MAX_DEPTH} levels"),
        ("a: [" + "1, " * MAX_NODES, f"x:1: more than {MAX_NODES:,} values; a configuration is never that long"),
        ("a" * 500_001, "x:1: is larger than 500,000 characters; a configuration is never that long"),
    ],
)
def test_text_that_cannot_be_read_on_is_one_clear_error(text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text, where)
    start, star, end = problem.partition("*")
    (line,) = caught.value.problems
    assert line == problem or (star and line.startswith(start) and line.endswith(end)), line


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n", "\n\n", "--- # x\n...\n"])
def test_an_empty_document_has_no_root(text: str) -> None:
    assert parse(text, where).root is None


@pytest.mark.parametrize(
    "unit", ["[", "{", "a: [", "- ", "? ", "'", '"', "&a ", "*a ", "!", "- - [", "a:\n", "\n", "#", "|\n "]
)
def test_a_large_text_of_anything_is_answered_at_once(unit: str) -> None:
    text = unit * (100_000 // len(unit))
    start = time.process_time()
    try:
        parse(text, where)
    except ConfigError:
        pass
    assert time.process_time() - start < 10.0  # it takes well under a second; what is quadratic takes minutes


def test_an_alias_bomb_costs_no_memory() -> None:
    rows = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 100)]
    program = (
        "import resource, sys\n"
        "from transformer_mt.config.strict_yaml import parse\n"
        "resource.setrlimit(resource.RLIMIT_AS, (200 << 20, 200 << 20))\n"
        "print(len(parse(sys.stdin.read(), str).problems))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], input="\n".join(rows), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == 100 + 99 * 9


YAML_LIKE = st.text(alphabet=" \n\t:-[]{}&*!|>'\"%@`#?,.<=~\\/019eEabtruxUno_\ufeff\x85é😀", max_size=60)


@given(YAML_LIKE | st.text(max_size=60))
def test_nothing_but_a_config_error_comes_out(text: str) -> None:
    try:
        parse(text, where)
    except ConfigError as error:
        assert all(problem.startswith("x:") and "\n" not in problem for problem in error.problems)


SAFE_TEXT = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\u2028\u2029\ufffe\uffff"), max_size=20
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**18), 10**18)
    | st.floats(allow_nan=False, allow_infinity=False)
    | SAFE_TEXT,
    lambda children: st.lists(children, max_size=4) | st.dictionaries(SAFE_TEXT, children, max_size=4),
    max_leaves=10,
)


@settings(max_examples=50)
@given(st.dictionaries(SAFE_TEXT, VALUES, min_size=1, max_size=4))
def test_what_another_writer_writes_unambiguously_is_read_back(value: dict[str, object]) -> None:
    text = yaml.safe_dump(value, default_style='"', allow_unicode=True)  # quoted, with tags on what is no text

    def untagged(node: object) -> object:
        if isinstance(node, dict):
            return {key: untagged(item) for key, item in node.items()}
        return [untagged(item) for item in node] if isinstance(node, list) else node if isinstance(node, str) else None

    root, problems = parse(text, where)
    assert plain(root) == untagged(value)
    assert all("tags" in problem for problem in problems)


def test_long_and_unprintable_text_is_shortened_for_messages() -> None:
    assert shorten("a\nb") == "a\\nb"
    assert len(shorten("x" * 500)) == 60
