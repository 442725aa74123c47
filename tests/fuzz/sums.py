"""Whether a packet's checksums are right, quickly; `tests.judge` says the same with scapy, a hundred times slower."""

from __future__ import annotations

from gateway.wire import build, protocol

EXTENSIONS = (protocol.HOP_BY_HOP, protocol.DESTINATION, protocol.ROUTING)
PLACES = {protocol.TCP: 16, protocol.UDP: 6, protocol.ICMP: 2, protocol.ICMPV6: 2}


def header_is_right(packet: bytes) -> bool:
    return packet[0] >> 4 == 6 or build.checksum(packet[: (packet[0] & 15) * 4]) == 0


def is_fragment(packet: bytes) -> bool:
    if packet[0] >> 4 == 4:
        return bool(packet[6] & 0x3F or packet[7])
    return transport(packet)[0] == protocol.FRAGMENT


def transport(packet: bytes) -> tuple[int, int, int]:
    """Protocol, where its header begins, where the packet ends; a fragment header counts as a protocol."""
    if packet[0] >> 4 == 4:
        return packet[9], (packet[0] & 15) * 4, int.from_bytes(packet[2:4], "big")
    number, at, end = packet[6], 40, 40 + int.from_bytes(packet[4:6], "big")
    while number in EXTENSIONS and at + 8 <= end:
        number, at = packet[at], at + (packet[at + 1] + 1) * 8
    return number, at, end


def transport_is_right(packet: bytes) -> bool | None:
    """None where there is no checksum to judge: another protocol, a fragment, a length that contradicts itself."""
    number, at, end = transport(packet)
    place = PLACES.get(number)
    if place is None or end > len(packet) or at + place + 2 > end or is_fragment(packet):
        return None
    body = packet[at:end]
    if number == protocol.UDP and (body[6:8] == b"\0\0" or int.from_bytes(body[4:6], "big") != len(body)):
        return None
    pseudo = b""
    if number != protocol.ICMP:
        addresses = packet[12:20] if packet[0] >> 4 == 4 else packet[8:40]
        pseudo = addresses + bytes([0, number]) + len(body).to_bytes(4, "big")
    return build.checksum(pseudo + body) == 0
