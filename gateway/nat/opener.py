"""Opens a flow: an egress address and a port are chosen, and the row with both its tuples is linked, or nothing is."""

from __future__ import annotations

from ..wire import bits, order, protocol, sides
from ..wire.packet import Packet
from . import bounds, prefetch, record, row, state
from .decider import Decider
from .foresight import Foresight
from .options import Options
from .ports import Ports
from .records import Records
from .sources import Sources
from .table import FlowTable
from .target import Target
from .verdict import Verdict


def words32(high: int, low: int) -> int:
    """The 32-bit words of an address added up, in network order: modulo 0xFFFF, as good as its 16-bit ones."""
    return (high >> 32) + (high & bits.M32) + (low >> 32) + (low & bits.M32)


def difference(new: int, old: int) -> int:
    """What a one's complement sum grows by when words adding up to `old` become `new`; in memory order.

    Both are below 2**36.
    """
    total = new + (bits.M32 << 4) - old  # M32 is a multiple of 0xFFFF, which is zero in this arithmetic
    total = (total & bits.M32) + (total >> 32)
    total = (total & bits.M16) + (total >> 16)
    total = (total & bits.M16) + (total >> 16)
    total = (total & bits.M16) + (total >> 16)
    return (total >> 8 | total << 8) & bits.M16


