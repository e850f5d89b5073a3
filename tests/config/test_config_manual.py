"""The manual says everything that the schema holds, and the commands print it."""

import argparse
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from transformer_mt.cli.config import add_parser
from transformer_mt.config.building import SECTIONS
from transformer_mt.config.loading import load_config, parse_config
from transformer_mt.config.manual import as_markdown, as_text, field_texts, manual, section_manual
from transformer_mt.config.schema import Config, SourceConfig
from transformer_mt.errors import ConfigError


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers())
    args = parser.parse_args(arguments)
    code: int = args.run(args)
    return code


@pytest.mark.parametrize("section", [*SECTIONS.values(), SourceConfig], ids=lambda section: section.__name__)
def test_every_field_is_documented_in_a_sentence(section: Any) -> None:
    texts = field_texts(section)
    assert list(texts) == [field.name for field in fields(section)]
    assert all(len(text) > 15 or text.startswith("See ") for text in texts.values())
    assert all(text.endswith(".") for text in texts.values())
    assert section.__doc__ and not section.__doc__.startswith(f"{section.__name__}(")


def test_the_manual_has_every_section_and_key_with_its_default() -> None:
    pages = {page.name: page for page in manual()}
    assert set(pages) == {*SECTIONS, "data.<source>"}
    for name, section in SECTIONS.items():
        assert [key.name for key in pages[name].keys] == [field.name for field in fields(section)]
        text = "training: {max_epochs: 1}\n" if name != "training" else ""
        for key in pages[name].keys:
            limit = ", max_epochs: 1" if name == "training" and key.name != "max_epochs" else ""
            if key.name == "max_epochs":
                limit = ", max_steps: 1"
            config = parse_config(f"{text}{name}: {{{key.name}: {key.default}{limit}}}", "default.yaml")
            assert getattr(getattr(config, name), key.name) == getattr(getattr(Config(), name), key.name)


def test_text_fits_the_terminal_and_markdown_keeps_its_tables() -> None:
    assert max(map(len, as_text(manual(), 72).splitlines())) <= 72
    rows = [line for line in as_markdown(manual()).splitlines() if line.startswith("| `")]
    assert len(rows) == sum(len(page.keys) for page in manual())
    assert all(row.replace("\\|", "").count("|") == 5 for row in rows)


def test_describe_prints_all_or_one_section(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("config", "describe") == 0
    assert "\nmodel:\n" in capsys.readouterr().out
    assert run("config", "describe", "source") == 0
    assert capsys.readouterr().out.startswith("data.<source>:\n")
    assert run("config", "describe", "optimizer", "--format", "markdown") == 0
    assert capsys.readouterr().out == as_markdown([section_manual("optimizer")])
    with pytest.raises(ConfigError, match=r"^modle: unknown section \(did you mean model\?\)$"):
        run("config", "describe", "modle")


def test_show_prints_a_file_that_loads_back_equal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("training: {max_steps: 1}\n")
    assert run("config", "show", str(path), "--set", "model.d_ff=9", "--set", "data.src_lang=no") == 0
    shown = capsys.readouterr().out
    assert parse_config(shown, "shown") == load_config(path, ["model.d_ff=9", "data.src_lang=no"])
    with pytest.raises(ConfigError, match="must be a whole number"):
        run("config", "show", str(path), "--set", "model.d_ff=x")
