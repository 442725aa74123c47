"""Which core does what: the sender (and, in its time, the kernel's forwarding) on one, the gateway on another."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

CORES = sorted(os.sched_getaffinity(0))
SENDER = {CORES[0]}
GATEWAY = {CORES[1 % len(CORES)]}
RECEIVER = {CORES[2]} if len(CORES) > 2 else set(CORES)
ANY = set(CORES)


def pin(cores: set[int]) -> Callable[[], None]:
    """For Popen's preexec_fn."""
    return lambda: os.sched_setaffinity(0, cores)


def spent(process: int) -> int:
    """Nanoseconds that a process's threads have run, interrupts in their time included."""
    return sum(int(path.read_text().split()[0]) for path in Path(f"/proc/{process}/task").glob("*/schedstat"))
