"""Random traffic that gets somewhere: packets built from a template, replies to what came out, errors that quote
it, in fragments, mutated, and noise. What was emitted is told back (`Traffic.emitted`), or all of it would die
as unsolicited. A series of packets follows from its choices (`tests.fuzz.choices`) and from nothing else.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from gateway.testing.strategies import EGRESS, GATEWAY, fragment
from gateway.wire import build, protocol, sides, tcp
from tests.seen import Seen, seen

from .choices import Choices

INTERNAL = {4: ["192.168.1.2", "192.168.1.3", "192.168.77.4"], 6: ["fd00:10:244::2", "fd00:10:244::3"]}
REMOTE = {4: ["203.0.113.5", "203.0.113.6", "10.9.9.9"], 6: ["2001:db8:5::5", "2001:db8:5::6", "fd00:9::7"]}
ODD = {4: ["127.0.0.1", "224.0.0.1", "0.0.0.0", "255.255.255.255", "169.254.1.1", "172.16.0.1"],
       6: ["::1", "ff02::1", "fe80::1", "::", "2001:db8:77::1"]}
PORTS = (2000, 2001, 2015, 53, 443, 40000, 65535, 1)
FLAGS = (tcp.SYN, tcp.ACK, tcp.SYN | tcp.ACK, tcp.PSH | tcp.ACK, tcp.FIN | tcp.ACK, tcp.RST, tcp.RST | tcp.ACK, 0, 0xFF)
PAUSES = (1, 20, 100, 1000, 6500, 61_000, 241_000, 301_000, 7_500_000)  # milliseconds
ERRORS = {4: (3, 4, 5, 11, 12, 3), 6: (1, 2, 3, 4, 137, 1)}
OTHERS = (protocol.SCTP, protocol.DCCP, protocol.UDPLITE, protocol.GRE, protocol.ESP, 0, 4, 41, 255)
EXTENSIONS = (protocol.HOP_BY_HOP, protocol.DESTINATION, protocol.ROUTING, protocol.FRAGMENT)
OPTIONS = tuple(map(bytes.fromhex, ("01010100", "94040000", "0707040000000000", "8307040808080800")))
TCP_OPTIONS = (b"\2\4\5\xb4", b"\2\4\5\xb4\1\3\3\7", b"\1\1\5\n\0\0\0\1\0\0\0\2", b"\2\0\0\0")


class Arrival(NamedTuple):
    """side: where it comes from.  pause: nanoseconds before it.  offload: its virtio_net_hdr."""

    side: int
    pause: int
    packet: bytes
    offload: bytes = bytes(10)


class Traffic:
    """`next()`: what arrives next, one packet or a few that belong together."""

    def __init__(self, choices: Choices) -> None:
        self.choices, self.below = choices, choices.below
        self.known: deque[tuple[int, bytes]] = deque(maxlen=64)  # the side it left on, the packet
        self.sent: deque[tuple[int, bytes]] = deque(maxlen=64)
        self.side = sides.INSIDE
        self.makers: tuple[Callable[[], bytes], ...] = (
            self.fresh, self.fresh, self.fresh, self.reply, self.reply, self.reply, self.reply, self.again, self.again,
            self.error, self.error, self.other, self.extended, self.noise)

    def emitted(self, side: int, packet: bytes) -> None:
        self.known.append((side, packet))

    def next(self) -> list[Arrival]:
        packet = self.makers[self.below(len(self.makers))]()[:65535]
        twist = self.below(16)
        pause = PAUSES[self.below(len(PAUSES))] * 1_000_000 if self.below(32) == 0 else 0
        if twist == 0 and len(packet) > 48:
            parts = self.fragments(packet)
        elif twist <= 4:
            parts = [self.mutated(packet)]
        else:
            self.sent.append((self.side, packet))
            parts = [packet]
        offload = self.offload(packet) if self.below(8) == 0 else bytes(10)
        return [Arrival(self.side, 0 if number else pause, part, offload) for number, part in enumerate(parts)]

    def pick(self, texts: tuple[str, ...] | list[str]) -> str:
        return texts[self.below(len(texts))]

    def payload(self) -> bytes:
        size = self.below(256)
        return bytes([size & 7]) * (size * 12 if size > 240 else size & 31)

    def ends(self) -> tuple[int, str, str]:
        """family, source and destination of a packet from `self.side`."""
        self.side = sides.OUTSIDE if self.below(4) == 0 else sides.INSIDE
        family = 6 if self.below(3) == 0 else 4
        near, far = self.pick(INTERNAL[family]), self.pick(REMOTE[family])
        odd = self.below(32)
        if odd == 0:
            far = self.pick(ODD[family])
        elif odd == 1:
            near = self.pick(ODD[family])
        elif odd == 2:
            far = GATEWAY[family]
        if self.side == sides.INSIDE:
            return family, near, EGRESS[family][self.below(2)] if odd in (3, 4, 5) else far
        return family, far, near if odd > 24 else EGRESS[family][self.below(2)]

    def fresh(self) -> bytes:
        _, source, destination = self.ends()
        number, sport, dport = self.below(3), PORTS[self.below(8)], PORTS[self.below(8)]
        ttl = (64, 64, 64, 255, 2, 1, 0, 64)[self.below(8)]
        if number == 0:
            return build.udp_datagram(source, sport, destination, dport, self.payload(), ttl=ttl, tos=self.below(256))
        if number == 1:
            return build.echo(source, destination, sport, 1, self.payload(), reply=self.below(4) == 0, ttl=ttl)
        flags = FLAGS[self.below(9)] if self.below(2) else tcp.SYN
        options = TCP_OPTIONS[self.below(4)] if self.below(2) else b""
        return build.tcp_segment(source, sport, destination, dport, self.payload() if flags != tcp.SYN else b"",
                                 flags=flags, sequence=1000, ttl=ttl, options=options)

    def reply(self) -> bytes:
        """What the receiver of something emitted answers."""
        if not self.known:
            return self.fresh()
        self.side, packet = self.known[-1 - self.below(min(len(self.known), 16))]
        told = seen(packet)
        if told.protocol == "tcp" and len(told.payload) >= 20:
            return self.segment(told)
        if told.protocol == "udp" and len(told.payload) >= 8:
            return build.udp_datagram(told.destination, told.destination_port, told.source, told.source_port,
                                      self.payload())
        if told.icmp in ((8, 0), (128, 0)):
            return build.echo(told.destination, told.source, told.source_port, 1, told.payload[8:], reply=True)
        return build.ip(told.destination, told.source, packet[9] if told.family == 4 else packet[6], told.payload)

    def segment(self, told: Seen) -> bytes:
        """The segment that answers another, in window or nearly."""
        sequence, acknowledged = (int.from_bytes(told.payload[at : at + 4], "big") for at in (4, 8))
        size = len(told.payload) - (told.payload[12] >> 4 << 2) + (told.flags & 1) + (told.flags >> 1 & 1)
        flags = FLAGS[self.below(9)] if self.below(4) == 0 else tcp.SYN | tcp.ACK if told.flags == tcp.SYN else tcp.ACK
        off = (-1, 1, 70_000, -70_000)[self.below(4)] if self.below(8) == 0 else 0
        return build.tcp_segment(told.destination, told.destination_port, told.source, told.source_port,
                                 self.payload() if self.below(2) else b"", flags=flags,
                                 sequence=acknowledged + off & 0xFFFFFFFF,
                                 acknowledgement=sequence + max(0, size) & 0xFFFFFFFF)

    def again(self) -> bytes:
        """Something that was sent before."""
        if not self.sent:
            return self.fresh()
        self.side, packet = self.sent[-1 - self.below(min(len(self.sent), 16))]
        return packet

    def error(self) -> bytes:
        """An ICMP error about something emitted, from whoever received it or a router on the way."""
        if not self.known:
            return self.noise()
        self.side, packet = self.known[-1 - self.below(min(len(self.known), 16))]
        told = seen(packet)
        source = (told.destination, self.pick((INTERNAL, REMOTE)[self.side][told.family]))[self.below(2)]
        reach = (28, 40, 48, 60, 576, 1200, 24, 8)[self.below(8)] + (20 if told.family == 6 else 0)
        rest = (0, 1280, 68, 1400)[self.below(4)].to_bytes(4, "big") if self.below(4) else self.choices.octets(4)
        quote = bytearray(packet[:reach])
        if self.below(8) == 0:
            quote[self.below(len(quote))] = self.below(256)
        elif told.protocol == "tcp" and self.below(4) == 0 and len(quote) >= 28:
            at = len(packet) - len(told.payload) + 4  # another sequence number
            quote[at : at + 4] = self.choices.octets(4)
        kind, code = ERRORS[told.family][self.below(6)], self.below(8)
        return build.icmp_message(source, told.source, kind, code, rest + summed(quote))

    def other(self) -> bytes:
        """A protocol of which little is known."""
        family, source, destination = self.ends()
        body = PORTS[self.below(8)].to_bytes(2, "big") * 2 + bytes(8 + self.below(24))
        options = OPTIONS[self.below(4)] if family == 4 and self.below(2) else b""
        number = (*OTHERS, protocol.UDP, protocol.TCP)[self.below(len(OTHERS) + 2)]
        return build.ip(source, destination, number, body, options=options)

    def extended(self) -> bytes:
        """IPv6 extension headers between the header and what follows it, or IPv4 options."""
        packet = self.fresh()
        if packet[0] >> 4 == 4:
            told = seen(packet)
            return build.ip(told.source, told.destination, packet[9], told.payload, options=OPTIONS[self.below(4)])
        following, chain = packet[6], b""
        for _ in range(1 + self.below(4)):
            number = EXTENSIONS[self.below(4)]
            body = self.below(2)
            filler = (0x18 if self.below(8) else 0) if number == protocol.ROUTING else 0
            chain = bytes([following, body if number != protocol.FRAGMENT else 0, filler, 0, 0, 0, 0, 0]) + bytes(
                8 * body if number != protocol.FRAGMENT else 0) + chain
            following = number
        length = len(packet) - 40 + len(chain)
        return packet[:4] + length.to_bytes(2, "big") + bytes([following]) + packet[7:40] + chain + packet[40:]

    def noise(self) -> bytes:
        self.side = self.below(2)
        first = (0x45, 0x46, 0x4F, 0x60, 0x40, 0x50)[self.below(6)]
        packet = bytearray([first]) + self.choices.octets(self.below(100))
        if self.below(4) and len(packet) >= 40:  # of a length that it says itself, or it would get no further
            at, size = (2, len(packet)) if first < 0x50 else (4, len(packet) - 40)
            packet[at : at + 2] = size.to_bytes(2, "big")
        return summed(packet)

    def fragments(self, packet: bytes) -> list[bytes]:
        """In some order, perhaps one missing, one twice."""
        try:
            parts = fragment(packet, 8 * (1 + self.below(8)) if self.below(2) else 64, self.below(4))
        except (ValueError, IndexError):
            return [packet]
        parts = parts[:12]
        for _ in range(self.below(3)):
            one, other = self.below(len(parts)), self.below(len(parts))
            parts[one], parts[other] = parts[other], parts[one]
        return parts[1:] if len(parts) > 1 and self.below(8) == 0 else parts

    def mutated(self, packet: bytes) -> bytes:
        """Some bytes changed, cut off or added; the IPv4 header's checksum often put right, or all would die of it."""
        changed = bytearray(packet)
        for _ in range(self.below(4)):
            if changed:
                changed[self.below(min(len(changed), 80))] = self.below(256)
        cut = self.below(8)
        if cut == 0:
            del changed[self.below(min(len(changed), 250) + 1) :]
        elif cut == 1:
            changed += bytes(self.below(40))
        return summed(changed) if self.below(4) else bytes(changed)

    def offload(self, packet: bytes) -> bytes:
        """A virtio_net_hdr: any, or one that a kernel might have written before this packet."""
        if self.below(4) == 0 or len(packet) < 40:
            return self.choices.octets(10)
        header = (packet[0] & 15) * 4 if packet[0] >> 4 == 4 else 40
        number = packet[9] if packet[0] >> 4 == 4 else packet[6]
        kind = (0, 1 if packet[0] >> 4 == 4 else 4, 5)[self.below(3)]
        size = (512, 1400, 8)[self.below(3)] if kind else 0
        words = (header + 20, size, header, 16 if number == protocol.TCP else 6)
        return bytes([1, kind]) + b"".join(word.to_bytes(2, "little") for word in words)


def summed(packet: bytearray) -> bytes:
    """The IPv4 header's checksum put right, where there is a header."""
    size = (packet[0] & 15) * 4 if packet else 0
    if 20 <= size <= len(packet) and packet[0] >> 4 == 4:
        packet[10:12] = b"\0\0"
        packet[10:12] = build.checksum(bytes(packet[:size])).to_bytes(2, "big")
    return bytes(packet)
