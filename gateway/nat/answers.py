"""Packets of the gateway's own: echo replies, and the ICMP errors that a reject owes its sender.

Errors quote the packet as its sender sent it, come from the gateway's address on the sender's side, are
left out where RFC 1812 section 4.3.2.7 and RFC 4443 section 2.4 say so, and are limited in rate.
"""

from __future__ import annotations

from ..match.settings import Address, Settings
from ..wire import bits, icmp, ipv4, ipv6, kind, protocol, sides, tcp
from ..wire import checksum as sums
from .engine import Engine
from .restraint import Restraint
from .siphash import siphash2
from .verdict import Verdict

HOPS = 64
PRECEDENCE = 0xC0  # internetwork control (RFC 1812 section 4.3.2.5)
QUOTE4 = 576 - ipv4.HEADER - icmp.HEADER  # RFC 1812 section 4.3.2.3
QUOTE6 = ipv6.MINIMUM_MTU - ipv6.HEADER - icmp.HEADER  # RFC 4443 section 2.4
DUMMY4: Address = (0, bits.V4_MAPPED | 0xC0000008)  # 192.0.0.8, for want of an address of our own (RFC 7600)
CODES = {
    Verdict.REJECT_TTL_EXCEEDED: ((icmp.TIME_EXCEEDED, 0), (icmp.TIME_EXCEEDED6, 0)),
    Verdict.REJECT_TOO_BIG: ((icmp.UNREACHABLE, icmp.FRAGMENTATION_NEEDED), (icmp.PACKET_TOO_BIG6, 0)),
    Verdict.REJECT_PORTS_EXHAUSTED: ((icmp.UNREACHABLE, icmp.HOST_UNREACHABLE),
                                     (icmp.UNREACHABLE6, icmp.ADDRESS_UNREACHABLE6)),
    Verdict.DROP_UNSOLICITED_SYN: ((icmp.UNREACHABLE, icmp.PORT_UNREACHABLE),
                                   (icmp.UNREACHABLE6, icmp.PORT_UNREACHABLE6)),
    Verdict.REJECT_SOURCE_LIMIT: ((icmp.UNREACHABLE, icmp.HOST_UNREACHABLE),
                                  (icmp.UNREACHABLE6, icmp.ADDRESS_UNREACHABLE6)),
    Verdict.REJECT_TABLE_FULL: ((icmp.UNREACHABLE, icmp.HOST_UNREACHABLE),
                                (icmp.UNREACHABLE6, icmp.ADDRESS_UNREACHABLE6)),
}


Outbox = list[tuple[int, bytes, bytes]]  # (side, offload header, packet)


