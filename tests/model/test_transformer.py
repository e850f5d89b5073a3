"""The whole model against PyTorch's, against finite differences, and against what must never happen."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from transformer_mt.config.schema import ModelConfig
from transformer_mt.model.rows import Rows
from transformer_mt.model.transformer import Transformer

MakeConfig = Callable[..., ModelConfig]
MakeModel = Callable[..., Transformer]

VARIANTS = [
    {"norm_order": order, "positions": positions, **rest}
    for order in ("pre", "post")
    for positions, rest in (
        ("sinusoidal", {}),
        ("learned", {"activation": "gelu", "tied_embeddings": "none"}),
        ("sinusoidal", {"activation": "silu", "output_bias": True}),
        ("rotary", {"activation": "swiglu", "norm": "rms", "tied_embeddings": "decoder"}),
        ("none", {"attention_window": 2}),
    )
]
each_variant = pytest.mark.parametrize("variant", VARIANTS, ids=lambda v: "-".join(map(str, v.values())))


def random_batch() -> tuple[Tensor, Tensor]:
    """src (3, 7) with padding in two rows, tgt_in (3, 6)."""
    torch.manual_seed(1)
    src, tgt_in = torch.randint(4, 20, (3, 7)), torch.randint(4, 20, (3, 6))
    src[1, 4:] = 0
    src[2, 1:] = 0
    return src, tgt_in


def torch_twin(model: Transformer) -> nn.Transformer:
    """PyTorch's own Transformer with the weights of `model`."""
    config = model.config
    twin = nn.Transformer(
        config.d_model,
        config.num_heads,
        config.num_encoder_layers,
        config.num_decoder_layers,
        config.d_ff,
        dropout=0.0,
        batch_first=True,
        norm_first=config.norm_order == "pre",
    )
    twin.encoder.enable_nested_tensor = False
    for ours, theirs in ((model.encoder, twin.encoder), (model.decoder, twin.decoder)):
        if config.norm_order == "pre":
            theirs.norm.load_state_dict(ours.norm.state_dict())
        else:
            theirs.norm = None
        for our_layer, their_layer in zip(ours.layers, theirs.layers, strict=True):
            copy_layer(our_layer, their_layer)
    return twin


def copy_layer(ours: nn.Module, theirs: nn.Module) -> None:
    state, norms = {}, ["self_attention_norm", "feed_forward_norm"]
    projections = {"self_attn": (ours.self_attention, ["qkv_proj"])}
    if hasattr(ours, "cross_attention"):
        norms.insert(1, "cross_attention_norm")
        projections["multihead_attn"] = (ours.cross_attention, ["q_proj", "kv_proj"])
    for kind in ("weight", "bias"):
        for name, (attention, inputs) in projections.items():
            state[f"{name}.in_proj_{kind}"] = torch.cat([getattr(getattr(attention, x), kind) for x in inputs])
            state[f"{name}.out_proj.{kind}"] = getattr(attention.out_proj, kind)
        state[f"linear1.{kind}"] = getattr(ours.feed_forward.in_proj, kind)
        state[f"linear2.{kind}"] = getattr(ours.feed_forward.out_proj, kind)
        for number, norm in enumerate(norms, start=1):
            state[f"norm{number}.{kind}"] = getattr(getattr(ours, norm), kind)
    theirs.load_state_dict(state)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("order", ["pre", "post"])
def test_equals_torch_nn_transformer_on_copied_weights(make_model: MakeModel, order: str) -> None:
    model = make_model(norm_order=order)
    src, tgt_in = random_batch()
    hidden = model.decode(tgt_in, model.encode(src), model.source_mask(src))
    theirs = torch_twin(model)(
        model.src_embedding(src, torch.arange(7), 7),
        model.tgt_embedding(tgt_in, torch.arange(6), 6),
        tgt_mask=nn.Transformer.generate_square_subsequent_mask(tgt_in.shape[1]),
        src_key_padding_mask=src == 0,
        memory_key_padding_mask=src == 0,
    )
    torch.testing.assert_close(hidden, theirs, atol=1e-5, rtol=1e-5)


@each_variant
def test_gradients_equal_finite_differences(make_config: MakeConfig, variant: dict[str, object]) -> None:
    torch.manual_seed(4)
    sizes = {"d_model": 4, "num_heads": 2, "d_ff": 6, "num_encoder_layers": 1, "num_decoder_layers": 1}
    config = make_config(**{**variant, **sizes, "activation": "gelu", "max_positions": 6})  # relu has a kink
    if variant.get("activation") == "swiglu":
        config = make_config(**{**variant, **sizes})
    model = Transformer(config, 6, 6).double()
    src, tgt_in = torch.tensor([[4, 5, 3], [5, 3, 0]]), torch.tensor([[2, 4], [2, 5]])
    names, weights = zip(*model.named_parameters(), strict=True)

    def loss(*values: Tensor) -> Tensor:
        logits = torch.func.functional_call(model, dict(zip(names, values, strict=True)), (src, tgt_in))
        return logits.log_softmax(dim=-1)[..., 3].sum()

    torch.autograd.gradcheck(loss, weights, atol=1e-4, fast_mode=True)


@each_variant
def test_later_target_tokens_never_change_earlier_logits(make_model: MakeModel, variant: dict[str, object]) -> None:
    model = make_model(**variant)
    src, tgt_in = random_batch()
    logits = model(src, tgt_in)
    for t in range(tgt_in.shape[1] - 1):
        changed = tgt_in.clone()
        changed[:, t + 1 :] = (changed[:, t + 1 :] + 5) % 20
        changed_logits = model(src, changed)
        assert torch.equal(changed_logits[:, : t + 1], logits[:, : t + 1])
        assert not torch.allclose(changed_logits[:, t + 1], logits[:, t + 1])


