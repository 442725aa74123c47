"""Who may reach a mapping from outside, and from inside through its external address (RFC 4787 sections 5 and 6)."""

import pytest

from gateway.testing import Simulator
from gateway.wire import build
from tests.judge import assert_sound
from tests.nat.behaviour.talk import ACK, OPEN_TCP, OPEN_UDP, PSH, SYN, Make, asked, established, replied, sent
from tests.seen import quoted, seen
from tests.worlds import A4, A6, B4, B6, E4, E6, S4, T4, T6, back, out, refused

SCOPES = {"EndpointIndependent": 3, "AddressDependent": 2, "AddressAndPortDependent": 1}


def crossed(sim: Simulator, packet: bytes) -> bytes:
    """A pod sends to an external address; the one packet that comes out on the inside."""
    sim.inject("inside", packet)
    assert sim.drain("outside") == []
    [emitted] = sim.drain("inside")
    assert_sound([emitted])
    return emitted


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("mapping", ["EndpointIndependent", "AddressDependent"])
def test_what_comes_in_is_what_the_filter_admits(make: Make, scope: str, mapping: str) -> None:
    sim = make(nat={"filtering": {"udp": scope}, "mapping": {"udp": mapping}})
    external = seen(out(sim, asked()))[3]
    admitted = []
    for remote, port in ((S4, 53), (S4, 54), (T4, 53)):
        sim.inject("outside", build.udp_datagram(remote, port, E4, external))
        admitted += [seen(one)[2:4] for one in sim.drain("inside")]
    expected = SCOPES[scope] if mapping == "EndpointIndependent" else min(SCOPES[scope], 2)
    assert admitted == [(S4, 53), (S4, 54), (T4, 53)][:expected]


def test_filters_are_per_protocol(make: Make) -> None:
    sim = make(**OPEN_UDP)
    established(sim)
    assert refused(sim, replied(remote_port=80), "outside") == "drop_unsolicited"
    assert refused(sim, build.echo(S4, E4, 40000, reply=True), "outside") == "drop_unsolicited"


def test_refused_packets_open_nothing_and_refresh_nothing(make: Make) -> None:
    """RFC 7857 section 7: a filtered packet keeps no mapping alive."""
    sim = make()
    out(sim, asked())
    for _ in range(10):
        sim.advance(29)
        assert refused(sim, build.udp_datagram(T4, 53, E4, 40000), "outside") == "drop_filtered"
    assert len(sim.flows()) == 1
    sim.advance(15)
    assert sim.flows() == []


def test_an_open_mapping_is_kept_by_those_inside_only(make: Make) -> None:
    """RFC 4787 REQ-6, where anybody may send to a mapping: strangers do not keep it alive (inboundRefresh: false)."""
    sim = make(**OPEN_UDP)
    out(sim, asked())
    for attempt in range(20):
        sim.advance(20)
        sim.inject("outside", build.udp_datagram(T4, 1000 + attempt, E4, 40000))
        sim.drain("inside")
    assert refused(sim, replied(), "outside") == "drop_unsolicited"


def test_whoever_is_answered_keeps_an_open_mapping_alive(make: Make) -> None:
    sim = make(**OPEN_UDP)
    out(sim, asked())
    sim.advance(200)
    back(sim, build.udp_datagram(T4, 1000, E4, 40000))
    assert seen(out(sim, build.udp_datagram(A4, 40000, T4, 1000)))[2:4] == (E4, 40000)
    sim.advance(250)
    assert seen(back(sim, build.udp_datagram(T4, 2000, E4, 40000))).destination == A4


