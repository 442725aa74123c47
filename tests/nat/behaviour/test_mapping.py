"""Which external address and port a flow gets, and how long it keeps them (RFC 4787 section 4, RFC 7857, RFC 6056)."""

from collections import Counter
from itertools import pairwise
from statistics import pvariance

import pytest

from gateway.wire import build, protocol
from tests.nat.behaviour.talk import Make, asked, established, replied
from tests.seen import seen
from tests.worlds import A4, A6, B4, B6, E4, E6, HOSTS, S4, S6, T4, back, out, refused


@pytest.mark.parametrize("family", [4, 6])
def test_a_free_port_is_kept_and_the_answer_comes_back(make: Make, family: int) -> None:
    sim = make()
    assert seen(out(sim, asked(family)))[2:4] == (HOSTS[family][2], 40000)
    assert seen(back(sim, replied(family)))[4:6] == (HOSTS[family][0], 40000)


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("query", [False, True])
def test_two_hosts_with_one_port_or_identifier_are_told_apart(make: Make, family: int, query: bool) -> None:
    sim = make()
    remote = S4 if family == 4 else S6
    for internal in ((A4, B4) if family == 4 else (A6, B6)):
        if query:
            port = seen(out(sim, build.echo(internal, remote, 7))).source_port
            answer = build.echo(remote, HOSTS[family][2], port, reply=True)
            assert seen(back(sim, answer))[4:6] == (internal, 7)
        else:
            port = seen(out(sim, build.udp_datagram(internal, 40000, remote, 53))).source_port
            assert seen(back(sim, replied(family, port=port)))[4:6] == (internal, 40000)


def test_udp_is_endpoint_independent_towards_addresses_and_ports(make: Make) -> None:
    sim = make()
    out(sim, build.udp_datagram(B4, 40000, S4, 53))  # takes 40000
    seen_from = {seen(out(sim, build.udp_datagram(A4, 40000, remote, port))).source_port
                 for remote in (S4, T4) for port in (53, 80, 3478)}
    assert len(seen_from) == 1


def test_the_mapping_is_the_same_under_load(make: Make) -> None:
    """REQ-11: what a NAT does must not change when many flows are there."""
    sim = make(limits={"flows": 4096})
    for port in range(2000):
        out(sim, build.udp_datagram(B4, 20000 + port, S4, 53))
    assert {seen(out(sim, build.udp_datagram(A4, 20001, remote, 53))).source_port for remote in (S4, T4)} - {20001}
    assert len({seen(out(sim, build.udp_datagram(A4, 20001, remote, 9))).source_port for remote in (S4, T4)}) == 1


def test_traffic_from_both_ends_at_once_keeps_the_port(make: Make) -> None:
    sim = make()
    sim.inject("outside", build.udp_datagram(S4, 53, E4, 40000))
    assert seen(out(sim, asked())).source_port == 40000
    back(sim, replied())
    assert seen(out(sim, asked())).source_port == 40000


@pytest.mark.parametrize("internal", [1, 53, 1023, 1024, 65535])
def test_well_known_ports_stay_below_1024_when_they_collide(make: Make, internal: int) -> None:
    sim = make()
    out(sim, build.udp_datagram(A4, internal, S4, 53))
    other = seen(out(sim, build.udp_datagram(B4, internal, S4, 53))).source_port
    assert other != internal and (other < 1024) == (internal < 1024) and other > 0


def test_source_port_zero_never_becomes_a_mapping_of_port_zero(make: Make) -> None:
    sim = make()
    assert 0 < seen(out(sim, build.udp_datagram(A4, 0, S4, 53))).source_port < 1024
    assert refused(sim, build.udp_datagram(S4, 53, E4, 0), "outside") == "drop_unsolicited"


def test_destination_port_zero_is_the_destination_s_affair(make: Make) -> None:
    sim = make()
    assert seen(out(sim, build.udp_datagram(A4, 40000, S4, 0))).destination_port == 0
    back(sim, build.udp_datagram(S4, 0, E4, 40000))


def test_ports_drawn_are_spread_over_the_range(make: Make) -> None:
    """RFC 6056: no sequence, no small part of the range."""
    sim = make(nat={"portPreservation": False})
    ports = [seen(out(sim, build.udp_datagram(A4, 40000 + n, S4, 53))).source_port for n in range(200)]
    assert len(set(ports)) == 200 and min(ports) < 10_000 and max(ports) > 55_000
    steps = Counter(second - first for first, second in pairwise(ports))
    assert steps.most_common(1)[0][1] <= 3


