"""Mappings and ports: RFC 4787 REQ-1 to 3, RFC 6056, RFC 6888, RFC 7857."""

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.testing import Simulator
from gateway.testing.strategies import EGRESS, Step, flows, packet, resources
from gateway.wire import build
from tests.judge import assert_sound
from tests.seen import quoted, seen
from tests.worlds import A4, A6, B4, B6, E4, FIRST, HOSTS, S4, T4, back, out, refused, world

PROTOCOLS = ["tcp", "udp", "icmp"]


def begin(sim: Simulator, protocol: str, internal: str, port: int, remote: str, service: int = 53):
    """An internal host begins a flow; what the remote sees as its source."""
    if protocol == "icmp":
        return seen(out(sim, build.echo(internal, remote, port)))[2:4]
    if protocol == "tcp":
        return seen(out(sim, build.tcp_segment(internal, port, remote, service)))[2:4]
    return seen(out(sim, build.udp_datagram(internal, port, remote, service)))[2:4]


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_port_is_preserved_when_free(family, protocol):
    internal, remote, external = HOSTS[family]
    assert begin(Simulator(world()), protocol, internal, 40000, remote) == (external, 40000)


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_without_port_preservation_the_port_is_drawn(protocol):
    sims = [Simulator(world(nat={"portPreservation": False}), seed=seed) for seed in range(8)]
    drawn = {begin(sim, protocol, A4, 40000, S4)[1] for sim in sims}
    assert len(drawn) > 4 and all(1024 <= port <= 65535 for port in drawn)


def test_the_ports_drawn_are_no_sequence():
    """RFC 6056: who sees one external port learns nothing about the next."""
    sim = Simulator(world(nat={"portPreservation": False}))
    drawn = [begin(sim, "udp", A4, port, S4)[1] for port in range(5000, 5060)]
    steps = Counter((b - a) % 65536 for a, b in pairwise(drawn))
    assert len(set(drawn)) == 60 and max(steps.values()) <= 3
    assert max(drawn) - min(drawn) > 30000


def test_echo_is_translated_and_reversed():
    sim = Simulator(world())
    begin(sim, "icmp", B4, 0x1234, S4)
    external = begin(sim, "icmp", A4, 0x1234, S4)
    assert external[0] == E4 and external[1] != 0x1234
    got = back(sim, build.echo(S4, E4, external[1], 1, b"same data", reply=True))
    assert seen(got)[4:6] == (A4, 0x1234) and got.endswith(b"same data")
    assert_sound([got])


def test_many_echo_sequence_numbers_share_one_flow():
    sim = Simulator(world())
    for sequence in (0, 1, 65535, 0):
        out(sim, build.echo(A4, S4, 7, sequence))
        back(sim, build.echo(S4, E4, 7, sequence, reply=True))
    assert len(sim.flows()) == 1


def test_timestamp_queries_never_leak():
    sim = Simulator(world())
    sim.inject("inside", build.icmp_message(A4, S4, 13, 0, (9).to_bytes(2, "big") + bytes(14)))
    assert all(seen(emitted).source == E4 for emitted in sim.drain("outside"))


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("protocol", ["udp", "icmp"])
def test_a_mapping_is_the_same_towards_every_remote(family, protocol):
    """RFC 4787 REQ-1; also for a port that could not be preserved."""
    internal, remote, external = HOSTS[family]
    other = remote[:-1] + "9"
    sim = Simulator(world())
    begin(sim, protocol, B4 if family == 4 else B6, 40000, remote)
    mapped = begin(sim, protocol, internal, 40000, remote)
    assert mapped == begin(sim, protocol, internal, 40000, other) and mapped[1] != 40000
    assert mapped[0] == external


def test_tcp_uses_one_port_towards_different_remotes():
    """RFC 7857 section 3: only towards the same endpoint two hosts need different ports."""
    sim = Simulator(world())
    assert begin(sim, "tcp", A4, 40000, S4, 80) == begin(sim, "tcp", B4, 40000, T4, 80) == (E4, 40000)
    assert begin(sim, "tcp", B4, 40000, S4, 80) != (E4, 40000)


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_endpoint_independent_mapping_gives_a_port_to_one_host_only(protocol):
    sim = Simulator(world(nat={"mapping": {protocol: "EndpointIndependent"}}))
    mine = begin(sim, protocol, A4, 40000, S4, 80)
    assert begin(sim, protocol, A4, 40000, T4, 81) == mine
    assert begin(sim, protocol, B4, 40000, T4, 80) != mine


