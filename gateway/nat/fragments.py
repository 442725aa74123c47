"""Fragments, translated without reassembly: all of a datagram follow what becomes of its first one.

Those that come before the first are held. Everything held is bounded in number, per source and in time, and
a datagram whose fragments overlap is refused whole (RFC 1858, 3128, 5722). Off the established-flow path.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from ..match.settings import Settings
from ..wire import bits, ipv4, ipv6, protocol, sides, tcp, vnet
from ..wire import checksum as sums
from ..wire.packet import Packet
from . import row
from .answers import Answers, Outbox
from .engine import Engine
from .opener import difference, words32
from .pieces import cut, cut6, identifier, join, key_of, overlap, payload_size
from .sorting import FRAGMENTS_OF_ONE, SHARE, Mail, Sorting, reduce
from .verdict import Verdict

DATAGRAM_MAX = 65535
KEPT = (Verdict.ACCEPT, Verdict.ANSWER_ECHO)  # what a datagram's fragments are still awaited with


@dataclass
class Datagram:
    """What is known of one datagram. ranges: payload bytes seen.  held: packets waiting for the first one."""

    source: tuple[int, int]
    side: int  # that it comes from
    expires: int
    ranges: list[tuple[int, int]] = field(default_factory=list)
    held: list[bytes] = field(default_factory=list)
    verdict: Verdict | None = None  # of the first fragment, once it was seen
    leaves: int = sides.NOWHERE
    new_source: tuple[int, int] = (0, 0)
    new_destination: tuple[int, int] = (0, 0)
    identifier: int = 0
    flow: int = 0
    direction: int = 0
    tuples: bytes = b""  # of that flow: its row may have become another's
    start: int = 0  # TCP: the sequence number that the datagram's first byte would have
    size: int = 0  # of the whole payload, once its last fragment was seen

    def is_complete(self) -> bool:
        return self.verdict in KEPT and sum(b - a for a, b in self.ranges) == self.size


class Fragments:
    """Judges the fragment that the engine has just parsed, or cuts what is too large for the other side."""

    def __init__(self, engine: Engine, outbox: Outbox, mail: Mail, answers: Answers) -> None:
        self.engine, self.outbox, self.answers = engine, outbox, answers
        self.sorting = Sorting(engine, mail)
        self.datagrams: dict[tuple[int, ...], Datagram] = {}
        self.known_by: Counter[tuple[int, int]] = Counter()  # datagrams, by source; none stands at 0
        self.held_by: Counter[tuple[int, int]] = Counter()
        self.known_on = [0] * (sides.ACROSS + 1)  # datagrams, by side
        self.held_on = [0] * (sides.ACROSS + 1)

    def use(self, settings: Settings) -> None:
        self.limit, self.lifetime = settings.limits.fragments_held, settings.timeouts.fragment
        self.share = max(1, self.limit // SHARE)
        self.sorting.use(settings)

    def translate(self, index: int, side: int, now: int) -> Verdict:
        """The verdict on frame `index`; rewritten in place if it goes on at once."""
        packet = self.engine.packet
        offset, size = (packet.fragment & ipv4.OFFSET_MASK) * 8, payload_size(packet)
        header = packet.transport - packet.at if packet.family == 4 else 0
        if size <= 0 or header + offset + size > DATAGRAM_MAX or (packet.fragment & ipv4.MF and size % 8):
            return Verdict.DROP_BAD_LENGTH
        if offset == 8 and packet.protocol == protocol.TCP:
            return Verdict.DROP_TINY_FRAGMENT  # would overlap the flags (RFC 3128)
        if self.engine.share.count > 1:
            verdict = self.sorting.judge(index, side, now)
            if verdict is not Verdict.ACCEPT:
                return verdict
        key = key_of(packet, side)
        datagram = self.datagrams.get(key)
        if datagram is None:
            source = packet.source_high, packet.source_low
            if self.is_full(self.known_on, side) or self.known_by[source] >= self.share:
                return Verdict.DROP_FRAGMENT_LIMIT
            datagram = self.datagrams[key] = Datagram(source, side, now + self.lifetime)
            self.known_by[source] += 1
            self.known_on[side] += 1
        if datagram.verdict is Verdict.LEAVE_TO_HOST:
            return Verdict.LEAVE_TO_HOST
        if datagram.verdict is not None and datagram.verdict not in KEPT:
            return Verdict.DROP_FRAGMENT_REFUSED
        if (offset, offset + size) in datagram.ranges:  # a network may deliver twice (RFC 8200 section 4.5)
            return Verdict.DROP_FRAGMENT_OVERLAP
        if len(datagram.ranges) >= FRAGMENTS_OF_ONE:
            self.refuse(datagram, Verdict.DROP_FRAGMENT_LIMIT)
            return Verdict.DROP_FRAGMENT_LIMIT
        last = not packet.fragment & ipv4.MF
        if self.overlaps(datagram, offset, offset + size, last):
            self.refuse(datagram, Verdict.DROP_FRAGMENT_OVERLAP)
            return Verdict.DROP_FRAGMENT_OVERLAP
        if last:
            datagram.size = offset + size
        if offset == 0:
            verdict = self.translate_first(datagram, index, side, now)
        else:
            verdict = self.translate_other(datagram, index)
        if datagram.verdict is Verdict.ANSWER_ECHO and datagram.is_complete() and verdict is Verdict.HOLD_FRAGMENT:
            verdict = self.answer(datagram, side)
        if datagram.is_complete():  # a fast sender comes round to the same identifier within seconds
            self.forget(key)
        return verdict

    def is_full(self, counted: list[int], side: int) -> bool:
        """Whether there is room for no more. Out there anybody can think of sources: a share is kept from them."""
        room = self.limit - self.share if side != sides.INSIDE and self.limit > 1 else self.limit
        return counted[side] >= room or sum(counted) >= self.limit

    def overlaps(self, datagram: Datagram, start: int, end: int, last: bool) -> bool:
        """Note the range; or whether it cannot be."""
        if overlap(datagram.ranges, datagram.size, start, end, last):
            return True
        datagram.ranges.append((start, end))
        return False

    def refuse(self, datagram: Datagram, verdict: Verdict) -> None:
        """Nothing of this datagram passes any more; what is held ends with the same verdict."""
        datagram.verdict = verdict
        self.settle(len(datagram.held), verdict)
        self.let_go(datagram)

    def let_go(self, datagram: Datagram) -> None:
        self.held_on[datagram.side] -= len(datagram.held)
        reduce(self.held_by, datagram.source, len(datagram.held))
        datagram.held.clear()

    def forget(self, key: tuple[int, ...]) -> None:
        datagram = self.datagrams.pop(key)
        reduce(self.known_by, datagram.source, 1)
        self.known_on[datagram.side] -= 1

    def settle(self, count: int, verdict: Verdict) -> None:
        """Move `count` packets from "held" to what became of them."""
        self.engine.counters[Verdict.HOLD_FRAGMENT] -= count
        self.engine.counters[verdict] += count

    def translate_first(self, datagram: Datagram, index: int, side: int, now: int) -> Verdict:
        engine, packet = self.engine, self.engine.packet
        verdict = Verdict(engine.pass_on(index, side, now >> row.TICK_SHIFT & bits.M32, self.may_cut(packet)))
        if verdict is Verdict.SLOW:
            verdict = Verdict.REJECT_TOO_BIG
        if verdict is Verdict.ANSWER_ECHO:
            datagram.verdict = verdict
            return self.hold(datagram, index)
        if verdict is not Verdict.ACCEPT:
            self.refuse(datagram, verdict)
            return verdict
        datagram.verdict, datagram.leaves = verdict, engine.batch.out[index]
        datagram.flow, datagram.direction = engine.flow, engine.direction
        datagram.tuples = self.tuples(engine.flow)
        start, length = engine.batch.start[index], engine.batch.length[index]
        packet.parse(start, length, False)
        datagram.new_source = packet.source_high, packet.source_low
        datagram.new_destination = packet.destination_high, packet.destination_low
        if packet.protocol == protocol.TCP:
            header = packet.load8(packet.transport + tcp.DATA_OFFSET) >> 4 << 2
            extra = 1 if packet.tcp_flags & (tcp.SYN | tcp.FIN) else 0
            datagram.start = packet.load32(packet.transport + tcp.SEQUENCE) + extra - header
        datagram.identifier = identifier(packet)  # of IPv4 the engine has given it another, where one is due
        if packet.family == 6 and datagram.new_source != datagram.source:
            datagram.identifier = self.new_identifier(packet)
            self.write_identifier(packet, datagram.identifier)
        self.send(index, datagram.leaves)
        self.release(datagram)
        return verdict

    def release(self, datagram: Datagram) -> None:
        """Translate what was held for the first fragment, and send it after it."""
        scratch = self.engine.scratch
        cursor = Packet(scratch)
        for data in datagram.held:
            scratch.clear()
            scratch.append(data)
            cursor.parse(scratch.start[0], len(data), False)
            if cursor.ttl <= 1:
                self.settle(1, Verdict.DROP_TTL_EXCEEDED)
            elif self.fits(cursor, datagram.leaves):
                self.rewrite(cursor, datagram)
                self.outbox += self.pieces(scratch.packet(0), datagram.leaves)
                self.settle(1, Verdict.ACCEPT)
            else:
                self.settle(1, Verdict.REJECT_TOO_BIG)
        self.let_go(datagram)

    def translate_other(self, datagram: Datagram, index: int) -> Verdict:
        packet = self.engine.packet
        if datagram.verdict is None or datagram.verdict is Verdict.ANSWER_ECHO:
            return self.hold(datagram, index)
        if packet.ttl <= 1:
            return Verdict.DROP_TTL_EXCEEDED
        if not self.fits(packet, datagram.leaves):
            return Verdict.REJECT_TOO_BIG
        self.rewrite(packet, datagram)
        self.send(index, datagram.leaves)
        return Verdict.ACCEPT

    def hold(self, datagram: Datagram, index: int) -> Verdict:
        if self.held_by[datagram.source] >= self.share or self.is_full(self.held_on, datagram.side):
            return Verdict.DROP_FRAGMENT_LIMIT
        datagram.held.append(self.engine.batch.packet(index))
        self.held_by[datagram.source] += 1
        self.held_on[datagram.side] += 1
        return Verdict.HOLD_FRAGMENT

    def answer(self, datagram: Datagram, side: int) -> Verdict:
        """An echo request for the gateway itself, whole at last (RFC 1122 section 3.3.2)."""
        engine, scratch = self.engine, self.engine.scratch
        parts = []
        cursor = Packet(scratch)
        for data in datagram.held:
            scratch.clear()
            scratch.append(data)
            cursor.parse(scratch.start[0], len(data), False)
            parts.append(((cursor.fragment & ipv4.OFFSET_MASK) * 8, data))
        whole = join(parts, cursor.fragment_header - cursor.at)
        with engine.aside():
            scratch.append(whole)
            fault_found = engine.packet.parse(scratch.start[0], len(whole), False)
            reply = None if fault_found else self.answers.echo()
        verdict = Verdict.ANSWER_ECHO if reply else Verdict.DROP_BAD_CHECKSUM
        self.settle(len(datagram.held) - 1, verdict)  # this one is not counted yet
        self.let_go(datagram)
        if reply:
            self.outbox += self.pieces(reply, side)
        return verdict

    def rewrite(self, packet: Packet, datagram: Datagram) -> None:
        """The addresses and identifier of the datagram's first fragment. A later one has no ports and no checksum."""
        delta = difference(words32(*datagram.new_source) + words32(*datagram.new_destination),
                           words32(packet.source_high, packet.source_low)
                           + words32(packet.destination_high, packet.destination_low))
        packet.rewrite_header(*datagram.new_source, *datagram.new_destination, delta, datagram.leaves != sides.ACROSS)
        self.write_identifier(packet, datagram.identifier)
        if packet.protocol == protocol.TCP and datagram.tuples == self.tuples(datagram.flow):
            end = (packet.fragment & ipv4.OFFSET_MASK) * 8 + payload_size(packet)
            self.engine.tracker.stretch(datagram.flow, datagram.direction, datagram.start + end & bits.M32)

    def tuples(self, base: int) -> bytes:
        return bytes(self.engine.table.r64[base * row.WORDS : base * row.WORDS + row.REPLY_LABEL + 1])

    def new_identifier(self, packet: Packet) -> int:
        """For an IPv6 datagram in fragments, whatever is in it (RFC 8200 section 4.5)."""
        return self.engine.identifiers.take(packet.source_high, packet.source_low, packet.destination_high,
                                            packet.destination_low, protocol.FRAGMENT, 1)

    def own_identifier(self, data: bytes) -> int:
        """The same for an IPv6 packet of the gateway's own."""
        words = [int.from_bytes(data[at : at + 8], "big") for at in range(ipv6.SOURCE, ipv6.HEADER, 8)]
        return self.engine.identifiers.take(words[0], words[1], words[2], words[3], protocol.FRAGMENT, 1)

    def write_identifier(self, packet: Packet, value: int) -> None:
        slab = self.engine.scratch.slab if packet is not self.engine.packet else self.engine.batch.slab
        if packet.family == 6:
            at = packet.fragment_header + ipv6.FRAGMENT_ID
            slab[at : at + 4] = value.to_bytes(4, "big")
            return
        at = packet.at + ipv4.ID
        slab[at : at + 2] = value.to_bytes(2, "big")
        sums.write_header_checksum(slab, packet.at, packet.transport)

    # -- the other way round: what is larger than the side it leaves on

    def fragment(self, index: int, side: int, now: int) -> Verdict:
        """Translate frame `index` and send it in pieces (RFC 791 section 3.2)."""
        engine, packet = self.engine, self.engine.packet
        sums.finish_checksum(engine.batch.slab, packet)
        packet.parse(engine.batch.start[index], engine.batch.length[index], False)
        verdict = Verdict(engine.pass_on(index, side, now >> row.TICK_SHIFT & bits.M32, True))
        if verdict is Verdict.ACCEPT:
            packet.parse(engine.batch.start[index], engine.batch.length[index], False)
            self.send(index, engine.batch.out[index])
        return verdict

    def may_cut(self, packet: Packet) -> bool:
        return packet.family == 4 and not packet.load16(packet.at + ipv4.FRAGMENT) & ipv4.DF

    def fits(self, packet: Packet, leaves: int) -> bool:
        """Whether a packet can leave on this side, if need be in pieces."""
        return packet.end - packet.at <= self.engine.options.mtu[leaves] or self.may_cut(packet)

    def send(self, index: int, leaves: int) -> None:
        """Frame `index`, translated: in place if it is small enough, else in pieces."""
        engine = self.engine
        engine.batch.out[index] = leaves
        if engine.batch.length[index] > engine.options.mtu[leaves]:
            self.outbox += self.pieces(engine.batch.packet(index), leaves)
            engine.batch.out[index] = sides.NOWHERE

    def pieces(self, data: bytes, leaves: int) -> Outbox:
        mtu = self.engine.options.mtu[leaves]
        parts = [data]
        if len(data) > mtu:
            parts = cut(data, mtu) if data[0] >> 4 == 4 else cut6(data, mtu, self.own_identifier(data))
        return [(leaves, bytes(vnet.HEADER), part) for part in parts]

    def tick(self, now: int) -> None:
        """Forget datagrams whose time is up; they stand in the order in which they came."""
        self.sorting.tick(now)
        while self.datagrams:
            key = next(iter(self.datagrams))
            if self.datagrams[key].expires > now:
                break
            self.refuse(self.datagrams[key], Verdict.DROP_FRAGMENT_TIMEOUT)
            self.forget(key)
