"""Which external port a new flow gets: its own if free, else a random one, else the last one that is left.

A port is free for a flow if the reply tuple it would give is nobody's (so ports are shared towards different
remotes, RFC 7857 section 3), if no other mapping has it, and if nothing on the gateway's host listens on it
(CVE-2021-3773). Random means by a keyed counter: nobody can foresee it (RFC 6056).
"""

from __future__ import annotations

from collections.abc import Iterable

from ..wire import bits, protocol
from . import bounds, row
from .siphash import siphash2, siphash5
from .table import FlowTable


class Ports:
    """Ports of the flows in one table. A port may be 0 where it is an ICMP identifier."""

    def __init__(self, table: FlowTable, key0: int, key1: int) -> None:
        self.table = table
        self.key0, self.key1 = key0, key1
        self.counter = 0
        self.excluded = memoryview(bytearray(2 * bounds.PORTS // 8))  # a bit a port: TCP's, then UDP's
        self.exhausted = memoryview(bytearray(16 * bounds.EXHAUSTED_ENTRIES)).cast("Q")  # key, generation

    def exclude(self, number: int, ports: Iterable[int]) -> None:
        """From now on, never allocate these ports of protocol.TCP or protocol.UDP, and only these."""
        if number not in (protocol.TCP, protocol.UDP):
            raise ValueError(f"ports are excluded for TCP and UDP, not for protocol {number}")
        first = bounds.PORTS // 8 if number == protocol.UDP else 0
        for index in range(first, first + bounds.PORTS // 8):
            self.excluded[index] = 0
        for port in ports:
            self.excluded[first + (port >> 3)] |= 1 << (port & 7)
        for index in range(2 * bounds.EXHAUSTED_ENTRIES):
            self.exhausted[index] = 0

    def allocate(self, member: int, wanted: int, lowest: int, highest: int, preserve: bool, now: int) -> int:
        """1 + a port from lowest to highest that is free for this row; 0 when there is none.

        The row is filled in but for the port itself: the destination port of its reply tuple, for ICMP both ports.
        wanted: the port it had inside, which it keeps if `preserve` and it can.
        """
        if lowest > highest:
            return 0
        if preserve and lowest <= wanted <= highest and self.taken(member, wanted, now) == bounds.FREE:
            return wanted + 1
        key = self.exhaustion_key(member, lowest, highest)
        if self.is_exhausted(key):
            return 0
        for _ in range(bounds.RANDOM_TRIES):
            port = lowest + self.random(highest - lowest + 1)
            if self.taken(member, port, now) == bounds.FREE:
                return port + 1
        return self.search(member, lowest, highest, key, now)

    def search(self, member: int, lowest: int, highest: int, key: int, now: int) -> int:
        """Every port, from a random one on. That there is none is remembered until a flow ends."""
        span = highest - lowest + 1
        start = self.random(span)
        certain = True
        for step in range(span):
            port = lowest + (start + step) % span
            state = self.taken(member, port, now)
            if state == bounds.FREE:
                return port + 1
            if state == bounds.TAKEN_TUPLE:
                certain = False
        if certain or not self.is_mapped(member):
            slot = (key & (bounds.EXHAUSTED_ENTRIES - 1)) * 2
            self.exhausted[slot] = key
            self.exhausted[slot + 1] = self.table.generation + 1
        return 0

    def random(self, span: int) -> int:
        self.counter = (self.counter + 1) & bits.M64
        return ((siphash2(self.key0, self.key1, self.counter, 0) >> 32) * span) >> 32

    def taken(self, member: int, port: int, now: int) -> int:
        """Whether a port is FREE for a row, TAKEN by the host or a mapping, or its reply TAKEN_TUPLE."""
        first = member * row.WORDS
        label = self.label_with(member, port)
        if self.is_excluded(label, port):
            return bounds.TAKEN
        if self.is_mapped(member) and self.is_mapped_to(member, label & (row.LABEL_PROTOCOL_MASK | bits.M16), now):
            return bounds.TAKEN
        if self.table.find(self.table.r64[first + row.REPLY_SOURCE], self.table.r64[first + row.REPLY_SOURCE + 1],
                           self.table.r64[first + row.REPLY_DESTINATION],
                           self.table.r64[first + row.REPLY_DESTINATION + 1], label, now):
            return bounds.TAKEN_TUPLE
        return bounds.FREE

    def label_with(self, member: int, port: int) -> int:
        """The row's reply label with this port."""
        label = self.table.r64[member * row.WORDS + row.REPLY_LABEL] & row.LABEL_MASK
        number = label >> row.LABEL_PROTOCOL & 0xFF
        if number == protocol.ICMP or number == protocol.ICMPV6:
            return label >> 32 << 32 | port << row.LABEL_SOURCE_PORT | port
        return label >> 16 << 16 | port

    def is_excluded(self, label: int, port: int) -> bool:
        number = label >> row.LABEL_PROTOCOL & 0xFF
        if number == protocol.TCP:
            return self.excluded[port >> 3] >> (port & 7) & 1 != 0
        if number == protocol.UDP:
            return self.excluded[(bounds.PORTS + port) >> 3] >> (port & 7) & 1 != 0
        return False

    def is_mapped(self, member: int) -> bool:
        return self.table.r8[member * row.BYTES + row.FLAGS] & row.MAPPED != 0

    def is_mapped_to(self, member: int, label: int, now: int) -> bool:
        """Whether a live mapping has this external endpoint already, in this row's scope."""
        first = member * row.WORDS
        scope = self.table.r8[member * row.BYTES + row.MAPPING_SCOPE]
        head = self.table.find_external(
            self.table.r64[first + row.REPLY_DESTINATION], self.table.r64[first + row.REPLY_DESTINATION + 1],
            self.table.r64[first + row.REPLY_SOURCE] if scope else 0,
            self.table.r64[first + row.REPLY_SOURCE + 1] if scope else 0, label)
        return self.table.promote(head, now) != 0

    def exhaustion_key(self, member: int, lowest: int, highest: int) -> int:
        """A hash of all that the answer "no port is left" is about: for a mapping not more than its scope."""
        first = member * row.WORDS
        label = self.label_with(member, 0)
        mapped = self.is_mapped(member)
        scope = self.table.r8[member * row.BYTES + row.MAPPING_SCOPE]
        remote = not mapped or scope != 0
        key = siphash5(self.key0, self.key1,
                       self.table.r64[first + row.REPLY_DESTINATION], self.table.r64[first + row.REPLY_DESTINATION + 1],
                       self.table.r64[first + row.REPLY_SOURCE] if remote else 0,
                       self.table.r64[first + row.REPLY_SOURCE + 1] if remote else 0,
                       label & row.LABEL_PROTOCOL_MASK if mapped else label)
        return siphash2(self.key0, self.key1, key, (lowest << 16 | highest) << 1 | mapped)

    def is_exhausted(self, key: int) -> bool:
        slot = (key & (bounds.EXHAUSTED_ENTRIES - 1)) * 2
        return self.exhausted[slot] == key and self.exhausted[slot + 1] == self.table.generation + 1
