"""Limits, exhaustion, records and changes while flows live (RFC 6888, RFC 8158)."""

from datetime import datetime

import pytest

from gateway.testing import Simulator
from gateway.wire import build
from tests.nat.behaviour.talk import ACK, PSH, Make, answered, asked, established, outside, replied, sent
from tests.seen import quoted, seen
from tests.worlds import A4, B4, E4, S4, T4, back, out, refused, world


def opened(sim: Simulator, pod: str, count: int, protocol: str = "udp") -> tuple[int, list[str]]:
    """How many of `count` new flows left, and what became of the others."""
    make = build.udp_datagram if protocol == "udp" else build.tcp_segment
    before = sim.counters()
    sim.inject_many("inside", [make(pod, 20000 + number, S4, 53) for number in range(count)])
    after = sim.counters()
    refusals = [name for name, total in after.items() if total > before[name] and name != "accept"]
    return len(sim.drain("outside")), refusals


@pytest.mark.parametrize("protocol", ["udp", "tcp"])
@pytest.mark.parametrize("limit", ["portsPerSource", "flowsPerSource"])
def test_one_host_stops_at_five_and_the_other_gets_its_five(make: Make, limit: str, protocol: str) -> None:
    sim = make(limits={limit: 5})
    assert opened(sim, A4, 10, protocol) == (5, ["reject_source_limit"])
    errors = sim.drain("inside")
    assert len(errors) == 5 and all(seen(one).icmp == (3, 1) for one in errors)
    assert opened(sim, B4, 5, protocol) == (5, [])
    assert {one["kind"] for one in sim.events()} == {"created", "quota"}


def test_a_rate_of_new_flows(make: Make) -> None:
    sim = make(limits={"newFlowsPerSecondPerSource": 10})
    assert opened(sim, A4, 30)[0] == 10
    sim.advance(0.55)
    assert 4 <= opened(sim, A4, 30)[0] <= 16
    assert opened(sim, B4, 5)[0] == 5


def test_a_full_table_keeps_every_live_flow(make: Make) -> None:
    sim = make(limits={"flows": 8, "icmpErrorsPerSecond": 5})
    established(sim)
    opened(sim, A4, 7)
    passed, refusals = opened(sim, B4, 2000, "tcp")
    assert passed == 0 and refusals == ["reject_table_full"]
    assert len(sim.drain("inside")) <= 5
    out(sim, sent(PSH | ACK, 1001, 5001, b"x"))
    back(sim, answered(PSH | ACK, 5001, 1002, b"y"))
    for number in range(7):
        back(sim, build.udp_datagram(S4, 53, E4, 20000 + number))


def test_the_last_port_and_the_next_after_one_has_ended(make: Make) -> None:
    sim = make(nat={"portRange": "3000-3009"})
    assert opened(sim, A4, 11) == (10, ["reject_ports_exhausted"])
    [error] = sim.drain("inside")
    assert seen(error).icmp == (3, 1) and quoted(error) == build.udp_datagram(A4, 20010, S4, 53)
    assert refused(sim, build.udp_datagram(B4, 1, T4, 53)) == "reject_ports_exhausted"
    sim.end_flow(sim.flows()[3])
    sim.drain("inside")
    out(sim, build.udp_datagram(B4, 1, T4, 53))


def test_exhaustion_leaks_nothing(make: Make) -> None:
    """Where others let packets out as they were (Cilium 18956)."""
    sim = make(nat={"portRange": "3000-3000", "onExhaustion": "Drop"}, limits={"flows": 2})
    sim.inject_many("inside", [build.udp_datagram(A4, 1 + port, S4, 53) for port in range(50)])
    assert {seen(one).source for one in sim.drain("outside")} == {E4} and sim.drain("inside") == []
    assert sim.counters()["drop_ports_exhausted"] + sim.counters()["drop_table_full"] == 49


def test_no_address_of_the_family_means_no_way_out(make: Make) -> None:
    sim = make(addresses=["198.51.100.10"], outside={"driver": "memory"})
    assert refused(sim, asked(6)) == "drop_no_egress_address"


def test_a_session_s_records(make: Make) -> None:
    sim = make()
    out(sim, asked())
    back(sim, replied())
    sim.advance(301)
    created, ended = sim.events()
    for one, kind in ((created, "created"), (ended, "closed")):
        assert (one["kind"], one["protocol"]) == (kind, "udp") and "remote" not in one
        assert (one["internal"], one["external"]) == (f"{A4}:40000", f"{E4}:40000")
        assert datetime.fromisoformat(one["time"]).utcoffset() is not None
    assert created["flow"] == ended["flow"] and S4 not in str(created) + str(ended)


def test_the_outside_s_mtu_changes_and_flows_live_on(make: Make) -> None:
    sim = established(make())
    sim.apply(world(outside=outside(1300)))
    assert refused(sim, sent(PSH | ACK, 1001, 5001, bytes(1400))) == "reject_too_big"
    sim.drain("inside")
    out(sim, sent(PSH | ACK, 1001, 5001, bytes(1200)))


def test_a_reload_of_timers_holds_from_the_next_packet_on(make: Make) -> None:
    sim = make()
    out(sim, asked())
    sim.apply(world(timeouts={"udp": "10m"}))
    sim.advance(200)
    out(sim, asked())
    sim.advance(599)
    back(sim, replied())


def test_a_wrong_reload_changes_nothing(make: Make) -> None:
    sim = established(make())
    with pytest.raises(Exception, match="udpp"):
        sim.apply(world(timeouts={"udpp": "10m"}))
    out(sim, sent(PSH | ACK, 1001, 5001, b"x"))


def test_the_clock_wraps_and_flows_end_when_they_should(make: Make) -> None:
    """Ticks are 32 bits of 16.8 ms: 2.28 years. Across that moment nothing ends early and nothing lives on."""
    sim = make()
    sim.advance(2**32 * 2**24 / 1e9 - 100)
    out(sim, asked())
    established(sim)
    sim.advance(299)
    back(sim, replied())
    sim.advance(2)
    assert refused(sim, replied(), "outside") == "drop_unsolicited"
    sim.advance(7000)
    back(sim, answered(PSH | ACK, 5001, 1001, b"alive"))


def test_counters_add_up(make: Make) -> None:
    """Every packet has one verdict."""
    sim = make()
    packets = [asked(), asked()[:10], asked(6), build.tcp_segment(A4, 1, S4, 80, flags=ACK),
               build.udp_datagram(B4, 1, E4, 9)]
    sim.inject_many("inside", packets)
    sim.inject_many("outside", [replied(), replied(port=1)])
    assert sum(sim.counters().values()) == 7


def test_what_reaches_the_inside_belongs_to_a_flow(make: Make) -> None:
    sim = make()
    out(sim, asked())
    for port in range(1, 65536, 97):
        sim.inject("outside", build.udp_datagram(S4, 53, E4, port))
        sim.inject("outside", build.tcp_segment(S4, 80, E4, port, flags=ACK))
        sim.inject("outside", build.echo(S4, E4, port, reply=True))
    back(sim, replied())
    assert sim.counters()["accept"] == 2
