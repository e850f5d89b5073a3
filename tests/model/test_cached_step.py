"""The cached step equals the whole decoder at every position, whatever was done to the cache."""

import itertools
import shutil
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from transformer_mt.model.cache import DecoderCache
from transformer_mt.model.transformer import Transformer
from transformer_mt.native import kernels

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


@pytest.fixture(params=["PyTorch", "compiled loops"])
def num_heads(request: pytest.FixtureRequest) -> Iterator[int]:
    """So many heads that attention is computed in one way or the other."""
    if request.param == "PyTorch":
        yield 2
        return
    if shutil.which("cc") is None:
        pytest.skip("there is no C compiler here")
    with torch.inference_mode():
        assert kernels.can_attend(torch.zeros(1), 16)
        yield 1


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
def test_each_step_equals_the_whole_decoder(make_model: MakeModel, variant: dict[str, object], num_heads: int) -> None:
    model = make_model(**variant, num_heads=num_heads)
    src, tgt_in = sentences()
    expected = full_decode(model, src, tgt_in)
    cache, memory_keys = model.new_cache(), model.decoder_memory(model.encode(src), model.source_mask(src))
    for t in range(T):
        hidden = model.step(tgt_in[:, :, t], t, cache, memory_keys)
        torch.testing.assert_close(hidden, expected[:, :, t], atol=1e-5, rtol=1e-5)


@each_model
def test_steps_after_reorder_and_select_equal_the_whole_decoder(
    make_model: MakeModel, variant: dict[str, object], num_heads: int
) -> None:
    """Hypotheses come from one, change places at each step and die, and sentences leave."""
    model = make_model(**variant, num_heads=num_heads)
    src, tokens = sentences()
    prefixes = tokens[:, :, :1]
    cache, memory_keys = model.new_cache(), model.decoder_memory(model.encode(src), model.source_mask(src))
    for t in range(20):
        if t > 0:
            parents = torch.randint(0, 1 if t == 1 else K, (src.shape[0], K))
            cache.reorder(parents)
            chosen = prefixes.gather(1, parents.unsqueeze(-1).expand(-1, -1, t))
            prefixes = torch.cat([chosen, tokens[: src.shape[0], :, t : t + 1]], dim=-1)
        if t in (5, 18):
            rows = torch.tensor([2, 0]) if t == 5 else torch.tensor([1])
            cache.select(rows)
            src, prefixes = src[rows], prefixes[rows]
            memory_keys = model.decoder_memory(model.encode(src), model.source_mask(src))
        hidden = model.step(prefixes[:, :, t], t, cache, memory_keys)
        torch.testing.assert_close(hidden, full_decode(model, src, prefixes)[:, :, t], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("num_parents", [1, 2, K])
def test_a_hypothesis_sees_what_its_ancestors_wrote_and_nothing_else(num_parents: int) -> None:
    """Also when branches have died and been left out, which happens the sooner the fewer go on."""
    torch.manual_seed(1)
    cache = DecoderCache(num_layers=2)
    ancestry = torch.zeros(B, K, 0, dtype=torch.long)  # which hypothesis wrote each position of mine
    written = torch.randn(70, 2, B, K, 2, 4)  # position, keys or values, B, K, H, E
    for t in range(70):
        ancestry = torch.cat([ancestry, torch.arange(K).expand(B, K).unsqueeze(-1)], dim=-1)
        for layer in range(2):
            seen = cache.write(layer, t, written[t, 0] + layer, written[t, 1] + layer)
            assert seen.bias is not None
            for b, k in itertools.product(range(B), range(K)):
                expected = written[torch.arange(t + 1), :, b, ancestry[b, k]] + layer  # (t + 1, 2, H, E)
                visible = seen.bias[b, 0, k] == 0
                assert torch.equal(seen.keys[b, :, visible], expected[:, 0].transpose(0, 1))
                assert torch.equal(seen.values[b, :, visible], expected[:, 1].transpose(0, 1))
        parents = torch.randint(0, num_parents, (B, K))
        cache.reorder(parents)
        ancestry = ancestry.gather(1, parents.unsqueeze(-1).expand_as(ancestry))
    assert cache.num_written < 100  # of 70 * K that were written


def test_unused_cache_may_be_reordered_and_selected() -> None:
    cache = DecoderCache(num_layers=1)
    cache.reorder(torch.tensor([[0, 0]]))
    cache.select(torch.tensor([0]))
    assert cache.buffer is None
