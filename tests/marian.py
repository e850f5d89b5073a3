"""Checkpoints of MarianMT, and what transformers and we make of the same sentences."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sentencepiece
import torch
from torch import Tensor

from transformer_mt.data.batching import pad_rows
from transformer_mt.data.pairs import Pair
from transformer_mt.data.vocabulary import BOS_ID, EOS_ID, PAD_ID
from transformer_mt.decoding.scoring import token_log_probs
from transformer_mt.decoding.search import SearchSettings, beam_search
from transformer_mt.decoding.step import ModelStep
from transformer_mt.model.transformer import Transformer

LANGUAGES = ("--src-lang", "en", "--tgt-lang", "fr")
_AT_ONCE = 100


def our_search(model: Transformer, sources: Sequence[Sequence[int]], limit: int, beam_size: int = 1) -> list[list[int]]:
    """The best translation of each source, both with eos, of at most `limit` tokens."""
    settings = SearchSettings(beam_size=beam_size, length_penalty=1.0, bos_id=BOS_ID, eos_id=EOS_ID)
    found: list[list[int]] = []
    with torch.inference_mode():
        for part in _parts(sources):
            limits = torch.full((len(part),), limit)
            found += [[*row[0].tokens, EOS_ID] for row in beam_search(ModelStep(model, part), limits, settings)]
    return found


def their_search(
    model: Any, sources: Sequence[Sequence[int]], limit: int, beam_size: int = 1, pad_id: int = PAD_ID
) -> list[list[int]]:
    """`generate`, up to the first eos."""
    end = model.config.eos_token_id
    found: list[list[int]] = []
    with torch.inference_mode():
        for part in _parts(sources, pad_id):
            rows = model.generate(
                part, attention_mask=(part != pad_id).long(), num_beams=beam_size, max_length=limit + 1
            ).tolist()
            found += [row[1 : row.index(end, 1) + 1] for row in rows]
    return found


def our_log_probs(
    model: Transformer, sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]
) -> list[list[float]]:
    """The log-probability of each token of the targets."""
    found = []
    with torch.inference_mode():
        for start in range(0, len(sources), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            (src,), tgt = _parts(sources[part]), pad_rows([[BOS_ID, *row] for row in targets[part]])
            found += token_log_probs([model], src, torch.from_numpy(tgt))
    return found


def their_log_probs(
    model: Any, sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]], pad_id: int = PAD_ID
) -> list[list[float]]:
    """As `our_log_probs`, without what may not be said (`bad_words_ids`)."""
    start = model.generation_config.decoder_start_token_id
    forbidden = [ids[0] for ids in model.generation_config.bad_words_ids or ()]
    found = []
    with torch.inference_mode():
        for begin in range(0, len(sources), _AT_ONCE):
            part = slice(begin, begin + _AT_ONCE)
            (src,), (tgt_in,) = _parts(sources[part], pad_id), _parts([[start, *row] for row in targets[part]], pad_id)
            logits = model(src, attention_mask=(src != pad_id).long(), decoder_input_ids=tgt_in[:, :-1]).logits
            logits[..., forbidden] = -torch.inf
            log_probs = logits.log_softmax(-1).gather(-1, tgt_in[:, 1:].unsqueeze(-1)).squeeze(-1).tolist()
            found += [row[: len(target)] for row, target in zip(log_probs, targets[part], strict=True)]
    return found


def largest_difference(one: Sequence[Sequence[float]], other: Sequence[Sequence[float]]) -> float:
    """Between the log-probabilities of whole sentences."""
    return max(abs(sum(a) - sum(b)) for a, b in zip(one, other, strict=True))


def _parts(rows: Sequence[Sequence[int]], pad_id: int = PAD_ID) -> list[Tensor]:
    """The rows, a hundred at a time, padded."""
    longest = [max(map(len, rows[i : i + _AT_ONCE])) for i in range(0, len(rows), _AT_ONCE)]
    return [
        torch.tensor([[*row, *[pad_id] * (width - len(row))] for row in rows[number * _AT_ONCE :][:_AT_ONCE]])
        for number, width in enumerate(longest)
    ]


def write_checkpoint(folder: Path, pairs: Sequence[Pair], **sizes: int) -> Path:
    """A random MarianMT checkpoint as those of OPUS-MT are: ids that are no model's, pieces that one side lacks.

    Five pieces of source.spm and five of target.spm have no token.
    """
    from transformers import MarianConfig, MarianMTModel, MarianTokenizer

    folder.mkdir()
    sides = [train_spm(folder / f"{name}.spm", [pair[place] for pair in pairs]) for place, name in _SIDES]
    missing = {side[-7 - 2 * number] for side in sides for number in range(5)}
    shared = sorted({piece for side in sides for piece in side if piece not in missing}, key=lambda piece: piece[::-1])
    vocabulary = {piece: number for number, piece in enumerate(["</s>", "<unk>", *shared, "neither", "<pad>"])}
    (folder / "vocab.json").write_text(json.dumps(vocabulary, indent=2))
    pad_id = vocabulary["<pad>"]
    width = sizes.get("d_model", 64)
    config = MarianConfig(
        **{"d_model": width, "encoder_layers": 6, "decoder_layers": 6, **sizes},
        **{f"{side}_ffn_dim": 4 * width for side in ("encoder", "decoder")},
        **{f"{side}_attention_heads": 8 for side in ("encoder", "decoder")},
        vocab_size=len(vocabulary),
        max_position_embeddings=512,
        activation_function="swish",
        scale_embedding=True,
        init_std=0.6 * width**-0.5,
        pad_token_id=pad_id,
        decoder_start_token_id=pad_id,
        eos_token_id=0,
        forced_eos_token_id=0,
    )
    torch.manual_seed(3)
    model = MarianMTModel(config)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith("bias"):
                weight.normal_(std=0.1)
            elif "attn" in name:
                weight.mul_(2.0)  # so that it says other things of other sentences
        model.model.shared.weight.normal_(std=2.0 * width**-0.5)
        model.model.shared.weight[pad_id] = 0.0
        model.final_logits_bias.normal_(std=0.5)
        model.final_logits_bias[0, pad_id] = 3.0  # which would often be said if it could be
    settings = {"num_beams": 4, "max_length": 24, "bad_words_ids": [[pad_id]], "renormalize_logits": True}
    model.generation_config.update(**settings)
    model.save_pretrained(folder)
    tokenizer = MarianTokenizer(*(str(folder / name) for name in ("source.spm", "target.spm", "vocab.json")))
    tokenizer.save_pretrained(folder)
    return folder


_SIDES = ((1, "source"), (2, "target"))


def train_spm(path: Path, lines: Sequence[str], vocab_size: int = 500) -> list[str]:
    """A model with SentencePiece's own settings; returns its pieces, likeliest first."""
    with path.open("wb") as file:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(lines), model_writer=file, vocab_size=vocab_size, minloglevel=3
        )
    model = sentencepiece.SentencePieceProcessor(model_file=str(path))
    return [model.id_to_piece(number) for number in range(3, model.get_piece_size())]


def change_json(path: Path, changes: dict[str, Any]) -> None:
    """Change keys of a file; `...` removes one."""
    values = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({key: value for key, value in values.items() if value is not ...}))
