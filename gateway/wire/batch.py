"""A batch of frames in one preallocated slab: what a link fills, the translator rewrites and a link sends.

Each frame has a slot of its own, with room before the IP header for the offload header and an Ethernet
header, so that no payload is ever moved. An IP header always starts at a multiple of 8: every field a
translator touches is then naturally aligned, and the slab is read through four views of one memory, by
1, 2, 4 and 8 bytes, in memory order (network order needs a swap before arithmetic, none for copying).
"""

from __future__ import annotations

import mmap

from . import sides, vnet

HEADROOM = 24  # offload header (10) and Ethernet header (14); a multiple of 8
FRAME_MAX = 65536
# Not a multiple of a page: slots a power of two apart would put every header into the same cache set.
SLOT = HEADROOM + FRAME_MAX + 296
FRAMES = 64

NO_OFFLOAD = bytes(vnet.HEADER)


class Batch:
    """Up to `capacity` frames. `count` of them are filled; the arrays run parallel, one entry a frame.

    slab: the memory; u8, u16, u32, u64: the same, read by 1, 2, 4 and 8 bytes.  start: offset of the IP header
    in the slab.  length: bytes from there.  verdict: nat.verdict.Verdict.
    out: the side to emit on, sides.NOWHERE for none.  neighbour: next hop's MAC address in the low 48 bits.
    """

    def __init__(self, capacity: int = FRAMES) -> None:
        self.capacity = capacity
        self.count = 0
        self.slab = slab = memoryview(mmap.mmap(-1, capacity * SLOT))
        self.u8, self.u16, self.u32, self.u64 = slab, slab.cast("H"), slab.cast("I"), slab.cast("Q")
        self.start = memoryview(bytearray(4 * capacity)).cast("I")
        self.length = memoryview(bytearray(4 * capacity)).cast("I")
        self.verdict = memoryview(bytearray(capacity))
        self.out = memoryview(bytearray(capacity))
        self.neighbour = memoryview(bytearray(8 * capacity)).cast("Q")
        for index in range(capacity):
            self.start[index] = index * SLOT + HEADROOM

    def clear(self) -> None:
        self.count = 0

    def append(self, packet: bytes, offload: bytes = NO_OFFLOAD) -> None:
        """Add one IP packet (at most FRAME_MAX bytes) and the 10-byte virtio_net_hdr it came with."""
        start = self.start[self.count]
        self.slab[start - vnet.HEADER : start] = offload
        self.slab[start : start + len(packet)] = packet
        self.length[self.count] = len(packet)
        self.out[self.count] = sides.NOWHERE
        self.count += 1

    def packet(self, index: int) -> bytes:
        """A copy of frame `index`, from its IP header on."""
        start = self.start[index]
        return bytes(self.slab[start : start + self.length[index]])

    def offload(self, index: int) -> bytes:
        """A copy of frame `index`'s virtio_net_hdr, its offsets counted from the IP header."""
        start = self.start[index]
        return bytes(self.slab[start - vnet.HEADER : start])
