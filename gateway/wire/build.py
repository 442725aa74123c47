"""Builds valid packets from text: what `explain`, the simulator and the labs send. Not on any packet's path.

Addresses are text; both of one family. Every header checksum is computed. IPv4 identifications are 0 and DF
is set unless said otherwise.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

from . import bits, icmp, ipv4, protocol, tcp, udp

TTL = 64
WINDOW = 64240


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071) of `data`, as it is written into a header."""
    total = int.from_bytes(data + bytes(len(data) % 2), "big") % bits.M16
    # A sum of 0 modulo 0xFFFF is 0xFFFF unless every byte is zero: its complement is then 0.
    return bits.M16 ^ (total or (bits.M16 if any(data) else 0))


def pseudo_header(source: str, destination: str, upper: int, length: int) -> bytes:
    """RFC 9293 section 3.1 for IPv4, RFC 8200 section 8.1 for IPv6."""
    first, second = _pair(source, destination)
    if isinstance(first, IPv4Address):
        return first.packed + second.packed + bytes([0, upper]) + length.to_bytes(2, "big")
    return first.packed + second.packed + length.to_bytes(4, "big") + bytes([0, 0, 0, upper])


def ip(source: str, destination: str, upper: int, payload: bytes, *, ttl: int = TTL, tos: int = 0,
       identification: int = 0, fragment: int = ipv4.DF, options: bytes = b"") -> bytes:
    """An IP packet. `fragment`: IPv4's flags and offset word; `options`: IPv4's, a multiple of 4 bytes."""
    first, second = _pair(source, destination)
    if isinstance(first, IPv6Address):
        head = (6 << 28 | tos << 20).to_bytes(4, "big") + len(payload).to_bytes(2, "big") + bytes([upper, ttl])
        return head + first.packed + second.packed + payload
    length = ipv4.HEADER + len(options)
    header = bytearray(bytes([0x40 | length >> 2, tos]) + (length + len(payload)).to_bytes(2, "big")
                       + identification.to_bytes(2, "big") + fragment.to_bytes(2, "big") + bytes([ttl, upper, 0, 0])
                       + first.packed + second.packed + options)
    header[ipv4.CHECKSUM : ipv4.CHECKSUM + 2] = checksum(bytes(header)).to_bytes(2, "big")
    return bytes(header) + payload


def tcp_segment(source: str, source_port: int, destination: str, destination_port: int, payload: bytes = b"", *,
                flags: int = tcp.SYN, sequence: int = 1, acknowledgement: int = 0, window: int = WINDOW,
                options: bytes = b"", ttl: int = TTL, tos: int = 0) -> bytes:
    """`options`: a multiple of 4 bytes, already padded."""
    header = _ports(source_port, destination_port) + sequence.to_bytes(4, "big") + acknowledgement.to_bytes(4, "big")
    header += bytes([(tcp.HEADER + len(options)) << 2, flags]) + window.to_bytes(2, "big") + bytes(4) + options
    segment = _summed(source, destination, protocol.TCP, header + payload, tcp.CHECKSUM)
    return ip(source, destination, protocol.TCP, segment, ttl=ttl, tos=tos)


def udp_datagram(source: str, source_port: int, destination: str, destination_port: int, payload: bytes = b"", *,
                 ttl: int = TTL, tos: int = 0) -> bytes:
    header = _ports(source_port, destination_port) + (udp.HEADER + len(payload)).to_bytes(2, "big") + bytes(2)
    datagram = _summed(source, destination, protocol.UDP, header + payload, udp.CHECKSUM)
    if not any(datagram[udp.CHECKSUM :][:2]):  # a computed 0 is sent as all ones (RFC 768)
        datagram = datagram[: udp.CHECKSUM] + b"\xff\xff" + datagram[udp.HEADER :]
    return ip(source, destination, protocol.UDP, datagram, ttl=ttl, tos=tos)


def echo(source: str, destination: str, identifier: int = 1, sequence: int = 1, payload: bytes = b"", *,
         reply: bool = False, ttl: int = TTL) -> bytes:
    """An ICMP or ICMPv6 echo request, or its reply."""
    rest = identifier.to_bytes(2, "big") + sequence.to_bytes(2, "big") + payload
    if ip_address(source).version == 4:
        return icmp_message(source, destination, icmp.ECHO_REPLY if reply else icmp.ECHO_REQUEST, 0, rest, ttl=ttl)
    return icmp_message(source, destination, icmp.ECHO_REPLY6 if reply else icmp.ECHO_REQUEST6, 0, rest, ttl=ttl)


def icmp_message(source: str, destination: str, kind: int, code: int, rest: bytes, *, ttl: int = TTL) -> bytes:
    """An ICMP message of the addresses' family. `rest`: everything after the checksum."""
    message = bytes([kind, code, 0, 0]) + rest
    if ip_address(source).version == 6:
        return ip(source, destination, protocol.ICMPV6,
                  _summed(source, destination, protocol.ICMPV6, message, icmp.CHECKSUM), ttl=ttl)
    message = message[:2] + checksum(message).to_bytes(2, "big") + rest
    return ip(source, destination, protocol.ICMP, message, ttl=ttl)


def _pair(source: str, destination: str) -> tuple[IPv4Address | IPv6Address, IPv4Address | IPv6Address]:
    first, second = ip_address(source), ip_address(destination)
    if first.version != second.version:
        raise ValueError(f"{source} and {destination} are not of one family")
    return first, second


def _ports(source: int, destination: int) -> bytes:
    return source.to_bytes(2, "big") + destination.to_bytes(2, "big")


def _summed(source: str, destination: str, upper: int, segment: bytes, at: int) -> bytes:
    """`segment` with its checksum, zero until now, written at offset `at`."""
    total = checksum(pseudo_header(source, destination, upper, len(segment)) + segment)
    return segment[:at] + total.to_bytes(2, "big") + segment[at + 2 :]
