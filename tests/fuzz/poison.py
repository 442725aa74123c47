"""Memory that the address sanitizer watches (scripts/sanitize): around each frame of a batch, nothing may be touched.

The slab is one allocation, so that a read past a packet's end would go unseen: while packets are translated, what
lies before a frame's offload header and behind its last byte is poisoned. Without the sanitizer there is no poison.

    python -m tests.fuzz.poison     reads one byte too many, compiled: the sanitizer must end it
"""

from __future__ import annotations

import ctypes
from typing import Any

from gateway.wire import vnet
from gateway.wire.batch import HEADROOM, SLOT, Batch
from gateway.wire.packet import Packet

_process = ctypes.CDLL(None)


def is_sanitized() -> bool:
    return hasattr(_process, "__asan_poison_memory_region")


class Poison:
    """Of one batch."""

    def __init__(self, batch: Any) -> None:
        self.batch = batch
        self.base = ctypes.addressof(ctypes.c_char.from_buffer(batch.slab)) if is_sanitized() else 0

    def lay(self) -> None:
        """Around every frame; in the middle of a word too."""
        for index in range(self.batch.count if self.base else 0):
            slot = self.base + index * SLOT
            end = HEADROOM + self.batch.length[index]
            _call("__asan_poison_memory_region", slot, HEADROOM - vnet.HEADER)
            _call("__asan_poison_memory_region", slot + end, SLOT - end)

    def lift(self) -> None:
        if self.base:
            _call("__asan_unpoison_memory_region", self.base, self.batch.count * SLOT)


def _call(name: str, address: int, size: int) -> None:
    _process[name](ctypes.c_void_p(address), ctypes.c_size_t(size))


if __name__ == "__main__":
    one = Batch(1)
    one.append(bytes(61))
    Poison(one).lay()
    Packet(one).load8(one.start[0] + 61)
