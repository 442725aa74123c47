"""Memory for what grows with the number of flows: reserved for all of them, taken from the machine as they come.

A page that is touched for the first time costs one to two microseconds, on the packet's time: two such pages, as an
index has them (read first, then written), are a third of what a new flow costs. So `tick` takes a bounded step ahead.
"""

from __future__ import annotations

import mmap

from . import bounds

POPULATE_WRITE = 23  # MADV_POPULATE_WRITE, since Linux 5.14: touch pages, many in one system call


def reserve(size: int) -> memoryview:
    """Anonymous private memory: zero, and none of it is used before it is touched.

    In pages of 4 KiB: the first touch of a large page has been seen to take 5 ms on a virtual machine.
    """
    return memoryview(mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))


class Ahead:
    """The part of a reserved view that is taken before it is used: in steps of bounds.AHEAD_STEP, from its start.

    size, taken: bytes.  most: how far ahead, for whoever calls `step`.
    """

    def __init__(self, view: memoryview, most: int) -> None:
        self.pages, self.most = view.obj, most
        self.size, self.taken = view.nbytes, 0

    def step(self, wanted: int) -> int:
        """Take a step if fewer than `wanted` bytes are taken; how many were. What they hold stays as it is."""
        step = min(bounds.AHEAD_STEP, self.size - self.taken)
        if self.taken >= min(wanted, self.size) or not isinstance(self.pages, mmap.mmap):
            return 0
        try:
            self.pages.madvise(POPULATE_WRITE, self.taken, step)
        except OSError:  # an older kernel: pages are taken when they are used
            step = self.size - self.taken
        self.taken += step
        return step
