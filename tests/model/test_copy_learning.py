"""The proof that all parts fit: a token is carried over 200 positions."""

import torch
import torch.nn.functional as F
from torch import Tensor

from transformer_mt.config.schema import ModelConfig
from transformer_mt.model.transformer import Transformer

LENGTH, VOCAB_SIZE = 200, 16


def random_targets(count: int) -> tuple[Tensor, Tensor]:
    """A source that says nothing, and targets (count, LENGTH) of random tokens."""
    return torch.full((count, 1), 3), torch.randint(4, VOCAB_SIZE, (count, LENGTH))


def test_learns_to_copy_the_first_token_over_200_positions() -> None:
    torch.manual_seed(1)
    sizes = {"d_model": 64, "num_heads": 2, "d_ff": 64, "num_encoder_layers": 1, "num_decoder_layers": 1}
    model = Transformer(ModelConfig(**sizes, dropout=0.0, embedding_dropout=0.0), VOCAB_SIZE, VOCAB_SIZE)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(800):  # about 500 are enough
        src, tgt_in = random_targets(8)
        logits = model(src, tgt_in)  # at every position the first token is asked for: the near ones teach the far ones
        loss = F.cross_entropy(logits.flatten(0, 1), tgt_in[:, :1].expand(-1, LENGTH).flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if loss.item() < 0.005:  # well below what one wrong sentence in a batch costs
            break
    src, tgt_in = random_targets(64)
    with torch.no_grad():
        copied = model(src, tgt_in)[:, -1].argmax(dim=-1)
    assert torch.equal(copied, tgt_in[:, 0])
