"""Any configuration is either built, and then means the same however it is written, or refused line by line."""

import json
from typing import Any, get_args, get_type_hints

from hypothesis import given, settings
from hypothesis import strategies as st

from transformer_mt.config.building import SECTIONS
from transformer_mt.config.loading import from_dict, parse_config, to_dict, to_yaml
from transformer_mt.config.schema import SourceConfig
from transformer_mt.errors import ConfigError

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\u2028\u2029"), max_size=12)
WILD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT | st.sampled_from(["1e-4", "no", "012", "cuda:1"]),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(TEXT, children, max_size=3),
    max_leaves=5,
)
SOUND: dict[object, st.SearchStrategy[object]] = {
    int: st.integers(1, 4096), float: st.floats(0.001, 0.9), bool: st.booleans(), str: st.just("text"),
    type(None): st.none(),
}  # fmt: skip


def values(hint: Any) -> st.SearchStrategy[object]:
    """Values of a key's type, and now and then anything else."""
    kinds = get_args(hint) or (hint,)
    literals = [kind for kind in kinds if isinstance(kind, str)]
    sound = [SOUND[kind] for kind in kinds if kind in SOUND] + ([st.sampled_from(literals)] if literals else [])
    return st.one_of(*sound * 4, WILD)


def key_and_value(key: str, hint: Any) -> st.SearchStrategy[tuple[str, object]]:
    return st.tuples(st.just(key), values(hint))


SOURCE = st.lists(
    st.one_of([key_and_value(key, hint) for key, hint in get_type_hints(SourceConfig).items()]), max_size=3
).map(lambda pairs: {"src": "a", "tgt": "b", **dict(pairs)})
CHANGE = st.one_of(
    [
        st.tuples(st.just(name), key_and_value(key, hint))
        for name, section in SECTIONS.items()
        for key, hint in get_type_hints(section).items()
    ]
    + [st.tuples(st.just("data"), st.tuples(st.sampled_from(["train", "validation"]), st.lists(SOURCE, max_size=2)))]
    + [st.tuples(TEXT | st.sampled_from(list(SECTIONS)), st.tuples(TEXT, WILD))]
)
"""A section with a key and a value: of its type, of another, or none that there is."""


def built_or_refused(text: str) -> bool:
    """True where it was built."""
    try:
        config = parse_config(text, "x.yaml")
    except ConfigError as error:
        assert 0 < len(error.problems) <= 101
        assert all(problem.startswith("x.yaml:") and "\n" not in problem for problem in error.problems)
        return False
    assert parse_config(to_yaml(config), "y.yaml") == from_dict(to_dict(config), "z") == config
    return True


@settings(max_examples=250)
@given(st.lists(CHANGE, max_size=4))
def test_any_keys_and_values_are_built_or_refused(changes: list[tuple[str, tuple[str, object]]]) -> None:
    """JSON is YAML, but for NaN and infinity, which are text in it."""
    tree: dict[str, dict[str, object]] = {"training": {"max_steps": 5}}
    for section, (key, value) in changes:
        tree.setdefault(section, {})[key] = value
    built_or_refused(json.dumps(tree, ensure_ascii=False))


@settings(max_examples=60)
@given(WILD)
def test_any_value_is_no_configuration(value: object) -> None:
    assert not built_or_refused(json.dumps(value, ensure_ascii=False))


def test_what_is_sound_is_built() -> None:
    assert built_or_refused('{"training": {"max_steps": 5}, "optimizer": {"lr": 1e-4}}')
    assert not built_or_refused('{"training": {"max_steps": 5}, "optimizer": {"lr": Infinity}}')
