"""Memory for what grows with the number of flows: reserved for all of them, taken from the machine as they come."""

from __future__ import annotations

import mmap


def reserve(size: int) -> memoryview:
    """Anonymous private memory: zero, and none of it is used before it is touched.

    In pages of 4 KiB: the first touch of a large page has been seen to take 5 ms on a virtual machine.
    """
    return memoryview(mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
