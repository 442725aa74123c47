"""The compiled loop over a batch: parse, find or open the flow, step it, rewrite the packet in place.

What needs more than that (an ICMP error, a fragment, an answer of our own) gets a verdict that
`nat.translator` picks up afterwards, outside the loop and with the whole of Python at hand.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..match.ruleset import Ruleset
from ..wire import bits, fault, icmp, kind, order, protocol, sides, tcp
from ..wire.batch import Batch
from ..wire.packet import Packet
from . import bounds, record, row, state
from .decider import Decider
from .foresight import Foresight
from .identifiers import Identifiers
from .lookahead import Lookahead
from .opener import Opener
from .options import Options
from .ports import Ports
from .records import Records
from .shares import Share
from .sources import Sources
from .table import FlowTable
from .target import Target
from .tcp import Tracker
from .verdict import Verdict


def is_unfinished(verdict: int) -> bool:
    """Whether something is left to do outside the compiled loop: to decide, or to answer."""
    return (verdict >= Verdict.REJECT_TTL_EXCEEDED or verdict == Verdict.ANSWER_ECHO
            or verdict == Verdict.DROP_UNSOLICITED_SYN)


class Engine:
    """One flow table and everything that works on it.

    counters: packets by verdict.  packet: the one under translation, and after `step` the last one.
    flow, direction, mtu: that packet's row, its direction and the MTU of the side it leaves on.  opened: by it.
    scratch: a batch of one, for whoever works outside the loop.  share: what of the gateway is this engine's.
    """

    def __init__(self, capacity: int, keys: tuple[int, int, int, int], share: Share | None = None) -> None:
        self.options, self.share = Options(), share or Share()
        self.batch = self.scratch = Batch(1)
        self.packet = Packet(self.batch)
        self.table = FlowTable(capacity, keys[0], keys[1])
        self.lookahead = Lookahead(self.table, self.batch)
        self.ports = Ports(self.table, keys[2], keys[3], self.share)
        self.decider = Decider(self.packet, self.options, self.share)
        self.sources = Sources(self.table, keys[1], keys[2])
        self.records = Records(self.table, self.packet)
        self.foresight = Foresight(self.lookahead, self.table, self.options, self.sources)
        self.target = Target(self.table, self.packet, self.decider, self.options)
        self.opener = Opener(self.table, self.ports, self.packet, self.decider, self.options, self.sources,
                             self.records, self.target, self.foresight)
        self.tracker = Tracker(self.table, self.packet, self.batch)
        self.identifiers = Identifiers(keys[3], keys[0], self.batch, self.share)
        self.flow = self.direction = self.mtu = self.key = 0
        self.opened = False
        self.r8, self.r16, self.r32, self.r64 = self.table.r8, self.table.r16, self.table.r32, self.table.r64
        self.counters = memoryview(bytearray(64 * 8)).cast("Q")

    def use(self, ruleset: Ruleset) -> None:
        """Decide new flows by this ruleset from the next packet on."""
        self.options.use(ruleset)
        self.decider.use(ruleset)
        self.sources.use(ruleset.settings)
        self.records.use(ruleset.settings.egress4, ruleset.settings.egress6)
        for number, ports in ((protocol.TCP, ruleset.settings.tcp_ports), (protocol.UDP, ruleset.settings.udp_ports)):
            self.ports.exclude(number, ports.excluded)

    @contextmanager
    def rehearsal(self) -> Iterator[None]:
        """A flow may be opened and ended without a trace, and the next one gets the port that this one got."""
        chosen, opening, within = self.ports.counter, self.opener.opening, self.records.muted
        self.sources.rehearsing = self.records.muted = True
        try:
            yield
        finally:
            self.sources.rehearsing = self.records.muted = within
            self.ports.counter, self.opener.opening = chosen, opening

    def end(self, base: int, reason: int, late: int) -> int:
        """End the flow in row `base`, the only way a flow ends; 0 if there is none. reason: of `nat.record`.

        late: nanoseconds since its time was up.
        """
        if base <= 0 or base > self.table.high_water or not self.r8[base * row.BYTES + row.FLAGS] & row.USED:
            return 0
        self.sources.release(base)
        self.records.closed(base, reason, late)
        return self.table.close(base)

    def end_expired(self, now: int, budget: int) -> int:
        """End flows whose time is up; returns how many.

        Looks at no more than `budget` rows before the first such flow, and as many after it.
        """
        ended = 0
        base = self.table.next_expired(now, budget)
        while base:
            late = (now - self.r32[base * row.QUADS + row.EXPIRES]) & bits.M32
            self.end(base, self.reason(base), late << row.TICK_SHIFT)
            ended += 1
            before = base
            base = self.table.next_expired(now, budget)
            budget -= base - before if base > before else base - before + self.table.high_water
        return ended

    def reason(self, base: int) -> int:
        """Why a flow's time was up."""
        present = self.r8[base * row.BYTES + row.STATE]
        if present == state.RESET:
            return record.RESET
        return record.FINISHED if present == state.CLOSING else record.EXPIRED

    @contextmanager
    def aside(self) -> Iterator[Batch]:
        """`scratch`, empty and bound; whatever happens, the batch at hand is bound again after that."""
        bound = self.batch
        self.scratch.clear()
        self.bind(self.scratch)
        try:
            yield self.scratch
        finally:
            self.bind(bound)

    def bind(self, batch: Batch) -> None:
        self.batch = batch
        self.packet.bind(batch)
        self.identifiers.bind(batch)
        self.tracker.bind(batch)
        self.lookahead.bind(batch)
        self.foresight.bind(batch)

    def run(self, side: int, now: int) -> int:
        """Translate the bound batch's frames from `side`; returns how many need the slow path."""
        slow = accepted = 0
        count = self.batch.count
        starts, lengths = order.span32(self.batch.start, 0, count), order.span32(self.batch.length, 0, count)
        verdicts, out = order.span8(self.batch.verdict, 0, count), order.span8(self.batch.out, 0, count)
        for index in range(count):
            out[index] = sides.NOWHERE  # before anything can go wrong
        ahead = self.table.live > bounds.LOOKAHEAD_FROM
        if ahead:
            self.lookahead.run(side)
            self.foresight.run(side)
        for index in range(count):
            self.key = self.lookahead.keys[index] if ahead else 0
            verdict = self.step(index, starts[index], lengths[index], side, now)
            verdicts[index] = verdict
            if verdict == Verdict.ACCEPT:
                accepted += 1
            else:
                slow += self.note(index, verdict)
        self.counters[Verdict.ACCEPT] += accepted
        self.key, self.opener.frame = 0, -1
        return slow

    def note(self, index: int, verdict: int) -> bool:
        """Count what was not accepted; whether it needs the slow path."""
        self.counters[verdict] += 1
        if verdict == Verdict.HAND_OVER:
            self.batch.neighbour[index] = self.decider.owner
        return is_unfinished(verdict)

    def step(self, index: int, start: int, length: int, side: int, now: int) -> int:
        """The verdict on frame `index`; rewritten, with its side in batch.out, if that is ACCEPT."""
        wrong = self.packet.parse(start, length, False)
        if wrong != fault.NONE:
            return wrong
        self.batch.length[index] = self.packet.end - self.packet.at
        if self.packet.kind != kind.FLOW:
            return Verdict.SLOW
        return self.travel(index, side, now, False)

    def pass_on(self, index: int, side: int, now: int, oversize: bool) -> int:
        """Find or open the parsed packet's flow and send it on its way.

        oversize: do so although it is larger than the other side's MTU; the caller fragments it.
        """
        return self.travel(index, side, now, oversize)

    def travel(self, index: int, side: int, now: int, oversize: bool) -> int:
        """What `pass_on` does, a part of the loop: `forward` calls itself again by that name only."""
        label = side << row.LABEL_SIDE | self.packet.protocol << row.LABEL_PROTOCOL | self.packet.ports
        reference = self.table.find_keyed(self.key, self.packet.source_high, self.packet.source_low,
                                          self.packet.destination_high, self.packet.destination_low, label, now)
        self.opened = reference == 0
        if reference == 0:
            if self.table.live == self.table.capacity and not self.records.muted:
                self.end_expired(now, bounds.SWEEP_WHEN_FULL)
            self.opener.frame = index if self.key else -1
            reference = self.opener.open(side, self.table.sought, now, oversize)
            if reference == 0:
                self.mtu = self.options.mtu[self.opener.decider.leaves]
                return self.opener.verdict
        self.flow = reference >> 1
        return self.forward(index, side, reference & 1, now, oversize)

    def forward(self, index: int, side: int, direction: int, now: int, oversize: bool) -> int:
        """A packet of the flow in row `flow`: does it fit, and out with it."""
        base, self.direction = self.flow, direction
        if self.packet.ttl <= 1:
            return Verdict.REJECT_TTL_EXCEEDED
        flow = order.span64(self.r64, base * row.WORDS, row.WORDS)
        original, label = flow[row.ORIGINAL_LABEL], flow[row.REPLY_LABEL]
        address_delta, transport_delta = original >> row.DELTA_SHIFT, label >> row.DELTA_SHIFT
        if direction == sides.REPLY:
            label = original
            address_delta ^= bits.M16
            transport_delta ^= bits.M16
        leaves = label >> row.LABEL_SIDE & 0xFF
        self.mtu = self.options.mtu[leaves]
        if self.packet.segment > self.mtu and not oversize:
            return Verdict.SLOW
        if leaves == side and not self.opened and self.leads_nowhere(base, direction, now):
            return self.pass_on(index, side, now, oversize)  # begins another flow, and comes here no second time
        verdict = self.refresh(base, side, direction, now)
        if leaves == side and verdict == Verdict.ACCEPT:
            verdict = self.knock(base, direction, now)
        if verdict != Verdict.ACCEPT:
            return verdict
        self.r32[base * row.QUADS + row.PACKETS] = (self.r32[base * row.QUADS + row.PACKETS] + 1) & bits.M32
        octets = flow[row.OCTETS]
        flow[row.OCTETS] = (octets & ~row.OCTETS_MASK
                            | (octets + self.packet.end - self.packet.at) & row.OCTETS_MASK)
        if self.packet.tcp_flags & tcp.SYN:
            self.tracker.clamp(self.options.segment_limit[self.packet.family == 6])
        ports = (label & bits.M16) << 16 | (label >> row.LABEL_SOURCE_PORT & bits.M16)
        other = (1 - direction) * row.TUPLE_STRIDE
        self.packet.rewrite(flow[other + 2], flow[other + 3], flow[other], flow[other + 1],
                            ports, address_delta, transport_delta, leaves != sides.ACROSS)  # one gateway is one hop
        if not self.packet.atomic:
            self.renumber(base, base * row.WORDS + other)
        self.batch.out[index] = leaves
        return Verdict.ACCEPT

    def addressee(self, index: int) -> int:
        """The worker that frame `index` goes to, if to another: by its number or bounds.SORTING; -1 if to none.

        What leaves ACROSS is for the owner of the port it is sent to, or of the one that a packet in an ICMP error was.
        """
        if self.batch.verdict[index] == Verdict.HAND_OVER:
            return self.batch.neighbour[index]
        if self.batch.out[index] != sides.ACROSS:
            return -1
        self.packet.parse(self.batch.start[index], self.batch.length[index], False)
        if self.packet.kind == kind.FRAGMENT:
            return bounds.SORTING
        port = self.packet.ports & bits.M16
        if self.packet.kind == kind.ERROR:
            first = self.packet.transport + icmp.HEADER
            self.packet.parse(first, self.packet.end - first, True)
            port = self.packet.ports >> 16
        return self.share.port_owner(port)

    def leads_nowhere(self, base: int, direction: int, now: int) -> bool:
        """Whether a hairpin's target has lost the mapping that the flow goes through: then the flow has ended.

        Otherwise what the one says would keep alive a way to the other through a port that is a third one's by
        now. What the target says keeps its mapping (RFC 4787 REQ-6). TCP goes on as long as the connection does.
        """
        is_tcp = self.packet.protocol == protocol.TCP
        if not self.target.is_hairpin(base) or (is_tcp and (direction == sides.REPLY or not self.decider.is_syn())):
            return False
        if not self.target.find_again(base, now):
            self.r32[base * row.QUADS + row.EXPIRES] = now
            return True
        if direction == sides.REPLY and not self.records.muted:
            end = (now + self.options.lifetime[self.packet.protocol]) & bits.M32
            self.r32[self.target.head * row.QUADS + row.EXPIRES] = end
        return False

    def knock(self, base: int, direction: int, now: int) -> int:
        """The verdict on a hairpin's packet while the filter of the host that it is for refuses it.

        Two hosts behind one external address punch holes through each other's filters (RFC 5128, RFC 4787 REQ-9)
        as if each had a NAT of its own: what the first one sends is dropped, and is what its own filter is opened
        by, which is all that it does. Both their flows are one row: what the other sends is found as its reply.
        """
        if not self.r8[base * row.BYTES + row.FLAGS] & row.KNOCKING:
            return Verdict.ACCEPT
        if direction == sides.ORIGINAL and not self.target.is_admitted(base, now):
            return self.target.refusal()
        self.r8[base * row.BYTES + row.FLAGS] &= ~row.KNOCKING
        return Verdict.ACCEPT

    def renumber(self, base: int, other: int) -> None:
        """The packet may be fragmented, or is: to many sources behind one address, identifiers are given anew."""
        if self.r64[other + 3] != self.packet.source_low:
            change = self.identifiers.renumber(self.packet, self.r64[other + 3], self.r64[other + 1])
            if self.packet.protocol != protocol.TCP:
                self.r16[base * row.HALVES + row.IDENTIFIER_CHANGE + self.direction] = change

    def refresh(self, base: int, side: int, direction: int, now: int) -> int:
        """Step the flow's state and put off its end, as a rule only for what comes from inside (RFC 4787 REQ-6)."""
        at = base * row.BYTES
        number = self.packet.protocol
        if number == protocol.TCP:
            verdict = self.tracker.step(base, direction)
            if verdict == Verdict.ACCEPT:
                lifetime = self.options.tcp_lifetime[self.r8[at + row.STATE]]
                self.r32[base * row.QUADS + row.EXPIRES] = (now + lifetime) & bits.M32
            return Verdict.ACCEPT if verdict == state.PASSES else verdict
        queried = number == protocol.ICMP or number == protocol.ICMPV6
        if queried and self.packet.is_request() == (direction == sides.REPLY):
            return Verdict.DROP_UNSOLICITED
        if direction == sides.REPLY:
            self.r8[at + row.STATE] = state.ACTIVE
        if side == sides.INSIDE or self.options.inbound_refresh:
            self.r32[base * row.QUADS + row.EXPIRES] = (now + self.options.lifetime[number]) & bits.M32
        return Verdict.ACCEPT