@each_variant
def test_more_padding_changes_nothing(make_model: MakeModel, variant: dict[str, object]) -> None:
    model = make_model(**variant)
    src, tgt_in = random_batch()
    padded_src, padded_tgt = (nn.functional.pad(ids, (0, 9)) for ids in (src, tgt_in))
    logits = model(padded_src, padded_tgt)[:, : tgt_in.shape[1]]
    torch.testing.assert_close(logits, model(src, tgt_in), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@each_variant
def test_fully_padded_row_gives_no_nan(
    make_model: MakeModel, variant: dict[str, object], precision: torch.dtype
) -> None:
    model = make_model(**variant).train()
    src, tgt_in = random_batch()
    src[1], tgt_in[1] = 0, 0
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == torch.bfloat16):
        logits = model(src, tgt_in)
    logits.float().log_softmax(dim=-1).sum().backward()
    assert logits.isfinite().all()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


def test_window_equals_an_explicit_mask(make_model: MakeModel) -> None:
    local, plain = make_model(attention_window=2, num_encoder_layers=1), make_model(num_encoder_layers=1)
    plain.load_state_dict(local.state_dict())
    src = torch.randint(4, 20, (1, 9))
    band = torch.tensor([[abs(i - j) <= 2 for j in range(9)] for i in range(9)])
    rows = Rows(src != 0, torch.float32)
    x = plain.src_embedding(src[0], torch.arange(9), 9)
    expected = plain.encoder.norm(plain.encoder.layers[0](rows.pack(x[None]), rows, band, None))
    torch.testing.assert_close(local.encode(src), rows.unpack(expected))
    assert not torch.allclose(local.encode(src), plain.encode(src), atol=1e-3)


@pytest.mark.parametrize(("tied", "matrices"), [("all", 1), ("decoder", 2), ("none", 3)])
def test_tied_matrices_are_shared_and_counted_once(make_model: MakeModel, tied: str, matrices: int) -> None:
    model = make_model(tied_embeddings=tied)
    source, target, output = (
        model.src_embedding.tokens.weight,
        model.tgt_embedding.tokens.weight,
        model.output_proj.weight,
    )
    assert (source is target) == (tied == "all")
    assert (output is target) == (tied != "none")
    others = sum(p.numel() for n, p in model.named_parameters() if "tokens" not in n and "output_proj" not in n)
    assert model.num_parameters() == others + matrices * 20 * 16
    torch.testing.assert_close(model.project(torch.eye(16)), output.T)


@pytest.mark.parametrize("tied", ["all", "decoder", "none"])
def test_an_output_bias_is_added_to_the_logits(make_model: MakeModel, tied: str) -> None:
    model = make_model(tied_embeddings=tied, output_bias=True).double()
    hidden = torch.randn(2, 3, 16, dtype=torch.float64)
    plain = hidden @ model.output_proj.weight.T + model.output_proj.bias
    torch.testing.assert_close(model.project(hidden), plain)
    without = make_model(tied_embeddings=tied).num_parameters()
    assert model.num_parameters() == without + 20
    assert torch.equal(Transformer(model.config, 20, 20).output_proj.bias, torch.zeros(20))  # as a training begins


def test_silu_is_x_times_its_sigmoid(make_model: MakeModel) -> None:
    feed_forward = make_model(activation="silu").double().encoder.layers[0].feed_forward
    x = torch.randn(5, 16, dtype=torch.float64)
    inside = x @ feed_forward.in_proj.weight.T + feed_forward.in_proj.bias
    plain = (inside / (1 + (-inside).exp())) @ feed_forward.out_proj.weight.T + feed_forward.out_proj.bias
    torch.testing.assert_close(feed_forward(x), plain)


def test_xavier_draws_each_fused_projection_on_its_own(make_config: MakeConfig) -> None:
    config = make_config(d_model=64, d_ff=128, activation="swiglu")
    layer = Transformer(config, 20, 20).decoder.layers[0]
    for weight, parts, outputs in (
        (layer.self_attention.qkv_proj.weight, 3, 64),
        (layer.cross_attention.kv_proj.weight, 2, 64),
        (layer.feed_forward.in_proj.weight, 2, 128),
    ):
        for matrix in weight.chunk(parts):
            assert matrix.abs().max().item() == pytest.approx((6 / (64 + outputs)) ** 0.5, rel=0.02)


def test_uniform_initialisation_fills_its_interval(make_config: MakeConfig) -> None:
    model = Transformer(make_config(init="uniform", d_model=64), 20, 20)
    weight = model.encoder.layers[0].self_attention.qkv_proj.weight
    assert 0.099 < weight.abs().max() <= 0.1


def test_scaled_embeddings_start_at_unit_variance(make_config: MakeConfig) -> None:
    model = Transformer(make_config(d_model=64, positions="none"), 500, 500)
    embedded = model.src_embedding(torch.arange(500), torch.zeros(500, dtype=torch.int64), 1)
    assert embedded.std().item() == pytest.approx(1, rel=0.03)


def test_bf16_autocast_stays_near_float32(make_model: MakeModel) -> None:
    model = make_model(d_model=32).train()
    src, tgt_in = random_batch()
    exact = model(src, tgt_in)
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(src, tgt_in)
    assert logits.dtype == torch.bfloat16
    torch.testing.assert_close(logits.float(), exact, atol=0.05 * exact.std().item() + 0.05, rtol=0.05)
