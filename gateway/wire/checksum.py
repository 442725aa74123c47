"""The Internet checksum (RFC 1071) and its incremental update (RFC 1624), away from the established-flow path.

One's complement sums do not depend on byte order as long as every word is read in the same one: what is
summed here in network order is swapped once to match the slab's memory order.
"""

from __future__ import annotations

from . import bits, icmp, ipv4, kind, protocol, vnet
from .packet import Packet


def fold(total: int) -> int:
    """A sum of 16-bit words as one 16-bit word, carries added back in."""
    while total > bits.M16:
        total = (total & bits.M16) + (total >> 16)
    return total


def internet(data: bytes | bytearray | memoryview, start: int = 0) -> int:
    """The checksum of `data` as it goes into a header; `start` is what is already summed (a pseudo-header)."""
    if len(data) % 2:
        data = bytes(data) + b"\0"
    return fold(start + sum(memoryview(bytes(data)).cast("H"))) ^ bits.M16


def swap16(value: int) -> int:
    return (value >> 8 | value << 8) & bits.M16


def network(data: bytes | bytearray | memoryview, start: int = 0) -> int:
    """The same in network order: the number a person reads in a capture."""
    return swap16(internet(data, swap16(fold(start))))


def pseudo_header(source: bytes, destination: bytes, number: int, length: int) -> int:
    """Sum, in network order, over the pseudo-header (RFC 9293 section 3.1, RFC 8200 section 8.1)."""
    return sum(int.from_bytes(source[i : i + 2], "big") + int.from_bytes(destination[i : i + 2], "big")
               for i in range(0, len(source), 2)) + number + (length & bits.M16) + (length >> 16)


def never_zero(number: int, value: int) -> int:
    """UDP sends a computed 0 as 0xFFFF, since 0 means "none" (RFC 768)."""
    return bits.M16 if value == 0 and number in (protocol.UDP, protocol.UDPLITE) else value

def pseudo_sum(slab: memoryview, packet: Packet) -> int:
    """Sum over the ICMPv6 pseudo-header, in memory order; ICMPv4 has none."""
    if packet.protocol == protocol.ICMP:
        return 0
    addresses = slab[packet.at + 8 : packet.at + 40]
    length = packet.end - packet.transport
    return internet(bytes(addresses) + length.to_bytes(4, "big") + packet.protocol.to_bytes(4, "big")) ^ bits.M16


def sums_up(slab: memoryview, packet: Packet) -> bool:
    """Whether an ICMP packet's own checksum is right, or not finished yet."""
    if packet.partial:
        return True
    return internet(slab[packet.transport : packet.end], pseudo_sum(slab, packet)) == 0


def write_checksum(slab: memoryview, packet: Packet) -> None:
    """Compute an ICMP packet's checksum anew; whatever was left to the kernel is done with."""
    slab[packet.at - vnet.HEADER : packet.at] = bytes(vnet.HEADER)
    at = packet.transport + icmp.CHECKSUM
    slab[at : at + 2] = b"\0\0"
    value = internet(slab[packet.transport : packet.end], pseudo_sum(slab, packet))
    slab[at : at + 2] = value.to_bytes(2, "little")

def write_header_checksum(slab: memoryview, start: int, end: int) -> None:
    """Compute an IPv4 header's checksum anew."""
    at = start + ipv4.CHECKSUM
    slab[at : at + 2] = b"\0\0"
    slab[at : at + 2] = network(slab[start:end]).to_bytes(2, "big")


def finish_checksum(slab: memoryview, packet: Packet) -> None:
    """Finish a transport checksum that was left to the kernel, and say so in the offload header."""
    if packet.partial:
        value = never_zero(packet.protocol, network(slab[packet.transport : packet.end]))
        slab[packet.checksum : packet.checksum + 2] = value.to_bytes(2, "big")
    elif packet.protocol == protocol.SCTP and packet.kind == kind.FLOW:
        packet.crc.finish(packet.at, packet.transport, packet.end)
    slab[packet.at - vnet.HEADER : packet.at] = bytes(vnet.HEADER)
