"""Fail closed: nothing internal leaves untranslated, whatever happens (RFC 3022), and nothing un-reversed enters."""

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.testing import Simulator
from gateway.testing.strategies import EGRESS, INTERNAL, Step, flows, fragments, packet, packets, payloads
from gateway.wire import build, protocol, sides
from tests.seen import is_error, quoted, seen
from tests.worlds import A4, A6, B4, E4, FIRST, HOSTS, INTERNAL_POOLS, S4, S6, out, world

from .gate import SPEEDS, Gate

TIGHT = {"portRange": "40000-40003"}
RELOADS = {
    "tight": world(nat=TIGHT),
    "other address": world(addresses=[EGRESS[4][1], EGRESS[6][1]]),
    "dropping": world(nat={**TIGHT, "onExhaustion": "Drop"}),
    "independent": world(nat={"mapping": {"tcp": "EndpointIndependent", "udp": "EndpointIndependent"}}),
    "no IPv6 address": world(addresses=[E4]),
    "no IPv4 address": world(addresses=[EGRESS[6][0]]),
}


def internal(address: str) -> bool:
    return any(ip_address(address) in ip_network(cidr) for cidr in INTERNAL.values())


def assert_nothing_leaks(sim: Simulator) -> None:
    for emitted in sim.drain("outside"):
        one = seen(emitted)
        assert not internal(one.source), f"leaked: {emitted.hex()}"
        if is_error(emitted) and len(quoted(emitted)) >= 20:
            about = seen(quoted(emitted))
            assert not internal(about.source) and not internal(about.destination), f"leaked in a quote: {emitted.hex()}"


def error_about(flow, size):
    """An internal host's port unreachable about a packet that a remote may have sent it."""
    kind = "reply" if flow.protocol == "icmp" else "data"
    about = packet(flow, Step("outside", kind, payload=b"?" * 20))
    kind = 3 if about[0] >> 4 == 4 else 1
    return build.icmp_message(flow.internal.address, flow.remote.address, kind, kind % 3 + 1, bytes(4) + about[:size])


EVENTS = st.one_of(
    st.tuples(st.just("inject"), packets(side="inside") | packets(side="inside", mutated=True)),
    st.tuples(st.just("inject"), fragments(side="inside").flatmap(st.sampled_from)),
    st.tuples(st.just("inject"), st.builds(error_about, flows(), st.integers(0, 80))),
    st.tuples(st.just("outside"), packets(side="outside") | packets(side="outside", mutated=True)),
    st.tuples(st.just("apply"), st.sampled_from(sorted(RELOADS))),
    st.tuples(st.just("advance"), st.sampled_from([0.05, 1.0, 59.0, 61.0, 301.0])),
    st.tuples(st.just("end"), st.integers(0, 5)),
)


@given(st.lists(EVENTS, max_size=40), st.sampled_from([3, 64]))
def test_no_internal_address_leaves(events, capacity):
    """Malformed packets, exhausted ports, a full table, reloads in between, expiry, administrative ends."""
    sim = Simulator([*world(limits={"flows": capacity}, nat=TIGHT)])
    for kind, what in events:
        if kind == "inject":
            sim.inject("inside", what)
        elif kind == "outside":
            sim.inject("outside", what)
        elif kind == "apply":
            sim.apply(RELOADS[what])
        elif kind == "advance":
            sim.advance(what)
        elif live := sim.flows():
            assert sim.end_flow(live[what % len(live)])
        assert_nothing_leaks(sim)


@pytest.mark.parametrize("number", [2, 4, 33, 41, 46, 47, 50, 51, 59, 89, 103, 112, 132, 136, 255])
@pytest.mark.parametrize("family", [4, 6])
def test_protocols_of_every_number_leave_translated_or_not_at_all(family, number):
    host, remote, _ = HOSTS[family]
    sim = Simulator(world())
    for size in (0, 4, 8, 12, 64):
        sim.inject("inside", build.ip(host, remote, number, bytes(range(size))))
    assert_nothing_leaks(sim)


