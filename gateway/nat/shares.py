"""Whose a packet is where several workers share one gateway: a pure function of the packet, the same in each of them.

Each worker owns some blocks of external ports and some internal addresses. Blocks are dealt out in turn: of 64 ports,
a word of the bitmaps in which ports are searched, and below 1024, where there are few, of 16. Internal addresses
belong to whom a keyed hash says: so all that one host has open is in one worker, its mappings, its egress address and
its limits. The hash is simple enough for a filter in the kernel (`links.steering`), which steers most packets right;
whatever comes to another worker is handed over (`nat.decider`), so that nothing rests on it.
"""

from __future__ import annotations

from ..wire import bits, protocol
from . import bounds

# Whose ports may be replaced; an ICMP identifier counts as one. All others keep theirs and belong to worker 0.
PORTED = (protocol.TCP, protocol.UDP, protocol.UDPLITE, protocol.DCCP, protocol.ICMP, protocol.ICMPV6)


class Share:
    """What worker `number` of `count` owns.  key: of the hash, odd, 32 bits, the same in all workers."""

    def __init__(self, number: int = 0, count: int = 1, key: int = 1) -> None:
        if not 0 <= number < count <= bounds.WORKERS:
            raise ValueError(f"no worker {number} of {count}: there are 1 to {bounds.WORKERS}, counted from 0")
        self.number, self.count, self.key = number, count, key
        self.ported = memoryview(bytearray(number in PORTED for number in range(256)))

    def port_owner(self, port: int) -> int:
        """Who owns an external port or ICMP identifier."""
        return (port >> bounds.LOW_BLOCK_BITS if port < bounds.LOW_PORTS else port >> bounds.BLOCK_BITS) % self.count

    def owns(self, port: int) -> bool:
        return self.port_owner(port) == self.number

    def own(self, port: int) -> int:
        """The port in the same place of a block of this worker's near by; it may be above 65535."""
        size = bounds.LOW_BLOCK_BITS if port < bounds.LOW_PORTS else bounds.BLOCK_BITS
        block = port >> size
        return (block - block % self.count + self.number << size) + (port & (1 << size) - 1)

    def address_owner(self, high: int, low: int) -> int:
        """Who owns an internal address.

        Pods' addresses stand in a row: one product alone keeps their distances, and may put them all into one share.
        """
        mixed = (high >> 32) * self.key & bits.M32
        mixed = (mixed ^ high & bits.M32) * self.key & bits.M32
        mixed = (mixed ^ low >> 32) * self.key & bits.M32
        mixed = (mixed ^ low & bits.M32) * self.key & bits.M32
        mixed = (mixed ^ mixed >> bounds.OWNER_SHIFT) * self.key & bits.M32
        return (mixed >> bounds.OWNER_SHIFT) % self.count

    def part(self, total: int) -> int:
        """This worker's part of something of which there are `total` in all."""
        return (total + self.count - 1 - self.number) // self.count
