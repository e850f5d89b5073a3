"""What happens inside a Transformer while it reads one sentence and says its translation."""

from dataclasses import dataclass, fields

from torch import Tensor


@dataclass(frozen=True, slots=True)
class Trace:
    """Axes: S source length, T target length, L layers of that side, H heads, D d_model.

    Row t of what concerns the target belongs to token t of the translation: it is what is known when that is said,
    which is the token before it (bos for the first) and all that came earlier.
    """

    src_states: Tensor
    """(L + 1, S, D): what enters the first encoder layer, and what comes out of each; before any last norm."""
    tgt_states: Tensor
    """(L + 1, T, D): the same of the decoder."""
    encoder_attention: Tensor
    """(L, H, S, S), like all weights in float32 or wider; each row sums to 1."""
    decoder_attention: Tensor
    """(L, H, T, T): how the decoder attends to bos and the tokens before."""
    memory_attention: Tensor
    """(L, H, T, S): how it attends to the source."""
    hidden: Tensor
    """(T, D): what the output matrix makes logits of."""

    def on_host(self) -> "Trace":
        """The same in float32 on the CPU."""
        return Trace(*(getattr(self, field.name).float().cpu() for field in fields(self)))