@pytest.mark.parametrize("kind", range(256))
def test_icmp_of_every_type_leaves_translated_or_not_at_all(kind):
    sim = Simulator(world())
    for code in (0, 1, 4):
        sim.inject("inside", build.icmp_message(A4, S4, kind, code, bytes(28)))
        sim.inject("inside", build.icmp_message(A6, S6, kind, code, bytes(52)))
    assert_nothing_leaks(sim)


@pytest.mark.parametrize("flags", range(64))
def test_tcp_flags_of_every_combination_leave_translated_or_not_at_all(flags):
    sim = Simulator(world())
    for source in (A4, B4):
        sim.inject("inside", build.tcp_segment(source, 40000, S4, 80, flags=flags))
    assert_nothing_leaks(sim)


@pytest.mark.parametrize("family", [4, 6])
def test_fragments_leave_translated_or_not_at_all(family):
    host, remote, _ = HOSTS[family]
    sim = Simulator(world())
    datagram = build.udp_datagram(host, 40000, remote, 53, bytes(64))[20 if family == 4 else 40 :]
    for offset, more, part in ((8, 0, datagram[64:]), (0, 1, datagram[:64]), (4, 1, datagram[32:64])):
        if family == 4:
            where = more << 13 | offset
            sim.inject("inside", build.ip(host, remote, protocol.UDP, part, identification=9, fragment=where))
        else:
            header = bytes([protocol.UDP, 0]) + (offset << 3 | more).to_bytes(2, "big") + bytes(3) + b"\x09"
            sim.inject("inside", build.ip(host, remote, protocol.FRAGMENT, header + part))
    sim.advance(20)
    assert_nothing_leaks(sim)


@pytest.mark.parametrize("family", [4, 6])
def test_without_an_egress_address_of_the_family_nothing_leaves(family):
    host, remote, _ = HOSTS[family]
    outside = {"driver": "memory", "addresses": []}  # nor one to masquerade as
    sim = Simulator(world(outside=outside, addresses=[EGRESS[10 - family][0]]))
    sim.inject("inside", build.udp_datagram(host, 40000, remote, 53))
    assert sim.drain("outside") == [] and sim.counters()["drop_no_egress_address"] == 1


FROM_OUTSIDE = packets(side="outside") | packets(side="outside", mutated=True)


@given(st.lists(FROM_OUTSIDE, max_size=20), st.lists(flows(), max_size=3), payloads)
def test_what_reaches_the_inside_belongs_to_a_flow_or_is_the_gateways(arrivals, opened, payload):
    sim = Simulator(world())
    known = set()
    for flow in opened:
        out(sim, packet(flow, Step("inside", FIRST[flow.protocol], 1, 0, payload)))
        known.add((*flow.remote, *flow.internal))
    sim.inject_many("outside", arrivals)
    for emitted in sim.drain("inside"):
        if not is_error(emitted):
            assert seen(emitted)[2:6] in known


def test_a_reload_that_takes_the_pools_away_does_not_leak_live_or_new_flows():
    """The sources are no longer anybody's: what was open goes on translated, the rest is refused."""
    sim = Simulator(world())
    first = build.udp_datagram(A4, 40000, S4, 53)
    out(sim, first)
    sim.apply([world()[0], INTERNAL_POOLS[1]])
    sim.inject("inside", first)
    sim.inject("inside", build.udp_datagram(B4, 40000, S4, 53))
    assert_nothing_leaks(sim)


@pytest.mark.parametrize("arrived", [b"", bytes(40), build.tcp_segment("203.0.113.1", 80, "198.51.100.10", 40000)])
@pytest.mark.parametrize("pure", SPEEDS)
def test_what_a_slot_held_before_does_not_let_the_next_frame_out(arrived, pure):
    """A link may fill a slot of the batch without a word about the side on which the last frame there left."""
    gate = Gate(pure=pure)
    assert gate.send("192.168.1.2", 40000)
    gate.batch.clear()
    gate.batch.append(arrived)
    gate.batch.out[0] = sides.OUTSIDE
    gate.translator.translate(gate.batch, sides.OUTSIDE, gate.now)
    assert gate.batch.out[0] == sides.NOWHERE
