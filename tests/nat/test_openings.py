"""What opens a flow, and what must not: a packet that does not leave, or that is only a knock at a door."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.testing import Simulator
from gateway.testing.strategies import pool
from gateway.wire import build, tcp
from tests.judge import assert_sound
from tests.nat.gate import SPEEDS as INTERPRETED
from tests.nat.gate import Gate
from tests.seen import is_error, seen
from tests.worlds import A4, A6, B4, B6, E4, HOSTS, S4, S6, back, out, refused, world

SPEEDS = pytest.mark.parametrize("pure", INTERPRETED, ids=["compiled", "interpreted"])
NARROW = {"driver": "memory", "mtu": 1400, "addresses": ["198.51.100.1/24", "2001:db8:e::1/64"]}
OUTSIDERS = pool("not-translated", "10.0.0.0/8", natOutgoing=False)


@SPEEDS
@pytest.mark.parametrize("family", [4, 6])
def test_a_syn_too_large_to_leave_opens_nothing(pure, family):
    internal, remote, _ = HOSTS[family]
    sim = Simulator(world(outside=NARROW), pure=pure)
    assert refused(sim, build.tcp_segment(internal, 5000, remote, 80, bytes(1450))) == "reject_too_big"
    [told] = sim.drain("inside")
    assert is_error(told) and sim.flows() == []
    data = build.tcp_segment(internal, 5000, remote, 80, b"data", flags=tcp.ACK, sequence=2, acknowledgement=2)
    assert refused(sim, data) == "drop_not_syn"
    assert refused(sim, build.udp_datagram(internal, 5000, remote, 80, bytes(1450))) == "reject_too_big"
    assert sim.flows() == [] and sim.events() == []


@given(st.integers(0, 255), st.booleans(), st.sampled_from(["", "midstream: Adopt", "midstream: Reset"]),
       st.integers(0, 1500))
def test_no_flow_ever_stands_without_a_state(flags, pure, nat, size):
    gate = Gate(pure=pure, nat=nat)
    gate.inject(build.tcp_segment("192.168.1.2", 5000, "203.0.113.1", 80, bytes(size), flags=flags), 0)
    passed = gate.batch.out[0] == 1
    row, state = gate.module("nat.row"), gate.module("nat.state")
    assert gate.translator.live == passed
    for base in range(1, gate.engine.table.high_water + 1):
        if gate.engine.table.r8[base * row.BYTES + row.FLAGS] & row.USED:
            assert gate.engine.table.r8[base * row.BYTES + row.STATE] != state.NONE


# Two hosts inside that know each other's external endpoints from somebody outside (RFC 5128 section 3.3.1)

def introduced(sim: Simulator, family: int) -> tuple[tuple[str, int], tuple[str, int]]:
    hosts, server = ((A4, B4), S4) if family == 4 else ((A6, B6), S6)
    first, second = (seen(out(sim, build.udp_datagram(host, 5000, server, 3478))) for host in hosts)
    return first[2:4], second[2:4]


@SPEEDS
@pytest.mark.parametrize("filtering", ["AddressAndPortDependent", "AddressDependent"])
@pytest.mark.parametrize("family", [4, 6])
def test_a_hole_is_punched_when_both_have_sent(pure, filtering, family):
    sim = Simulator(world(nat={"filtering": {"udp": filtering}}), pure=pure)
    a, b = (A4, B4) if family == 4 else (A6, B6)
    mine, theirs = introduced(sim, family)
    for _ in range(3):
        assert refused(sim, build.udp_datagram(a, 5000, *theirs, b"knock")) == "drop_filtered"
    sim.inject("inside", build.udp_datagram(b, 5000, *mine, b"knock"))
    [arrived] = sim.drain("inside")
    assert seen(arrived)[2:6] == (*theirs, a, 5000)
    sim.inject("inside", build.udp_datagram(a, 5000, *theirs, b"hello"))
    [arrived2] = sim.drain("inside")
    assert seen(arrived2)[2:6] == (*mine, b, 5000)
    assert_sound([arrived, arrived2])
    sim.advance(290)
    sim.inject("inside", build.udp_datagram(b, 5000, *mine, b"still there"))
    assert len(sim.drain("inside")) == 1


@SPEEDS
def test_a_hole_punched_to_another_port_admits_an_address(pure):
    sim = Simulator(world(nat={"filtering": {"udp": "AddressDependent"}}), pure=pure)
    mine, theirs = introduced(sim, 4)
    other = seen(out(sim, build.udp_datagram(A4, 6000, S4, 3478)))[2:4]
    assert refused(sim, build.udp_datagram(A4, 5000, *theirs)) == "drop_filtered"
    assert refused(sim, build.udp_datagram(B4, 5000, *other)) == "drop_filtered"
    sim.inject("inside", build.udp_datagram(A4, 5000, *theirs))
    assert [seen(one)[2:4] for one in sim.drain("inside")] == [mine]


@SPEEDS
def test_a_knock_is_no_traffic_of_the_host_it_is_for(pure):
    """It keeps nothing alive there, and opens nothing for others."""
    sim = Simulator(world(), pure=pure)
    _, theirs = introduced(sim, 4)
    for _ in range(5):
        sim.advance(55)
        assert refused(sim, build.udp_datagram(A4, 5000, *theirs)) == "drop_filtered"
        assert refused(sim, build.udp_datagram(S4, 1, *theirs), "outside") == "drop_filtered"
        assert refused(sim, build.udp_datagram("192.168.1.9", 5000, *theirs)) == "drop_filtered"
    sim.advance(30)  # 305 s after the host spoke
    assert not any(B4 in flow.original for flow in sim.flows())
    assert refused(sim, build.udp_datagram(S4, 3478, *theirs), "outside") == "drop_unsolicited"


@SPEEDS
def test_a_knock_does_not_reach_whoever_has_the_port_next(pure):
    sim = Simulator(world(nat={"portRange": "5000-5001"}), pure=pure)
    mine, theirs = introduced(sim, 4)
    for _ in range(7):
        sim.inject("inside", build.udp_datagram(A4, 5000, *theirs))
        sim.inject("inside", build.udp_datagram(A4, 5000, S4, 3478))
        sim.advance(50)
    assert sim.drain("inside") == [] != sim.drain("outside")
    heir = "192.168.1.9"
    assert seen(out(sim, build.udp_datagram(heir, 5000, S4, 3478)))[2:4] == theirs
    for _ in range(3):
        sim.inject("inside", build.udp_datagram(A4, 5000, *theirs))
    assert sim.drain("inside") == []
    assert refused(sim, build.udp_datagram(B4, 5000, *mine)) == "reject_ports_exhausted", "theirs is another's now"
    sim.drain("inside")
    sim.inject("inside", build.udp_datagram(heir, 5000, *mine))
    assert [seen(one)[2:6] for one in sim.drain("inside")] == [(*theirs, A4, 5000)]


@SPEEDS
def test_tcp_meets_in_the_middle_where_its_mappings_allow(pure):
    sim = Simulator(world(nat={"mapping": {"tcp": "EndpointIndependent"}}), pure=pure)
    mine, theirs = (seen(out(sim, build.tcp_segment(host, 5000, S4, 80)))[2:4] for host in (A4, B4))
    for _ in range(2):
        assert refused(sim, build.tcp_segment(A4, 5000, *theirs, sequence=100)) == "drop_unsolicited_syn"
    sim.inject("inside", build.tcp_segment(B4, 5000, *mine, sequence=900))
    [syn] = sim.drain("inside")
    assert seen(syn)[2:6] == (*theirs, A4, 5000)
    both = tcp.SYN | tcp.ACK
    sim.inject("inside", build.tcp_segment(A4, 5000, *theirs, flags=both, sequence=100, acknowledgement=901))
    sim.inject("inside", build.tcp_segment(B4, 5000, *mine, flags=both, sequence=900, acknowledgement=101))
    sim.inject("inside", build.tcp_segment(A4, 5000, *theirs, b"hi", flags=tcp.ACK, sequence=101, acknowledgement=901))
    arrived = sim.drain("inside")
    assert [seen(one)[2:6] for one in arrived] == [(*mine, B4, 5000), (*theirs, A4, 5000), (*mine, B4, 5000)]
    assert_sound(arrived)


@SPEEDS
def test_a_syn_that_nobody_meets_is_told_so_like_any_other(pure):
    """RFC 5382 REQ-4; a difference would say which ports are in use."""
    sim = Simulator(world(nat={"mapping": {"tcp": "EndpointIndependent"}}), pure=pure)
    mine, theirs = (seen(out(sim, build.tcp_segment(host, 5000, S4, 80)))[2:4] for host in (A4, B4))
    assert refused(sim, build.tcp_segment(A4, 5000, *theirs)) == "drop_unsolicited_syn"
    sim.advance(7)
    [told] = sim.drain("inside")
    assert seen(told).icmp == (3, 3)
    assert refused(sim, build.tcp_segment(A4, 5000, *theirs)) == "drop_unsolicited_syn"
    sim.inject("inside", build.tcp_segment(B4, 5000, *mine))
    assert len(sim.drain("inside")) == 1
    sim.advance(7)
    assert sim.drain("inside") == []


@SPEEDS
def test_explaining_a_knock_knocks_not(pure):
    sim = Simulator(world(), pure=pure)
    mine, theirs = introduced(sim, 4)
    assert sim.explain(build.udp_datagram(A4, 5000, *theirs))["verdict"] == "drop_filtered"
    assert refused(sim, build.udp_datagram(B4, 5000, *mine)) == "drop_filtered"
    assert sim.explain(build.udp_datagram(B4, 5000, *mine))["verdict"] == "drop_filtered"
    assert sim.explain(build.udp_datagram(A4, 5000, *theirs))["verdict"] == "accept"
    assert refused(sim, build.udp_datagram(B4, 5000, *mine)) == "drop_filtered"
    sim.inject("inside", build.udp_datagram(A4, 5000, *theirs))
    assert len(sim.drain("inside")) == 1


@SPEEDS
@pytest.mark.parametrize("filtering", ["EndpointIndependent", "AddressAndPortDependent"])
def test_explaining_a_hairpin_whose_target_is_gone_begins_no_other(pure, filtering):
    """Its mapping is another host's by now."""
    sim = Simulator(world(nat={"filtering": {"udp": filtering}}), pure=pure)
    _, theirs = introduced(sim, 4)
    call = build.udp_datagram(A4, 5000, *theirs)
    for _ in range(3):
        sim.inject("inside", call)
        sim.advance(99)
    sim.advance(10)
    sim.drain("inside")
    assert seen(out(sim, build.udp_datagram("192.168.1.9", theirs[1], S4, 3478)))[2:4] == theirs
    flows, _, before = sim.flows(), sim.events(), sim.counters()
    told = sim.explain(call)
    sim.advance(1)
    assert [one.id for one in sim.flows()] == [one.id for one in flows] and sim.events() == []
    sim.inject("inside", call)
    assert sim.counters()[told["verdict"]] == before[told["verdict"]] + 1
    assert told["verdict"] == ("accept" if filtering == "EndpointIndependent" else "drop_filtered")


@SPEEDS
def test_from_outside_nobody_knocks(pure):
    sim = Simulator([*world(), OUTSIDERS], pure=pure)
    port = seen(out(sim, build.udp_datagram(A4, 5000, S4, 53))).source_port
    flows = len(sim.flows())
    assert refused(sim, build.udp_datagram(S4, 54, E4, port), "outside") == "drop_filtered"
    assert len(sim.flows()) == flows
    assert refused(sim, build.udp_datagram(A4, 5000, E4, 1)) == "drop_unsolicited"
    assert len(sim.flows()) == flows
    assert back(sim, build.udp_datagram(S4, 53, E4, port))
