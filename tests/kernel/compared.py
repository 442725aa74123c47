"""What two NATs may differ in, by name, and packets reduced to the rest: equal reductions are the same behaviour."""

from __future__ import annotations

from typing import Any

from gateway.testing.strategies import EGRESS, GATEWAY
from tests.fuzz.sums import header_is_right, is_fragment, transport_is_right
from tests.seen import is_error, quoted, seen

DIFFERENCES = {
    "external port": "each chooses; that of a conversation stands for its own (RFC 4787 REQ-1)",
    "IPv4 identifier": "ours are unique where the packet may be fragmented (RFC 6864); the kernel keeps the pod's",
    "own address": "the kernel's errors come from the masquerade address, ours from the gateway's outside address",
    "own error's TOS": "the kernel copies some bits of the packet's, ours is 0xC0 (RFC 1812 section 4.3.2.5)",
    "own error's DF": "ours are never to be fragmented, and so need no unique identifier (RFC 6864)",
    "refused beginnings": "a first packet that goes no further than the gateway (too large, out of hops) leaves a flow "
                          "in ours and none in the kernel: a reply to it, which nobody can send, would pass",
    "refused segments": "the kernel tracks a segment before it looks at its size or TTL, ours only what it forwards: "
                        "what follows as if it had arrived is nonsense to one of them",
    "early ACK": "the kernel drops an ACK between SYN and SYN-ACK, ours passes it: TCP loses nothing here",
    "fragments": "the kernel holds them all, puts them together and cuts anew; ours passes them on as they come",
}
EXTERNAL = {EGRESS[4][0], EGRESS[6][0]}
OWN = {"198.51.100.1", "2001:db8:e::1", *EXTERNAL, *GATEWAY.values()}


def plain(packet: bytes, port: int, depth: int = 0) -> tuple[Any, ...]:
    """A packet without its freedoms. port: the external one, in whose place stands None."""
    told = seen(packet)
    tos = packet[1] if told.family == 4 else (packet[0] & 15) << 4 | packet[1] >> 4
    source, destination = told.source, told.destination
    ports = [None if address in EXTERNAL and number == port else number
             for address, number in ((source, told.source_port), (destination, told.destination_port))]
    own = source in OWN and is_error(packet) and not depth
    body: Any
    if is_error(packet):
        body = told.payload[:2], told.payload[4:8], plain(quoted(packet), port, depth + 1)
    else:
        body = payload(told.protocol, told.payload)
    if told.icmp and not is_error(packet):
        ports = [min(ports, key=lambda one: one is not None)]
    fine = depth > 0 or is_fragment(packet) or (header_is_right(packet) and transport_is_right(packet) is not False)
    return (told.protocol, "own" if own else source, destination, *ports, told.ttl, None if own else tos,
            not own and told.family == 4 and packet[6] & 0x40, body, "sound" if fine else "unsound")


def payload(protocol: str, body: bytes) -> tuple[bytes, ...]:
    """After the ports, without the checksum."""
    if protocol == "tcp":
        return body[4:16], body[18:]
    if protocol == "udp":
        return body[4:6], body[8:]
    return body[:2], body[6:]


def together(packets: list[bytes]) -> list[bytes]:
    """Fragments of one datagram as the datagram, in place of the first; the others as they are."""
    parts = [packet for packet in packets if is_fragment(packet)]
    if not parts:
        return packets
    pieces = dict(sorted(part(packet) for packet in parts))
    body, at = b"", 0
    for offset, piece in pieces.items():
        if offset != at:
            return packets
        body, at = body + piece, at + len(piece)
    first = next(packet for packet in parts if part(packet)[0] == 0)
    if first[0] >> 4 == 4:
        head = bytearray(first[: (first[0] & 15) * 4])
        head[2:4], head[6:8] = (len(head) + len(body)).to_bytes(2, "big"), bytes([first[6] & 0x40, 0])
    else:
        head = bytearray(first[:40])
        head[4:6], head[6:7] = len(body).to_bytes(2, "big"), first[40:41]
    where = packets.index(parts[0])
    whole = bytes(head) + body
    return [*(p for p in packets[:where] if p not in parts), mended(whole),
            *(p for p in packets[where:] if p not in parts)]


def part(packet: bytes) -> tuple[int, bytes]:
    """Offset and bytes of a fragment."""
    if packet[0] >> 4 == 4:
        head = (packet[0] & 15) * 4
        return (int.from_bytes(packet[6:8], "big") & 0x1FFF) * 8, packet[head : int.from_bytes(packet[2:4], "big")]
    return int.from_bytes(packet[42:44], "big") & 0xFFF8, packet[48:]


def mended(packet: bytes) -> bytes:
    """With the header checksum that the whole has."""
    if packet[0] >> 4 == 6:
        return packet
    from tests.fuzz.traffic import summed

    return summed(bytearray(packet))
