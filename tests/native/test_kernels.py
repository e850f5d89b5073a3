"""The compiled loops beside PyTorch in float64, on tensors laid out as decoding lays them out."""

import shutil

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from transformer_mt.model.cache import HIDDEN
from transformer_mt.native import kernels

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler here")

TOLERANCE = {torch.float32: 2e-6, torch.bfloat16: 8e-3}
TYPES = list(TOLERANCE)


def exact_attention(q: Tensor, keys: Tensor, values: Tensor, bias: Tensor | None) -> Tensor:
    wide = [x.double() for x in (q.transpose(1, 2), keys, values)]
    mask = None if bias is None else bias == 0
    return F.scaled_dot_product_attention(*wide, attn_mask=mask).transpose(1, 2).flatten(2)


def check_attention(q: Tensor, keys: Tensor, values: Tensor, bias: Tensor | None) -> None:
    with torch.inference_mode():
        found = kernels.attend(q, keys, values, bias)
    assert found.dtype == q.dtype
    tolerance = TOLERANCE[q.dtype]
    torch.testing.assert_close(found.double(), exact_attention(q, keys, values, bias), atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("width", [16, 32, 48, 64, 128])
@pytest.mark.parametrize("num_hypotheses", [1, 5])
def test_attention_to_a_memory_with_padding(dtype: torch.dtype, width: int, num_hypotheses: int) -> None:
    torch.manual_seed(width)
    q = torch.randn(3, num_hypotheses, 4 * width).to(dtype).unflatten(-1, (4, width))
    keys, values = torch.randn(3, 37, 2, 4, width).to(dtype).transpose(1, 3).unbind(2)  # one product made both
    hidden = torch.arange(37) >= torch.tensor([[37], [20], [1]])
    bias = torch.zeros(3, 1, 1, 37, dtype=dtype).masked_fill(hidden[:, None, None], HIDDEN)
    check_attention(q, keys, values, bias)
    check_attention(q, keys, values, None)


@pytest.mark.parametrize("dtype", TYPES)
def test_attention_to_a_tree_of_hypotheses_in_a_buffer_with_room(dtype: torch.dtype) -> None:
    torch.manual_seed(2)
    q = torch.randn(7, 5, 3 * 128).to(dtype).chunk(3, dim=-1)[0].unflatten(-1, (2, 64))
    buffer = torch.full((2, 7, 2, 90, 64), torch.nan, dtype=dtype)
    buffer[..., :60, :] = torch.randn(2, 7, 2, 60, 64)
    bias = torch.full((7, 1, 5, 90), HIDDEN, dtype=dtype)
    bias[..., :60].masked_fill_(torch.rand(7, 1, 5, 60) < 0.2, 0.0)
    bias[..., 0] = 0.0
    check_attention(q, *buffer[..., :60, :], bias[..., :60])


@pytest.mark.parametrize("batch,num_hypotheses", [(1, 5), (5, 1), (1, 1), (4, 3)])
def test_attention_of_queries_in_any_layout(batch: int, num_hypotheses: int) -> None:
    torch.manual_seed(3)
    keys, values = torch.randn(2, batch, 2, 9, 16)
    for axes in ((0, 1, 2, 3), (1, 0, 2, 3), (2, 0, 1, 3), (3, 1, 2, 0)):
        shape = [(batch, num_hypotheses, 2, 16)[axis] for axis in axes]
        q = torch.randn(shape).permute([axes.index(axis) for axis in range(4)])
        check_attention(q, keys, values, None)
        check_attention(q, keys.mT.contiguous().mT, values, None)


def test_attention_survives_large_scores() -> None:
    q = torch.full((1, 1, 1, 16), 1e4)
    keys = torch.stack([torch.full((16,), 1e4), torch.full((16,), -1e4)])[None, None]
    check_attention(q, keys, torch.randn(1, 1, 2, 16), None)


def test_attention_takes_any_bias_and_no_tensors_that_do_not_go_together() -> None:
    torch.manual_seed(4)
    q, keys, values = torch.randn(2, 3, 1, 16).bfloat16(), *torch.randn(2, 2, 1, 9, 16).bfloat16()
    hidden = torch.zeros(9, 2).masked_fill_(torch.arange(9)[:, None] > torch.tensor([4, 7]), HIDDEN)
    for bias in (hidden.T[:, None, None], hidden.T[:1, None, None]):  # float32, transposed, of all sentences
        check_attention(q, keys, values, bias)
    with torch.inference_mode():
        nothing = kernels.attend(q, keys, values, torch.full((2, 1, 1, 9), HIDDEN))
        assert torch.equal(nothing, torch.zeros(2, 3, 16, dtype=torch.bfloat16))
        for wrong in ((q[:1], keys, values), (q, keys, values[:, :, :5]), (q, keys, values.float())):
            with pytest.raises(ValueError, match="do not go"):
                kernels.attend(*wrong, None)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("width", [16, 48, 64])
def test_attention_within_sentences_that_follow_each_other(dtype: torch.dtype, width: int) -> None:
    torch.manual_seed(width)
    lengths = torch.tensor([3, 0, 17, 1, 40])
    qkv = torch.randn(64, 3, 2, width).to(dtype)
    with torch.inference_mode():
        found = kernels.attend_within(qkv, lengths)
        assert torch.equal(found, kernels.attend_within(qkv.mT.contiguous().mT, lengths))
        alone = [kernels.attend_within(one, torch.tensor([len(one)])) for one in qkv[:61].split(lengths.tolist())[2:]]
    assert torch.equal(found[3:61], torch.cat(alone))
    assert found.dtype == dtype and torch.equal(found[61:], torch.zeros(3, 2 * width, dtype=dtype))
    for one, rows in zip(qkv[:61].split(lengths.tolist()), found[:61].split(lengths.tolist()), strict=True):
        q, k, v = one.double().permute(1, 2, 0, 3)[:, None]
        exact = F.scaled_dot_product_attention(q, k, v)[0].transpose(0, 1).flatten(1)
        torch.testing.assert_close(rows.double(), exact, atol=TOLERANCE[dtype], rtol=TOLERANCE[dtype])
    for wrong in ([65], [-1, 3]):
        with pytest.raises(ValueError, match="no room"):
            kernels.attend_within(qkv, torch.tensor(wrong))


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("size", [1, 3, 64, 10_007])
def test_log_softmax(dtype: torch.dtype, size: int) -> None:
    torch.manual_seed(size)
    logits = (torch.randn(2, 3, size) * torch.tensor([0.1, 5.0, 100.0]).unsqueeze(1)).to(dtype)
    logits[0, 0, : size // 2] = -torch.inf
    with torch.inference_mode():
        found = kernels.log_softmax(logits)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), logits.double().log_softmax(-1), atol=2e-5, rtol=2e-6)


def test_of_equal_continuations_the_first_is_taken() -> None:
    with torch.inference_mode():
        best, parents, tokens = kernels.best_continuations(torch.zeros(1, 2), torch.zeros(1, 2, 200), 3)
    assert parents.tolist() == [[0, 0, 0]] and tokens.tolist() == [[0, 1, 2]] and best.tolist() == [[0.0, 0.0, 0.0]]


def test_they_are_not_used_where_a_gradient_is_wanted_or_types_differ() -> None:
    x = torch.randn(2)
    assert not kernels.are_usable(x)
    with torch.inference_mode():
        assert kernels.are_usable(x)
        assert not kernels.are_usable(x.double())
        assert not kernels.can_attend(x, 24)
