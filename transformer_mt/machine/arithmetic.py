"""What this machine computes with: devices, precisions with the choice of `auto`, and the compiled loops."""

import os
import shutil
import subprocess
import time
from typing import Any

import torch

from transformer_mt.decoding.precision import decoding_precision, precisions
from transformer_mt.device import resolve_device, resolve_precision
from transformer_mt.machine import limits as of_system
from transformer_mt.machine.examination import Finding, Section
from transformer_mt.machine.limits import Limits
from transformer_mt.native import build, kernels

_LEAST_SHARED = 64 << 20
_WIDTH, _WIDTH_ON_CARDS, _TIMES = 768, 8192, 5
"""Of the matrices that are multiplied, large enough to measure products and no more; and how often: the best counts."""
_UNITS = {0: "none", 1: "AVX512-VNNI", 2: "AMX"}


def devices(limits: Limits) -> Section:
    """The processor and the cards that torch sees; a card that it does not see is told of."""
    facts: dict[str, Any] = {"cpu": "always"}
    for number in range(torch.cuda.device_count()):
        about = torch.cuda.get_device_properties(number)
        facts[f"cuda:{number}"] = f"{about.name}, {about.total_memory / 1e9:.0f} GB, {about.major}.{about.minor}"
    if torch.backends.mps.is_available():
        facts["mps"] = "Apple's"
    facts["torch is built for"] = f"CUDA {torch.version.cuda}" if torch.version.cuda else "the CPU"
    findings = []
    if (limits.proc / "driver" / "nvidia" / "version").exists() and not torch.cuda.is_available():
        mend = "it is a build for the CPU; pytorch.org/get-started says which command installs another"
        if torch.version.cuda:
            mend = f"its driver may be older than CUDA {torch.version.cuda} needs; nvidia-smi tells; update it"
        findings.append(Finding(f"there is an NVIDIA card, but torch does not see it; {mend}", False))
    shared = of_system.free_bytes(limits.shared_memory)
    if torch.cuda.device_count() > 1 and shared is not None and shared < _LEAST_SHARED:
        free = f"{limits.shared_memory}: {shared / 1e6:.0f} MB free"
        text = f"{free}, which several cards need more of; docker: --shm-size=1g"
        findings.append(Finding(text, False))
    return Section("devices", facts, findings)


def precision() -> Section:
    """What `auto` chooses, why, and how fast products are in each."""
    device = resolve_device("auto")
    chosen = resolve_precision("auto", device)
    rates = {name: _rate(device, kind) for name, kind in (("fp32", torch.float32), ("bf16", torch.bfloat16))}
    why = f"{device} computes in bf16 natively" if chosen == "bf16" else f"{device} has no native bf16"
    facts = {
        "training.precision: auto": f"{chosen} ({why})",
        "decoding.precision: auto": f"{decoding_precision('auto', device)} (of {', '.join(precisions(device))})",
        "vector instructions": _instructions(),
        **{f"products in {name}": f"{rate:,.0f} GFLOP/s, measured" for name, rate in rates.items()},
    }
    findings = []
    if chosen == "bf16" and rates["bf16"] < 0.7 * rates["fp32"]:
        text = (
            "bf16 was slower than fp32 just now; if it is so again with nothing else running: training.precision: fp32"
        )
        findings.append(Finding(text, False))
    return Section("precision", facts, findings)


def _instructions() -> str:
    """What the processor has for products, as far as torch uses it."""
    found = [torch.backends.cpu.get_cpu_capability()]
    for name, has in (("AVX512-BF16", "_is_avx512_bf16_supported"), ("AMX", "_is_amx_tile_supported")):
        if getattr(torch.cpu, has)():
            found.append(name)
    return ", ".join(found)


def _rate(device: torch.device, kind: torch.dtype) -> float:
    """GFLOP/s of a product of square matrices, the best of a few."""
    width = _WIDTH if device.type == "cpu" else _WIDTH_ON_CARDS
    matrix = torch.ones(width, width, dtype=kind, device=device)
    seconds = []
    for _ in range(_TIMES):
        started = time.perf_counter()
        product = matrix @ matrix
        float(product[0, 0])  # which waits for a card
        seconds.append(time.perf_counter() - started)
    return 2 * width**3 / min(seconds) / 1e9


def loops() -> Section:
    """Whether the loops in C are at hand, which make translating on the CPU faster."""
    compiler = shutil.which("cc")
    facts: dict[str, Any] = {"compiler": f"{compiler}, {_version(compiler)}" if compiler else "none"}
    findings = []
    if os.environ.get(build.SWITCH) == "0":
        facts["loops"] = f"off, by {build.SWITCH}=0"
    elif compiler is None:
        facts["loops"] = "none"
        text = (
            "no C compiler (cc), without which translating on the CPU is slower; Debian, Ubuntu: sudo apt install gcc"
        )
        findings.append(Finding(text, False))
    else:
        problem = build.problem()
        facts["loops"] = "at hand" if problem is None else "none"
        if problem is not None:
            text = f"translating on the CPU is slower than it need be, for the loops cannot be compiled: {problem}"
            findings.append(Finding(text, False))
        else:
            facts["int8"] = _UNITS[kernels.int8_unit()]
    return Section("loops in C", facts, findings)


def _version(compiler: str) -> str:
    try:
        done = subprocess.run([compiler, "--version"], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.SubprocessError) as error:
        return f"does not run ({error})"
    return (done.stdout.splitlines() or ["says no version"])[0]