def test_a_hundred_hosts_over_64_addresses(make: Make) -> None:
    addresses = [f"198.51.100.{1 + n}" for n in range(64)]
    sim = make(addresses=addresses, outside={"driver": "memory"})
    pods = [f"192.168.7.{1 + n}" for n in range(100)]
    chosen = {pod: seen(out(sim, build.udp_datagram(pod, 5000, S4, 53))).source for pod in pods}
    load = Counter(chosen.values())
    assert set(load.values()) <= {1, 2} and len(load) == 64 and pvariance(load.values()) < 0.33
    for pod in pods:
        assert seen(out(sim, build.udp_datagram(pod, 6000, T4, 80))).source == chosen[pod]
        assert seen(out(sim, build.tcp_segment(pod, 6000, S4, 80))).source == chosen[pod]


def test_identifiers_of_queries_and_ports_of_every_protocol_share_the_address(make: Make) -> None:
    sim = make(addresses=["198.51.100.10", "198.51.100.11", "198.51.100.12"])
    packets = [build.echo(A4, S4, 9), asked(), build.tcp_segment(A4, 1, S4, 80), build.ip(A4, S4, 47, bytes(8))]
    assert len({seen(out(sim, packet)).source for packet in packets}) == 1


def test_one_port_carries_tcp_and_udp_and_identifiers_side_by_side(make: Make) -> None:
    sim = make()
    for packet in (asked(port=7), build.tcp_segment(B4, 7, S4, 53), build.echo("192.168.1.4", S4, 7)):
        assert seen(out(sim, packet)).source_port == 7
    assert seen(back(sim, replied(port=7))).destination == A4
    assert seen(back(sim, build.echo(S4, E4, 7, reply=True))).destination == "192.168.1.4"


def test_address_dependent_mapping_by_protocol(make: Make) -> None:
    sim = make(nat={"mapping": {"udp": "AddressDependent"}, "portPreservation": False})
    first = {seen(out(sim, build.udp_datagram(A4, 40000, S4, port))).source_port for port in (53, 80)}
    other = {seen(out(sim, build.udp_datagram(A4, 40000, T4, port))).source_port for port in (53, 80)}
    assert len(first) == len(other) == 1 and first != other


def test_an_ended_mapping_s_port_is_free_for_others(make: Make) -> None:
    sim = make()
    out(sim, asked())
    sim.advance(301)
    assert seen(out(sim, build.udp_datagram(B4, 40000, S4, 53))).source_port == 40000
    assert seen(out(sim, asked())).source_port != 40000
    assert seen(back(sim, replied())).destination == B4


def test_a_reload_leaves_live_flows_where_they_are(make: Make) -> None:
    from tests.worlds import world

    sim = established(make())
    out(sim, asked())
    sim.apply(world(addresses=["198.51.100.77", E6], nat={"portRange": "5000-5999"}))
    assert seen(out(sim, asked())).source == E4
    back(sim, replied())
    fresh = seen(out(sim, build.udp_datagram(B4, 40000, S4, 53)))
    assert fresh.source == "198.51.100.77" and 5000 <= fresh.source_port <= 5999


@pytest.mark.parametrize("excluded", ["203.0.113.0/24", T4])
def test_excluded_destinations_pass_unchanged(make: Make, excluded: str) -> None:
    sim = make(nat={"noTranslate": [excluded]})
    emitted = out(sim, build.udp_datagram(A4, 40000, T4, 53, b"as it is"))
    assert seen(emitted)[2:4] == (A4, 40000)
    assert back(sim, build.udp_datagram(T4, 53, A4, 40000, b"so is this"))


def test_without_hairpinning_an_external_address_is_nobody_from_inside(make: Make) -> None:
    sim = make(nat={"hairpinning": False})
    out(sim, build.udp_datagram(B4, 5000, S4, 53))
    assert refused(sim, build.udp_datagram(A4, 40000, E4, 5000)) == "drop_unsolicited"


def test_unknown_protocols_do_not_disturb_ports(make: Make) -> None:
    sim = make()
    out(sim, build.ip(A4, S4, protocol.SCTP, build.udp_datagram(A4, 5, S4, 7)[20:] + bytes(8)))
    assert seen(out(sim, build.udp_datagram(B4, 5, S4, 7))).source_port == 5
