"""IPv6 routing headers (RFC 8200 section 4.4, RFC 5095, RFC 8754 section 5.1)."""

import pytest

from gateway.testing import Simulator
from gateway.wire import build, protocol
from tests.nat.gate import SPEEDS as INTERPRETED
from tests.worlds import A6, E6, S6, out, refused, world

SPEEDS = pytest.mark.parametrize("pure", INTERPRETED, ids=["compiled", "interpreted"])
TYPES = [0, 1, 2, 3, 4, 99, 255]  # source route, Nimrod, mobile IPv6, RPL, segment routing, unknown ones


def routed(number: int, left: int, source: str = A6, target: str = S6) -> bytes:
    datagram = build.udp_datagram(source, 5000, target, 53, b"routed")[40:]
    header = bytes([protocol.UDP, 2, number, left]) + bytes(20)
    return build.ip(source, target, protocol.ROUTING, header + datagram)


@SPEEDS
@pytest.mark.parametrize("number", TYPES)
def test_whoever_is_not_at_the_end_of_his_route_is_refused(pure, number):
    sim = Simulator(world(), pure=pure)
    for left in (1, 255):
        assert refused(sim, routed(number, left)) == "drop_source_route"
        assert refused(sim, routed(number, left, S6, E6), "outside") == "drop_source_route"
    assert sim.flows() == []


@SPEEDS
@pytest.mark.parametrize("number", TYPES[1:])
def test_a_route_that_is_done_passes(pure, number):
    emitted = out(Simulator(world(), pure=pure), routed(number, 0))
    assert emitted[40:64] == routed(number, 0)[40:64] and emitted[-6:] == b"routed"


@SPEEDS
def test_a_header_that_reaches_behind_the_packet_is_refused(pure):
    header = bytes([protocol.GRE, 9]) + bytes(6)
    sent = build.ip(A6, S6, protocol.DESTINATION, header)
    assert refused(Simulator(world(), pure=pure), sent) == "drop_truncated"