class Opener:
    """Opens flows for the packet that has just been parsed.

    `open` returns what `FlowTable.find` would from then on; 0 says that `verdict` holds instead.
    frame: the packet's place in its batch if `Foresight` may have looked at it; else -1.
    """

    def __init__(self, table: FlowTable, ports: Ports, packet: Packet, decider: Decider, options: Options,
                 sources: Sources, records: Records, target: Target, foresight: Foresight) -> None:
        self.table, self.ports, self.packet, self.decider, self.options = table, ports, packet, decider, options
        self.sources, self.records, self.target, self.foresight = sources, records, target, foresight
        self.r8, self.r16, self.r32, self.r64 = table.r8, table.r16, table.r32, table.r64
        self.index = table.index
        self.frame = -1
        self.egress = self.reply = self.own = self.mapping = self.opening = 0

    def open(self, side: int, key: int, now: int, oversize: bool) -> int:
        """key: `FlowTable.key` of the packet's tuple.  oversize: do so although the packet is larger than the MTU
        of the side it leaves on.
        """
        self.own = 0
        if side == sides.INSIDE:
            self.look_ahead()
        self.verdict = self.judge(side, now, oversize)
        if self.verdict != Verdict.ACCEPT:
            return 0
        if side == sides.INSIDE:
            holder = self.foresight.holder[self.frame] if self.frame >= 0 else 0
            limit = self.sources.admit(self.packet.source_high, self.packet.source_low, holder, self.records.now)
            if limit != 0:
                self.verdict = self.refuse_source(limit)
                return 0
        self.row = self.table.reserve() if side == sides.INSIDE or self.has_room_for_guests() else 0
        if self.row == 0:
            self.verdict = self.refuse_row(side)
            return 0
        self.fill(side)
        self.reply = self.mapping = 0
        self.verdict = self.choose_external(now)
        if self.verdict == Verdict.ACCEPT and not self.link(key, now):
            self.verdict = Verdict.DROP_TABLE_FULL
        if self.verdict != Verdict.ACCEPT:
            self.table.close(self.row)  # nobody has seen this row: it was no flow yet
            return 0
        self.sources.count(self.row)
        self.records.created(self.row)
        return self.row << 1

    def look_ahead(self) -> None:
        """Have the index slot of the source endpoint's mapping on its way from memory while the decision is made."""
        if self.frame >= 0 and self.foresight.own[self.frame]:
            self.own = self.foresight.own[self.frame]
        elif self.options.mapping[self.packet.protocol] == 0:
            self.own = self.table.mapping_key(bounds.INTERNAL, self.packet.source_high, self.packet.source_low, 0, 0,
                                              self.source_label())
            prefetch.prefetch32(self.index, self.table.home(self.own))

    def source_label(self) -> int:
        return self.packet.protocol << row.LABEL_PROTOCOL | self.packet.ports >> 16

    def judge(self, side: int, now: int, oversize: bool) -> int:
        """Whatever would keep the packet from leaving: one that does not leave opens nothing."""
        self.knocking = False
        verdict = self.decider.decide(side)
        if verdict != Verdict.ACCEPT:
            return verdict
        if self.decider.through_mapping:
            verdict = self.target.find(now)
            # A hairpin is admitted or not once it is known what its sender is called outside.
            self.knocking = self.target.head != 0 and side == sides.INSIDE
            if verdict != Verdict.ACCEPT and not self.knocking:
                return verdict
        if self.packet.ttl <= 1:
            return Verdict.REJECT_TTL_EXCEEDED
        fits = oversize or self.packet.segment <= self.options.mtu[self.decider.leaves]
        return Verdict.ACCEPT if fits else Verdict.SLOW

    def refuse_source(self, limit: int) -> int:
        """The packet's source has reached a limit of its own (RFC 6888 REQ-4)."""
        untold = 0 if self.records.muted else self.sources.announce(self.records.now)
        if untold != 0:
            self.records.quota(limit, self.decider.pool, untold - 1)
        return Verdict.REJECT_SOURCE_LIMIT if self.options.reject_exhausted else Verdict.DROP_SOURCE_LIMIT

    def has_room_for_guests(self) -> bool:
        """Strangers, whom an open filter lets open flows, cannot take the last quarter of the table."""
        return self.table.guests < self.table.capacity - (self.table.capacity >> 2)

    def refuse_row(self, side: int) -> int:
        if side == sides.INSIDE:
            self.records.exhausted(record.FLOWS, self.decider.pool, 0, 0, 0)
        return Verdict.REJECT_TABLE_FULL if self.options.reject_exhausted else Verdict.DROP_TABLE_FULL

    # -- the row

    def fill(self, side: int) -> None:
        """Both tuples, as far as they are known before an external endpoint is chosen."""
        flow = order.span64(self.r64, self.row * row.WORDS, row.WORDS)
        flow[row.ORIGINAL_SOURCE] = flow[row.REPLY_DESTINATION] = self.packet.source_high
        flow[row.ORIGINAL_SOURCE + 1] = flow[row.REPLY_DESTINATION + 1] = self.packet.source_low
        flow[row.ORIGINAL_DESTINATION] = flow[row.REPLY_SOURCE] = self.packet.destination_high
        flow[row.ORIGINAL_DESTINATION + 1] = flow[row.REPLY_SOURCE + 1] = self.packet.destination_low
        port = self.packet.ports & bits.M16
        if self.decider.through_mapping:
            port = self.target.fill(self.row * row.WORDS)
        number = self.packet.protocol << row.LABEL_PROTOCOL
        flow[row.ORIGINAL_LABEL] = side << row.LABEL_SIDE | number | self.packet.ports
        flow[row.REPLY_LABEL] = (self.decider.leaves << row.LABEL_SIDE | number | port << row.LABEL_SOURCE_PORT
                                 | self.packet.ports >> 16)
        self.r8[self.row * row.BYTES + row.STATE] = state.NONE if self.packet.protocol == protocol.TCP else state.NEW
        self.r16[self.row * row.HALVES + row.DECISION] = self.decider.pool
        self.opening = (self.opening + 1) & bits.M16
        self.r16[self.row * row.HALVES + row.OPENING] = self.opening
        self.table.guests += side != sides.INSIDE
        if self.knocking:
            self.r8[self.row * row.BYTES + row.FLAGS] |= row.KNOCKING

    def choose_external(self, now: int) -> int:
        """Where the flow is translated to: the mapping its endpoint has, or a new external address and port."""
        scope = self.options.mapping[self.packet.protocol]
        if not self.decider.translated:
            if self.decider.through_mapping:
                self.join(scope)
            return Verdict.ACCEPT
        if scope <= 1:
            self.join(scope)
            if self.reuse_mapping(scope, now):
                return Verdict.ACCEPT
        if not self.choose_address():
            self.records.exhausted(record.ADDRESSES, self.decider.pool, 0, 0, 0)
            return Verdict.DROP_NO_EGRESS_ADDRESS
        if not self.sources.may_take_port():
            return self.refuse_source(record.PORTS)
        return self.choose_port(now)

    def join(self, scope: int) -> None:
        """Make the row a member of its endpoint's mapping; `FlowTable.link` finds the others."""
        self.r8[self.row * row.BYTES + row.FLAGS] |= row.MAPPED
        self.r8[self.row * row.BYTES + row.MAPPING_SCOPE] = scope

    def reuse_mapping(self, scope: int, now: int) -> bool:
        """Endpoint-independent mapping: one internal endpoint keeps one external one (RFC 4787 REQ-1)."""
        at = self.row * row.WORDS
        head = self.find_own(scope)
        if head == 0:
            self.mapping = self.own
            return False
        head = self.table.promote(head, now)
        if head == 0:
            return False
        first = head * row.WORDS
        external, label = first + row.REPLY_DESTINATION, self.r64[first + row.REPLY_LABEL]
        if not self.table.from_inside(head):
            external, label = first + row.ORIGINAL_DESTINATION, self.r64[first + row.ORIGINAL_LABEL]
        self.r64[at + row.REPLY_DESTINATION] = self.r64[external]
        self.r64[at + row.REPLY_DESTINATION + 1] = self.r64[external + 1]
        self.take_port(label & bits.M16)
        return not self.is_answered(now)

    def is_answered(self, now: int) -> bool:
        """Whether some flow has the row's reply tuple: one that began before a reload changed how ports are mapped."""
        at = self.row * row.WORDS
        return self.table.find(self.r64[at + row.REPLY_SOURCE], self.r64[at + row.REPLY_SOURCE + 1],
                               self.r64[at + row.REPLY_DESTINATION], self.r64[at + row.REPLY_DESTINATION + 1],
                               self.r64[at + row.REPLY_LABEL] & row.LABEL_MASK, now) != 0

    def find_own(self, scope: int) -> int:
        """The mapping of the packet's source endpoint, for this remote address where `scope` says so."""
        if self.own != 0:
            return self.table.find_mapping_keyed(self.own, bounds.INTERNAL, self.packet.source_high,
                                                 self.packet.source_low, 0, 0, self.source_label())
        remote = self.row * row.WORDS + row.REPLY_SOURCE
        return self.table.find_mapping(bounds.INTERNAL, self.packet.source_high, self.packet.source_low,
                                       self.r64[remote] if scope else 0, self.r64[remote + 1] if scope else 0,
                                       self.source_label())

    def choose_address(self) -> bool:
        """Paired (RFC 4787 REQ-2): an internal address keeps its egress address; see `Sources.paired`."""
        first, count = self.first_address(), self.addresses()
        if count == 0:
            return False
        self.use_address(self.sources.paired(first, count))
        return True

    def first_address(self) -> int:
        """The number of the first egress address of the packet's family."""
        return self.options.egress_v4 if self.packet.family == 6 else 0

    def addresses(self) -> int:
        return self.options.egress_v6 if self.packet.family == 6 else self.options.egress_v4

    def use_address(self, index: int) -> None:
        at = self.row * row.WORDS + row.REPLY_DESTINATION
        self.egress = index + 1
        self.r64[at] = self.options.egress[2 * index]
        self.r64[at + 1] = self.options.egress[2 * index + 1]

    def choose_port(self, now: int) -> int:
        found = self.find_port(now)
        if found == 0 and self.sources.holds_nothing():
            found = self.find_elsewhere(now)
        if found == 0:
            if not self.options.rewritable[self.packet.protocol]:
                return Verdict.DROP_UNTRANSLATABLE
            at = self.row * row.WORDS + row.REPLY_DESTINATION
            self.records.exhausted(record.PORTS, self.decider.pool, self.egress, self.r64[at], self.r64[at + 1])
            return Verdict.REJECT_PORTS_EXHAUSTED if self.options.reject_exhausted else Verdict.DROP_PORTS_EXHAUSTED
        self.take_port(found - 1)
        self.reply = self.ports.reply
        return Verdict.ACCEPT

    def find_elsewhere(self, now: int) -> int:
        """Who holds no port is bound to no address: the next ones are tried, a few at a time, and the last is kept."""
        found, left = 0, min(self.addresses() - 1, bounds.ADDRESS_TRIES)
        while found == 0 and left > 0:
            self.use_address(self.sources.move(self.first_address(), self.addresses()))
            found = self.find_port(now)
            left -= 1
        return found

    def find_port(self, now: int) -> int:
        """1 + a port that is free at the chosen address, or 0."""
        wanted = self.packet.ports >> 16
        preserve = self.options.preserves[self.packet.protocol] != 0
        if (self.frame >= 0 and self.foresight.egress[self.frame] == self.egress
                and self.decider.leaves == sides.OUTSIDE):
            self.ports.foresee(self.foresight.reply[self.frame], self.foresight.external[self.frame])
        else:
            self.ports.foresee(0, 0)
        return self.ports.allocate(self.row, wanted, self.decider.lowest_port(wanted),
                                   self.decider.highest_port(wanted), preserve, now)

    def take_port(self, port: int) -> None:
        """The external port goes into the reply tuple; an ICMP identifier is both its ports."""
        at = self.row * row.WORDS + row.REPLY_LABEL
        self.r64[at] = self.r64[at] >> 16 << 16 | port
        if self.packet.protocol == protocol.ICMP or self.packet.protocol == protocol.ICMPV6:
            self.r64[at] = self.r64[at] >> 32 << 32 | port << 16 | port

    def link(self, key: int, now: int) -> bool:
        """Both index entries or neither; the checksum deltas that every packet of the flow will need."""
        self.write_deltas()
        self.r32[self.row * row.QUADS + row.EXPIRES] = self.first_end(now)
        return self.table.link(self.row, key, self.reply, self.mapping, self.ports.external)

    def first_end(self, now: int) -> int:
        """When the flow ends unless a packet refreshes it.

        Whoever comes from outside through a mapping shares the time that is left to it: a stranger must not keep
        it alive (RFC 4787 REQ-6).
        """
        number = self.packet.protocol
        if number == protocol.TCP:
            return (now + self.options.tcp_lifetime[0]) & bits.M32
        if self.decider.through_mapping and not self.table.from_inside(self.row):
            return self.r32[self.target.head * row.QUADS + row.EXPIRES]
        return (now + self.options.lifetime[number]) & bits.M32

    def write_deltas(self) -> None:
        flow = order.span64(self.r64, self.row * row.WORDS, row.WORDS)
        old = words32(flow[row.ORIGINAL_SOURCE], flow[row.ORIGINAL_SOURCE + 1])
        new = words32(flow[row.REPLY_DESTINATION], flow[row.REPLY_DESTINATION + 1])
        if self.decider.through_mapping:  # otherwise the destination is what it was
            old += words32(flow[row.ORIGINAL_DESTINATION], flow[row.ORIGINAL_DESTINATION + 1])
            new += words32(flow[row.REPLY_SOURCE], flow[row.REPLY_SOURCE + 1])
        ports_old, ports_new = flow[row.ORIGINAL_LABEL] & bits.M32, flow[row.REPLY_LABEL] & bits.M32
        ports_old = (ports_old >> 16) + (ports_old & bits.M16)
        ports_new = (ports_new >> 16) + (ports_new & bits.M16)
        number = self.packet.protocol
        self.r16[self.row * row.HALVES + row.ADDRESS_DELTA] = difference(new, old)
        if number == protocol.ICMP or number == protocol.ICMPV6:  # one identifier, counted as both ports
            ports_old, ports_new = self.packet.ports & bits.M16, flow[row.REPLY_LABEL] & bits.M16
        if number == protocol.ICMP:  # and no pseudo-header
            old, new = 0, 0
        self.r16[self.row * row.HALVES + row.TRANSPORT_DELTA] = difference(new + ports_new, old + ports_old)
