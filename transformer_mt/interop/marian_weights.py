"""How the weights of our layers are called in transformers' Marian and Pegasus, which have them apart."""

from collections.abc import Iterator, Mapping

from torch import Tensor

from transformer_mt.config.schema import ModelConfig

_ENCODER_PARTS = {
    "self_attention.qkv_proj": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "self_attention.out_proj": ("self_attn.out_proj",),
    "self_attention_norm": ("self_attn_layer_norm",),
    "feed_forward.in_proj": ("fc1",),
    "feed_forward.out_proj": ("fc2",),
    "feed_forward_norm": ("final_layer_norm",),
}
_DECODER_PARTS = {
    **_ENCODER_PARTS,
    "cross_attention.q_proj": ("encoder_attn.q_proj",),
    "cross_attention.kv_proj": ("encoder_attn.k_proj", "encoder_attn.v_proj"),
    "cross_attention.out_proj": ("encoder_attn.out_proj",),
    "cross_attention_norm": ("encoder_attn_layer_norm",),
}


def layer_weights(config: ModelConfig) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The name of each weight of both stacks with those that, one after the other, are it in transformers."""
    for side, num_layers, parts in (
        ("encoder", config.num_encoder_layers, _ENCODER_PARTS),
        ("decoder", config.num_decoder_layers, _DECODER_PARTS),
    ):
        for kind in ("weight", "bias"):
            for layer in range(num_layers):
                for ours, theirs in parts.items():
                    names = tuple(f"model.{side}.layers.{layer}.{name}.{kind}" for name in theirs)
                    yield f"{side}.layers.{layer}.{ours}.{kind}", names
            if config.norm_order == "pre":
                yield f"{side}.norm.{kind}", (f"model.{side}.layer_norm.{kind}",)


def split_weights(tensors: Mapping[str, Tensor], config: ModelConfig) -> dict[str, Tensor]:
    """Copies of the weights of both stacks, under transformers' names."""
    found: dict[str, Tensor] = {}
    for ours, theirs in layer_weights(config):
        parts = tensors[ours].detach().chunk(len(theirs))
        found.update((name, part.clone()) for name, part in zip(theirs, parts, strict=True))
    return found
