"""Scapy as the judge of emitted packets: every checksum recomputed from nothing and compared."""

from __future__ import annotations

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6, _ICMPv6, in6_chksum
from scapy.packet import Packet

from gateway.wire import protocol

CHECKED = ((IP, "chksum"), (TCP, "chksum"), (UDP, "chksum"), (ICMP, "chksum"), (_ICMPv6, "cksum"))


def dissect(packet: bytes) -> Packet:
    return IP(packet) if packet[0] >> 4 == 4 else IPv6(packet)


def wrong_checksums(packet: bytes) -> list[str]:
    """The checksums, outside of any quoted packet, that scapy would have computed otherwise; [] when all is right."""
    parsed, fresh, wrong = dissect(packet), dissect(packet), []
    layers = _own_layers(fresh)
    for layer, field in layers:
        delattr(layer, field)
    rebuilt = dissect(bytes(fresh))
    for (layer, field), (judged, _) in zip(_own_layers(parsed), _own_layers(rebuilt), strict=True):
        stands = getattr(layer, field)
        due = icmpv6_checksum(layer) if isinstance(layer, _ICMPv6) else getattr(judged, field)
        unused = isinstance(layer, UDP) and stands == 0 and isinstance(parsed, IP)  # RFC 768: sent without
        if stands != due and not unused:
            wrong.append(f"{layer.name}: {stands:#06x}, should be {due:#06x}")
    return wrong


def icmpv6_checksum(layer: Packet) -> int:
    """Of the bytes as they are: scapy counts the last one of an odd quotation as padding when it builds anew."""
    written = layer.original
    return in6_chksum(protocol.ICMPV6, layer.underlayer, written[:2] + bytes(2) + written[4:])


def _own_layers(packet: Packet) -> list[tuple[Packet, str]]:
    """(layer, its checksum's field) down to the first ICMP layer or tunnelled packet: what is in it is another's."""
    found, layer = [], packet
    while layer and layer.name != "NoPayload" and (layer is packet or not isinstance(layer, (IP, IPv6))):
        for kind, field in CHECKED:
            if isinstance(layer, kind):
                found.append((layer, field))
        if isinstance(layer, (ICMP, _ICMPv6)):
            break
        layer = layer.payload
    return found


def assert_sound(packets: list[bytes]) -> None:
    for packet in packets:
        assert not (wrong := wrong_checksums(packet)), f"{wrong} in {dissect(packet).summary()}: {packet.hex()}"
