"""Every configuration in configs/ loads, builds its model, and is headed by the commands that use it."""

import re
from pathlib import Path

import pytest
import torch

from transformer_mt.config.loading import load_config, parse_config, to_yaml

CONFIGS = sorted((Path(__file__).resolve().parents[2] / "configs").glob("*.yaml"))
EXPECTED = {"quickstart", "multi30k", "tatoeba", "wmt14_en_fr_base", "wmt14_en_fr_big", "teaching", "dictionary"}
each_config = pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)


def test_the_promised_configurations_are_there() -> None:
    assert {path.stem for path in CONFIGS} >= EXPECTED


@each_config
def test_it_loads_and_builds_its_transformer(path: Path) -> None:
    from transformer_mt.model.transformer import Transformer

    config = load_config(path)
    vocab_size = config.tokenizer.vocab_size
    with torch.device("meta"):
        model = Transformer(config.model, vocab_size, vocab_size)
    assert len(model.encoder.layers) == config.model.num_encoder_layers
    assert len(model.decoder.layers) == config.model.num_decoder_layers
    assert parse_config(to_yaml(config), "shown") == config


@each_config
def test_its_head_has_the_commands_that_use_it(path: Path) -> None:
    run_dir = load_config(path).training.run_dir
    head = path.read_text(encoding="utf-8").split("\n\n")[0]
    assert all(line.startswith("#") for line in head.splitlines())
    commands = re.findall(r"^#   (transformer-mt .*)$", head, flags=re.MULTILINE)
    assert f"transformer-mt train configs/{path.name}" in commands
    assert any(command.startswith(f"transformer-mt evaluate {run_dir}") for command in commands)
    assert any(command.startswith(f"transformer-mt translate {run_dir} ") for command in commands)


def test_run_directories_differ() -> None:
    run_dirs = [load_config(path).training.run_dir for path in CONFIGS]
    assert len(set(run_dirs)) == len(run_dirs)


@pytest.mark.parametrize(("size", "millions"), [("base", 60.5), ("big", 209.0)])
def test_the_published_transformers_have_the_published_size_and_rate(size: str, millions: float) -> None:
    from transformer_mt.model.transformer import Transformer

    config = load_config(next(path for path in CONFIGS if path.stem == f"wmt14_en_fr_{size}"))
    with torch.device("meta"):
        model = Transformer(config.model, config.tokenizer.vocab_size, config.tokenizer.vocab_size)
    assert sum(parameter.numel() for parameter in model.parameters()) / 1e6 == pytest.approx(millions, rel=0.01)
    peak = (config.model.d_model * config.schedule.warmup_steps) ** -0.5
    assert config.optimizer.lr == pytest.approx(peak, rel=0.01)
    assert config.training.batch_size * config.training.accumulation_steps == pytest.approx(25_000, rel=0.05)


def test_every_line_of_the_teaching_model_is_explained() -> None:
    path = next(path for path in CONFIGS if path.stem == "teaching")
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    assert [line for line in lines if "  # " not in line] == []
