"""The mapping that a packet came for, from outside or as a hairpin: whose it is, and whether its filter admits him."""

from __future__ import annotations

from ..wire import bits
from ..wire.packet import Packet
from . import bounds, row
from .decider import Decider
from .options import Options
from .table import FlowTable
from .verdict import Verdict


class Target:
    """head: the live row that stands for the mapping found last, 0 for none."""

    def __init__(self, table: FlowTable, packet: Packet, decider: Decider, options: Options) -> None:
        self.table, self.packet, self.decider, self.options = table, packet, decider, options
        self.r8, self.r32, self.r64 = table.r8, table.r32, table.r64
        self.head = 0

    def find(self, now: int) -> int:
        """Set `head` to the head of the mapping that owns the packet's destination."""
        scope = self.options.mapping[self.packet.protocol]
        label = self.packet.protocol << row.LABEL_PROTOCOL | self.packet.ports & bits.M16
        self.head = self.table.promote(self.table.find_mapping(
            bounds.EXTERNAL, self.packet.destination_high, self.packet.destination_low,
            self.packet.source_high if scope else 0, self.packet.source_low if scope else 0, label), now)
        if self.head == 0:
            return self.decider.unsolicited()
        return Verdict.ACCEPT if self.admits(self.packet.source_high, self.packet.source_low, now) else self.refusal()

    def refusal(self) -> int:
        """A SYN is told what one to an unused port is told: the difference would say which ports are in use."""
        return Verdict.DROP_UNSOLICITED_SYN if self.decider.is_syn() else Verdict.DROP_FILTERED

    def admits(self, high: int, low: int, now: int) -> bool:
        """Whether the mapping's filter lets this remote in (RFC 4787 section 5). Exact remotes have a flow already."""
        scope = self.options.filtering[self.packet.protocol]
        if scope != 1:
            return scope == 0
        member = self.head
        for _ in range(bounds.RING_LIMIT):
            called = self.table.from_inside(member)
            remote = member * row.WORDS + (row.ORIGINAL_DESTINATION if called else row.ORIGINAL_SOURCE)
            if self.r64[remote] == high and self.r64[remote + 1] == low and not self.table.expired(member, now):
                return True
            member = self.r32[member * row.QUADS + row.NEXT]
            if member == self.head:
                return False
        return False

    # -- a hairpin's: its row says which mapping, and what its sender is called outside

    def is_hairpin(self, base: int) -> bool:
        """Whether a row that begins and ends inside goes through somebody's external endpoint."""
        at = base * row.WORDS
        return (self.r64[at + row.REPLY_SOURCE + 1] != self.r64[at + row.ORIGINAL_DESTINATION + 1]
                or self.r64[at + row.REPLY_SOURCE] != self.r64[at + row.ORIGINAL_DESTINATION])

    def find_again(self, base: int, now: int) -> bool:
        """Set `head` to the mapping that a hairpin goes through; whether it is still of the host it leads to."""
        at = base * row.WORDS
        label = self.r64[at + row.ORIGINAL_LABEL] & (row.LABEL_PROTOCOL_MASK | bits.M16)
        remote_high, remote_low = self.r64[at + row.ORIGINAL_SOURCE], self.r64[at + row.ORIGINAL_SOURCE + 1]
        if self.r8[base * row.BYTES + row.MAPPING_SCOPE] == 0:
            remote_high = remote_low = 0
        self.head = self.table.promote(self.table.find_mapping(
            bounds.EXTERNAL, self.r64[at + row.ORIGINAL_DESTINATION], self.r64[at + row.ORIGINAL_DESTINATION + 1],
            remote_high, remote_low, label), now)
        return self.is_of(base)

    def is_admitted(self, base: int, now: int) -> bool:
        """Whether the target's filter lets a hairpin in, as it would the same packet from outside (RFC 4787 REQ-9).

        Whoever calls himself has thereby called whoever calls him.
        """
        at = base * row.WORDS
        if not self.find_again(base, now):
            return False
        ports = self.r64[at + row.ORIGINAL_LABEL] ^ self.r64[at + row.REPLY_LABEL]
        if (self.r64[at + row.ORIGINAL_SOURCE] == self.r64[at + row.REPLY_SOURCE]
                and self.r64[at + row.ORIGINAL_SOURCE + 1] == self.r64[at + row.REPLY_SOURCE + 1]
                and ports >> row.LABEL_SOURCE_PORT & bits.M16 == 0):
            return True
        return self.admits(self.r64[at + row.REPLY_DESTINATION], self.r64[at + row.REPLY_DESTINATION + 1], now)

    def is_of(self, base: int) -> bool:
        """Whether the mapping that was just found is of the host that row `base` leads to."""
        if self.head == 0:
            return False
        at, internal = base * row.WORDS, self.table.endpoint(self.head, bounds.INTERNAL)
        port = self.r64[at + row.REPLY_LABEL] >> row.LABEL_SOURCE_PORT & bits.M16
        return (self.r64[at + row.REPLY_SOURCE] == self.r64[internal]
                and self.r64[at + row.REPLY_SOURCE + 1] == self.r64[internal + 1]
                and self.table.endpoint_label(self.head, bounds.INTERNAL) & bits.M16 == port)

    def fill(self, at: int) -> int:
        """The internal endpoint behind the mapping that the packet came for: the reply's source; returns its port.

        at: the first word of the flow's row.
        """
        internal = self.table.endpoint(self.head, bounds.INTERNAL)
        self.r64[at + row.REPLY_SOURCE] = self.r64[internal]
        self.r64[at + row.REPLY_SOURCE + 1] = self.r64[internal + 1]
        return self.table.endpoint_label(self.head, bounds.INTERNAL) & bits.M16
