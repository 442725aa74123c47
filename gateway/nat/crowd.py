"""What is known of destinations whose ports are nearly used up, so that a search pays for each port once.

A crowd is all flows that must differ in their external port: those from one external address to one remote
endpoint, or the mappings of one external address. For a few crowds the ports that were found taken are kept,
a bit each. Whoever closes a flow clears its port's bit. So a clear bit means "look", and a set bit is the truth:
the last free port is always found, and a flood against a crowd without one costs a walk over full words.
"""

from __future__ import annotations

from ..wire import bits, protocol, sides
from . import bounds, row
from .shares import Share
from .siphash import siphash39


class Crowds:
    """Up to CROWDS of them, the oldest forgotten first. A crowd is named by its key, a hash, and by 1 + its place.

    rows: the flow table's memory, from which the keys are made.
    """

    def __init__(self, rows: memoryview, key0: int, key1: int) -> None:
        self.r8, self.r64 = rows, rows.cast("Q")
        self.key0, self.key1 = key0, key1
        self.count = 0
        self.oldest = 0
        self.keys = memoryview(bytearray(8 * bounds.CROWDS)).cast("Q")
        self.taken = memoryview(bytearray(bounds.CROWDS * bounds.PORTS // 8)).cast("Q")

    def give_up(self, member: int, external: int, remote: int) -> None:
        """A row is closed: its ports may be free again. external, remote: the words where those addresses start.

        A port is taken by either tuple, as the destination port of what arrives, and by the row's mapping.
        """
        for direction in range(sides.REPLY + 1):
            port = self.r64[member * row.WORDS + row.ORIGINAL_LABEL + direction] & bits.M16
            self.clear(self.tuple_key(member, direction), port)
        if self.r8[member * row.BYTES + row.FLAGS] & row.MAPPED:
            label = self.r64[member * row.WORDS + row.REPLY_LABEL]
            if external != member * row.WORDS + row.REPLY_DESTINATION:
                label = self.r64[member * row.WORDS + row.ORIGINAL_LABEL]
            self.clear(self.mapping_key(member, external, remote), label & bits.M16)

    def tuple_key(self, member: int, direction: int) -> int:
        """The key of all tuples that differ from one of a row's in their destination port only."""
        word = member * row.WORDS + direction * row.TUPLE_STRIDE
        label = self.r64[member * row.WORDS + row.ORIGINAL_LABEL + direction] & row.LABEL_MASK
        number = (label >> row.LABEL_PROTOCOL) & 0xFF
        fixed = 32 if number == protocol.ICMP or number == protocol.ICMPV6 else 16
        return siphash39(self.key0, self.key1, self.r64[word], self.r64[word + 1], self.r64[word + 2],
                        self.r64[word + 3], label >> fixed << fixed)

    def mapping_key(self, member: int, external: int, remote: int) -> int:
        """The key of all mappings that differ from a row's in their external port only."""
        scoped = self.r8[member * row.BYTES + row.MAPPING_SCOPE] != 0
        number = self.r64[member * row.WORDS + row.REPLY_LABEL] & row.LABEL_PROTOCOL_MASK
        return siphash39(self.key0, self.key1, self.r64[external], self.r64[external + 1],
                        self.r64[remote] if scoped else 0, self.r64[remote + 1] if scoped else 0,
                        number | row.CROWD_MARK)

    def find(self, key: int) -> int:
        for place in range(self.count):
            if self.keys[place] == key:
                return place + 1
        return 0

    def add(self, key: int) -> int:
        """A crowd of which nothing is known yet."""
        if self.count < bounds.CROWDS:
            place = self.count
            self.count += 1
        else:
            place = self.oldest
            self.oldest = (self.oldest + 1) & (bounds.CROWDS - 1)
        self.keys[place] = key
        for word in range(place * bounds.PORT_WORDS, (place + 1) * bounds.PORT_WORDS):
            self.taken[word] = 0
        return place + 1

    def confine(self, crowd: int, share: Share) -> None:
        """Other workers' ports count as taken, for ever: nobody here closes a flow that has one."""
        first = (crowd - 1) * bounds.PORT_WORDS
        for number in range(bounds.PORTS >> bounds.LOW_BLOCK_BITS):
            port = number << bounds.LOW_BLOCK_BITS
            if not share.owns(port):
                self.taken[first + (port >> 6)] |= self.block(port)

    def forget(self) -> None:
        self.count = self.oldest = 0

    def mark(self, crowd: int, port: int) -> None:
        """A port was found taken."""
        word = (crowd - 1) * bounds.PORT_WORDS + (port >> 6)
        self.taken[word] |= self.bit(port)

    def clear(self, key: int, port: int) -> None:
        """A port may be free again."""
        crowd = self.find(key)
        if crowd:
            word = (crowd - 1) * bounds.PORT_WORDS + (port >> 6)
            self.taken[word] &= bits.M64 ^ self.bit(port)

    def next(self, crowd: int, port: int, highest: int) -> int:
        """1 + the first port from `port` to `highest` not known to be taken; 0 if there is none."""
        first = (crowd - 1) * bounds.PORT_WORDS
        while port <= highest:
            if self.taken[first + (port >> 6)] == bits.M64:
                port = (port >> 6) + 1 << 6
            elif self.taken[first + (port >> 6)] & self.bit(port):
                port += 1
            else:
                return port + 1
        return 0

    def block(self, port: int) -> int:
        """The bits of the smallest block that is dealt out (`nat.shares`), which starts at `port`."""
        block = (1 << (1 << bounds.LOW_BLOCK_BITS)) - 1
        return block << (port & 63)

    def bit(self, port: int) -> int:
        one = 1
        return one << (port & 63)
