"""Our model beside CTranslate2's export of it, on the same lines. With 500 lines of your own:

python -m tests.interop.parity BUNDLE SRC TGT
"""

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from transformer_mt.bundle import Bundle, load_bundle
from transformer_mt.data.batching import pad_rows
from transformer_mt.data.tokenizer import Tokenizer
from transformer_mt.data.vocabulary import BOS_ID, EOS_ID
from transformer_mt.decoding.scoring import token_log_probs
from transformer_mt.decoding.search import Hypothesis, SearchSettings, beam_search
from transformer_mt.decoding.step import ModelStep
from transformer_mt.interop.ctranslate2 import export_ctranslate2


class Sides:
    """A bundle and its export, with the lines that both translate. Translations are rows of pieces."""

    def __init__(self, bundle: Bundle, directory: Path, lines: Sequence[str], quantization: str = "float32") -> None:
        from ctranslate2 import Translator as Engine

        export_ctranslate2(bundle, directory, quantization)
        self.bundle = bundle
        self.engine: Any = Engine(str(directory), intra_threads=1)
        self.ids = bundle.tokenizers.src.encode(lines)
        self.pieces = [bundle.tokenizers.src.pieces(row) for row in self.ids]

    def ours(self, most: int, beam_size: int = 1, length_penalty: float = 1) -> list[list[str]]:
        """Our translations, of at most so many pieces."""
        settings = SearchSettings(beam_size=beam_size, length_penalty=length_penalty, bos_id=BOS_ID, eos_id=EOS_ID)
        limits = torch.full((len(self.ids),), most + 1)  # ours counts the end
        with torch.inference_mode():
            found: list[list[Hypothesis]] = beam_search(ModelStep(self.bundle.model, self._src()), limits, settings)
        return [self.bundle.tokenizers.tgt.pieces(row[0].tokens) for row in found]

    def theirs(self, most: int, beam_size: int = 1, patience: float = 1, length_penalty: float = 1) -> list[Any]:
        """CTranslate2's results, with scores."""
        return self.engine.translate_batch(  # type: ignore[no-any-return]
            self.pieces,
            beam_size=beam_size,
            patience=patience,
            length_penalty=length_penalty,
            max_decoding_length=most,
            min_decoding_length=0,
            return_scores=True,
        )

    def log_probs(self, targets: Sequence[Sequence[str]]) -> list[list[float]]:
        """Ours of each piece of `targets`, and of the end."""
        rows = ids_of(self.bundle.tokenizers.tgt, targets)
        with torch.inference_mode():
            padded = torch.from_numpy(pad_rows([[BOS_ID, *row, EOS_ID] for row in rows]))
            return token_log_probs([self.bundle.model], self._src(), padded)

    def largest_difference(self, targets: Sequence[Sequence[str]]) -> float:
        """Between our log-probability of any piece of `targets` and CTranslate2's."""
        theirs = [one.log_probs for one in self.engine.score_batch(self.pieces, targets)]
        return max(
            abs(a - b)
            for one, other in zip(self.log_probs(targets), theirs, strict=True)
            for a, b in zip(one, other, strict=True)
        )

    def _src(self) -> Tensor:
        return torch.from_numpy(pad_rows([[*row, EOS_ID] for row in self.ids]))


def best(results: Sequence[Any]) -> list[list[str]]:
    """The best hypothesis of each of CTranslate2's results."""
    return [result.hypotheses[0] for result in results]


def ids_of(tokenizer: Tokenizer, rows: Sequence[Sequence[str]]) -> list[list[int]]:
    """The ids of pieces."""
    ids = {piece: number for number, piece in enumerate(tokenizer.pieces(range(tokenizer.vocab_size)))}
    return [[ids[piece] for piece in row] for row in rows]


def num_equal(ones: Sequence[list[str]], others: Sequence[list[str]]) -> int:
    """How many rows are the same."""
    return sum(one == other for one, other in zip(ones, others, strict=True))


def main() -> None:
    """Print how far the two agree on the first 500 lines, for each type of weights."""
    bundle = load_bundle(Path(sys.argv[1]))
    src, tgt = (Path(name).read_text(encoding="utf-8").split("\n")[:500] for name in sys.argv[2:])
    penalty = bundle.config.decoding.length_penalty
    references = [bundle.tokenizers.tgt.pieces(row) for row in bundle.tokenizers.tgt.encode(tgt)]
    for quantization in ("float32", "float16", "int8"):
        with tempfile.TemporaryDirectory() as folder:
            sides = Sides(bundle, Path(folder) / "ct2", src, quantization)
            size = (Path(folder) / "ct2" / "model.bin").stat().st_size / 1e6
        greedy, beam = sides.ours(100), sides.ours(100, 5, penalty)
        equal = [num_equal(greedy, best(sides.theirs(100)))]
        equal += [num_equal(beam, best(sides.theirs(100, 5, patience, penalty))) for patience in (1, 2)]
        print(
            f"{quantization}, {size:.1f} MB: of {len(src)} lines {equal[0]} are the same greedily, {equal[1]} with a "
            f"beam of 5, {equal[2]} with patience 2; log-probabilities of pieces differ by at most "
            f"{sides.largest_difference(greedy):.1e}, in references by {sides.largest_difference(references):.1e}"
        )


if __name__ == "__main__":
    main()
