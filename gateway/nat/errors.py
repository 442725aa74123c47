"""ICMP errors about translated packets: matched, checked and reversed by the packet they quote (RFC 5508 section 4).

Off the established-flow path, so plain Python. An error never opens, refreshes or ends a flow (RFC 4787 REQ-12).
"""

from __future__ import annotations

from ..match import decision
from ..wire import bits, fault, icmp, ipv4, ipv6, kind, protocol, sides
from ..wire import checksum as sums
from ..wire.packet import Packet
from . import row, state
from .engine import Engine
from .opener import difference, words32
from .tcp import after
from .verdict import Verdict

# Errors that may have extensions behind their quote (RFC 4884).
EXTENSIBLE = {4: {icmp.UNREACHABLE, icmp.TIME_EXCEEDED, icmp.PARAMETER_PROBLEM},
              6: {icmp.UNREACHABLE6, icmp.TIME_EXCEEDED6}}
# A later fragment of these does not say which flow it is of.
PORTED = {protocol.TCP, protocol.UDP, protocol.UDPLITE, protocol.ICMP, protocol.ICMPV6, protocol.SCTP, protocol.DCCP}


class Errors:
    """Translates the ICMP error that the engine has just parsed."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.quote = Packet(engine.batch)

    def translate(self, index: int, side: int, now: int) -> Verdict:
        """Rewrite frame `index` in place and set its side; the verdict if it does not pass."""
        packet, quote = self.engine.packet, self.quote
        if not sums.sums_up(self.engine.batch.slab, packet):
            return Verdict.DROP_BAD_CHECKSUM
        quote.bind(self.engine.batch)
        wrong = quote.parse(packet.transport + icmp.HEADER, packet.end - packet.transport - icmp.HEADER, True)
        if wrong != fault.NONE or quote.family != packet.family or quote.kind in (kind.ERROR, kind.LINK):
            return Verdict.DROP_ERROR_MALFORMED
        reference = self.find(side, now)
        if reference == 0:
            if self.is_anothers(side):
                return Verdict.HAND_OVER
            flags = self.engine.decider.ruleset.flags(packet.destination_high, packet.destination_low)
            return Verdict.LEAVE_TO_HOST if flags & decision.SHARED else Verdict.DROP_ERROR_UNMATCHED
        base, direction = reference >> 1, reference & 1
        if packet.ttl <= 1:
            return Verdict.DROP_TTL_EXCEEDED
        if self.names_impossible_mtu():
            return Verdict.DROP_ERROR_MALFORMED
        if quote.protocol == protocol.TCP and not self.in_window(base, direction):
            return Verdict.DROP_ERROR_OUT_OF_WINDOW
        label = self.engine.table.r64[base * row.WORDS + row.REPLY_LABEL - direction]
        leaves = label >> row.LABEL_SIDE & 0xFF
        hidden = self.hides_sender(base, direction) or (leaves == sides.OUTSIDE != side and self.hides_router())
        spoofed = self.judge_source(side, hidden)
        if spoofed is not Verdict.ACCEPT:
            return spoofed
        if packet.end - packet.at > self.engine.options.mtu[leaves]:
            self.shorten(index, self.engine.options.mtu[leaves])
        self.rewrite(base, direction, hidden, leaves)
        self.engine.batch.out[index] = leaves
        return Verdict.ACCEPT

    def find(self, side: int, now: int) -> int:
        """The flow and direction that the error travels in: that of a packet going the quoted one's way back."""
        packet, quote = self.engine.packet, self.quote
        if (packet.destination_high, packet.destination_low) != (quote.source_high, quote.source_low):
            return 0
        if quote.fragment & ipv4.OFFSET_MASK and quote.protocol in PORTED:
            return 0
        ports = (quote.ports & bits.M16) << 16 | quote.ports >> 16
        label = side << row.LABEL_SIDE | quote.protocol << row.LABEL_PROTOCOL | ports
        found = self.engine.table.find(quote.destination_high, quote.destination_low, quote.source_high,
                                       quote.source_low, label, now)
        knocking = self.engine.table.r8[(found >> 1) * row.BYTES + row.FLAGS] & row.KNOCKING
        return 0 if knocking else found  # nothing has passed yet that an error could be about

    def is_anothers(self, side: int) -> bool:
        """Whether it belongs to another worker: the one that a packet going the quoted one's way back belongs to."""
        packet, quote, decider = self.engine.packet, self.quote, self.engine.decider
        if (self.engine.share.count == 1 or decider.handed
                or (packet.destination_high, packet.destination_low) != (quote.source_high, quote.source_low)
                or (quote.fragment & ipv4.OFFSET_MASK and quote.protocol in PORTED)):
            return False
        ends = quote.destination_high, quote.destination_low, quote.source_high, quote.source_low
        flags = decider.ruleset.flags
        decider.owner = decider.owner_of(side, quote.protocol, *ends, flags(*ends[:2]), flags(*ends[2:]),
                                         quote.ports >> 16)
        return bool(decider.owner != self.engine.share.number)

    def in_window(self, base: int, direction: int) -> bool:
        """The quoted sequence number must have been sent, and not long ago (RFC 5927 section 4.1)."""
        table, sender = self.engine.table, 1 - direction
        windows = base * row.BYTES + row.TCP_WINDOW
        if table.r8[windows + sender] == 0:
            return True
        end = table.r32[base * row.QUADS + sender * row.TCP_STRIDE + row.TCP_END]
        sequence = self.quote.load32(self.quote.transport + 4)
        unanswered = table.r8[windows + direction] == 0 and table.r8[base * row.BYTES + row.FLAGS] & row.WINDOW_KNOWN
        reach = state.FAST_OPEN_MOST + 2 if unanswered else 1 << max(table.r8[windows + direction], 16)  # a SYN alone
        oldest = end - reach & bits.M32
        return not after(sequence, end) and not after(oldest, sequence)

    def names_impossible_mtu(self) -> bool:
        """Less than any link may have: to be discarded (RFC 8201 section 4, RFC 5927 section 7).

        0 over IPv4 is what routers say that are older than RFC 1191.
        """
        packet = self.engine.packet
        kind_and_code = packet.load8(packet.transport + icmp.TYPE), packet.load8(packet.transport + icmp.CODE)
        if packet.family == 6:
            mtu = packet.load32(packet.transport + icmp.MTU6)
            return kind_and_code[0] == icmp.PACKET_TOO_BIG6 and mtu < ipv6.MINIMUM_MTU
        mtu = packet.load16(packet.transport + icmp.MTU)
        return kind_and_code == (icmp.UNREACHABLE, icmp.FRAGMENTATION_NEEDED) and 0 < mtu < ipv4.MINIMUM_MTU

    def hides_sender(self, base: int, direction: int) -> bool:
        """Whether this way the flow's source is translated: then nobody behind it is seen either."""
        r64 = self.engine.table.r64
        sent = base * row.WORDS + (1 - direction) * row.TUPLE_STRIDE
        arrived = base * row.WORDS + direction * row.TUPLE_STRIDE
        return bool((r64[arrived], r64[arrived + 1]) != (r64[sent + 2], r64[sent + 3]))

    def hides_router(self) -> bool:
        """Whether the error comes from somebody who would be translated, though the flow is not: no address leaks."""
        packet, ruleset = self.engine.packet, self.engine.decider.ruleset
        source = ruleset.flags(packet.source_high, packet.source_low)
        target = ruleset.flags(packet.destination_high, packet.destination_low)
        return bool(ruleset.translated(source, target)) and not self.engine.options.outside_filtered

    def judge_source(self, side: int, hidden: bool) -> Verdict:
        """Routers send errors from any address of theirs, but not from one that can be nobody's (RFC 2827, 6890)."""
        packet, ruleset = self.engine.packet, self.engine.decider.ruleset
        source = ruleset.flags(packet.source_high, packet.source_low)
        target = ruleset.flags(packet.destination_high, packet.destination_low)
        if source & (decision.BOGON | decision.MULTICAST):
            return Verdict.DROP_BOGON_SOURCE
        if source & decision.LINK_SCOPE:
            return Verdict.DROP_LINK_SCOPE
        if side == sides.ACROSS:
            return Verdict.ACCEPT
        if side == sides.OUTSIDE:
            return Verdict.DROP_SPOOFED_SOURCE if source & (decision.REACHABLE | decision.OWN) else Verdict.ACCEPT
        if not hidden and not source & decision.INSIDE:
            return Verdict.DROP_SPOOFED_SOURCE
        confined = not hidden and source & decision.LOCAL_SCOPE and not target & decision.LOCAL_SCOPE
        return Verdict.DROP_LINK_SCOPE if confined else Verdict.ACCEPT

    def shorten(self, index: int, most: int) -> None:
        """Quote less, so that the error fits where it goes; extensions behind the quote are gone. Checksums follow."""
        packet, batch = self.engine.packet, self.engine.batch
        slab, at, transport = batch.slab, packet.at, packet.transport
        if packet.load8(transport + icmp.TYPE) in EXTENSIBLE[packet.family]:
            slab[transport + (icmp.QUOTE_LENGTH if packet.family == 4 else icmp.QUOTE_LENGTH6)] = 0
        if packet.family == 4:
            slab[at + ipv4.TOTAL_LENGTH : at + ipv4.TOTAL_LENGTH + 2] = most.to_bytes(2, "big")
            sums.write_header_checksum(slab, at, transport)
        else:
            place = at + ipv6.PAYLOAD_LENGTH
            slab[place : place + 2] = (most - ipv6.HEADER).to_bytes(2, "big")
        batch.length[index] = most
        packet.parse(at, most, False)
        self.quote.parse(transport + icmp.HEADER, packet.end - transport - icmp.HEADER, True)

    def rewrite(self, base: int, direction: int, hidden: bool, leaves: int) -> None:
        """The quote becomes the packet as its sender sent it, the outer addresses those of the way back.

        hidden: the error leaves from the address of the flow's end, whoever behind it sent it.
        """
        packet, r64, r16 = self.engine.packet, self.engine.table.r64, self.engine.table.r16
        sent = base * row.WORDS + (1 - direction) * row.TUPLE_STRIDE
        flip = bits.M16 if direction else 0
        self.quote.rewrite(r64[sent], r64[sent + 1], r64[sent + 2], r64[sent + 3],
                           r64[base * row.WORDS + row.REPLY_LABEL - direction] & bits.M32,
                           r16[base * row.HALVES + row.ADDRESS_DELTA] ^ flip,
                           r16[base * row.HALVES + row.TRANSPORT_DELTA] ^ flip, 0)
        self.restore_identifier(base, 1 - direction)
        source = packet.source_high, packet.source_low
        if hidden:
            source = r64[sent + 2], r64[sent + 3]
        target = r64[sent], r64[sent + 1]
        delta = difference(words32(*source) + words32(*target),
                           words32(packet.source_high, packet.source_low)
                           + words32(packet.destination_high, packet.destination_low))
        packet.rewrite_header(*source, *target, delta, leaves != sides.ACROSS)
        sums.write_checksum(self.engine.batch.slab, packet)
        if not packet.atomic and source != (packet.source_high, packet.source_low):
            self.engine.identifiers.renumber(packet, source[1], target[1])

    def restore_identifier(self, base: int, sent: int) -> None:
        """The quoted IPv4 identifier as its sender wrote it, as far as that is known.

        Which one a datagram came with is remembered for a flow's last one only, and of TCP not at all: the
        difference is right for it, and for others of a flow that counts up. A sender that tells its probes apart
        by identifiers alone, many at a time, has to set DF: then they are never changed.
        """
        quote, table = self.quote, self.engine.table
        at = base * row.WORDS
        hidden = table.r64[at + row.ORIGINAL_SOURCE + 1] != table.r64[at + row.REPLY_DESTINATION + 1]
        if sent == sides.REPLY:
            hidden = table.r64[at + row.ORIGINAL_DESTINATION + 1] != table.r64[at + row.REPLY_SOURCE + 1]
        if hidden and not quote.atomic and quote.protocol != protocol.TCP:
            change = table.r16[base * row.HALVES + row.IDENTIFIER_CHANGE + sent]
            identifier = quote.load16(quote.at + ipv4.ID) + change & bits.M16
            slab, place = self.engine.batch.slab, quote.at + ipv4.ID
            slab[place : place + 2] = identifier.to_bytes(2, "big")
            sums.write_header_checksum(slab, quote.at, quote.transport)
