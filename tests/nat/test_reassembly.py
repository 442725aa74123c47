"""Fragments for the gateway itself, of TCP, and of datagrams with options."""

import pytest

from gateway.testing import Simulator
from gateway.testing.strategies import fragment
from gateway.wire import build, protocol, tcp
from tests.judge import assert_sound
from tests.nat.gate import SPEEDS as INTERPRETED
from tests.nat.test_fragments import ORDERS, joined, offset
from tests.seen import seen
from tests.worlds import A4, E4, HOSTS, S4, back, out, refused, world

SPEEDS = pytest.mark.parametrize("pure", INTERPRETED, ids=["compiled", "interpreted"])
PAYLOAD = bytes(range(256)) * 8


@SPEEDS
@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("order", ORDERS)
def test_a_large_ping_of_the_gateway_is_answered_in_any_order(pure, family, order):
    """RFC 1122 section 3.3.2, RFC 5508 REQ-1."""
    _, remote, external = HOSTS[family]
    sim = Simulator(world(), pure=pure)
    parts = fragment(build.echo(remote, external, 7, 8, PAYLOAD, ttl=1), 800, 77)
    sim.inject_many("outside", [parts[index] for index in order])
    answer = joined(sim.drain("outside"))
    assert seen(answer)[2:6] == (external, 7, remote, 7) and seen(answer).payload[8:] == PAYLOAD
    assert seen(answer).icmp == ((0, 0) if family == 4 else (129, 0))
    assert_sound([answer])
    assert sim.counters()["answer_echo"] == 3 and sum(sim.counters().values()) == 3
    assert sim.drain("inside") == [] == sim.flows()


@SPEEDS
@pytest.mark.parametrize("family", [4, 6])
def test_a_broken_or_unfinished_one_is_not(pure, family):
    _, remote, external = HOSTS[family]
    sim = Simulator(world(), pure=pure)
    parts = fragment(build.echo(remote, external, 7, 8, PAYLOAD), 800, 77)
    sim.inject_many("outside", [parts[0], parts[1], parts[2][:-1] + b"?"])
    sim.inject_many("outside", fragment(build.echo(remote, external, 7, 8, PAYLOAD), 800, 78)[:2])
    assert sim.counters()["drop_bad_checksum"] == 3 and sim.counters()["hold_fragment"] == 2
    sim.advance(16)
    assert sim.drain("outside") == [] and sim.counters()["drop_fragment_timeout"] == 2
    assert sum(sim.counters().values()) == 5


@SPEEDS
def test_those_for_the_gateway_are_bounded_too(pure):
    sim = Simulator(world(limits={"fragmentsHeld": 8}), pure=pure)
    for number in range(50):
        sim.inject("outside", fragment(build.echo(S4, E4, 7, 8, PAYLOAD), 800, number)[0])
    assert sim.counters()["hold_fragment"] <= 8 and sim.counters()["drop_fragment_limit"] >= 42


def established(sim: Simulator) -> None:
    out(sim, build.tcp_segment(A4, 5000, S4, 80, sequence=100))
    back(sim, build.tcp_segment(S4, 80, E4, 5000, flags=tcp.SYN | tcp.ACK, sequence=900, acknowledgement=101))
    out(sim, build.tcp_segment(A4, 5000, S4, 80, flags=tcp.ACK, sequence=101, acknowledgement=901))


def said(sequence: int, payload: bytes) -> bytes:
    return build.tcp_segment(A4, 5000, S4, 80, payload, flags=tcp.ACK, sequence=sequence, acknowledgement=901)


@SPEEDS
def test_a_segment_sent_again_in_fragments_says_no_more_than_before(pure):
    """What was not sent cannot be acknowledged."""
    sim = Simulator(world(), pure=pure)
    established(sim)
    for number in range(4):
        for part in fragment(said(101, bytes(1000)), 400, number):
            out(sim, part)
    ack = {"flags": tcp.ACK, "sequence": 901}
    assert refused(sim, build.tcp_segment(S4, 80, E4, 5000, acknowledgement=1102, **ack), "outside") == (
        "drop_out_of_window")
    back(sim, build.tcp_segment(S4, 80, E4, 5000, acknowledgement=1101, **ack))


@SPEEDS
def test_fragments_of_a_flow_that_is_gone_do_not_move_the_next_ones_window(pure):
    sim = Simulator(world(), pure=pure)
    established(sim)
    parts = fragment(said(101, bytes(1000)), 400, 7)
    out(sim, parts[0])
    assert sim.end_flow(sim.flows()[0])
    out(sim, build.tcp_segment(A4, 6000, S4, 80, sequence=100))
    for part in parts[1:]:
        sim.inject("inside", part)
    late = build.tcp_segment(S4, 80, E4, 6000, flags=tcp.SYN | tcp.ACK, sequence=1, acknowledgement=500)
    assert refused(sim, late, "outside") == "drop_out_of_window"


@SPEEDS
def test_only_options_meant_to_be_are_copied_into_later_fragments(pure):
    """RFC 791 section 3.1: here a router alert is, a record route is not."""
    alert, route = bytes([0x94, 4, 0, 0]), bytes([7, 7, 4, 0, 0, 0, 0])
    narrow = {"driver": "memory", "mtu": 1280, "addresses": ["198.51.100.1/24"]}
    sim = Simulator(world(outside=narrow), pure=pure)
    datagram = build.udp_datagram(A4, 5000, S4, 53, PAYLOAD + PAYLOAD[:1200])[20:]
    sent = build.ip(A4, S4, protocol.UDP, datagram, options=route + b"\x01" + alert, fragment=0, identification=3)
    sim.inject("inside", sent)
    parts = sim.drain("outside")
    assert len(parts) == 3 and all(len(part) <= 1280 for part in parts)
    assert parts[0][20:32] == route + b"\x01" + alert
    assert [part[20:24] for part in parts[1:]] == [alert] * 2 and [part[0] & 15 for part in parts] == [8, 6, 6]
    bodies = {offset(part): part[(part[0] & 15) * 4 :] for part in parts}
    whole = b"".join(bodies[at] for at in sorted(bodies))
    assert whole[8:] == datagram[8:] and len(whole) == len(datagram)
    for part in parts:
        assert build.checksum(part[: (part[0] & 15) * 4]) == 0