def test_address_dependent_mapping_is_one_mapping_a_remote_address():
    sim = Simulator(world(nat={"mapping": {"udp": "AddressDependent"}}))
    towards_s = begin(sim, "udp", A4, 40000, S4, 80)
    assert begin(sim, "udp", A4, 40000, S4, 81) == towards_s
    assert begin(sim, "udp", A4, 40000, T4, 80) != towards_s, "another remote address: a mapping of its own"


def test_address_and_port_dependent_mapping_is_one_mapping_a_remote_endpoint():
    sim = Simulator(world(nat={"mapping": {"udp": "AddressAndPortDependent"}}))
    assert len({begin(sim, "udp", A4, 40000, remote, port) for remote in (S4, T4) for port in (80, 81)}) == 4


@pytest.mark.parametrize("mapping", ["AddressDependent", "AddressAndPortDependent"])
def test_a_dependent_mapping_differs_from_remote_to_remote(mapping):
    """RFC 4787 section 4.1: equal if, and only if, the remote address is. So the port is not kept; TCP's may be."""
    sim = Simulator(world(nat={"mapping": {"udp": mapping, "tcp": mapping}}))
    remotes = [f"203.0.113.{number}" for number in range(1, 9)]
    assert len({begin(sim, "udp", A4, 40000, remote) for remote in remotes}) == len(remotes)
    assert {begin(sim, "tcp", A4, 40000, remote) for remote in remotes} == {(E4, 40000)}


@pytest.mark.parametrize("internal", [A4, A6])
def test_well_known_ports_stay_below_1024_and_others_above(internal):
    """RFC 4787 REQ-3a; on collision too. Where the operator gave the range, the range holds for all."""
    remote, other = (S4, B4) if internal == A4 else (HOSTS[6][1], B6)
    sim = Simulator(world())
    assert begin(sim, "udp", internal, 500, remote)[1] == 500
    assert begin(sim, "udp", other, 500, remote)[1] < 1024
    assert begin(sim, "udp", internal, 5000, remote)[1] == 5000
    assert begin(sim, "udp", other, 5000, remote)[1] >= 1024
    narrow = Simulator(world(nat={"portRange": "40000-40003"}))
    assert 40000 <= begin(narrow, "udp", internal, 500, remote)[1] <= 40003


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("reject", [True, False])
def test_the_last_port_is_found_and_the_next_flow_refused(protocol, reject):
    """RFC 6888 REQ-11: no live flow is evicted, the sender is told; one that ends makes room for exactly one."""
    nat = {"portRange": "40000-40063", "onExhaustion": "Reject" if reject else "Drop"}
    sim = Simulator(world(nat=nat))
    ports = {begin(sim, protocol, A4, 50000 + number, S4)[1] for number in range(64)}
    assert ports == set(range(40000, 40064))
    one_more = {"tcp": build.tcp_segment(A4, 60000, S4, 53), "udp": build.udp_datagram(A4, 60000, S4, 53),
                "icmp": build.echo(A4, S4, 60000)}[protocol]
    assert refused(sim, one_more) == ("reject_ports_exhausted" if reject else "drop_ports_exhausted")
    told = sim.drain("inside")
    assert len(told) == reject
    for error in told:
        assert seen(error).icmp == (3, 1) and quoted(error) == one_more
        assert_sound([error])
    assert len(sim.flows()) == 64
    sim.end_flow(sim.flows()[17])
    out(sim, one_more)
    assert refused(sim, packet_with_port(one_more, 60001)).endswith("ports_exhausted")


def packet_with_port(packet: bytes, port: int) -> bytes:
    one = seen(packet)
    if one.protocol == "icmp":
        return build.echo(one.source, one.destination, port)
    make = build.tcp_segment if one.protocol == "tcp" else build.udp_datagram
    return make(one.source, port, one.destination, one.destination_port)


def test_exhaustion_on_ipv6_is_address_unreachable():
    sim = Simulator(world(nat={"portRange": "40000-40000"}))
    begin(sim, "udp", A6, 1, HOSTS[6][1])
    sim.inject("inside", build.udp_datagram(A6, 2, HOSTS[6][1], 53))
    [error] = sim.drain("inside")
    assert seen(error).icmp in ((1, 3), (1, 1))
    assert_sound([error])


