"""The resources that tests share, and what crosses a simulator that holds them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from gateway.testing import Simulator
from gateway.testing.strategies import EGRESS, INTERNAL, Endpoint, FlowTuple, fragments, gateway, packets, pool
from gateway.wire import build

E4, E6 = EGRESS[4][0], EGRESS[6][0]
A4, B4, S4, T4 = "192.168.1.2", "192.168.1.3", "203.0.113.5", "203.0.113.6"
A6, B6, S6, T6 = "fd00:10:244::2", "fd00:10:244::3", "2001:db8:5::5", "2001:db8:5::6"
HOSTS = {4: (A4, S4, E4), 6: (A6, S6, E6)}  # an internal, a remote, an external address
INTERNAL_POOLS = [pool("internal-4", INTERNAL[4]), pool("internal-6", INTERNAL[6])]

FIRST = {"tcp": "open", "udp": "data", "icmp": "request"}  # the kind of step that begins a flow
FIRST_BYTES = st.sampled_from([b"\x40", b"\x45", b"\x46", b"\x4f", b"\x60", b"\x65", b"\x50", b"\0"])
LOOKS_LIKE_IP = st.tuples(FIRST_BYTES, st.binary(max_size=120)).map(b"".join)
SIDES = st.sampled_from(["inside", "outside"])
HOSTILE = st.one_of(st.binary(max_size=120), LOOKS_LIKE_IP, packets(mutated=True), packets())


def from_there(side: str) -> st.SearchStrategy[tuple[str, bytes]]:
    """(side, packet): what may well come from that side, whole, mutated or in fragments."""
    parts = fragments(side=side).flatmap(st.sampled_from)
    sent = st.one_of(packets(side=side), packets(side=side), packets(side=side, mutated=True), parts)
    return sent.map(lambda packet: (side, packet))


ARRIVALS = st.one_of(st.tuples(SIDES, HOSTILE), SIDES.flatmap(from_there), SIDES.flatmap(from_there))


def world(*pools: dict[str, Any], **spec: Any) -> list[dict[str, Any]]:
    """A Gateway and the two natOutgoing pools, or `pools` instead; `spec`: fields of the Gateway's."""
    return [gateway(**spec), *(pools or INTERNAL_POOLS)]


def out(sim: Simulator, packet: bytes) -> bytes:
    """An internal host sends; the one packet that leaves on the outside."""
    sim.inject("inside", packet)
    assert sim.drain("inside") == []
    [emitted] = sim.drain("outside")
    return emitted


def back(sim: Simulator, packet: bytes) -> bytes:
    """A remote host sends; the one packet that reaches the inside."""
    sim.inject("outside", packet)
    assert sim.drain("outside") == []
    [emitted] = sim.drain("inside")
    return emitted


def refused(sim: Simulator, packet: bytes, side: str = "inside") -> str:
    """Nothing passes; the verdict that was counted. What the gateway told the sender stays to be drained."""
    before = sim.counters()
    sim.inject(side, packet)
    assert sim.drain("outside" if side == "inside" else "inside") == []
    [verdict] = [name for name, count in sim.counters().items() if count != before[name]]
    assert verdict.startswith(("drop_", "reject_", "hold_", "leave_", "answer_")), verdict
    return verdict


def forwarded(packet: bytes) -> bytes:
    """The packet one hop on: TTL one lower, the header checksum to match."""
    changed = bytearray(packet)
    if packet[0] >> 4 == 6:
        changed[7] -= 1
        return bytes(changed)
    changed[8] -= 1
    changed[10:12] = bytes(2)
    changed[10:12] = build.checksum(bytes(changed[: (packet[0] & 15) * 4])).to_bytes(2, "big")
    return bytes(changed)


def mirrored(packet: bytes) -> bytes:
    """Source and destination exchanged, addresses and ports: no checksum changes."""
    changed = bytearray(packet)
    size, first = (4, 12) if packet[0] >> 4 == 4 else (16, 8)
    at = (packet[0] & 15) * 4 if size == 4 else 40
    changed[first : first + 2 * size] = packet[first + size : first + 2 * size] + packet[first : first + size]
    changed[at : at + 4] = packet[at + 2 : at + 4] + packet[at : at + 2]
    return bytes(changed)


def between(protocol: str, internal: str, remote: str, port: int = 40001) -> FlowTuple:
    return FlowTuple(protocol, Endpoint(internal, port), Endpoint(remote, port if protocol == "icmp" else 80))
