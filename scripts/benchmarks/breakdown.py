"""Where the time of training steps goes, by kind of operation, and the least that the matrix products could take."""

import re
import time
from collections.abc import Callable, Sequence

import torch
from torch.profiler import ProfilerActivity, profile

from transformer_mt.native import kernels

Kinds = Sequence[tuple[str, str]]

TRAINING: Kinds = (
    ("matrix products", r"aten::(add|bad)?d?(mm|bmm|baddbmm|addmm|linear|mv)$|mkldnn|onednn"),
    ("optimizer", r"adam|lerp|foreach|clip|aten::(linalg_vector_)?norm|sqrt"),
    ("layer norm", r"layer_norm|rms_norm"),
    ("softmax of attention", r"softmax"),
    ("loss", r"gather|scatter|aten::(exp|log|amax)_?$|^_Loss"),
    ("dropout", r"random|_DropAndAdd|aten::ge|addcmul|bernoulli|dropout"),
    ("moving rows, heads and embeddings", r"index|embedding|nonzero|_Move|masked"),
    ("copies, conversions, zeros", r"copy|aten::(cat|pad|constant_pad_nd|fill|zero|to|empty|clone|contiguous)"),
    ("sums of gradients", r"aten::sum"),
)
"""The first kind that an operation's name matches is its kind; the rest is `other operations`."""
DECODING: Kinds = (
    ("compiled loops: layers of the decoder", r"^loops: layers"),
    ("compiled loops: other linear maps", r"^loops: linear"),
    ("compiled loops: attention", r"^loops: attend"),
    ("compiled loops: log-softmax and the best", r"^loops:"),
    ("matrix products", r"aten::(add|bad)?d?(mm|bmm|baddbmm|addmm|linear|mv)$|mkldnn|onednn"),
    ("attention of the encoder", r"scaled_dot_product"),
    ("layer norm", r"layer_norm|rms_norm"),
    ("softmax", r"softmax"),
    ("moving rows, heads and embeddings", r"index|embedding|nonzero|gather|masked"),
    ("copies, conversions, zeros", r"copy|aten::(cat|pad|constant_pad_nd|fill|zero|to|empty|clone|contiguous)"),
    ("additions", r"aten::(add|mul|sub)_?$"),
)


class Breakdown:
    """Milliseconds a step in each kind of operation."""

    def __init__(self, run_step: Callable[[], object], num_steps: int = 10, kinds: Kinds = TRAINING) -> None:
        """Profile `num_steps` calls of run_step; operations that call others count without these."""
        self.num_steps, self.kinds = num_steps, kinds
        started = time.perf_counter()
        for _ in range(num_steps):
            run_step()
        self.step_ms = (time.perf_counter() - started) / num_steps * 1e3
        with profile(activities=[ProfilerActivity.CPU]) as profiled:
            started = time.perf_counter()
            for _ in range(num_steps):
                run_step()
            self.profiled_ms = (time.perf_counter() - started) / num_steps * 1e3
        self.operations = {event.key: event.self_cpu_time_total / num_steps / 1e3 for event in profiled.key_averages()}

    def by_kind(self) -> dict[str, float]:
        """The kinds with their time, and last what no operation accounts for: Python."""
        totals = dict.fromkeys([kind for kind, _ in self.kinds] + ["other operations"], 0.0)
        for name, milliseconds in self.operations.items():
            totals[self._kind_of(name)] += milliseconds
        return {**totals, "Python between operations": max(0.0, self.profiled_ms - sum(totals.values()))}

    def table(self) -> str:
        """For people."""
        rows = [*self.by_kind().items(), ("the whole step", self.profiled_ms), ("without the profiler", self.step_ms)]
        lines = [f"{name:40s} {milliseconds:8.1f} ms" for name, milliseconds in rows]
        longest = sorted(self.operations.items(), key=lambda item: -item[1])[:25]
        return "\n".join([*lines, "", *(f"    {name[:50]:50s} {ms:8.1f} ms" for name, ms in longest)])

    def _kind_of(self, name: str) -> str:
        found = (kind for kind, pattern in self.kinds if re.search(pattern, name, re.IGNORECASE))
        return next(found, "other operations")


def product_flops(dtype: torch.dtype, width: int, device: torch.device) -> float:
    """Floating-point operations a second of products (4096, width) by (width, 4 width): the best of a second."""
    a = torch.randn(4096, width, dtype=dtype, device=device)
    b = torch.randn(width, 4 * width, dtype=dtype, device=device)
    return 2 * 4096 * width * 4 * width / _least_seconds(lambda: a @ b, device)


def int8_rate(width: int) -> float:
    """The same of our products in int8 on the CPU."""
    weights = kernels.int8_weights(torch.randn(4 * width, width), None)
    x = torch.randn(4096, width).bfloat16()
    return 2 * 4096 * width * 4 * width / _least_seconds(lambda: kernels.linear_int8(x, weights), x.device)


def _least_seconds(compute: Callable[[], object], device: torch.device) -> float:
    best, end = float("inf"), time.perf_counter() + 1.0
    while time.perf_counter() < end:
        started = time.perf_counter()
        compute()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        best = min(best, time.perf_counter() - started)
    return best
