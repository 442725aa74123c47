"""What forwarding does to a header, and what it leaves alone (RFC 1812, RFC 5508, RFC 7126)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.testing import Simulator
from gateway.testing.strategies import GATEWAY, Step, flows, packet, payloads
from gateway.wire import build, protocol
from tests.judge import assert_sound
from tests.seen import quoted, seen
from tests.worlds import A4, A6, E4, FIRST, HOSTS, S4, S6, back, between, out, refused, world


@given(flows(), payloads, st.integers(2, 255), st.integers(0, 255))
def test_ttl_falls_by_exactly_one_and_the_rest_stays(flow, payload, ttl, tos):
    sent = packet(flow, Step("inside", FIRST[flow.protocol], 1, 0, payload, ttl, tos))
    emitted = out(Simulator(world()), sent)
    before, after = seen(sent), seen(emitted)
    assert after.ttl == before.ttl - 1
    assert len(emitted) == len(sent) and emitted[: 8 if before.family == 4 else 7][:7] == sent[:7]
    assert after.payload[8:16] == before.payload[8:16] and after.payload[18:] == before.payload[18:]


def test_ttl_falls_by_one_in_each_direction():
    sim = Simulator(world())
    assert seen(out(sim, build.udp_datagram(A4, 40000, S4, 53, ttl=64))).ttl == 63
    assert seen(back(sim, build.udp_datagram(S4, 53, E4, 40000, ttl=57))).ttl == 56


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("name", ["tcp", "udp", "icmp"])
@pytest.mark.parametrize("ttl", [1, 0])
def test_at_ttl_zero_the_sender_is_told_and_nothing_leaves(family, name, ttl):
    internal, remote, _ = HOSTS[family]
    sim = Simulator(world())
    sent = packet(between(name, internal, remote), Step("inside", FIRST[name], 1, 0, b"trace", ttl))
    sim.inject("inside", sent)
    assert sim.drain("outside") == []
    [error] = sim.drain("inside")
    told = seen(error)
    assert told.icmp == ((11, 0) if family == 4 else (3, 0))
    assert (told.source, told.destination) == (GATEWAY[family], internal)
    assert quoted(error) == sent[: len(quoted(error))] and len(quoted(error)) >= len(sent) - len(seen(sent).payload) + 8
    assert_sound([error])
    assert sim.flows() == [] and sim.counters()["reject_ttl_exceeded"] == 1


@pytest.mark.parametrize("family", [4, 6])
def test_a_reply_whose_ttl_ends_here_is_told_about_with_the_external_address(family):
    internal, remote, external = HOSTS[family]
    sim = Simulator(world())
    out(sim, build.udp_datagram(internal, 40000, remote, 53))
    sent = build.udp_datagram(remote, 53, external, 40000, b"late", ttl=1)
    sim.inject("outside", sent)
    assert sim.drain("inside") == []
    [error] = sim.drain("outside")
    told = seen(error)
    assert told.icmp == ((11, 0) if family == 4 else (3, 0)) and told.destination == remote
    assert quoted(error) == sent and told.source != internal
    assert_sound([error])


def test_time_exceeded_quotes_no_more_than_fits_the_smallest_packet():
    for internal, remote, most in ((A4, S4, 576), (A6, S6, 1280)):
        sim = Simulator(world())
        sim.inject("inside", build.udp_datagram(internal, 1, remote, 33434, b"p" * 1400, ttl=1))
        [error] = sim.drain("inside")
        assert len(error) <= most
        assert_sound([error])


def test_no_error_is_sent_about_an_error():
    sim = Simulator(world())
    about = build.udp_datagram(S4, 53, A4, 40000)
    out(sim, build.udp_datagram(A4, 40000, S4, 53))
    sim.inject("inside", build.icmp_message(A4, S4, 3, 3, bytes(4) + about, ttl=1))
    assert sim.drain("outside") == [] and sim.drain("inside") == []


def test_ipv4_options_stay():
    timestamp, padding = bytes([68, 8, 5, 0, 0, 0, 0, 0]), b"\x01\x01\x01\x00"
    datagram = build.udp_datagram(A4, 40000, S4, 53, b"with options")[20:]
    sim = Simulator(world())
    emitted = out(sim, build.ip(A4, S4, protocol.UDP, datagram, options=timestamp + padding))
    assert emitted[20:32] == timestamp + padding and seen(emitted).source == E4
    assert_sound([emitted])


@pytest.mark.parametrize("option", [131, 137])
def test_source_routing_is_refused(option):
    route = bytes([option, 7, 4]) + bytes([203, 0, 113, 9]) + b"\0"
    datagram = build.udp_datagram(A4, 40000, S4, 53)[20:]
    assert refused(Simulator(world()), build.ip(A4, S4, protocol.UDP, datagram, options=route)) == "drop_source_route"


def test_link_padding_is_no_part_of_the_packet():
    """A short frame is filled up to 60 bytes by Ethernet; what is emitted ends where the IP length says."""
    sim = Simulator(world())
    sent = build.udp_datagram(A4, 40000, S4, 53, b"x")
    assert len(out(sim, sent + bytes(17))) == len(sent)
    sent6 = build.udp_datagram(A6, 40000, S6, 53, b"x")
    assert len(out(sim, sent6 + b"\xff" * 9)) == len(sent6)


def test_udp_length_is_checked_and_shorter_than_the_packet_is_fine():
    flow = build.udp_datagram(A4, 40000, S4, 53, b"payload!")
    header, datagram = flow[:20], bytearray(flow[20:])
    for length, verdict in ((7, "drop_bad_length"), (17, "drop_bad_length")):
        datagram[4:6] = length.to_bytes(2, "big")
        assert refused(Simulator(world()), header + bytes(datagram)) == verdict
    shorter = build.udp_datagram(A4, 40000, S4, 53, b"pay")[20:] + b"load!"
    emitted = out(Simulator(world()), build.ip(A4, S4, protocol.UDP, shorter))
    assert emitted[-5:] == b"load!" and seen(emitted).source == E4


def test_hop_by_hop_and_destination_options_are_walked():
    datagram = build.udp_datagram(A6, 40000, S6, 53, b"after extensions")[40:]
    for chain in ([0], [60], [0, 60]):
        following, rest = protocol.UDP, datagram
        for header in reversed(chain):
            rest = bytes([following, 0, 1, 4, 0, 0, 0, 0]) + rest
            following = header
        emitted = out(Simulator(world()), build.ip(A6, S6, following, rest))
        assert emitted[8:24] != build.ip(A6, S6, following, rest)[8:24]
        assert emitted[40 : 40 + 8 * len(chain)] == rest[: 8 * len(chain)]
        assert_sound([emitted])


def test_more_extension_headers_than_the_bound_are_dropped():
    rest, following = build.udp_datagram(A6, 40000, S6, 53)[40:], protocol.UDP
    for _ in range(9):
        rest, following = bytes([following, 0, 1, 4, 0, 0, 0, 0]) + rest, protocol.DESTINATION
    assert refused(Simulator(world()), build.ip(A6, S6, following, rest)) == "drop_extension_limit"


def test_an_ipv6_routing_header_of_type_zero_is_refused():
    rest = bytes([protocol.UDP, 2, 0, 1]) + bytes(4 + 16) + build.udp_datagram(A6, 1, S6, 2)[40:]
    assert refused(Simulator(world()), build.ip(A6, S6, protocol.ROUTING, rest)) == "drop_source_route"


def test_no_address_of_the_inside_is_shown_to_the_outside_for_want_of_another():
    """Time exceeded towards the outside, where the gateway has no address of its own but on the inside."""
    sim = Simulator(world(outside={"driver": "memory"}))
    sim.inject("inside", build.udp_datagram(A4, 40000, S4, 53))
    sim.drain("outside")
    sim.inject("outside", build.udp_datagram(S4, 53, E4, 40000, ttl=1))
    [error] = sim.drain("outside")
    assert error[12:16] == bytes(int(part) for part in E4.split(".")) and error[20] == 11
