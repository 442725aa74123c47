"""The packet under translation: its bytes are checked once (`parse`), then read freely and rewritten in place.

A Packet is a cursor over a Batch's slab, used for one packet after another and, a second one, for the
packet that an ICMP error quotes. IPv4 and IPv6 fill the same fields; addresses are two 64-bit words in
host order (IPv4 mapped), `ports` is source << 16 | destination. An ICMP identifier counts as both ports.
"""

from __future__ import annotations

from . import bits, fault, icmp, ipv4, ipv6, kind, order, protocol, tcp, udp, vnet
from .batch import Batch
from .crc32c import Crc32c


def fold(total: int) -> int:
    """A sum of 16-bit words, below 2**32, as one of them, carries added back in."""
    total = (total & bits.M16) + (total >> 16)
    return (total & bits.M16) + (total >> 16)


class Packet:
    """Fields are valid after `parse` returned fault.NONE, until the next `parse`.

    at, end: offsets of the IP header and past the packet's last byte.  transport: offset of what follows
    the IP headers.  family: 4 or 6.  fragment: offset and more-fragments bit as in an IPv4 header, 0 for a
    whole packet.  fragment_header: where IPv6 says so.  atomic: it is none, and on IPv4 DF keeps it whole.
    checksum: offset of the transport checksum in the slab, 0 for none.  partial: that is the pseudo-header's
    only, and the kernel completes it.  segment: bytes of IP packet on the wire: of each segment, if this is a
    superpacket.
    """

    def __init__(self, batch: Batch) -> None:
        self.meanings = memoryview(kind.icmp_meanings())
        self.crc = Crc32c()
        self.bind(batch)

    def bind(self, batch: Batch) -> None:
        """Read from this batch from now on."""
        self.u8, self.u16, self.u32, self.u64 = batch.u8, batch.u16, batch.u32, batch.u64
        self.crc.bind(batch)

    def parse(self, at: int, length: int, quoted: bool) -> int:
        """Check the packet of `length` bytes at `at`; returns a `fault`.

        quoted: it may be cut short anywhere behind the first 8 bytes of transport (RFC 792).
        """
        self.at = at
        self.fragment = self.fragment_header = 0
        self.atomic, self.partial = True, False
        self.quoted = quoted
        if length < ipv4.HEADER:
            return fault.TRUNCATED
        header = order.span32(self.u32, at >> 2, ipv4.HEADER >> 2)
        version = header[0] >> 4 & 15
        if version == 4:
            wrong = self.parse4(header, length)
        elif version == 6:
            wrong = self.parse6(length)
        else:
            return fault.BAD_VERSION
        if wrong != fault.NONE:
            return wrong
        self.segment = self.end - at
        return self.parse_transport()

    def parse4(self, words: memoryview, length: int) -> int:
        """words: the header's first five, of 32 bits, since one that is quoted lies at a multiple of 4 only."""
        first, second, third, source, destination = words[0], words[1], words[2], words[3], words[4]
        header, total = (first & 15) << 2, order.swap16(first >> 16)
        if header < ipv4.HEADER:
            return fault.BAD_VERSION
        if header > length:
            return fault.TRUNCATED
        if total < header:
            return fault.BAD_LENGTH
        if total > length:
            if not self.quoted:
                return fault.TRUNCATED
            total = length
        added = first + second + third + source + destination
        for index in range(ipv4.HEADER >> 2, first & 15):
            added += self.u32[(self.at >> 2) + index]
        if added % bits.M16 != 0:  # the one's complement sum is all ones; it is never 0, since there is a version
            return fault.BAD_CHECKSUM
        self.family = 4
        self.end = self.at + total
        self.transport = self.at + header
        self.ttl, self.protocol = third & 0xFF, third >> 8 & 0xFF
        self.source_high = self.destination_high = 0
        self.source_low = bits.V4_MAPPED | order.swap32(source)
        self.destination_low = bits.V4_MAPPED | order.swap32(destination)
        field = order.swap16(second >> 16)
        self.fragment = field & (ipv4.MF | ipv4.OFFSET_MASK)
        self.atomic = field & (ipv4.DF | ipv4.MF | ipv4.OFFSET_MASK) == ipv4.DF
        return self.walk_options() if header > ipv4.HEADER else fault.NONE

    def walk_options(self) -> int:
        """IPv4 options: whole, and none that routes by the sender's wish (RFC 7126 section 4.3)."""
        at = self.at + ipv4.HEADER
        while at < self.transport:
            option = self.u8[at]
            if option == ipv4.OPTION_END:
                return fault.NONE
            if option in (ipv4.OPTION_LSRR, ipv4.OPTION_SSRR):
                return fault.SOURCE_ROUTE
            if option == ipv4.OPTION_NOP:
                at += 1
                continue
            if at + 1 >= self.transport or self.u8[at + 1] < 2 or at + self.u8[at + 1] > self.transport:
                return fault.BAD_HEADER
            at += self.u8[at + 1]
        return fault.NONE

    def parse6(self, length: int) -> int:
        at = self.at
        if length < ipv6.HEADER:
            return fault.TRUNCATED
        total = ipv6.HEADER + order.swap16(self.u16[(at + ipv6.PAYLOAD_LENGTH) >> 1])
        if total > length:
            if not self.quoted:
                return fault.TRUNCATED
            total = length
        self.family, self.end = 6, at + total
        self.ttl = self.u8[at + ipv6.HOP_LIMIT]
        self.source_high = order.swap64(self.u64[(at + ipv6.SOURCE) >> 3])
        self.source_low = order.swap64(self.u64[(at + ipv6.SOURCE + 8) >> 3])
        self.destination_high = order.swap64(self.u64[(at + ipv6.DESTINATION) >> 3])
        self.destination_low = order.swap64(self.u64[(at + ipv6.DESTINATION + 8) >> 3])
        if ((self.source_high == 0 and self.source_low >> 32 == bits.V4_MAPPED >> 32)
                or (self.destination_high == 0 and self.destination_low >> 32 == bits.V4_MAPPED >> 32)):
            return fault.MAPPED_ADDRESS
        return self.walk_extensions()

    def walk_extensions(self) -> int:
        """Up to the first header that is no extension. Routing headers of type 0 are refused (RFC 5095), and those
        with segments left: the transport checksum covers another destination than the header's (RFC 8200 section 8.1).
        """
        at = self.at + ipv6.HEADER
        following = self.u8[self.at + ipv6.NEXT_HEADER]
        for _ in range(ipv6.EXTENSIONS_MAX + 1):  # and what follows them
            if not (following == protocol.HOP_BY_HOP or following == protocol.ROUTING
                    or following == protocol.DESTINATION or following == protocol.FRAGMENT):
                self.protocol = following
                self.transport = at
                return fault.NONE if at <= self.end else fault.TRUNCATED
            if at + 8 > self.end:
                return fault.TRUNCATED
            if following == protocol.HOP_BY_HOP and at != self.at + ipv6.HEADER:
                return fault.BAD_HEADER  # first or not at all (RFC 8200 section 4.1)
            if following == protocol.ROUTING and (self.u8[at + 2] == 0 or self.u8[at + 3] != 0):
                return fault.SOURCE_ROUTE
            size = (self.u8[at + 1] + 1) << 3
            if following == protocol.FRAGMENT:
                if self.fragment_header != 0:
                    return fault.BAD_HEADER
                size = ipv6.FRAGMENT_HEADER
                self.fragment_header = at
                field = order.swap16(self.u16[(at + ipv6.FRAGMENT_OFFSET) >> 1])
                self.fragment = field >> 3 | (field & ipv6.FRAGMENT_MORE) << 13
                if self.fragment & ipv4.OFFSET_MASK:  # what headers follow was in the first part
                    self.protocol = self.u8[at]
                    self.transport = at + size
                    return fault.NONE
            following = self.u8[at]
            at += size
        return fault.EXTENSION_LIMIT

    def parse_transport(self) -> int:
        """Ports, flags and where the checksum lies."""
        self.ports = self.checksum = self.tcp_flags = 0
        self.kind = kind.FLOW
        if self.fragment != 0:
            self.kind = kind.FRAGMENT
            if self.fragment & ipv4.OFFSET_MASK:
                return fault.NONE
        room = self.end - self.transport
        number = self.protocol
        if number == protocol.TCP:
            return self.parse_tcp(room)
        if number == protocol.UDP or number == protocol.UDPLITE:
            return self.parse_udp(room)
        if number == protocol.ICMP or number == protocol.ICMPV6:
            return self.parse_icmp(room)
        return self.parse_other(room)

    def parse_tcp(self, room: int) -> int:
        at = self.transport
        if self.quoted:
            if room < 8:
                return fault.TRUNCATED
            self.ports = order.swap32(self.u32[at >> 2])
            if room >= tcp.CHECKSUM + 2:
                self.checksum = at + tcp.CHECKSUM
            return fault.NONE
        if room < tcp.HEADER:
            return fault.TRUNCATED if self.fragment == 0 else fault.TINY_FRAGMENT
        words = order.span32(self.u32, at >> 2, tcp.HEADER >> 2)
        self.ports = order.swap32(words[0])
        fourth = words[tcp.DATA_OFFSET >> 2]
        header = (fourth & 0xF0) >> 2
        if header < tcp.HEADER or header > room:
            return fault.BAD_HEADER if self.fragment == 0 else fault.TINY_FRAGMENT
        self.checksum = at + tcp.CHECKSUM
        self.tcp_flags = fourth >> 8 & 0xFF
        return self.parse_offload(header)

    def parse_udp(self, room: int) -> int:
        at = self.transport
        if room < udp.HEADER:
            return fault.TRUNCATED if self.fragment == 0 else fault.TINY_FRAGMENT
        words = order.span32(self.u32, at >> 2, udp.HEADER >> 2)
        self.ports = order.swap32(words[0])
        self.checksum = at + udp.CHECKSUM
        if self.quoted:
            return fault.NONE
        if self.protocol == protocol.UDP and self.fragment == 0:
            length = order.swap16(words[1])
            if length < udp.HEADER or length > room:
                return fault.BAD_LENGTH
        wrong = self.parse_offload(udp.HEADER)
        if wrong == fault.NONE and self.family == 6 and not self.partial and words[1] >> 16 == 0:
            return fault.NO_UDP_CHECKSUM
        return wrong

    def parse_icmp(self, room: int) -> int:
        at = self.transport
        if (self.protocol == protocol.ICMP) != (self.family == 4):
            return fault.BAD_HEADER
        if room < icmp.HEADER:
            return fault.TRUNCATED if self.fragment == 0 else fault.TINY_FRAGMENT
        self.icmp_meaning = self.meanings[(self.family == 6) << 8 | self.u8[at + icmp.TYPE]]
        self.checksum = at + icmp.CHECKSUM
        if self.icmp_meaning >= kind.REQUEST:
            self.ports = order.swap16(self.u16[(at + icmp.ID) >> 1])
            self.ports |= self.ports << 16
        else:
            self.kind = self.icmp_meaning
        return fault.NONE if self.quoted else self.parse_offload(icmp.HEADER)

    def is_request(self) -> bool:
        """An ICMP query that may begin a flow."""
        return self.icmp_meaning == kind.REQUEST

    def parse_other(self, room: int) -> int:
        """SCTP and DCCP have ports where TCP has them; what else there is has none that we know."""
        if self.protocol == protocol.SCTP or self.protocol == protocol.DCCP:
            if room < 12 and not (self.quoted and room >= 8):
                return fault.TRUNCATED if self.fragment == 0 else fault.TINY_FRAGMENT
            self.ports = order.swap32(self.u32[self.transport >> 2])
            if self.protocol == protocol.DCCP:
                self.checksum = self.transport + udp.CHECKSUM
            return fault.NONE if self.quoted else self.parse_offload(12)
        return fault.NONE

    def parse_offload(self, header: int) -> int:
        """The virtio_net_hdr before the packet, as far as it speaks of this transport header."""
        before = self.at - vnet.HEADER
        if self.u16[(before + vnet.FLAGS) >> 1] == 0:  # neither flags nor, the byte behind them, a GSO type
            return fault.NONE
        if self.u8[before + vnet.FLAGS] & vnet.NEEDS_CHECKSUM:
            start = self.at + self.u16[(before + vnet.CHECKSUM_START) >> 1]
            where = start + self.u16[(before + vnet.CHECKSUM_OFFSET) >> 1]
            if where + 2 > self.end:
                return fault.BAD_HEADER
            self.partial = where == self.checksum and start == self.transport
        if self.u8[before + vnet.GSO_TYPE] != vnet.GSO_NONE:
            self.segment = self.transport + header - self.at + self.u16[(before + vnet.GSO_SIZE) >> 1]
        return fault.NONE

    def load8(self, at: int) -> int:
        return self.u8[at]

    def load16(self, at: int) -> int:
        """At any offset; `load32` only at a multiple of 4."""
        return self.u8[at] << 8 | self.u8[at + 1]

    def patch16(self, at: int, value: int) -> None:
        """Change a transport field at any offset, and the transport checksum with it."""
        if not self.partial:  # words are summed by their place from the transport header on
            new, old = value, self.u8[at] << 8 | self.u8[at + 1]
            if (at - self.transport) & 1 == 0:
                new, old = order.swap16(new), order.swap16(old)
            present = self.u16[self.checksum >> 1] ^ bits.M16
            self.u16[self.checksum >> 1] = fold(present + new + (old ^ bits.M16)) ^ bits.M16
        self.u8[at], self.u8[at + 1] = value >> 8, value & 0xFF

    def load32(self, at: int) -> int:
        return order.swap32(self.u32[at >> 2])

    def rewrite(self, source_high: int, source_low: int, destination_high: int, destination_low: int,
                ports: int, address_delta: int, transport_delta: int, hops: int) -> None:
        """Put another tuple in; deltas are the one's complement sums this adds (RFC 1624), in memory order.

        hops: 1 for a packet that is forwarded, 0 for one that is only quoted.
        """
        self.rewrite_header(source_high, source_low, destination_high, destination_low, address_delta, hops)
        if self.checksum != 0:
            self.rewrite_transport(ports, address_delta, transport_delta)
        elif self.protocol == protocol.TCP:  # quoted, and cut off before its checksum
            self.u32[self.transport >> 2] = order.swap32(ports)
        elif self.protocol == protocol.SCTP:
            self.crc.finish(self.at, self.transport, self.end)

    def rewrite_header(self, source_high: int, source_low: int, destination_high: int, destination_low: int,
                       address_delta: int, hops: int) -> None:
        """Addresses, hops left and the IPv4 header's checksum."""
        at = self.at
        if self.family == 4:
            words = order.span32(self.u32, at >> 2, ipv4.HEADER >> 2)
            words[ipv4.SOURCE >> 2] = order.swap32(source_low & bits.M32)
            words[ipv4.DESTINATION >> 2] = order.swap32(destination_low & bits.M32)
            third = words[ipv4.TTL >> 2]  # hops left, protocol, checksum
            total = fold((third >> 16 ^ bits.M16) + address_delta + (bits.M16 - hops)) ^ bits.M16
            words[ipv4.TTL >> 2] = total << 16 | third & 0xFF00 | self.ttl - hops
        else:
            self.u64[(at + ipv6.SOURCE) >> 3] = order.swap64(source_high)
            self.u64[(at + ipv6.SOURCE + 8) >> 3] = order.swap64(source_low)
            self.u64[(at + ipv6.DESTINATION) >> 3] = order.swap64(destination_high)
            self.u64[(at + ipv6.DESTINATION + 8) >> 3] = order.swap64(destination_low)
            self.u8[at + ipv6.HOP_LIMIT] = self.ttl - hops

    def rewrite_transport(self, ports: int, address_delta: int, transport_delta: int) -> None:
        where = self.checksum >> 1
        number = self.protocol
        if number == protocol.ICMP or number == protocol.ICMPV6:
            self.u16[(self.transport + icmp.ID) >> 1] = order.swap16(ports & bits.M16)
        else:
            self.u32[self.transport >> 2] = order.swap32(ports)
        present = self.u16[where]
        if self.partial:  # holds the pseudo-header's sum, which has addresses but no ports, and ICMPv4 has none
            if number != protocol.ICMP:
                self.u16[where] = fold(present + address_delta)
        elif present != 0 or number != protocol.UDP:
            present = fold((present ^ bits.M16) + transport_delta) ^ bits.M16
            if present == 0 and (number == protocol.UDP or number == protocol.UDPLITE):
                present = bits.M16
            self.u16[where] = present
