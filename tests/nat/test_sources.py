"""What each internal address holds, may open, and which egress address it keeps: beside plain counting."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .gate import SECOND, SPEEDS, Gate

PODS = [f"192.168.0.{number}" for number in range(1, 7)] + [f"2001:db8:1::{number}" for number in range(1, 4)]
REMOTES = {4: ("203.0.113.1", "203.0.113.2"), 6: ("2a00::1", "2a00::2")}
OPENING = st.tuples(st.sampled_from(PODS), st.integers(0, 3), st.sampled_from(("udp", "tcp")), st.integers(0, 1))
STEPS = st.lists(st.one_of(
    OPENING.map(lambda one: ("open", one)), st.integers(0, 1000).map(lambda one: ("end", one)),
    st.sampled_from((1, 100, 400)).map(lambda one: ("wait", one)), OPENING.map(lambda one: ("explain", one)),
    st.sampled_from(("", "flowsPerSource: 3", "portsPerSource: 2", "newFlowsPerSecondPerSource: 2")).map(
        lambda one: ("apply", one)),
    st.integers(1, 4).map(lambda one: ("addresses", one))), max_size=60)


def open_one(gate: Gate, one: tuple[str, int, str, int]) -> bytes | None:
    pod, port, protocol, remote = one
    return gate.send(pod, 5000 + port, REMOTES[6 if ":" in pod else 4][remote], 53, protocol)


def holdings(gate: Gate) -> dict[str, tuple[int, int]]:
    """(flows, ports) of every internal address, counted from the flow table as it is listed."""
    flows, ports = Counter[str](), dict[str, set[Any]]()
    for one in gate.rows():
        pod, port = one.original[0], one.original[1]
        flows[pod] += 1
        key = (one.protocol, port) if one.protocol == "udp" else one.id
        ports.setdefault(pod, set()).add(key)
    return {pod: (flows[pod], len(ports[pod])) for pod in flows}


def counted(gate: Gate) -> dict[str, tuple[int, int]]:
    return {pod: held for pod in PODS if (held := gate.account(pod)) != (0, 0)}


@pytest.mark.parametrize("pure", SPEEDS)
@settings(max_examples=40, deadline=None)
@given(steps=STEPS)
def test_accounts_say_what_the_flow_table_says(pure: bool, steps: list[tuple[str, Any]]) -> None:
    gate = Gate("flowsPerSource: 100", pure=pure, addresses=2)
    for verb, what in steps:
        if verb == "open":
            open_one(gate, what)
        elif verb == "explain":
            gate.explain(what[0], 5000 + what[1], REMOTES[6 if ":" in what[0] else 4][what[3]], 53, what[2])
        elif verb == "end" and (rows := list(gate.rows())):
            gate.translator.end_flow(rows[what % len(rows)].id)
        elif verb == "wait":
            gate.advance(what)
        elif verb == "apply":
            gate.apply(limits=what)
        elif verb == "addresses":
            gate.apply(addresses=what)
        assert counted(gate) == holdings(gate)
        hosts = Counter(gate.pair(pod) for pod in PODS if gate.pair(pod))
        assert {one: number for one in gate.egress if (number := gate.hosts(one))} == hosts


@settings(max_examples=25, deadline=None)
@given(steps=STEPS)
def test_both_speeds_decide_alike(steps: list[tuple[str, Any]]) -> None:
    both = [Gate("flowsPerSource: 4, newFlowsPerSecondPerSource: 5", pure=pure, addresses=3) for pure in SPEEDS]
    for verb, what in steps:
        if verb == "open":
            assert len({open_one(gate, what) for gate in both}) == 1
        elif verb == "wait":
            for gate in both:
                gate.advance(what)
        elif verb == "apply":
            for gate in both:
                gate.apply(limits=what)
        assert len({str(gate.events()) for gate in both}) == 1
        assert len({str(gate.translator.counters()) for gate in both}) == 1


@pytest.mark.parametrize("pure", SPEEDS)
@pytest.mark.parametrize(("addresses", "hosts"), [(64, 100), (5, 3), (3, 20), (8, 8)])
def test_hosts_spread_evenly_and_stay_where_they_are(pure: bool, addresses: int, hosts: int) -> None:
    gate = Gate("", pure=pure, addresses=addresses)
    pods = [f"192.168.1.{number}" for number in range(hosts)]
    first = {pod: gate.external(pod, 4000) for pod in pods}
    load = Counter(first.values())
    assert set(load.values()) <= {hosts // addresses, -(-hosts // addresses)}
    gate.advance(1000)  # all of them are idle
    assert gate.translator.live == 0
    assert {pod: gate.external(pod, 4001, protocol="tcp") for pod in reversed(pods)} == first


def test_the_spread_is_not_the_same_at_every_start() -> None:
    assert len({Gate("", addresses=64, seed=seed).external("192.168.1.1", 4000) for seed in range(12)}) > 4


@pytest.mark.parametrize("pure", SPEEDS)
def test_a_reload_moves_only_hosts_whose_address_is_gone(pure: bool) -> None:
    gate = Gate("", pure=pure, addresses=4)
    pods = [f"192.168.1.{number}" for number in range(12)]
    before = {pod: gate.external(pod, 4000) for pod in pods}
    gone = gate.egress[1]
    gate.apply(addresses=[one for one in reversed(gate.egress) if one != gone])
    after = {pod: gate.external(pod, 4001) for pod in pods}
    assert {pod for pod in pods if after[pod] != before[pod]} == {pod for pod in pods if before[pod] == gone}
    assert set(Counter(after.values()).values()) == {4}


@pytest.mark.parametrize("pure", SPEEDS)
def test_a_second_address_is_for_new_hosts(pure: bool) -> None:
    gate = Gate("", pure=pure, addresses=1)
    old = gate.external("192.168.1.1", 4000)
    gate.apply(addresses=2)
    assert gate.external("192.168.1.1", 4001) == old
    assert gate.external("192.168.1.2", 4001) != old


@pytest.mark.parametrize("pure", SPEEDS)
def test_a_paired_address_without_ports_is_exhausted_and_nobody_else_is(pure: bool) -> None:
    gate = Gate("", pure=pure, addresses=2, nat="portRange: 2000-2003")
    assert all(gate.send("192.168.1.1", 4000 + number) for number in range(4))
    assert gate.send("192.168.1.1", 4004) is None
    assert gate.translator.counters()["reject_ports_exhausted"] == 1
    assert gate.external("192.168.1.2", 4000) != gate.external("192.168.1.1", 4000)


@pytest.mark.parametrize("pure", SPEEDS)
@pytest.mark.parametrize("protocol", ["udp", "tcp"])
def test_who_holds_no_port_gets_one_wherever_there_is_one(pure: bool, protocol: str) -> None:
    """Three addresses with two ports each: six ports, whichever hosts ask for them."""
    gate = Gate("", pure=pure, addresses=3, nat="portRange: 2000-2001")
    assert all(gate.send("192.168.1.1", 4000 + number, protocol=protocol) for number in range(2))
    assert gate.send("192.168.1.1", 4002, protocol=protocol) is None  # it holds ports, and keeps its address
    pods = [f"192.168.1.{number}" for number in range(2, 7)]
    assert [gate.send(pod, 4000, protocol=protocol) is not None for pod in pods] == [True] * 4 + [False]
    assert sum(gate.engine.sources.hosts) == 6
    for flow in list(gate.rows())[:2]:
        gate.translator.end_flow(flow.id)
    assert gate.send(pods[4], 4000, protocol=protocol)


@pytest.mark.parametrize("pure", SPEEDS)
@pytest.mark.parametrize(("limits", "protocol", "most"), [
    ("flowsPerSource: 7", "udp", 7), ("flowsPerSource: 7", "tcp", 7), ("portsPerSource: 5", "udp", 5),
    ("portsPerSource: 5", "tcp", 5), ("newFlowsPerSecondPerSource: 9", "udp", 9)])
def test_one_greedy_pod_stops_at_its_limit_and_starves_nobody(
        pure: bool, limits: str, protocol: str, most: int) -> None:
    gate = Gate(limits, pure=pure)
    passed = [gate.send("192.168.1.1", 4000 + number, protocol=protocol) is not None for number in range(30)]
    assert passed == [True] * most + [False] * (30 - most)
    assert gate.translator.counters()["reject_source_limit"] == 30 - most
    assert {packet[20:22] for packet in gate.answers()} == {b"\x03\x01"}  # host unreachable
    assert all(gate.send("192.168.1.2", 4000 + number, protocol=protocol) for number in range(most))


def test_an_ipv6_pod_at_its_limit_is_told_address_unreachable() -> None:
    gate = Gate("flowsPerSource: 1")
    assert [bool(gate.send("2001:db8:1::1", 4000 + number, "2a00::1")) for number in range(2)] == [True, False]
    (answer,) = gate.answers()
    assert answer[40:42] == b"\x01\x03"


@pytest.mark.parametrize("pure", SPEEDS)
def test_a_port_shared_by_flows_counts_once_and_its_end_gives_it_back(pure: bool) -> None:
    gate = Gate("portsPerSource: 1", pure=pure)
    assert gate.send("192.168.1.1", 4000, "203.0.113.1") and gate.send("192.168.1.1", 4000, "203.0.113.2")
    assert gate.send("192.168.1.1", 4001) is None
    first, second = gate.rows()
    gate.translator.end_flow(first.id)
    assert gate.send("192.168.1.1", 4001) is None
    gate.translator.end_flow(second.id)
    assert gate.send("192.168.1.1", 4001)


@pytest.mark.parametrize("pure", SPEEDS)
def test_drop_is_silent(pure: bool) -> None:
    gate = Gate("flowsPerSource: 1", pure=pure, nat="onExhaustion: Drop")
    assert gate.send("192.168.1.1", 4000) and gate.send("192.168.1.1", 4001) is None
    assert gate.translator.counters()["drop_source_limit"] == 1 and gate.answers() == []


@pytest.mark.parametrize("pure", SPEEDS)
@settings(max_examples=30, deadline=None)
@given(rate=st.integers(1, 12), pauses=st.lists(st.sampled_from((0, 1, 7, 30, 400, 1700)), max_size=80))
def test_never_more_than_a_second_s_worth_at_once_and_the_rate_from_then_on(
        pure: bool, rate: int, pauses: list[int]) -> None:
    gate = Gate(f"newFlowsPerSecondPerSource: {rate}", pure=pure)
    times: list[int] = []
    for number, pause in enumerate(pauses):
        gate.now += pause * SECOND // 1000
        if gate.send("192.168.1.1", 1024 + number):
            times.append(gate.now)
    tick = SECOND // 59  # the present is known to a tick
    for first in range(len(times)):
        for last in range(first, len(times)):
            assert last - first + 1 <= rate + rate * (times[last] - times[first] + tick) / SECOND


@pytest.mark.parametrize("pure", SPEEDS)
def test_a_limit_that_comes_by_reload_knows_what_is_open(pure: bool) -> None:
    gate = Gate("", pure=pure)
    assert all(gate.send("192.168.1.1", 4000 + number) for number in range(5))
    gate.apply(limits="flowsPerSource: 5")
    assert gate.send("192.168.1.1", 4005) is None
    gate.apply(limits="")
    assert gate.send("192.168.1.1", 4005)


@pytest.mark.parametrize("pure", SPEEDS)
def test_the_longest_idle_is_forgotten_for_want_of_room_and_nobody_with_flows(pure: bool) -> None:
    gate = Gate("flows: 4", pure=pure, addresses=3)  # room for five hosts
    pods = [f"192.168.1.{number}" for number in range(6)]
    for pod in pods[:5]:
        gate.send(pod, 4000)
        gate.translator.end_flow(next(gate.rows()).id)
    gate.send(pods[0], 4000)
    gate.send(pods[5], 4000)
    assert [bool(gate.pair(pod)) for pod in pods] == [True, False, True, True, True, True]
    assert sum(gate.hosts(one) for one in gate.egress) == 5


@pytest.mark.parametrize("pure", SPEEDS)
@pytest.mark.parametrize("limits", ["", "flowsPerSource: 2, newFlowsPerSecondPerSource: 2, portsPerSource: 2"])
def test_explaining_leaves_no_trace(pure: bool, limits: str) -> None:
    asked, silent = (Gate(limits, pure=pure, addresses=3) for _ in range(2))
    for number in range(4):
        for pod in ("192.168.1.1", "192.168.1.2"):
            for _ in range(3):
                asked.explain(pod, 4000 + number, "203.0.113.1", 53, "udp")
            assert asked.send(pod, 4000 + number) == silent.send(pod, 4000 + number)
    assert asked.events() == silent.events()
    assert asked.explain("192.168.9.9", 1, "203.0.113.1", 53, "udp")["verdict"] == "accept"
    assert asked.account("192.168.9.9") == (0, 0) and asked.pair("192.168.9.9") is None


@pytest.mark.parametrize("pure", SPEEDS)
@given(budget=st.integers(1, 40), lasting=st.sets(st.integers(0, 59)))
@settings(max_examples=20, deadline=None)
def test_a_look_for_expired_flows_is_bounded_and_misses_none(pure: bool, budget: int, lasting: set[int]) -> None:
    gate = Gate("flows: 60", pure=pure)
    for number in range(60):
        gate.send("192.168.1.1", 1024 + number)
    gate.now += 200 * SECOND
    for number in lasting:
        gate.send("192.168.1.1", 1024 + number)
    gate.now += 200 * SECOND
    ended = [gate.translator.tick(gate.now, budget) for _ in range(0, 61, budget)]
    assert sum(ended) == 60 - len(lasting) and max(ended) <= budget + 1


@pytest.mark.parametrize("pure", SPEEDS)
@pytest.mark.parametrize("rate", [1, 3, 4, 7, 60, 1000])
def test_a_second_later_a_second_s_worth_of_flows_is_granted_again(rate, pure):
    gate = Gate(limits=f"newFlowsPerSecondPerSource: {rate}", pure=pure)
    gate.now += 123_456_789
    for second in range(3):
        opened = [gate.send("192.168.1.2", 1024 + 5000 * second + number) for number in range(rate + 2)]
        assert [packet is not None for packet in opened] == [True] * rate + [False] * 2
        gate.now += SECOND


@pytest.mark.parametrize("pure", SPEEDS)
def test_the_next_flow_of_the_same_hosts_and_ports_has_an_id_of_its_own(pure):
    gate = Gate(pure=pure)
    seen = set()
    for _ in range(5):
        gate.send("192.168.1.2", 5000)
        [flow] = gate.rows()
        created, *_ = [event for event in gate.events() if event["kind"] == "created"]
        assert created["flow"] == flow.id and flow.bytes == 36 and flow.packets == 1
        assert not any(gate.translator.end_flow(old) for old in seen)
        seen.add(flow.id)
        assert gate.translator.end_flow(flow.id)
        assert [event["flow"] for event in gate.events()] == [flow.id]
    assert len(seen) == 5