def test_exhaustion_towards_one_remote_leaves_others():
    """TCP overlaps ports towards different remotes, so the range counts for each remote endpoint."""
    sim = Simulator(world(nat={"portRange": "40000-40003"}))
    for remote in (S4, T4):
        assert {begin(sim, "tcp", A4, port, remote)[1] for port in range(1, 5)} == set(range(40000, 40004))
    assert refused(sim, build.tcp_segment(A4, 5, S4, 53)) == "reject_ports_exhausted" and sim.drain("inside")
    begin(sim, "tcp", A4, 5, S4, 54)


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_a_full_table_refuses_new_flows_and_evicts_none(protocol):
    sim = Simulator(world(limits={"flows": 16}))
    opened = [begin(sim, protocol, A4, 40000 + number, S4) for number in range(16)]
    for number in range(100):
        first = {"tcp": build.tcp_segment, "udp": build.udp_datagram}[protocol](B4, 50000 + number, S4, 53)
        assert refused(sim, first).endswith("table_full")
    sim.drain("inside")
    assert len(sim.flows()) == 16
    for address, port in opened:
        reply = (build.udp_datagram(S4, 53, address, port) if protocol == "udp"
                 else build.tcp_segment(S4, 53, address, port, flags=0x12, sequence=9, acknowledgement=2))
        assert seen(back(sim, reply))[4] == A4


@pytest.mark.parametrize("family", [4, 6])
def test_hosts_spread_evenly_over_the_egress_addresses_and_each_keeps_its_own(family):
    """RFC 4787 REQ-2 (paired): 100 hosts over 64 addresses are one or two on each, for every protocol."""
    egress = [f"198.51.100.{number}" if family == 4 else f"2001:db8:e::{number + 16:x}" for number in range(64)]
    sim = Simulator(world(addresses=[*egress, EGRESS[10 - family][0]]))
    home: dict[str, str] = {}
    for protocol in PROTOCOLS:
        for number in range(100):
            host = f"192.168.5.{number + 2}" if family == 4 else f"fd00:10:244::5:{number:x}"
            address = begin(sim, protocol, host, 40000, HOSTS[family][1])[0]
            assert address in egress and home.setdefault(host, address) == address
    carried = Counter(home.values())
    assert set(carried.values()) == {1, 2} and len(carried) == 64


@given(resources(), st.lists(flows(), min_size=1, max_size=25, unique=True), st.integers(0, 2**32))
def test_two_flows_never_share_a_full_external_tuple(drawn, wanted, seed):
    sim = Simulator(drawn, seed=seed)
    sim.inject_many("inside", [packet(flow, Step("inside", FIRST[flow.protocol], 1)) for flow in wanted])
    left = [seen(emitted) for emitted in sim.drain("outside")]
    tuples = [(one.protocol, *one[2:6]) for one in left]
    assert len(set(tuples)) == len(tuples)
    replies = [(flow.protocol, flow.reply) for flow in sim.flows()]
    assert len(set(replies)) == len(replies)


MAPPINGS = st.sampled_from(["EndpointIndependent", "AddressDependent", "AddressAndPortDependent"])
WANTED = st.tuples(st.sampled_from(PROTOCOLS), st.integers(0, 5), st.integers(0, 5), st.integers(0, 2))


@given(st.lists(WANTED, min_size=1, max_size=60), MAPPINGS)
def test_crowded_ports_are_never_shared(wanted, mapping):
    """Six hosts with six ports each in a range of eight, under each kind of mapping."""
    sim = Simulator(world(nat={"portRange": "40000-40007", "mapping": {"tcp": mapping, "udp": mapping}}))
    for protocol, host, port, remote in wanted:
        internal, there = f"192.168.1.{host + 2}", f"203.0.113.{remote + 5}"
        sim.inject("inside", {"tcp": build.tcp_segment(internal, 40000 + port, there, 80),
                              "udp": build.udp_datagram(internal, 40000 + port, there, 80),
                              "icmp": build.echo(internal, there, 40000 + port)}[protocol])
    replies = [(flow.protocol, flow.reply) for flow in sim.flows()]
    originals = [(flow.protocol, flow.original) for flow in sim.flows()]
    assert len(set(replies)) == len(replies) and len(set(originals)) == len(originals)


def test_filtering_is_per_protocol():
    sim = Simulator(world())
    begin(sim, "tcp", A4, 40000, S4, 80)
    assert refused(sim, build.udp_datagram(S4, 80, E4, 40000), "outside").startswith("drop_")


@pytest.mark.parametrize(("filtering", "address", "port"), [
    ("AddressAndPortDependent", False, False), ("AddressDependent", False, True), ("EndpointIndependent", True, True)])
def test_udp_filtering_is_what_is_configured(filtering, address, port):
    sim = Simulator(world(nat={"filtering": {"udp": filtering}}))
    begin(sim, "udp", A4, 40000, S4, 53)
    for source, service, allowed in ((S4, 53, True), (S4, 54, port), (T4, 53, address)):
        sim.inject("outside", build.udp_datagram(source, service, E4, 40000))
        assert len(sim.drain("inside")) == allowed, (source, service)