@pytest.mark.parametrize("family", [4, 6])
def test_hairpin_udp_both_ways(make: Make, family: int) -> None:
    """REQ-9: B sees A's external endpoint, and A hears from B's."""
    pod, other, remote, external = (A4, B4, S4, E4) if family == 4 else (A6, B6, T6, E6)
    sim = make(**OPEN_UDP)
    out(sim, build.udp_datagram(other, 5000, remote, 53))
    arrived = seen(crossed(sim, build.udp_datagram(pod, 40000, external, 5000, b"hello", ttl=64)))
    assert arrived[2:7] == (external, 40000, other, 5000, 63)
    answer = seen(crossed(sim, build.udp_datagram(other, 5000, external, 40000, b"hello back")))
    assert answer[2:6] == (external, 5000, pod, 40000)


def test_hairpin_uses_the_mapping_that_the_world_sees(make: Make) -> None:
    sim = make(**OPEN_UDP)
    out(sim, build.udp_datagram(B4, 5000, S4, 53))
    out(sim, build.udp_datagram(B4, 40000, S4, 53))  # takes A's port
    external = seen(out(sim, asked())).source_port
    assert external != 40000
    assert seen(crossed(sim, build.udp_datagram(A4, 40000, E4, 5000)))[2:4] == (E4, external)


def test_hairpin_tcp(make: Make) -> None:
    sim = make(**OPEN_TCP)
    out(sim, build.tcp_segment(B4, 5000, S4, 80))
    assert seen(crossed(sim, build.tcp_segment(A4, 40000, E4, 5000, sequence=10)))[2:6] == (E4, 40000, B4, 5000)
    reply = build.tcp_segment(B4, 5000, E4, 40000, flags=SYN | ACK, sequence=90, acknowledgement=11)
    assert seen(crossed(sim, reply))[2:6] == (E4, 5000, A4, 40000)
    crossed(sim, build.tcp_segment(A4, 40000, E4, 5000, b"hi", flags=PSH | ACK, sequence=11, acknowledgement=91))


def test_a_pod_reaches_its_own_external_endpoint(make: Make) -> None:
    sim = make(**OPEN_UDP)
    out(sim, build.udp_datagram(A4, 5000, S4, 53))
    assert seen(crossed(sim, build.udp_datagram(A4, 40000, E4, 5000)))[2:6] == (E4, 40000, A4, 5000)


def test_hairpin_to_nobody_s_port_is_refused(make: Make) -> None:
    sim = make(**OPEN_UDP)
    assert refused(sim, build.udp_datagram(A4, 40000, E4, 5000)) == "drop_unsolicited"
    assert sim.flows() == []


def test_an_icmp_error_in_a_hairpinned_flow(make: Make) -> None:
    """RFC 5508 REQ-7: B is not there any more, and A is told about the packet that it sent."""
    sim = make(**OPEN_UDP)
    out(sim, build.udp_datagram(B4, 5000, S4, 53))
    question = build.udp_datagram(A4, 40000, E4, 5000, b"anybody there?")
    arrived = crossed(sim, question)
    told = crossed(sim, build.icmp_message(B4, E4, 3, 3, bytes(4) + arrived))
    assert seen(told)[2:5] == (E4, 0, A4) and seen(told).icmp == (3, 3)
    assert quoted(told)[12:24] == question[12:24] and quoted(told)[26:] == question[26:]


def test_the_last_hop_of_a_hairpin_is_told_about(make: Make) -> None:
    sim = make(**OPEN_UDP)
    out(sim, build.udp_datagram(B4, 5000, S4, 53))
    question = build.udp_datagram(A4, 40000, E4, 5000, ttl=1)
    assert refused_inside(sim, question) == question


def refused_inside(sim: Simulator, packet: bytes) -> bytes:
    """What a time exceeded on the inside quotes."""
    sim.inject("inside", packet)
    [error] = sim.drain("inside")
    assert seen(error).icmp == (11, 0)
    return quoted(error)


def test_tcp_from_a_second_remote_port_is_filtered_by_default(make: Make) -> None:
    sim = make()
    out(sim, sent(SYN, 1000))
    verdict = refused(sim, build.tcp_segment(S4, 81, E4, 40000), "outside")
    assert verdict == "drop_unsolicited_syn"
