"""Which external port a new flow gets: its own if free, else a random one, else the last one that is left.

A port is free for a flow if the reply tuple it would give is nobody's (so ports are shared towards different
remotes, RFC 7857 section 3), if no other mapping has it, and if nothing on the gateway's host listens on it
(CVE-2021-3773). Random means by a keyed counter: nobody can foresee it (RFC 6056).
"""

from __future__ import annotations

from collections.abc import Iterable

from ..wire import bits, protocol, sides
from . import bounds, prefetch, row
from .shares import Share
from .siphash import siphash2
from .table import FlowTable


class Ports:
    """Ports of the flows in one table. A port may be 0 where it is an ICMP identifier."""

    def __init__(self, table: FlowTable, key0: int, key1: int, share: Share | None = None) -> None:
        self.table, self.index, self.share = table, table.index, share or Share()
        self.r8, self.r32, self.r64 = table.r8, table.r32, table.r64
        self.key0, self.key1 = key0, key1
        self.counter = self.reply = self.external = 0
        self.foresee(0, 0)
        self.excluded = memoryview(bytearray(2 * bounds.PORTS // 8))  # a bit a port: TCP's, then UDP's

    def exclude(self, number: int, ports: Iterable[int]) -> None:
        """From now on, never allocate these ports of protocol.TCP or protocol.UDP, and only these."""
        if number not in (protocol.TCP, protocol.UDP):
            raise ValueError(f"ports are excluded for TCP and UDP, not for protocol {number}")
        first = bounds.PORTS // 8 if number == protocol.UDP else 0
        wanted = bytearray(bounds.PORTS // 8)
        for port in ports:
            wanted[port >> 3] |= 1 << (port & 7)
        if wanted == bytes(self.excluded[first:first + len(wanted)]):
            return  # as with most reloads, for which packets wait
        for index, byte in enumerate(wanted):
            self.excluded[first + index] = byte
        self.table.crowds.forget()

    def foresee(self, reply: int, external: int) -> None:
        """The keys that the row `allocate` is called for next has with the port that it wants; 0: not known."""
        self.foreseen, self.foreseen_external = reply, external

    def allocate(self, member: int, wanted: int, lowest: int, highest: int, preserve: bool, now: int) -> int:
        """1 + a port from lowest to highest that is free for this row; 0 when there is none.

        The row is filled in but for the port itself: the destination port of its reply tuple, for ICMP both ports.
        wanted: the port it had inside, which it keeps if `preserve` and it can.
        """
        if lowest > highest:
            return 0
        if preserve and lowest <= wanted <= highest and self.taken(member, wanted, now) == bounds.FREE:
            return wanted + 1
        self.foresee(0, 0)
        crowd = self.crowd(member) if self.table.crowds.count else 0
        if crowd == 0:
            for _ in range(bounds.RANDOM_TRIES):
                port = self.candidate(lowest, highest)
                if self.taken(member, port, now) == bounds.FREE:
                    return port + 1
            crowd = self.table.crowds.add(self.crowd_key(member))
            if self.share.count > 1 and lowest < highest:
                self.table.crowds.confine(crowd, self.share)
        middle = lowest + self.random(highest - lowest + 1)
        found = self.search(member, middle, highest, crowd, now)
        return found if found or middle == lowest else self.search(member, lowest, middle - 1, crowd, now)

    def candidate(self, lowest: int, highest: int) -> int:
        """A random port of this worker's; of another's where the range ends within a round of blocks."""
        port = lowest + self.random(highest - lowest + 1)
        own = self.share.own(port) if self.share.count > 1 else port
        return own if lowest <= own <= highest else port

    def search(self, member: int, port: int, highest: int, crowd: int, now: int) -> int:
        """1 + the first free port from `port` to `highest`; what is found taken on the way is remembered."""
        mapped = self.is_mapped(member)
        found = self.table.crowds.next(crowd, port, highest)
        while found:
            state = self.taken(member, found - 1, now)
            if state == bounds.FREE:
                return found
            if state == bounds.TAKEN or not mapped:
                self.table.crowds.mark(crowd, found - 1)
            found = self.table.crowds.next(crowd, found, highest)
        return 0

    def crowd(self, member: int) -> int:
        return self.table.crowds.find(self.crowd_key(member))

    def crowd_key(self, member: int) -> int:
        if self.is_mapped(member):
            first = member * row.WORDS
            return self.table.crowds.mapping_key(member, first + row.REPLY_DESTINATION, first + row.REPLY_SOURCE)
        return self.table.crowds.tuple_key(member, sides.REPLY)

    def random(self, span: int) -> int:
        self.counter = (self.counter + 1) & bits.M64
        return ((siphash2(self.key0, self.key1, self.counter, 0) >> 32) * span) >> 32

    def taken(self, member: int, port: int, now: int) -> int:
        """Whether a port is FREE for a row, TAKEN by the host or a mapping, or its reply TAKEN_TUPLE.

        Sets `reply`, the key of the row's reply tuple if it had this port, and `external`, that of its mapping.
        """
        first = member * row.WORDS
        label = self.label_with(member, port)
        if self.is_excluded(label, port) or (self.share.count > 1 and self.is_anothers(label, port)):
            return bounds.TAKEN
        self.reply = self.foreseen if self.foreseen else self.table.key(
            self.r64[first + row.REPLY_SOURCE], self.r64[first + row.REPLY_SOURCE + 1],
            self.r64[first + row.REPLY_DESTINATION], self.r64[first + row.REPLY_DESTINATION + 1], label)
        prefetch.prefetch32(self.index, self.table.home(self.reply))  # on its way while the mapping is looked for
        if self.is_mapped(member) and self.is_mapped_to(member, label & (row.LABEL_PROTOCOL_MASK | bits.M16), now):
            return bounds.TAKEN
        if self.table.find_keyed(self.reply, self.r64[first + row.REPLY_SOURCE], self.r64[first + row.REPLY_SOURCE + 1],
                                 self.r64[first + row.REPLY_DESTINATION], self.r64[first + row.REPLY_DESTINATION + 1],
                                 label, now):
            return bounds.TAKEN_TUPLE
        return bounds.FREE

    def label_with(self, member: int, port: int) -> int:
        """The row's reply label with this port."""
        label = self.r64[member * row.WORDS + row.REPLY_LABEL] & row.LABEL_MASK
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

    def is_anothers(self, label: int, port: int) -> bool:
        """Whether another worker's flows may have this port. Protocols whose ports stay as they are have one worker."""
        return self.share.ported[label >> row.LABEL_PROTOCOL & 0xFF] != 0 and not self.share.owns(port)

    def is_mapped(self, member: int) -> bool:
        return self.r8[member * row.BYTES + row.FLAGS] & row.MAPPED != 0

    def is_mapped_to(self, member: int, label: int, now: int) -> bool:
        """Whether a live mapping has this external endpoint already, in this row's scope."""
        first = member * row.WORDS
        scope = self.r8[member * row.BYTES + row.MAPPING_SCOPE]
        high, low = self.r64[first + row.REPLY_DESTINATION], self.r64[first + row.REPLY_DESTINATION + 1]
        remote_high = self.r64[first + row.REPLY_SOURCE] if scope else 0
        remote_low = self.r64[first + row.REPLY_SOURCE + 1] if scope else 0
        self.external = self.foreseen_external if self.foreseen_external else self.table.mapping_key(
            bounds.EXTERNAL, high, low, remote_high, remote_low, label)
        head = self.table.find_mapping_keyed(self.external, bounds.EXTERNAL, high, low, remote_high, remote_low, label)
        return head != 0 and (self.table.promote(head, now) != 0 or self.is_long(head))

    def is_long(self, member: int) -> bool:
        """Whether a mapping has more flows than are looked at: then one of them may be alive."""
        following = member
        for _ in range(bounds.RING_LIMIT):
            following = self.r32[following * row.QUADS + row.NEXT]
            if following == member:
                return False
        return True
