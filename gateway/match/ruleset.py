"""Everything the operator's resources decide about addresses, compiled: one lookup an address, then bits.

A Ruleset is immutable. A reload builds a new one and swaps one reference between batches.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from . import decision
from .prefixes import Prefixes
from .settings import Settings


@dataclass(frozen=True)
class AddressSet:
    """One CIDR that the resources mention. high, low: its network address; length: of 128 (v4: 96 + its own).

    flags: bits of `decision`. name: the pool's name, or where else the set comes from, for `explain`.
    """

    high: int
    low: int
    length: int
    flags: int
    name: str
    pool: bool = False


class Ruleset:
    """The compiled rules. class_flags and class_pools, the name of its pool, say what a membership class means.

    Pools with the same CIDR must already have been reduced to the alphabetically first (Calico).
    """

    def __init__(self, sets: Iterable[AddressSet], settings: Settings) -> None:
        self.sets: Sequence[AddressSet] = tuple(sets)
        self.settings = settings
        self.prefixes = Prefixes((one.high, one.low, one.length, index) for index, one in enumerate(self.sets))
        self.class_flags = memoryview(bytearray(4 * len(self.prefixes.classes))).cast("I")
        for index, members in enumerate(self.prefixes.classes):
            for member in members:
                self.class_flags[index] |= self.sets[member].flags
        self.class_pools = tuple(self.pool_of(members) for members in self.prefixes.classes)

    def flags(self, high: int, low: int) -> int:
        """The bits of `decision` that hold for an address."""
        return self.class_flags[self.prefixes.lookup(high, low)]

    def pool_of(self, members: Iterable[int]) -> str:
        """The pool that names a class: one that translates before one that does not, then the longest prefix."""
        pools = [one for one in (self.sets[member] for member in members) if one.pool]
        if not pools:
            return ""
        return min(pools, key=lambda one: (not one.flags & decision.NAT_SOURCE, -one.length, one.name)).name

    def members(self, high: int, low: int) -> list[AddressSet]:
        """The sets an address is in, the longest prefix first, then by name."""
        found = [self.sets[member] for member in self.prefixes.classes[self.prefixes.lookup(high, low)]]
        return sorted(found, key=lambda one: (-one.length, one.name))

    def translated(self, source_flags: int, destination_flags: int) -> bool:
        """Calico's rule: the source in any natOutgoing pool, the destination in no pool and not excluded."""
        excluded = destination_flags & (decision.POOL | decision.NO_TRANSLATE)
        return source_flags & decision.NAT_SOURCE != 0 and excluded == 0
