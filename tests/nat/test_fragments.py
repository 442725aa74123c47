"""Fragments and sizes: RFC 4787 REQ-13 and 14, RFC 5508 section 7.1, RFC 1858, 3128, 5722."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.testing import Simulator
from gateway.testing.strategies import fragment
from gateway.wire import build, protocol
from tests.judge import assert_sound
from tests.seen import quoted, seen
from tests.worlds import A4, A6, HOSTS, S4, S6, out, world

OUTSIDE_1400 = {"driver": "memory", "mtu": 1400, "addresses": ["198.51.100.1/24", "2001:db8:e::1/64"]}
ORDERS = [[0, 1, 2], [2, 1, 0], [1, 0, 2], [2, 0, 1]]
PAYLOAD = bytes(range(256)) * 8


def offset(part: bytes) -> int:
    if part[0] >> 4 == 4:
        return (int.from_bytes(part[6:8], "big") & 0x1FFF) << 3
    return int.from_bytes(part[42:44], "big") & 0xFFF8


def joined(parts: list[bytes]) -> bytes:
    """What the receiver makes of fragments: all of one datagram, nothing missing and nothing twice."""
    parts = sorted(parts, key=offset)
    one, extra = seen(parts[0]), 0 if parts[0][0] >> 4 == 4 else 8
    assert {seen(part)[2:5:2] for part in parts} == {one[2:5:2]}
    assert len({part[4:6] if not extra else part[44:48] for part in parts}) == 1, "one identification"
    payload = b""
    for part in parts:
        assert offset(part) == len(payload)
        payload += seen(part).payload[extra:]
    return build.ip(one.source, one.destination, parts[0][40] if extra else parts[0][9], payload)


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("order", ORDERS)
def test_fragments_leave_in_any_order(family, order):
    internal, remote, external = HOSTS[family]
    sim = Simulator(world())
    parts = fragment(build.udp_datagram(internal, 40000, remote, 53, PAYLOAD), 800, 77)
    for index in order:
        sim.inject("inside", parts[index])
    whole = joined(sim.drain("outside"))
    assert seen(whole)[2:6] == (external, 40000, remote, 53) and seen(whole).payload[8:] == PAYLOAD
    assert_sound([whole])


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("order", ORDERS)
def test_fragments_come_back_in_any_order(family, order):
    internal, remote, external = HOSTS[family]
    sim = Simulator(world())
    out(sim, build.udp_datagram(internal, 40000, remote, 53))
    parts = fragment(build.udp_datagram(remote, 53, external, 40000, PAYLOAD), 800, 77)
    for index in order:
        sim.inject("outside", parts[index])
    whole = joined(sim.drain("inside"))
    assert seen(whole)[2:6] == (remote, 53, internal, 40000) and seen(whole).payload[8:] == PAYLOAD
    assert_sound([whole])


@given(st.sampled_from([4, 6]), st.integers(1, 40), st.integers(0, 300), st.randoms(use_true_random=False))
def test_any_cut_in_any_order_arrives_whole(family, size, length, order):
    internal, remote, _ = HOSTS[family]
    sim = Simulator(world())
    parts = fragment(build.udp_datagram(internal, 40000, remote, 53, PAYLOAD[:length]), size * 8, 5)
    order.shuffle(parts)
    for part in parts:
        sim.inject("inside", part)
    assert sum(sim.counters().values()) == len(parts)
    whole = joined(sim.drain("outside"))
    assert seen(whole).payload[8:] == PAYLOAD[:length]
    assert_sound([whole])


def test_datagrams_of_two_hosts_with_one_identification_are_not_mixed():
    sim = Simulator(world())
    mine, theirs = (fragment(build.udp_datagram(host, 40000, S4, 53, host.encode() * 100), 800, 9)
                    for host in (A4, "192.168.9.9"))
    for parts in zip(mine, theirs, strict=True):
        sim.inject_many("inside", parts)
    by_identification: dict[bytes, list[bytes]] = {}
    for part in sim.drain("outside"):
        by_identification.setdefault(part[4:6], []).append(part)
    assert len(by_identification) == 2, "RFC 6864: unique between two addresses"
    assert {seen(joined(parts)).payload[8:] for parts in by_identification.values()} == {
        host.encode() * 100 for host in (A4, "192.168.9.9")}
    assert_sound([joined(parts) for parts in by_identification.values()])


def test_tiny_first_fragments_are_dropped_with_what_follows():
    sim = Simulator(world())
    segment = build.tcp_segment(A4, 40000, S4, 80)
    for part in fragment(segment, 8, 5):
        sim.inject("inside", part)
    sim.advance(20)
    assert sim.drain("outside") == []
    assert sum(count for name, count in sim.counters().items() if name.startswith("drop_")) == 3


@pytest.mark.parametrize("family", [4, 6])
def test_overlapping_fragments_do_not_arrive_whole(family):
    """RFC 5722: what overlaps ends the datagram."""
    internal, remote, _ = HOSTS[family]
    sim = Simulator(world())
    parts = fragment(build.udp_datagram(internal, 40000, remote, 53, PAYLOAD[:120]), 64, 5)
    overlap = fragment(build.udp_datagram(internal, 40000, remote, 53, PAYLOAD[:120]), 32, 5)[1]
    for part in (parts[0], overlap, parts[1]):
        sim.inject("inside", part)
    assert all(offset(part) == 0 for part in sim.drain("outside"))
    assert sim.counters()["drop_fragment_overlap"] >= 1


def test_fragments_whose_first_never_comes_are_dropped_in_time():
    sim = Simulator(world())
    sim.inject("inside", fragment(build.udp_datagram(A4, 40000, S4, 53, PAYLOAD), 800, 7)[1])
    assert sim.counters()["hold_fragment"] == 1
    sim.advance(16)
    assert sim.drain("outside") == [] and sim.counters()["hold_fragment"] == 0
    assert sim.counters()["drop_fragment_timeout"] == 1


def test_held_fragments_are_bounded():
    sim = Simulator(world(limits={"fragmentsHeld": 8}))
    for number in range(100):
        sim.inject("inside", fragment(build.udp_datagram(A4, 40000, S4, 53, PAYLOAD), 800, number)[1])
    assert sim.counters()["hold_fragment"] <= 8 and sim.counters()["drop_fragment_limit"] >= 92


def test_too_big_without_df_is_fragmented_in_order():
    sim = Simulator(world(outside=OUTSIDE_1400))
    datagram = build.udp_datagram(A4, 40000, S4, 53, bytes(1472))
    sim.inject("inside", build.ip(A4, S4, protocol.UDP, datagram[20:], fragment=0, identification=3))
    emitted = sim.drain("outside")
    assert len(emitted) == 2 and all(len(part) <= 1400 for part in emitted)
    assert [offset(part) for part in emitted] == sorted(offset(part) for part in emitted)
    assert_sound([joined(emitted)])


@pytest.mark.parametrize("family", [4, 6])
def test_too_big_otherwise_is_told_the_mtu_and_quoted_as_sent(family):
    internal, remote, _ = HOSTS[family]
    sim = Simulator(world(outside=OUTSIDE_1400))
    sent = build.udp_datagram(internal, 40000, remote, 53, bytes(1450))
    sim.inject("inside", sent)
    [error] = sim.drain("inside")
    told = seen(error)
    assert told.icmp == ((3, 4) if family == 4 else (2, 0)) and int.from_bytes(told.payload[4:8], "big") == 1400
    assert quoted(error) == sent[: len(quoted(error))] and sim.drain("outside") == []
    assert_sound([error])


@pytest.mark.parametrize("family", [4, 6])
def test_mss_is_clamped_to_the_smaller_mtu_and_never_raised(family):
    internal, remote, _ = HOSTS[family]
    sim = Simulator(world(outside=OUTSIDE_1400))
    for offered, left in ((1460, 1360 if family == 4 else 1340), (1000, 1000)):
        mss = bytes([2, 4]) + offered.to_bytes(2, "big")
        emitted = out(sim, build.tcp_segment(internal, offered, remote, 80, options=mss))
        assert int.from_bytes(seen(emitted).payload[22:24], "big") == left
        assert_sound([emitted])


@pytest.mark.parametrize("offered", range(1359, 1364))
def test_clamping_keeps_a_checksum_right_and_a_wrong_one_wrong(offered):
    mss = bytes([1, 2, 4]) + offered.to_bytes(2, "big") + bytes([1, 1, 1])  # at an odd offset
    for source, remote in ((A4, S4), (A6, S6)):
        sent = build.tcp_segment(source, 40000, remote, 80, options=mss)
        assert_sound([out(Simulator(world(outside=OUTSIDE_1400)), sent)])


def test_atomic_fragments_are_whole_packets():
    """RFC 6946: offset 0 and no more to come."""
    [atomic] = fragment(build.udp_datagram(A6, 40000, S6, 53, b"alone"), 800, 7)
    sim = Simulator(world())
    emitted = out(sim, atomic)
    assert seen(emitted).source == HOSTS[6][2]
    assert_sound([joined([emitted])])
