"""Rules of what a gateway takes on an interface, and packets about which they decide."""

from ipaddress import ip_address, ip_network

from scapy.all import IP, UDP, IPv6, Packet, Raw

EVERYTHING = [(False, "0.0.0.0/0", True), (False, "::/0", True)]
RULES = [(False, "198.51.100.10/32", True), (False, "192.168.7.0/24", False), (False, "192.168.0.0/16", True),
         (True, "10.0.0.128/25", True), (False, "2001:db8:e::/48", True), (True, "fd00::/9", True)]
PAIRS = [(source, destination) for source in ("10.0.0.2", "10.0.0.200")
         for destination in ("198.51.100.10", "198.51.100.11", "192.168.7.9", "192.168.8.9", "192.169.0.1")]
PAIRS += [(source, destination) for source in ("2001:db8::2", "fd7f::1", "fd80::1")
          for destination in ("2001:db8:e::1", "2001:db8:f::1")]
MARK = b"rule"


def wanted(source: str, destination: str) -> bool:
    """Whether RULES take a packet: the same, the slow way."""
    for by_source, network, taken in RULES:
        if ip_address(source if by_source else destination) in ip_network(network):
            return taken
    return False


def packet(source: str, destination: str) -> Packet:
    header = IPv6(src=source, dst=destination) if ":" in source else IP(src=source, dst=destination)
    return header / UDP() / Raw(MARK)


def pair(found: bytes) -> tuple[str, str] | None:
    """Source and destination of one of those packets; None for any other."""
    parsed = (IP if found[0] >> 4 == 4 else IPv6)(found)
    return (parsed.src, parsed.dst) if MARK in found else None
