"""Destination -> next hop -> MAC address: asked once, remembered, forgotten when it changes; packets wait for it."""

import pytest

from gateway.links import _syscalls_py, next_hops, syscalls
from gateway.links.next_hops import HELD_PER_HOP, HOLD_NS, NextHops

A, B, ROUTER = b"\x0a\0\0\x02", b"\x0a\0\0\x03", b"\x0a\0\0\xfe"
FAR, SIX = b"\x08\x08\x08\x08", bytes(15) + b"\x09"
PACKET, OFFLOAD = b"packet", bytes(10)


class Table:
    """Routes and neighbours as dictionaries."""

    listener = None

    def __init__(self) -> None:
        self.hops = {A: A, B: B, FAR: ROUTER, SIX: SIX}
        self.macs: dict[bytes, int] = {}
        self.probed: list[bytes] = []

    def next_hop(self, destination: bytes) -> bytes | None:
        return self.hops.get(destination)

    def mac(self, hop: bytes) -> int:
        return self.macs.get(hop, 0)

    def probe(self, hop: bytes) -> None:
        self.probed.append(hop)


class Known:
    def __init__(self) -> None:
        self.table = Table()
        self.sent: list[tuple[bytes, int]] = []
        self.hops = NextHops(self.table, lambda packet, offload, mac: self.sent.append((packet, mac)) is None)


@pytest.fixture
def known() -> Known:
    return Known()


def test_a_held_packet_leaves_when_its_next_hop_answers(known: Known) -> None:
    assert known.hops.find(FAR) == 0
    known.hops.hold(FAR, PACKET, OFFLOAD)
    assert known.table.probed == [ROUTER]
    known.table.macs[ROUTER] = 77
    known.hops.neighbour_changed(ROUTER)
    assert known.sent == [(PACKET, 77)]
    assert known.hops.find(FAR) == 77


def test_what_waits_is_bounded_and_given_up(known: Known, monkeypatch: pytest.MonkeyPatch) -> None:
    now = next_hops.monotonic_ns()
    monkeypatch.setattr(next_hops, "monotonic_ns", lambda: now)
    for _ in range(HELD_PER_HOP + 3):
        known.hops.hold(A, PACKET, OFFLOAD)
    assert known.hops.reasons == {"next_hop_queue_full": 3}
    now += HOLD_NS
    known.hops.tick()
    assert known.hops.reasons == {"next_hop_queue_full": 3, "next_hop_silent": HELD_PER_HOP}
    known.table.macs[A] = 5
    known.hops.neighbour_changed(A)
    assert known.sent == []


def test_a_destination_without_a_route_is_counted(known: Known) -> None:
    known.hops.hold(b"\x01\x01\x01\x01", PACKET, OFFLOAD)
    assert known.hops.reasons == {"no_route": 1}


def test_a_fixed_next_hop_serves_its_family_only(known: Known) -> None:
    fixed = NextHops(known.table, lambda packet, offload, mac: True, ["10.0.0.254"])
    known.table.macs = {ROUTER: 77, A: 5, SIX: 6}
    assert (fixed.find(A), fixed.find(SIX)) == (77, 6)


def test_hops_in_use_are_asked_whether_they_still_hold(known: Known, monkeypatch: pytest.MonkeyPatch) -> None:
    known.table.macs = {A: 5, B: 6}
    known.hops.find(A), known.hops.find(B)
    known.hops.cache.used(1), known.hops.cache.used(2)
    now = next_hops.monotonic_ns() + next_hops.CONFIRM_NS
    monkeypatch.setattr(next_hops, "monotonic_ns", lambda: now)
    known.hops.tick()
    assert known.table.probed == [], "nothing went anywhere since"


@pytest.mark.parametrize("cache", [syscalls.NextHopCache, _syscalls_py.NextHopCache])
def test_the_cache_refuses_hop_numbers_outside_its_bounds(cache: type) -> None:
    for number in (0, next_hops.HOPS):
        with pytest.raises(ValueError):
            cache().put(A, number)
        with pytest.raises(ValueError):
            cache().set_mac(number, 1)
