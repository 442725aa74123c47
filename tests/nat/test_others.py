"""Hairpins, protocols without ports, and what the gateway's own packets give away."""

from collections import Counter
from itertools import pairwise

import pytest

from gateway.testing import Simulator
from gateway.wire import build, protocol
from tests.judge import assert_sound
from tests.nat.test_mapping import begin
from tests.seen import quoted, seen
from tests.worlds import A4, B4, E4, S4, T4, back, out, refused, world


def test_hairpin_presents_the_external_source():
    sim = Simulator(world(nat={"filtering": {"udp": "EndpointIndependent"}}))
    begin(sim, "udp", B4, 5000, S4)
    sim.inject("inside", build.udp_datagram(A4, 40000, E4, 5000, b"hello neighbour"))
    [arrived] = sim.drain("inside")
    assert seen(arrived)[2:6] == (E4, 40000, B4, 5000)
    sim.inject("inside", build.udp_datagram(B4, 5000, E4, 40000, b"hello yourself"))
    [answer] = sim.drain("inside")
    assert seen(answer)[2:6] == (E4, 5000, A4, 40000)
    assert_sound([arrived, answer])


@pytest.mark.parametrize("number", [protocol.GRE, protocol.ESP, 89])
def test_other_protocols_are_translated_by_address_where_unambiguous(number):
    sim = Simulator(world())
    assert seen(out(sim, build.ip(A4, S4, number, bytes(24)))).source == E4
    assert seen(back(sim, build.ip(S4, E4, number, bytes(24)))).destination == A4
    assert refused(sim, build.ip(B4, S4, number, bytes(24))).startswith("drop_")
    assert seen(out(sim, build.ip(B4, T4, number, bytes(24)))).source == E4


def test_generated_packets_have_unpredictable_identifiers():
    sim = Simulator(world())
    for _ in range(100):
        sim.inject("inside", build.udp_datagram(A4, 1, S4, 2, ttl=1))
    identifiers = [int.from_bytes(error[4:6], "big") for error in sim.drain("inside")]
    steps = Counter((b - a) % 65536 for a, b in pairwise(identifiers))
    assert len(identifiers) == 100 and max(steps.values()) < 5


def test_a_quote_with_ip_options_is_reverted():
    timestamp = bytes([68, 8, 5, 0, 0, 0, 0, 0])
    sim = Simulator(world())
    datagram = build.udp_datagram(A4, 40000, S4, 53, b"options")[20:]
    emitted = out(sim, build.ip(A4, S4, protocol.UDP, datagram, options=timestamp))
    arrived = back(sim, build.icmp_message("192.0.2.9", E4, 3, 3, bytes(4) + emitted))
    assert seen(quoted(arrived))[2:6] == (A4, 40000, S4, 53)
    assert_sound([arrived])
