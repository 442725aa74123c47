"""Packets built from text are what scapy would have built."""

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6

from gateway.wire import build

FOUR, SIX = ("192.168.1.2", "203.0.113.7"), ("2001:db8:1::2", "2001:db8:2::7")
PAYLOADS = [b"", b"a", b"ab" * 40, bytes(65), b"\xff" * 33]


def judged(packet: bytes) -> bytes:
    """The packet as scapy writes it once every length and checksum is recomputed."""
    layer = IP(packet) if packet[0] >> 4 == 4 else IPv6(packet)
    for one in (IP, TCP, UDP, ICMP):
        if one in layer:
            del layer[one].chksum
    if ICMPv6EchoRequest in layer:
        del layer[ICMPv6EchoRequest].cksum
    return bytes(layer)


@pytest.mark.parametrize("pair", [FOUR, SIX])
@pytest.mark.parametrize("payload", PAYLOADS)
def test_every_kind_has_the_checksums_scapy_computes(pair, payload):
    source, destination = pair
    for packet in (build.tcp_segment(source, 40000, destination, 443, payload),
                   build.udp_datagram(source, 40000, destination, 53, payload),
                   build.echo(source, destination, 7, 3, payload)):
        assert packet == judged(packet)


def test_the_parts_stand_where_they_belong():
    packet = IP(build.tcp_segment(*("192.168.1.2", 40000), *("203.0.113.7", 443), flags=0x12, sequence=9, tos=4, ttl=3))
    assert (packet.src, packet.dst, packet.ttl, packet.tos, packet[TCP].sport, packet[TCP].dport) == (
        "192.168.1.2", "203.0.113.7", 3, 4, 40000, 443)
    assert packet[TCP].flags == "SA" and packet[TCP].seq == 9


def test_a_udp_checksum_of_zero_is_sent_as_all_ones():
    zero = next(packet for number in range(65536)
                if (packet := build.udp_datagram(*("10.0.0.1", 1), *("10.0.0.2", 2), number.to_bytes(2, "big")))[26:28]
                == b"\xff\xff")
    assert zero == judged(zero)


def test_families_do_not_mix():
    with pytest.raises(ValueError, match="one family"):
        build.echo("10.0.0.1", "2001:db8::1")
