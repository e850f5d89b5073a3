"""The cached step equals the whole decoder at every position, whatever was done to the cache."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from transformer_mt.model.cache import DecoderCache
from transformer_mt.model.transformer import Transformer

MakeModel = Callable[..., Transformer]

B, K, T = 3, 3, 40  # longer than the cache's first room, twice over

each_model = pytest.mark.parametrize(
    "variant",
    [
        {"positions": positions, "norm_order": order, "attention_window": window}
        for positions in ("sinusoidal", "learned", "rotary", "none")
        for order in ("pre", "post")
        for window in (None, 3)
    ],
    ids=lambda v: f"{v['positions']}-{v['norm_order']}-{v['attention_window']}",
)


def sentences() -> tuple[Tensor, Tensor]:
    """src (B, 7), padded, and tgt_in (B, K, T), all hypotheses different from the first token on."""
    torch.manual_seed(1)
    src = torch.randint(4, 20, (B, 7))
    src[1, 4:] = 0
    return src, torch.randint(4, 20, (B, K, T))


def full_decode(model: Transformer, src: Tensor, tgt_in: Tensor) -> Tensor:
    """Hidden states of tgt_in (B, K, T) without a cache."""
    num_hypotheses = tgt_in.shape[1]
    src = src.repeat_interleave(num_hypotheses, dim=0)
    hidden = model.decode(tgt_in.flatten(0, 1), model.encode(src), model.source_mask(src))
    return hidden.unflatten(0, tgt_in.shape[:2])


@each_model
def test_each_step_equals_the_whole_decoder(make_model: MakeModel, variant: dict[str, object]) -> None:
    model = make_model(**variant)
    src, tgt_in = sentences()
    expected = full_decode(model, src, tgt_in)
    cache, cross_kv, mask = model.new_cache(), model.decoder_memory(model.encode(src)), model.source_mask(src)
    for t in range(T):
        hidden = model.step(tgt_in[:, :, t], t, cache, cross_kv, mask)
        torch.testing.assert_close(hidden, expected[:, :, t], atol=1e-5, rtol=1e-5)


@each_model
def test_steps_after_reorder_and_select_equal_the_whole_decoder(
    make_model: MakeModel, variant: dict[str, object]
) -> None:
    """The beam grows from 1 to K hypotheses, they change places at each step, and sentences leave."""
    model = make_model(**variant)
    src, tokens = sentences()
    prefixes = tokens[:, :1, :1]
    cache, cross_kv, mask = model.new_cache(), model.decoder_memory(model.encode(src)), model.source_mask(src)
    for t in range(20):
        if t > 0:
            parents = torch.randint(0, prefixes.shape[1], (src.shape[0], K))
            cache.reorder(parents)
            chosen = prefixes.gather(1, parents.unsqueeze(-1).expand(-1, -1, t))
            prefixes = torch.cat([chosen, tokens[: src.shape[0], :, t : t + 1]], dim=-1)
        if t in (5, 18):
            rows = torch.tensor([2, 0]) if t == 5 else torch.tensor([1])
            cache.select(rows)
            src, mask, prefixes = src[rows], mask[rows], prefixes[rows]
            cross_kv = [(k[rows], v[rows]) for k, v in cross_kv]
        hidden = model.step(prefixes[:, :, t], t, cache, cross_kv, mask)
        torch.testing.assert_close(hidden, full_decode(model, src, prefixes)[:, :, t], atol=1e-5, rtol=1e-5)


def test_cache_gives_back_what_was_written_for_the_right_rows() -> None:
    cache = DecoderCache(num_layers=2)
    written = torch.randn(70, 2, 2, 3, 1, 4)  # position, keys or values, B, K, H, E
    for t in range(70):
        for layer in range(2):
            keys, values = cache.write(layer, t, written[t, 0] + layer, written[t, 1] + layer)
            assert torch.equal(keys, written[: t + 1, 0].movedim(0, 3) + layer)
            assert torch.equal(values, written[: t + 1, 1].movedim(0, 3) + layer)


def test_unused_cache_may_be_reordered_and_selected() -> None:
    cache = DecoderCache(num_layers=1)
    cache.reorder(torch.tensor([[0, 0]]))
    cache.select(torch.tensor([0]))
    assert cache.buffer is None
