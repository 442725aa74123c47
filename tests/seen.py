"""What a packet says, read without the code under test: the struct module and RFC offsets only."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

NAMES = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmp"}
QUERIES = {8, 0, 13, 14, 128, 129}


class Seen(NamedTuple):
    """flags: TCP's; icmp: the type and code; an ICMP identifier counts as both ports. payload: after the IP header."""

    family: int
    protocol: str
    source: str
    source_port: int
    destination: str
    destination_port: int
    ttl: int
    flags: int
    icmp: tuple[int, int] | None
    payload: bytes


def seen(packet: bytes) -> Seen:
    if packet[0] >> 4 == 4:
        header = (packet[0] & 15) * 4
        number, ttl = packet[9], packet[8]
        source, destination = str(IPv4Address(packet[12:16])), str(IPv4Address(packet[16:20]))
        rest = packet[header : struct.unpack("!H", packet[2:4])[0]]
        return _transport(4, number, source, destination, ttl, rest)
    source, destination = str(IPv6Address(packet[8:24])), str(IPv6Address(packet[24:40]))
    rest = packet[40 : 40 + struct.unpack("!H", packet[4:6])[0]]
    return _transport(6, packet[6], source, destination, packet[7], rest)


def _transport(family: int, number: int, source: str, destination: str, ttl: int, rest: bytes) -> Seen:
    name, sport, dport, flags, icmp = NAMES.get(number, str(number)), 0, 0, 0, None
    if name in ("tcp", "udp") and len(rest) >= 4:
        sport, dport = struct.unpack("!HH", rest[:4])
        flags = rest[13] if name == "tcp" and len(rest) > 13 else 0
    elif name == "icmp" and len(rest) >= 8:
        icmp = (rest[0], rest[1])
        if rest[0] in QUERIES:
            sport = dport = struct.unpack("!H", rest[4:6])[0]
    return Seen(family, name, source, sport, destination, dport, ttl, flags, icmp, rest)


def quoted(packet: bytes) -> bytes:
    """The packet an ICMP error quotes."""
    return seen(packet).payload[8:]


def is_error(packet: bytes) -> bool:
    one = seen(packet)
    return one.icmp is not None and one.icmp[0] in ((3, 4, 5, 11, 12) if one.family == 4 else (1, 2, 3, 4))
