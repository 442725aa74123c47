"""Datagrams into fragments, for the side that they leave on, and back, where they are for the gateway itself."""

from __future__ import annotations

from collections.abc import Iterable

from ..wire import bits, ipv4, ipv6, protocol
from ..wire import checksum as sums
from ..wire.packet import Packet

COPIED = 0x80  # IPv4 options with this bit stand in every fragment (RFC 791 section 3.1)


def payload_size(packet: Packet) -> int:
    """Bytes of the datagram's payload in this fragment."""
    return packet.end - (packet.transport if packet.family == 4 else packet.fragment_header + ipv6.FRAGMENT_HEADER)


def identifier(packet: Packet) -> int:
    if packet.family == 4:
        return packet.load16(packet.at + ipv4.ID)
    return packet.load32(packet.fragment_header + ipv6.FRAGMENT_ID)


def key_of(packet: Packet, side: int) -> tuple[int, ...]:
    """What all fragments of a datagram that comes from one side have in common."""
    number = packet.protocol if packet.family == 4 else 0
    return (side, number, packet.source_high, packet.source_low, packet.destination_high, packet.destination_low,
            identifier(packet))


def overlap(ranges: Iterable[tuple[int, int]], size: int, start: int, end: int, last: bool) -> bool:
    """Whether a piece covers what another one covers, or lies behind the end. size: 0 as long as it is not known."""
    found = list(ranges)
    return (any(start < b and a < end for a, b in found) or 0 < size < end
            or (last and any(end < b for _, b in found)))


def cut(data: bytes, mtu: int) -> list[bytes]:
    """An IPv4 packet as fragments that fit the MTU; it may be a fragment itself."""
    length, flags_and_offset = (data[0] & 15) << 2, int.from_bytes(data[ipv4.FRAGMENT : ipv4.FRAGMENT + 2], "big")
    first, more = flags_and_offset & ipv4.OFFSET_MASK, flags_and_offset & ipv4.MF
    header, body = data[:length], data[length:]
    later = header[: ipv4.HEADER] + copied_options(header[ipv4.HEADER :])
    pieces, at = [], 0
    while at < len(body):
        head = bytearray(later if at or first else header)
        step = (mtu - len(head)) // 8 * 8
        last = at + step >= len(body)
        seal(head, body[at : at + step], first + at // 8 | (more if last else ipv4.MF))
        pieces.append(bytes(head) + body[at : at + step])
        at += step
    return pieces


def copied_options(options: bytes) -> bytes:
    """Those that every fragment carries, padded to whole words."""
    kept, at = b"", 0
    while at < len(options) and options[at] != ipv4.OPTION_END:
        size = 1 if options[at] == ipv4.OPTION_NOP else options[at + 1]  # checked by Packet.walk_options
        if options[at] & COPIED:
            kept += options[at : at + size]
        at += size
    return kept + bytes(-len(kept) % 4)


def seal(header: bytearray, body: bytes, flags_and_offset: int) -> None:
    """What a header says of itself and of the body that follows it."""
    header[0] = 0x40 | len(header) >> 2
    header[ipv4.TOTAL_LENGTH : ipv4.TOTAL_LENGTH + 2] = (len(header) + len(body)).to_bytes(2, "big")
    header[ipv4.FRAGMENT : ipv4.FRAGMENT + 2] = flags_and_offset.to_bytes(2, "big")
    header[ipv4.CHECKSUM : ipv4.CHECKSUM + 2] = b"\0\0"
    header[ipv4.CHECKSUM : ipv4.CHECKSUM + 2] = sums.network(header).to_bytes(2, "big")


def cut6(data: bytes, mtu: int, identifier: int) -> list[bytes]:
    """An IPv6 packet of the gateway's own, without extension headers, as fragments (RFC 8200 section 4.5)."""
    header, body = bytearray(data[: ipv6.HEADER]), data[ipv6.HEADER :]
    following, header[ipv6.NEXT_HEADER] = header[ipv6.NEXT_HEADER], protocol.FRAGMENT
    step = (mtu - ipv6.HEADER - ipv6.FRAGMENT_HEADER) // 8 * 8
    pieces = []
    for at in range(0, len(body), step):
        part = body[at : at + step]
        header[ipv6.PAYLOAD_LENGTH : ipv6.PAYLOAD_LENGTH + 2] = (ipv6.FRAGMENT_HEADER + len(part)).to_bytes(2, "big")
        place = at | (ipv6.FRAGMENT_MORE if at + step < len(body) else 0)
        extension = bytes([following, 0]) + place.to_bytes(2, "big") + (identifier & bits.M32).to_bytes(4, "big")
        pieces.append(bytes(header) + extension + part)
    return pieces


def join(fragments: list[tuple[int, bytes]], extension: int) -> bytes:
    """The datagram that fragments, each with its offset, make up; without options or extension headers before them.

    extension: where in an IPv6 fragment its fragment header stands.
    """
    fragments = sorted(fragments)
    first = fragments[0][1]
    if first[0] >> 4 == 4:
        body = b"".join(data[(data[0] & 15) << 2 :] for _, data in fragments)
        header = bytearray(first[: ipv4.HEADER])
        seal(header, body, 0)
        return bytes(header) + body
    body = b"".join(data[extension + ipv6.FRAGMENT_HEADER :] for _, data in fragments)
    header = bytearray(first[: ipv6.HEADER])
    header[ipv6.NEXT_HEADER] = first[extension]
    header[ipv6.PAYLOAD_LENGTH : ipv6.PAYLOAD_LENGTH + 2] = len(body).to_bytes(2, "big")
    return bytes(header) + body
