"""What else the machine does, and what a process took of it."""

import os
import resource
import time
from pathlib import Path

QUIET_SECONDS = 5
"""A measurement begins when the machine has done nothing else for so long."""
QUIET_SHARE = 0.04
LONGEST_WAIT = 300


class OtherLoad:
    """Share of the processors' time that other processes took since this was made; 0 where Linux does not tell."""

    def __init__(self) -> None:
        self._started = self._now()

    def share(self) -> float:
        """Between 0 and 1."""
        busy, own, elapsed = (now - before for before, now in zip(self._started, self._now(), strict=True))
        return round(max(0.0, busy - own) / (elapsed * (os.cpu_count() or 1)), 3)

    @staticmethod
    def _now() -> tuple[float, float, float]:
        own = sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        try:
            with open("/proc/stat", encoding="ascii") as file:
                ticks = [int(word) for word in file.readline().split()[1:9]]
        except OSError:
            return own, own, time.perf_counter()
        busy = sum(ticks) - ticks[3] - ticks[4]  # less idle and waiting for the disk
        return busy / os.sysconf("SC_CLK_TCK"), own, time.perf_counter()


def wait_for_quiet() -> None:
    """Return when the machine has been idle for a while, or has not come to rest in five minutes."""
    end, calm = time.monotonic() + LONGEST_WAIT, 0
    while time.monotonic() < end and calm < QUIET_SECONDS:
        load = OtherLoad()
        time.sleep(1)
        calm = calm + 1 if load.share() < QUIET_SHARE else 0


def peak_rss_mb() -> int:
    """Peak resident memory of this process, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def resident_mb(process: int | None = None) -> float:
    """Resident memory in MB of a process, of this one if none is named (Linux); 0 once it has ended."""
    name = "self" if process is None else str(process)
    pages = int(Path(f"/proc/{name}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
