"""What a model is made of: its blocks with shapes and parameter counts, as a table or a Mermaid flowchart."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import nn

from transformer_mt.config.schema import ModelConfig
from transformer_mt.model.transformer import Embedding, Transformer


class Block(NamedTuple):
    """One row: `parameters` in each of `copies` equal ones; 0 where a matrix belongs to a row above."""

    name: str
    shape: str
    parameters: int
    copies: int

    @property
    def total(self) -> int:
        return self.parameters * self.copies


def blocks(config: ModelConfig, src_vocab_size: int, tgt_vocab_size: int) -> list[Block]:
    """The blocks of the model in the order of the data; their totals add up to `Transformer.num_parameters`."""
    with torch.device("meta"):  # shapes without memory
        model = Transformer(config, src_vocab_size, tgt_vocab_size)
    is_shared = config.tied_embeddings == "all"
    rows = list(_embedding_rows("source", model.src_embedding, is_shared=False))
    rows += _stack_rows("encoder", model.encoder.layers, model.encoder.norm)
    rows += _embedding_rows("target", model.tgt_embedding, is_shared)
    rows += _stack_rows("decoder", model.decoder.layers, model.decoder.norm)
    if config.tied_embeddings == "none":
        return [*rows, Block("output", _shape(model.output_proj), _count(model.output_proj), 1)]
    bias = model.output_proj.bias
    count = 0 if bias is None else bias.numel()
    return [*rows, Block("output", f"{_shape(model.output_proj)}, the target embedding", count, 1)]


def summarise(config: ModelConfig, src_vocab_size: int, tgt_vocab_size: int) -> str:
    """The blocks as a table, with the total in its last line."""
    rows = blocks(config, src_vocab_size, tgt_vocab_size)
    cells = [("block", "shape", "each", "copies", "parameters")]
    cells += [(row.name, row.shape, f"{row.parameters:,}", str(row.copies), f"{row.total:,}") for row in rows]
    cells.append(("total", "", "", "", f"{sum(row.total for row in rows):,}"))
    widths = [max(len(line[column]) for line in cells) for column in range(5)]
    lines = [
        "  ".join(text.ljust(width) if column < 2 else text.rjust(width) for column, (text, width) in enumerate(pairs))
        for pairs in (list(zip(line, widths, strict=True)) for line in cells)
    ]
    rule = "-" * len(lines[0])
    return "\n".join([_headline(config), "", lines[0], rule, *lines[1:-1], rule, lines[-1]])


def mermaid(config: ModelConfig, src_vocab_size: int, tgt_vocab_size: int) -> str:
    """The blocks as the text of a Mermaid flowchart: encoder and decoder, joined by the cross-attention."""
    rows = blocks(config, src_vocab_size, tgt_vocab_size)
    encoder = [row for row in rows if row.name.startswith(("source", "encoder"))]
    decoder = [row for row in rows if row not in encoder]
    return "\n".join(
        [
            "flowchart TB",
            '    src(["source pieces"])',
            '    tgt_in(["target pieces so far"])',
            '    logits(["scores of the next piece"])',
            *_column("encoder", encoder),
            *_column("decoder", decoder),
            "    " + " --> ".join(["src", *map(_node_name, encoder)]),
            "    " + " --> ".join(["tgt_in", *map(_node_name, decoder), "logits"]),
            f"    {_node_name(encoder[-1])} -- memory --> decoder_cross_attention",
        ]
    )


def _column(side: str, rows: list[Block]) -> Iterator[str]:
    """The nodes of one side, those of its repeated layers in a frame."""
    repeated = [row for row in rows if row.name.startswith(side) and "final" not in row.name]
    yield from (f"    {_node(row)}" for row in rows if row not in repeated)
    yield f'    subgraph {side}["{side} layer, {repeated[0].copies} times"]'
    yield from (f"        {_node(row)}" for row in repeated)
    yield "    end"


def _node(row: Block) -> str:
    shape = row.shape.replace("->", "→").replace(" x ", " × ")
    return f'{_node_name(row)}["{row.name}<br/>{shape}<br/>{row.total:,} parameters"]'


def _node_name(row: Block) -> str:
    return row.name.replace(" ", "_")


def _headline(config: ModelConfig) -> str:
    window = "" if config.attention_window is None else f", attention window {config.attention_window}"
    return (
        f"Transformer, {config.num_encoder_layers} + {config.num_decoder_layers} layers, {config.norm_order}-norm, "
        f"{config.num_heads} heads of {config.d_model // config.num_heads}, {config.activation}, "
        f"{config.positions} positions{window}"
    )


def _embedding_rows(side: str, embedding: Embedding, is_shared: bool) -> Iterator[Block]:
    matrix = embedding.tokens
    shape = f"{matrix.num_embeddings} x {matrix.embedding_dim}"
    if is_shared:
        yield Block(f"{side} embedding", f"{shape}, the source embedding", 0, 1)
    else:
        yield Block(f"{side} embedding", shape, _count(matrix), 1)
    for parameter in embedding.positions.parameters():
        yield Block(f"{side} positions", " x ".join(map(str, parameter.shape)), parameter.numel(), 1)


def _stack_rows(side: str, layers: nn.ModuleList, final_norm: nn.Module) -> Iterator[Block]:
    parts = [(name, part) for name, part in layers[0].named_children() if _count(part)]
    for block, norm in zip(parts[::2], parts[1::2], strict=True):  # a layer names each norm after its block
        for name, part in (norm, block) if layers[0].pre_norm else (block, norm):
            yield Block(f"{side} {name.replace('_', ' ')}", _shape(part), _count(part), len(layers))
    if _count(final_norm):
        yield Block(f"{side} final norm", _shape(final_norm), _count(final_norm), 1)


def _shape(module: nn.Module) -> str:
    """Widths of the linear maps in a block, "in -> out", or of a norm."""
    linears = [part for part in module.modules() if isinstance(part, nn.Linear)]
    if linears:
        return ", ".join(f"{linear.in_features} -> {linear.out_features}" for linear in linears)
    return " + ".join(str(parameter.numel()) for parameter in module.parameters())


def _count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