class Answers:
    """Builds answers to the packet that the engine has just parsed."""

    def __init__(self, engine: Engine, key0: int, key1: int) -> None:
        self.engine, self.key0, self.key1 = engine, key0, key1
        self.built = 0
        self.restraint = Restraint(key0, key1)

    def use(self, settings: Settings) -> None:
        self.settings = settings
        self.restraint.use(settings.limits.icmp_errors_per_second)

    def echo(self) -> bytes | None:
        """The reply to an echo request for one of the gateway's own addresses; None if it arrived broken."""
        packet, slab = self.engine.packet, self.engine.batch.slab
        if not sums.sums_up(slab, packet):
            return None
        body = bytearray(slab[packet.transport : packet.end])
        body[0] = icmp.ECHO_REPLY if packet.family == 4 else icmp.ECHO_REPLY6
        tos = slab[packet.at + ipv4.TOS] if packet.family == 4 else 0
        return self.build((packet.destination_high, packet.destination_low),
                          (packet.source_high, packet.source_low), body, tos, whole=False)

    def error(self, verdict: Verdict, side: int, now: int, mtu: int = 0) -> bytes | None:
        """The ICMP error for a rejected packet; None where none may be sent, or too many were."""
        packet = self.engine.packet
        sender = packet.source_high, packet.source_low
        if packet.kind == kind.ERROR or packet.fragment & ipv4.OFFSET_MASK or not self.restraint.allow(sender, now):
            return None
        number, code = CODES[verdict][packet.family == 6]
        rest = (mtu if verdict == Verdict.REJECT_TOO_BIG else 0).to_bytes(4, "big")
        source = self.own_address(side)
        if verdict == Verdict.DROP_UNSOLICITED_SYN:  # as the host would answer whose port it is
            source = packet.destination_high, packet.destination_low
        return self.build(source, (packet.source_high, packet.source_low),
                          bytearray([number, code, 0, 0]) + rest + self.quote(), PRECEDENCE)

    def reset(self, now: int) -> bytes | None:
        """The RST for a segment that belongs to no flow (RFC 9293 section 3.5.2)."""
        packet, slab = self.engine.packet, self.engine.batch.slab
        if not self.restraint.allow((packet.source_high, packet.source_low), now):
            return None
        at = packet.transport
        header = slab[at + tcp.DATA_OFFSET] >> 4 << 2
        body = bytearray(tcp.HEADER)
        body[0:2], body[2:4] = slab[at + 2 : at + 4], slab[at : at + 2]
        if packet.tcp_flags & tcp.ACK:
            body[tcp.SEQUENCE : tcp.SEQUENCE + 4] = slab[at + tcp.ACKNOWLEDGEMENT : at + tcp.ACKNOWLEDGEMENT + 4]
            body[tcp.FLAGS] = tcp.RST
        else:
            following = packet.load32(at + tcp.SEQUENCE) + packet.end - at - header + (packet.tcp_flags & tcp.FIN)
            body[tcp.ACKNOWLEDGEMENT : tcp.ACKNOWLEDGEMENT + 4] = (following & bits.M32).to_bytes(4, "big")
            body[tcp.FLAGS] = tcp.RST | tcp.ACK
        body[tcp.DATA_OFFSET] = tcp.HEADER >> 2 << 4
        return self.build((packet.destination_high, packet.destination_low), (packet.source_high, packet.source_low),
                          body, 0, protocol.TCP, tcp.CHECKSUM)

    def own_address(self, side: int) -> Address:
        """The gateway's address on a side, in the packet's family; else one that may be seen on either side."""
        v4 = self.engine.packet.family == 4
        near = self.settings.inside.addresses if side == sides.INSIDE else ()
        egress = self.settings.egress4 if v4 else self.settings.egress6
        for high, low in (*near, *self.settings.outside.addresses, *egress):
            if (high == 0 and low >> 32 == bits.V4_MAPPED >> 32) == v4:
                return high, low
        return DUMMY4 if v4 else (self.engine.packet.destination_high, self.engine.packet.destination_low)

    def quote(self) -> bytes:
        """The packet as its sender sent it: a checksum that was left to the kernel is finished first."""
        packet, slab = self.engine.packet, self.engine.batch.slab
        sums.finish_checksum(slab, packet)
        return bytes(slab[packet.at : packet.end][: QUOTE4 if packet.family == 4 else QUOTE6])

    def build(self, source: Address, target: Address, body: bytearray, tos: int, number: int = 0,
              checksum: int = icmp.CHECKSUM, whole: bool = True) -> bytes:
        """A packet of ours, ICMP unless `number` says otherwise; the checksum goes to offset `checksum`.

        On IPv4 it is whole for ever, its identifier without a meaning and random, since counted ones tell what
        else we send (RFC 6864 section 4.1, RFC 7739); or may be cut, and has one that is unique.
        """
        v4 = self.engine.packet.family == 4
        size = 4 if v4 else 16
        ends = [(high << 64 | low).to_bytes(16, "big")[-size:] for high, low in (source, target)]
        number = number or (protocol.ICMP if v4 else protocol.ICMPV6)
        body[checksum : checksum + 2] = b"\0\0"
        pseudo = 0 if number == protocol.ICMP else sums.pseudo_header(ends[0], ends[1], number, len(body))
        body[checksum : checksum + 2] = sums.network(body, pseudo).to_bytes(2, "big")
        if not v4:
            first = (6 << 28 | tos << 20).to_bytes(4, "big")
            return first + len(body).to_bytes(2, "big") + bytes([number, HOPS]) + ends[0] + ends[1] + body
        self.built += 1
        identifier = siphash2(self.key0, self.key1, self.built, 0)
        if not whole:
            identifier = self.engine.identifiers.take(*source, *target, number, 1)
        numbered = (identifier & bits.M16).to_bytes(2, "big") + (ipv4.DF if whole else 0).to_bytes(2, "big")
        header = bytearray([0x45, tos]) + (ipv4.HEADER + len(body)).to_bytes(2, "big")
        header += numbered + bytes([HOPS, number, 0, 0]) + ends[0] + ends[1]
        header[ipv4.CHECKSUM : ipv4.CHECKSUM + 2] = sums.network(header).to_bytes(2, "big")
        return bytes(header + body)
