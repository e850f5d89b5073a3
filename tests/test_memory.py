"""Freed memory stays with a process that trains, and what the user has set stays as it is."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="there is nothing to do off Linux")

RESIDENT_AFTER = """
from transformer_mt.memory import keep_memory
keep_memory()
import torch
blocks = [torch.zeros(1 << 24) for _ in range(4)]  # 64 MB each, as large as the logits of a batch
del blocks
print(*(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmRSS")))
"""


def resident_mb(**variables: str) -> float:
    run = [sys.executable, "-c", RESIDENT_AFTER]
    done = subprocess.run(run, env={**os.environ, **variables}, capture_output=True, text=True, check=True)
    return int(done.stdout) / 1024


def test_freed_memory_stays_unless_the_user_set_it_otherwise() -> None:
    kept = resident_mb()
    given_back = resident_mb(MALLOC_TRIM_THRESHOLD_="131072", MALLOC_MMAP_MAX_="65536", THP_MEM_ALLOC_ENABLE="0")
    assert kept - given_back > 200


def test_the_command_loads_torch_only_after_memory_is_set_up() -> None:
    look = "import sys, transformer_mt.cli.main as m; m.build_parser(); import transformer_mt.config.loading; "
    subprocess.run([sys.executable, "-c", look + "assert 'torch' not in sys.modules"], check=True)
