"""What the whole machine spends: both ends, the kernel's part in between and the gateway, from /proc/stat.

Whatever else runs is in it too: on a machine that is not quiet these figures say nothing by themselves.
"""

from __future__ import annotations

import os
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
IDLE = (3, 4)  # the columns of /proc/stat that are not work: idle, iowait
GUEST = 8  # from here on columns are counted in others already


def busy(table: str | None = None) -> float:
    """Core seconds that all cores together have worked since they started."""
    words = (table or Path("/proc/stat").read_text()).split("\n", 1)[0].split()[1:]
    return sum(int(word) for index, word in enumerate(words[:GUEST]) if index not in IDLE) / TICK


class Busy:
    """Core seconds spent within a `with` block."""

    spent = 0.0

    def __enter__(self) -> Busy:
        self.began = busy()
        return self

    def __exit__(self, *_: object) -> None:
        self.spent = busy() - self.began
