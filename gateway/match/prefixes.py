"""Which sets of addresses an address belongs to: one lookup in a compiled multibit trie per family.

A lookup yields a membership class, a number that stands for one combination of sets. Sets are unions: a child
prefix never hides its parent's membership. Families are separate: an IPv4 address lives in ::ffff:0:0/96, and
no shorter IPv6 prefix applies to it. `match.trie` builds the nodes, `match.node` says what they look like.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..wire import bits
from . import node
from .trie import Entry, build


class Prefixes:
    """Immutable once built.

    entries: (high, low, length, set) for each prefix: its network address, its length of 128 (IPv4: 96 + its own)
    and the number of the set it belongs to. classes: for each membership class the sorted sets; class 0 is none.
    """

    def __init__(self, entries: Iterable[Entry]) -> None:
        trie = build(entries)
        self.nodes = memoryview(trie.nodes)
        self.root4 = trie.root4
        self.root6 = trie.root6
        self.classes = trie.classes

    def lookup(self, high: int, low: int) -> int:
        """The membership class of an address."""
        entry = self.root4 if high == 0 and low >> 32 == bits.V4_MAPPED >> 32 else self.root6
        while not entry & node.LEAF:
            header = self.nodes[entry]
            word = (low if header & node.LOW else high) >> (header & node.SHIFT_MASK)
            stride = header >> node.STRIDE_SHIFT & node.STRIDE_MASK
            block = word >> stride
            if (block & bits.M32 == self.nodes[entry + node.CHECK_LOW]
                    and block >> 32 == self.nodes[entry + node.CHECK_HIGH]):
                entry = self.nodes[entry + node.CHILDREN + (word & ((1 << stride) - 1))]
            else:
                entry = self.nodes[entry + node.OTHERWISE]
        return entry & node.CLASS_MASK
