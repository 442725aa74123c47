"""What people ask `explain`: two endpoints, a protocol and a side, as text; and the packet that stands for them."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address

from ..wire import build, protocol, sides

SIDES = {"inside": sides.INSIDE, "outside": sides.OUTSIDE}
NUMBERS = {"tcp": protocol.TCP, "udp": protocol.UDP, "icmp": protocol.ICMP, "icmpv6": protocol.ICMPV6,
           "sctp": protocol.SCTP, "dccp": protocol.DCCP, "udplite": protocol.UDPLITE, "gre": protocol.GRE,
           "esp": protocol.ESP}
SOURCE_PORT = 40000
DESTINATION_PORTS = {"tcp": 443, "udp": 53, "sctp": 36412, "dccp": 5001, "udplite": 53}
PORTLESS_PAYLOAD = bytes(16)


class QuestionError(ValueError):
    """The question makes no sense; the message says what does."""


def endpoint(text: str, what: str = "address") -> tuple[str, int | None]:
    """(address, port or None) of "192.0.2.1", "192.0.2.1:80", "2001:db8::1" or "[2001:db8::1]:80"."""
    host, colon, port = text.strip(), "", ""
    if host.startswith("["):
        host, bracket, rest = host[1:].partition("]")
        colon, port = rest[:1], rest[1:]
        if not bracket or (rest and colon != ":"):
            raise QuestionError(f"{what} {text!r} is not [IPv6]:PORT")
    elif host.count(":") == 1:
        host, colon, port = host.partition(":")
    try:
        address = str(ip_address(host))
    except ValueError:
        raise QuestionError(f"{what} {text!r} is not an IP address, IP:PORT or [IPv6]:PORT") from None
    if not colon:
        return address, None
    if not (port.isascii() and port.isdigit() and 0 <= int(port) <= 65535):
        raise QuestionError(f"{what} {text!r}: {port!r} is not a port (0-65535)")
    return address, int(port)


@dataclass(frozen=True)
class Question:
    source: str
    source_port: int
    destination: str
    destination_port: int
    protocol: str  # a name in NUMBERS, or a number as text
    side: int

    @classmethod
    def parse(cls, source: str, destination: str, name: str = "tcp", side: str = "inside") -> Question:
        """Raises QuestionError. Ports left out: 40000 towards the protocol's best known one (ICMP: identifier 1)."""
        first, first_port = endpoint(source, "source")
        second, second_port = endpoint(destination, "destination")
        if ip_address(first).version != ip_address(second).version:
            raise QuestionError(f"source {first} and destination {second} are of different families")
        if side not in SIDES:
            raise QuestionError(f"side {side!r} is not one of: {', '.join(SIDES)}")
        name = _protocol(name, ip_address(first).version)
        if name.startswith("icmp") and second_port is not None:
            raise QuestionError("ICMP has no destination port; an identifier is given as the source's: IP:IDENTIFIER")
        if name not in DESTINATION_PORTS and not name.startswith("icmp") and not (first_port is second_port is None):
            raise QuestionError(f"protocol {name} has no ports")
        default = 1 if name.startswith("icmp") else SOURCE_PORT
        return cls(first, default if first_port is None else first_port, second,
                   DESTINATION_PORTS.get(name, 0) if second_port is None else second_port, name, SIDES[side])

    def packet(self) -> bytes:
        """A TCP SYN, a UDP datagram, an echo request, or an empty packet of another protocol."""
        ends = self.source, self.source_port, self.destination, self.destination_port
        if self.protocol == "tcp":
            return build.tcp_segment(*ends)
        if self.protocol == "udp":
            return build.udp_datagram(*ends)
        if self.protocol.startswith("icmp"):
            return build.echo(self.source, self.destination, self.source_port)
        ports = b"".join(port.to_bytes(2, "big") for port in (self.source_port, self.destination_port))
        payload = (ports if self.protocol in DESTINATION_PORTS else b"") + PORTLESS_PAYLOAD
        return build.ip(self.source, self.destination, NUMBERS.get(self.protocol) or int(self.protocol), payload)


def _protocol(name: str, version: int) -> str:
    """The protocol's own name, ICMP's by family."""
    name = name.lower()
    if name.isascii() and name.isdigit() and int(name) <= 255:
        name = {str(number): known for known, number in NUMBERS.items()}.get(name, str(int(name)))
    elif name not in NUMBERS:
        raise QuestionError(f"protocol {name!r} is not one of: {', '.join(NUMBERS)}, or a number from 0 to 255")
    if name == "icmp" and version == 6:
        return "icmpv6"
    if name == "icmpv6" and version == 4:
        raise QuestionError("ICMPv6 between IPv4 addresses")
    return name
