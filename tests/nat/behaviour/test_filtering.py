"""Who may reach a mapping from outside, and from inside through its external address (RFC 4787 sections 5 and 6)."""

import pytest

from gateway.testing import Simulator
from gateway.wire import build
from tests.judge import assert_sound
from tests.nat.behaviour.talk import ACK, OPEN_TCP, OPEN_UDP, PSH, SYN, Make, asked, established, replied, sent
from tests.seen import quoted, seen
from tests.worlds import A4, A6, B4, B6, E4, E6, S4, T4, T6, back, out, refused

C4 = "192.168.1.4"
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


def test_strangers_leave_room_for_those_inside(make: Make) -> None:
    """Where anybody may send to a mapping, each stranger is a flow: three quarters of the table are theirs at most."""
    sim = make(**OPEN_UDP, limits={"flows": 64})
    out(sim, asked())
    for number in range(100):
        sim.inject("outside", build.udp_datagram(f"203.0.113.{100 + number}", 53, E4, 40000))
    assert len(sim.drain("inside")) == 48 and sim.counters()["reject_table_full"] == 52
    assert {seen(one).icmp for one in sim.drain("outside")} == {(3, 1)}
    for port in range(15):
        out(sim, build.udp_datagram(B4, 6000 + port, S4, 53))
    assert refused(sim, build.udp_datagram(B4, 7000, S4, 53)) == "reject_table_full"
    sim.advance(301)
    assert sim.flows() == [] != sim.drain("inside")
    out(sim, asked())
    for number in range(48):
        assert back(sim, build.udp_datagram(T4, 1 + number, E4, 40000))


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


@pytest.mark.parametrize("scope", SCOPES)
def test_a_pod_s_call_to_itself_passes_its_own_filter(make: Make, scope: str) -> None:
    """From the very socket that it is for: by sending it the pod has opened its filter (RFC 4787 section 5)."""
    sim = make(nat={"filtering": {"udp": scope}})
    out(sim, build.udp_datagram(A4, 5000, S4, 53))
    for _ in range(2):
        assert seen(crossed(sim, build.udp_datagram(A4, 5000, E4, 5000)))[2:6] == (E4, 5000, A4, 5000)
    assert len(sim.flows()) == 2


def test_a_filter_sees_a_hairpin_as_the_world_does(make: Make) -> None:
    """RFC 4787 REQ-9: B has sent to the external address; A has that address, so A may send to B."""
    sim = make(nat={"filtering": {"udp": "AddressDependent"}})
    for host in (A4, B4, C4):
        out(sim, build.udp_datagram(host, 5000 if host == B4 else 6000, S4, 53))
    assert refused(sim, build.udp_datagram(A4, 6000, E4, 5000)) == "drop_filtered"
    third = next(flow.external for flow in sim.flows() if flow.original[0] == C4)
    assert refused(sim, build.udp_datagram(B4, 5000, E4, int(third.split(":")[1]))) == "drop_filtered"
    assert seen(crossed(sim, build.udp_datagram(A4, 6000, E4, 5000)))[2:6] == (E4, 6000, B4, 5000)


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


def test_no_error_passes_where_nothing_has_passed(make: Make) -> None:
    """B's filter has refused what A sent: neither can be told about packets that never came."""
    sim = make()
    out(sim, build.udp_datagram(B4, 5000, S4, 53))
    assert refused(sim, build.udp_datagram(A4, 40000, E4, 5000)) == "drop_filtered"
    for host, quote in ((A4, build.udp_datagram(E4, 5000, A4, 40000)), (B4, build.udp_datagram(E4, 40000, B4, 5000))):
        assert refused(sim, build.icmp_message(host, E4, 3, 3, bytes(4) + quote)) == "drop_error_unmatched"
        assert sim.drain("inside") == []


def test_a_hairpin_ends_with_the_mapping_it_goes_through(make: Make) -> None:
    """However often A sends: B is silent, B's mapping ends, and then the port is C's for A as for everybody."""
    sim = make(**OPEN_UDP)
    out(sim, build.udp_datagram(B4, 5000, S4, 53))
    call = build.udp_datagram(A4, 40000, E4, 5000)
    for _ in range(3):
        assert seen(crossed(sim, call)).destination == B4
        sim.advance(99)
    sim.advance(10)
    assert refused(sim, call) == "drop_unsolicited"
    assert seen(out(sim, build.udp_datagram(C4, 5000, S4, 53)))[2:4] == (E4, 5000)
    assert seen(crossed(sim, call)).destination == C4
    sim.advance(1)
    told = [one["flow"] for one in sim.events() if one["internal"] == f"{A4}:40000"]
    assert len(told) == 3 and len(set(told)) == 2, "the first one is closed"


def test_answers_through_a_hairpin_keep_the_mapping(make: Make) -> None:
    """RFC 4787 REQ-6: they are outbound packets of B's."""
    sim = make(**OPEN_UDP)
    out(sim, build.udp_datagram(B4, 5000, S4, 53))
    for _ in range(5):
        crossed(sim, build.udp_datagram(A4, 40000, E4, 5000))
        crossed(sim, build.udp_datagram(B4, 5000, E4, 40000))
        sim.advance(200)
    assert seen(back(sim, build.udp_datagram(T4, 1, E4, 5000))).destination == B4


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
