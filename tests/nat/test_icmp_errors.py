"""ICMP errors about translated packets are reversed by the packet they quote (RFC 5508 section 4)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.testing import Simulator
from gateway.testing.strategies import GATEWAY, FlowTuple, Step, flows, packet, payloads
from gateway.wire import build
from tests.judge import assert_sound
from tests.seen import quoted, seen
from tests.worlds import A4, B4, E4, E6, FIRST, HOSTS, S4, back, between, forwarded, out, refused, world

ROUTER = {4: "192.0.2.99", 6: "2001:db8:9::99"}
REPLY = {"tcp": "accept", "udp": "data", "icmp": "reply"}
UNREACHABLE, TOO_LONG, EXCEEDED = {4: 3, 6: 1}, {4: 11, 6: 3}, {4: (11, 0), 6: (3, 0)}


def error(source: str, destination: str, about: bytes, kind: int, code: int = 0, rest: bytes = bytes(4)) -> bytes:
    return build.icmp_message(source, destination, kind, code, rest + about)


def crowded(protocol: str, family: int) -> tuple[Simulator, FlowTuple]:
    """A simulator in which another host has the port, so that ours must be another; and our flow."""
    _, remote, _ = HOSTS[family]
    other = B4 if family == 4 else "fd00:10:244::3"
    sim = Simulator(world())
    out(sim, packet(between(protocol, other, remote), Step("inside", FIRST[protocol], 1)))
    return sim, between(protocol, HOSTS[family][0], remote)


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("protocol", ["tcp", "udp", "icmp"])
@pytest.mark.parametrize("reach", [8, 20, 1000])
def test_an_error_from_the_outside_reaches_the_host_as_about_what_it_sent(family, protocol, reach):
    """Quoted address, port, identifier and checksums as the host knows them, also when only 8 bytes are quoted."""
    sim, flow = crowded(protocol, family)
    sent = packet(flow, Step("inside", FIRST[protocol], 1, 0, b"about this"))
    emitted = out(sim, sent)
    assert seen(emitted).source_port != 40001
    head = 20 if family == 4 else 40
    arrived = back(sim, error(ROUTER[family], HOSTS[family][2], emitted[: head + reach], EXCEEDED[family][0]))
    assert seen(arrived)[2] == ROUTER[family] and seen(arrived)[4] == flow.internal.address
    assert seen(arrived).icmp == EXCEEDED[family] and seen(arrived).ttl == 63
    assert quoted(arrived) == forwarded(sent)[: head + reach]
    assert_sound([arrived])


@given(flows(), payloads, st.integers(8, 600).filter(lambda reach: reach != 17), st.sampled_from(range(4)))
def test_any_quote_is_reverted_exactly(flow, payload, reach, code):
    """But for a TCP checksum that is cut in two."""
    family = 4 if "." in flow.internal.address else 6
    sim = Simulator(world())
    sent = packet(flow, Step("inside", FIRST[flow.protocol], 1, 0, payload))
    emitted = out(sim, sent)
    cut = (20 if family == 4 else 40) + reach
    arrived = back(sim, error(ROUTER[family], HOSTS[family][2], emitted[:cut], UNREACHABLE[family], code))
    assert quoted(arrived) == forwarded(sent)[:cut]
    assert_sound([arrived])


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("protocol", ["udp", "icmp", "tcp"])
def test_an_error_from_the_inside_shows_the_external_address_only(family, protocol):
    """A host refuses a reply: the remote learns of it, about the packet that it sent, from the address it knows."""
    sim, flow = crowded(protocol, family)
    emitted = seen(out(sim, packet(flow, Step("inside", FIRST[protocol], 1))))
    known_as = flow._replace(internal=type(flow.internal)(emitted.source, emitted.source_port))
    reply = packet(known_as, Step("outside", REPLY[protocol], 7, 2, b"unwanted"))
    delivered = back(sim, reply)
    sim.inject("inside", error(flow.internal.address, flow.remote.address, delivered, UNREACHABLE[family], 3))
    [told] = sim.drain("outside")
    assert seen(told)[2] == emitted.source and seen(told)[4] == flow.remote.address
    assert quoted(told) == forwarded(reply)
    assert_sound([told])


def test_an_error_from_a_router_behind_the_gateway_leaves_with_an_external_address():
    """RFC 5508 REQ-5: its own address is internal too."""
    sim = Simulator(world())
    emitted = seen(out(sim, build.udp_datagram(A4, 40000, S4, 53)))
    delivered = back(sim, build.udp_datagram(S4, 53, emitted.source, emitted.source_port))
    sim.inject("inside", error("192.168.250.1", S4, delivered, 11))
    for told in sim.drain("outside"):
        assert seen(told).source == E4 and seen(quoted(told))[4:6] == (E4, 40000)
        assert_sound([told])


@pytest.mark.parametrize("family", [4, 6])
def test_an_error_whose_quote_fits_no_flow_is_dropped(family):
    _, remote, external = HOSTS[family]
    sim = Simulator(world())
    about = build.udp_datagram(external, 40000, remote, 53)
    sent = error(ROUTER[family], external, about, UNREACHABLE[family], 3)
    assert refused(sim, sent, "outside") == "drop_error_unmatched"
    assert sim.drain("outside") == [] and sim.flows() == []


def test_an_error_must_quote_what_left_not_what_is_inside():
    """A quote with the internal address, or of the reverse direction, was never on the outside."""
    sim = Simulator(world())
    sent = build.udp_datagram(A4, 40000, S4, 53)
    out(sim, sent)
    for about in (sent, build.udp_datagram(S4, 53, E4, 40000), build.tcp_segment(E4, 40000, S4, 53)):
        assert refused(sim, error(ROUTER[4], E4, about, 3, 3), "outside").startswith("drop_")


def test_an_error_to_another_address_than_the_quoted_source_is_dropped():
    sim = Simulator(world(addresses=[E4, "198.51.100.11", E6]))
    emitted = out(sim, build.udp_datagram(A4, 40000, S4, 53))
    other = "198.51.100.11" if seen(emitted).source == E4 else E4
    assert refused(sim, error(ROUTER[4], other, emitted, 3, 3), "outside").startswith("drop_")


def test_an_error_about_an_error_is_dropped_and_unanswered():
    sim = Simulator(world())
    emitted = out(sim, build.udp_datagram(A4, 40000, S4, 53))
    inner = error(E4, S4, emitted, 3, 3)
    assert refused(sim, error(ROUTER[4], E4, inner, 3, 3), "outside").startswith("drop_error")
    assert sim.drain("outside") == []


def test_a_quoted_header_with_a_wrong_checksum_is_dropped():
    sim = Simulator(world())
    emitted = bytearray(out(sim, build.udp_datagram(A4, 40000, S4, 53)))
    emitted[11] ^= 1
    assert refused(sim, error(ROUTER[4], E4, bytes(emitted), 3, 3), "outside").startswith("drop_error")


@pytest.mark.parametrize("keep", [0, 1, 19, 20, 24, 27])
def test_a_quote_that_is_too_short_to_tell_is_dropped(keep):
    sim = Simulator(world())
    emitted = out(sim, build.udp_datagram(A4, 40000, S4, 53))
    assert refused(sim, error(ROUTER[4], E4, emitted[:keep], 3, 3), "outside").startswith("drop_")


def test_an_error_with_a_wrong_checksum_is_not_repaired():
    sim = Simulator(world())
    emitted = out(sim, build.udp_datagram(A4, 40000, S4, 53))
    sent = bytearray(error(ROUTER[4], E4, emitted, 3, 3))
    sent[22] ^= 0x55
    sim.inject("outside", bytes(sent))
    from tests.judge import wrong_checksums

    assert all(wrong_checksums(arrived) for arrived in sim.drain("inside"))


def test_the_mtu_of_a_fragmentation_needed_is_kept():
    sim = Simulator(world())
    emitted = out(sim, build.udp_datagram(A4, 40000, S4, 53, b"x" * 1400))
    arrived = back(sim, error(ROUTER[4], E4, emitted[:28], 3, 4, bytes(2) + (1300).to_bytes(2, "big")))
    assert seen(arrived).icmp == (3, 4) and seen(arrived).payload[6:8] == (1300).to_bytes(2, "big")
    emitted = out(sim, build.udp_datagram(HOSTS[6][0], 40000, HOSTS[6][1], 53, b"x" * 1400))
    arrived = back(sim, error(ROUTER[6], HOSTS[6][2], emitted[:1000], 2, 0, (1300).to_bytes(4, "big")))
    assert seen(arrived).icmp == (2, 0) and seen(arrived).payload[4:8] == (1300).to_bytes(4, "big")
    assert_sound([arrived])


def test_a_quoted_udp_without_checksum_stays_without():
    sim = Simulator(world())
    sent = bytearray(build.udp_datagram(A4, 40000, S4, 53))
    sent[26:28] = bytes(2)
    arrived = back(sim, error(ROUTER[4], E4, out(sim, bytes(sent)), 3, 3))
    assert quoted(arrived) == forwarded(bytes(sent))
    assert_sound([arrived])


def test_errors_about_untranslated_flows_cross_untouched():
    from gateway.testing.strategies import pool

    sim = Simulator(world(pool("public", "203.0.112.0/24", natOutgoing=False)))
    sent = build.udp_datagram("203.0.112.9", 40000, S4, 53)
    emitted = out(sim, sent)
    about = error(ROUTER[4], "203.0.112.9", emitted, 3, 3)
    assert back(sim, about) == forwarded(about)


def test_a_translated_router_on_the_way_of_an_untranslated_flow_is_not_seen():
    """It would be translated towards that host, the flow's end is not: the error leaves from the flow's end."""
    public, router = "203.0.112.7", A4
    from gateway.testing.strategies import pool

    sim = Simulator(world(pool("internal", "192.168.0.0/16"), pool("public", "203.0.112.0/24", natOutgoing=False)))
    out(sim, build.udp_datagram(public, 40000, S4, 53))
    delivered = back(sim, build.udp_datagram(S4, 53, public, 40000))
    told = seen(out(sim, build.icmp_message(router, S4, 11, 0, bytes(4) + delivered)))
    assert (told.source, told.destination, told.icmp) == (public, S4, (11, 0))


def test_a_quoted_fragment_without_ports_is_nobodys():
    """It does not belong to the flow whose ports are 0 either."""
    sim = Simulator(world())
    emitted = seen(out(sim, build.udp_datagram(A4, 0, S4, 0)))
    later = build.ip(emitted.source, S4, 17, bytes(40), fragment=5)
    assert refused(sim, error(S4, emitted.source, later, 11, 1), "outside") == "drop_error_unmatched"


def test_the_gateways_own_address_answers_echo():
    """RFC 5508 section 3 and RFC 1122: on both sides, and without a flow."""
    (a6, s6, e6) = HOSTS[6]
    inside, outside = ((A4, GATEWAY[4]), (a6, GATEWAY[6])), ((S4, E4), (s6, e6))
    for side, source, own in [("inside", *pair) for pair in inside] + [("outside", *pair) for pair in outside]:
        sim = Simulator(world())
        sim.inject(side, build.echo(source, own, 7, 3, b"are you there"))
        [answer] = sim.drain(side)
        one = seen(answer)
        assert one[2:6] == (own, 7, source, 7) and one.icmp in ((0, 0), (129, 0))
        assert one.payload.endswith(b"are you there")
        assert_sound([answer])
        assert sim.flows() == [] and sim.counters()["answer_echo"] == 1
