"""Training speed of Hugging Face Transformers' MarianMTModel on the very batches that ours is measured on.

Needs the package transformers beside transformer_mt. For a card: bf16 by automatic mixed precision, PyTorch's own
attention kernels, fused Adam, and nothing read back from the card in a step. One line of JSON, with the keys of
`scripts/benchmark train`.
"""

import argparse
import json
import time
from typing import Any

import torch
import torch.nn.functional as F
import train
from transformers import MarianConfig, MarianMTModel

from transformer_mt.data.batching import Batch, make_batch
from transformer_mt.data.vocabulary import BOS_ID, EOS_ID, PAD_ID
from transformer_mt.device import autocast
from transformer_mt.tensors import moved
from transformer_mt.training.trainer import Trainer


def main() -> None:
    """Measure once."""
    parser = argparse.ArgumentParser(description=__doc__)
    train.add_options(parser)
    args = parser.parse_args()
    trainer = train.prepared_trainer(args)  # for its batches, device and precision
    model = model_of(args.size, trainer.corpus.vocab_size).to(trainer.device).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, betas=(0.9, 0.98), fused=True)
    position, tokens, updates, started = 0, 0, 0, 0.0
    while not started or time.perf_counter() - started < args.seconds:
        if position == args.skip:
            train.settle(trainer)
            tokens, updates, started = 0, 0, time.perf_counter()
        batch = make_batch(trainer.corpus, trainer.plan.batch_pairs(position % len(trainer.plan)))
        step(model, optimizer, batch, trainer)
        tokens, updates, position = tokens + batch.num_target_tokens, updates + 1, position + 1
    train.settle(trainer)
    elapsed = time.perf_counter() - started
    row: dict[str, Any] = {
        "toolkit": "transformers",
        "task": "train",
        "size": args.size,
        "tgt_tok_s": round(tokens / elapsed),
        "updates": updates,
        "precision": trainer.precision,
    }
    if trainer.device.type == "cuda":
        row |= train.on_a_card(trainer, tokens / updates, elapsed / updates)
    print(json.dumps(row))


def model_of(size: str, vocab_size: int) -> MarianMTModel:
    """The architecture that all are measured with, but for the place of the norms (after each block)."""
    numbers = train.SIZES[size]
    return MarianMTModel(
        MarianConfig(
            vocab_size=vocab_size,
            d_model=numbers["d_model"],
            encoder_layers=numbers["layers"],
            decoder_layers=numbers["layers"],
            encoder_attention_heads=numbers["num_heads"],
            decoder_attention_heads=numbers["num_heads"],
            encoder_ffn_dim=numbers["d_ff"],
            decoder_ffn_dim=numbers["d_ff"],
            dropout=numbers["dropout"],
            attention_dropout=0.0,
            activation_dropout=0.0,
            activation_function="relu",
            max_position_embeddings=256,
            scale_embedding=True,
            share_encoder_decoder_embeddings=True,
            pad_token_id=PAD_ID,
            eos_token_id=EOS_ID,
            decoder_start_token_id=BOS_ID,
        )
    )


def step(model: MarianMTModel, optimizer: torch.optim.Optimizer, batch: Batch, trainer: Trainer) -> None:
    """One update with label smoothing of 0.1."""
    src, tgt_in, tgt_out = (moved(x, trainer.device) for x in (batch.src, batch.tgt_in, batch.tgt_out))
    with autocast(trainer.device, trainer.precision):
        logits = model(input_ids=src, attention_mask=(src != PAD_ID).long(), decoder_input_ids=tgt_in).logits
        loss = F.cross_entropy(
            logits.flatten(0, 1), tgt_out.flatten(), ignore_index=PAD_ID, label_smoothing=0.1, reduction="sum"
        )
    (loss / batch.num_target_tokens).backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


if __name__ == "__main__":
    main()
