"""The gateway's own addresses as sources, and SYNs to them whose checksum was left to the kernel."""

import pytest

from gateway.testing import Simulator
from gateway.wire import build, icmp, tcp
from tests.nat.gate import SPEEDS as INTERPRETED
from tests.seen import quoted, seen
from tests.worlds import A4, B4, E4, S4, out, refused, world

SPEEDS = pytest.mark.parametrize("pure", INTERPRETED, ids=["compiled", "interpreted"])
INSIDE = {"driver": "memory", "addresses": ["10.99.0.1/24"]}
OUTSIDE = {"driver": "memory", "addresses": ["198.51.100.1/24"]}


@SPEEDS
@pytest.mark.parametrize("own", ["10.99.0.1", "198.51.100.1", E4])
def test_from_outside_nobody_speaks_as_the_gateway(pure, own):
    sim = Simulator(world(inside=INSIDE, outside=OUTSIDE, nat={"filtering": {"udp": "EndpointIndependent"}}), pure=pure)
    sent = out(sim, build.udp_datagram(A4, 5000, S4, 53))
    port = seen(sent).source_port
    other = "198.51.100.1" if own == E4 else E4
    assert refused(sim, build.udp_datagram(own, 53, other, port), "outside") == "drop_spoofed_source"
    error = build.icmp_message(own, E4, icmp.UNREACHABLE, 1, bytes(4) + sent)
    assert refused(sim, error, "outside") == "drop_spoofed_source"
    assert sim.drain("outside") == []


@SPEEDS
def test_a_timestamp_request_is_no_echo_request(pure):
    sim = Simulator(world(), pure=pure)
    asked = build.icmp_message(S4, E4, icmp.TIMESTAMP_REQUEST, 0, bytes(16))
    assert refused(sim, asked, "outside") == "drop_unsolicited"
    assert sim.drain("outside") == []
    first, second = (build.icmp_message(host, to, icmp.TIMESTAMP_REQUEST, 0, b"\0\7" + bytes(14))
                     for host, to in ((B4, S4), (A4, E4)))
    out(sim, first)
    assert refused(sim, second) == "drop_unsolicited", "not B's, though it has that identifier"
    assert len(sim.flows()) == 1


@SPEEDS
def test_a_late_answer_quotes_the_checksum_that_the_kernel_would_have_finished(pure):
    sim = Simulator(world(), pure=pure)
    syn = build.tcp_segment(S4, 5000, E4, 80)
    unfinished = bytearray(syn)
    sum_of_addresses = build.checksum(build.pseudo_header(S4, E4, 6, len(syn) - 20)) ^ 0xFFFF
    unfinished[36:38] = sum_of_addresses.to_bytes(2, "big")
    header = bytes([1]) + bytes(5) + (20).to_bytes(2, "little") + tcp.CHECKSUM.to_bytes(2, "little")
    sim.inject("outside", bytes(unfinished), offload=header)
    sim.advance(7)
    [told] = sim.drain("outside")
    assert quoted(told) == syn
