"""The summary tells the truth about the model."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from transformer_mt.cli.main import main
from transformer_mt.config.schema import ModelConfig
from transformer_mt.model.summary import blocks, mermaid, summarise
from transformer_mt.model.transformer import Transformer

MakeConfig = Callable[..., ModelConfig]


@pytest.mark.parametrize("tied", ["all", "decoder", "none"])
@pytest.mark.parametrize("order", ["pre", "post"])
@pytest.mark.parametrize(
    "rest",
    [
        {},
        {"positions": "learned", "norm": "rms"},
        {"positions": "rotary", "activation": "swiglu"},
        {"activation": "silu", "output_bias": True},
    ],
)
def test_block_counts_add_up_to_the_model(
    make_config: MakeConfig, tied: str, order: str, rest: dict[str, object]
) -> None:
    config = make_config(tied_embeddings=tied, norm_order=order, **rest)
    tgt_vocab_size = 20 if tied == "all" else 30
    expected = Transformer(config, 20, tgt_vocab_size).num_parameters()
    assert sum(block.total for block in blocks(config, 20, tgt_vocab_size)) == expected
    assert summarise(config, 20, tgt_vocab_size).splitlines()[-1].split() == ["total", f"{expected:,}"]


@pytest.mark.parametrize("order", ["pre", "post"])
def test_flowchart_names_every_block_once_and_joins_known_nodes(make_config: MakeConfig, order: str) -> None:
    config = make_config(norm_order=order)
    lines = mermaid(config, 20, 20).splitlines()
    assert lines[0] == "flowchart TB"
    nodes = [match[1] for line in lines if (match := re.match(r"\s+(\w+)[\[(]", line))]
    assert len(nodes) == len(set(nodes))
    assert {block.name.replace(" ", "_") for block in blocks(config, 20, 20)} <= set(nodes)
    joined = {name for line in lines if "-->" in line for name in re.findall(r"\w+", line)} - {"memory"}
    assert joined == set(nodes)


@pytest.mark.parametrize(("shape", "first"), [("text", "Transformer, 2 + 1 layers"), ("mermaid", "flowchart TB")])
def test_command_prints_the_model_of_a_config(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], shape: str, first: str
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("model: {d_model: 16, num_heads: 2, num_encoder_layers: 2}\ntraining: {max_steps: 1}\n")
    code = main(["model", "summary", str(path), "--format", shape, "--set", "model.num_decoder_layers=1"])
    assert code == 0
    assert capsys.readouterr().out.startswith(first)
