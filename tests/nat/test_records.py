"""Events: who had which external address and port from when to when, and what was refused."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.nat import row
from gateway.testing import Simulator
from gateway.wire import build as packets
from gateway.wire import sides, tcp

from .gate import RESOURCES, SECOND, SPEEDS, Gate

SAME = ("flow", "protocol", "internal", "external", "pool")
POD, REMOTE = "192.168.1.1", "203.0.113.1"
OPENING = st.tuples(st.integers(1, 3), st.integers(0, 3), st.sampled_from(("udp", "tcp")), st.booleans())
STEPS = st.lists(st.one_of(
    OPENING.map(lambda one: ("open", one)), st.integers(0, 1000).map(lambda one: ("end", one)),
    st.sampled_from((1, 200, 301)).map(lambda one: ("wait", one))), max_size=50)


def only(gate: Gate) -> dict[str, Any]:
    (one,) = gate.events()
    return one


def after_start(seconds: float) -> str:
    return f"1970-01-01T00:00:{seconds:09.6f}Z"


@pytest.mark.parametrize("pure", SPEEDS)
@settings(max_examples=40, deadline=None)
@given(steps=STEPS)
def test_whatever_begins_ends_once_and_is_called_the_same(pure: bool, steps: list[tuple[str, Any]]) -> None:
    gate = Gate(pure=pure, addresses=2)
    told: list[dict[str, Any]] = []
    for verb, what in steps:
        if verb == "open":
            pod, port, protocol, v6 = what
            ends = (f"2001:db8:1::{pod}", "2a00::1") if v6 else (f"192.168.1.{pod}", REMOTE)
            gate.send(ends[0], 5000 + port, ends[1], 53, protocol)
        elif verb == "end" and (rows := list(gate.rows())):
            gate.translator.end_flow(rows[what % len(rows)].id)
        elif verb == "wait":
            gate.advance(what)
        told += gate.events()
        began, ended = (Counter(tuple(one[name] for name in SAME) for one in told if one["kind"] == kind)
                        for kind in ("created", "closed"))
        assert ended <= began and (began - ended).total() == gate.translator.live
        assert {one.id for one in gate.rows()} <= {one[0] for one in began - ended}
    gate.advance(10_000)
    told += gate.events()
    assert Counter(one["kind"] for one in told) in ({}, {"created": len(told) // 2, "closed": len(told) // 2})
    for one in told:
        assert (one["reason"] is None) == (one["kind"] == "created")


@pytest.mark.parametrize("pure", SPEEDS)
def test_a_session_from_beginning_to_end(pure: bool) -> None:
    gate = Gate(pure=pure)
    gate.send(POD, 4000)
    (row,) = gate.rows()
    assert only(gate) == {
        "kind": "created", "time": after_start(1), "flow": row.id, "protocol": "udp", "internal": "192.168.1.1:4000",
        "external": "198.51.100.1:4000", "pool": "pool4", "reason": None}
    gate.now += 2 * SECOND
    gate.translator.tick(gate.now)
    gate.translator.end_flow(row.id)
    ended = only(gate)
    assert (ended["kind"], ended["reason"], ended["time"]) == ("closed", "ended", after_start(3))
    assert gate.events() == []


@pytest.mark.parametrize("pure", SPEEDS)
def test_a_flow_ends_when_its_time_is_up_however_late_that_is_noticed(pure: bool) -> None:
    gate = Gate(pure=pure)
    gate.send(POD, 4000)
    gate.advance(5000)
    _, ended = gate.events()
    lived = datetime.fromisoformat(ended["time"]) - datetime.fromisoformat(after_start(1))
    assert 300 <= lived.total_seconds() < 300.1 and ended["reason"] == "expired"


@pytest.mark.parametrize("pure", SPEEDS)
@pytest.mark.parametrize(("last", "reason"), [
    ([(sides.INSIDE, tcp.FIN | tcp.ACK), (sides.OUTSIDE, tcp.FIN | tcp.ACK)], "finished"),
    ([(sides.INSIDE, tcp.RST)], "reset"), ([], "expired")])
def test_why_a_connection_ended(pure: bool, last: list[tuple[int, int]], reason: str) -> None:
    gate = Gate(pure=pure)
    sent = [(sides.INSIDE, tcp.SYN), (sides.OUTSIDE, tcp.SYN | tcp.ACK), (sides.INSIDE, tcp.ACK), *last]
    numbers = [100, 500]
    for side, flags in sent:
        ends = (POD, 4000, REMOTE, 80) if side == sides.INSIDE else (REMOTE, 80, "198.51.100.1", 4000)
        acknowledgement = numbers[1 - side] if flags & tcp.ACK else 0
        gate.inject(packets.tcp_segment(*ends, flags=flags, sequence=numbers[side],
                                        acknowledgement=acknowledgement), side)
        assert gate.batch.verdict[0] == 0
        numbers[side] += bool(flags & (tcp.SYN | tcp.FIN))
    gate.advance(10_000)
    assert [(one["kind"], one["reason"]) for one in gate.events()] == [("created", None), ("closed", reason)]


@pytest.mark.parametrize("pure", SPEEDS)
def test_remotes_only_where_asked_for(pure: bool) -> None:
    silent, asked = Gate(pure=pure), Gate(pure=pure, records="remote: true")
    for gate in (silent, asked):
        gate.send("2001:db8:1::1", 4000, "2a00::1")
    assert "remote" not in only(silent)
    one = only(asked)
    assert (one["remote"], one["internal"], one["external"]) == (
        "[2a00::1]:53", "[2001:db8:1::1]:4000", "[2001:db8:e::1]:4000")


@pytest.mark.parametrize("pure", SPEEDS)
def test_exhaustion_is_told_once_a_second_for_each_address_and_protocol(pure: bool) -> None:
    gate = Gate(pure=pure, nat="portRange: 2000-2000")
    for protocol in ("udp", "tcp"):
        for _ in range(2):
            gate.send(POD, 4000, protocol=protocol)
        for number in range(5):
            gate.send(POD, 4001 + number, protocol=protocol)
    told = [one for one in gate.events() if one["kind"] == "exhausted"]
    assert [(one["protocol"], one["external"], one["reason"], one["internal"], one["flow"], one["suppressed"])
            for one in told] == [(protocol, "198.51.100.1:0", "ports", "192.168.1.1:4001", None, 0)
                                 for protocol in ("udp", "tcp")]
    gate.now += SECOND
    gate.send(POD, 5000)
    assert only(gate)["suppressed"] == 4


@pytest.mark.parametrize("pure", SPEEDS)
@pytest.mark.parametrize(("limits", "reason", "protocol"), [
    ("flowsPerSource: 1", "flows", "udp"), ("portsPerSource: 1", "ports", "udp"),
    ("newFlowsPerSecondPerSource: 1", "rate", "udp"), ("portsPerSource: 1", "ports", "tcp")])
def test_a_limit_is_told_once_a_second_for_each_source(pure: bool, limits: str, reason: str, protocol: str) -> None:
    gate = Gate(limits, pure=pure)
    for number in range(4):
        for pod in (POD, "192.168.1.2"):
            gate.send(pod, 4000 + number, protocol=protocol)
    told = [one for one in gate.events() if one["kind"] == "quota"]
    assert [(one["internal"], one["reason"], one["external"], one["suppressed"]) for one in told] == [
        (f"{POD}:4001", reason, None, 0), ("192.168.1.2:4001", reason, None, 0)]
    gate.now += SECOND
    gate.send(POD, 5000, protocol=protocol)
    gate.send(POD, 5001, protocol=protocol)
    assert [one["suppressed"] for one in gate.events() if one["kind"] == "quota"] == [2]


@pytest.mark.parametrize("pure", SPEEDS)
def test_a_full_table_and_a_missing_address_are_told(pure: bool) -> None:
    gate = Gate("flows: 1", pure=pure, addresses=["198.51.100.1"])
    gate.send(POD, 4000)
    gate.send(POD, 4001)
    assert [(one["kind"], one["reason"]) for one in gate.events()] == [("created", None), ("exhausted", "flows")]
    gate = Gate(pure=pure, addresses=["198.51.100.1"])
    gate.send("2001:db8:1::1", 4000, "2a00::1")
    assert (one := only(gate))["reason"] == "addresses" and one["external"] is None


def test_what_does_not_fit_is_counted_by_kind() -> None:
    gate = Gate("flows: 20000")
    for number in range(16_384):
        gate.send(f"192.168.{number >> 14}.{number & 255}", 1024 + (number >> 8))
    (first, *_) = rows = list(gate.rows())
    assert len(rows) == 16_384
    gate.translator.end_flow(first.id)
    gate.send(POD, 60_000)
    assert gate.translator.events_lost() == {"created": 1, "closed": 1, "exhausted": 0, "quota": 0}
    assert len(gate.events()) == 16_384
    gate.send(POD, 60_001)
    assert only(gate)["kind"] == "created"


def test_the_simulator_loses_none_however_many_there_are() -> None:
    sim = Simulator(RESOURCES.format(addresses="198.51.100.1", limits="flows: 40000", nat="", records=""))
    sim.inject_many("inside", [packets.udp_datagram(f"192.168.1.{number % 200}", 1024 + number // 200, REMOTE, 53)
                               for number in range(20_000)])
    sim.advance(400)
    told = sim.events()
    assert Counter(one["kind"] for one in told) == {"created": 20_000, "closed": 20_000}
    assert told[0]["time"] == "2026-01-01T00:00:00.000000Z" and sim.events() == []


@pytest.mark.parametrize("pure", SPEEDS)
def test_a_flow_that_carries_more_bytes_than_are_counted_keeps_its_name(pure: bool) -> None:
    """They are counted in 48 bits, 2.6 days at 10 Gbit/s, and begin anew at 0."""
    gate = Gate(pure=pure)
    gate.send("192.168.1.2", 4000)
    (before,) = gate.rows()
    gate.engine.table.r64[gate.engine.flow * row.WORDS + row.OCTETS] |= row.OCTETS_MASK
    gate.send("192.168.1.2", 4000)
    (after,) = gate.rows()
    assert (after.id, after.bytes) == (before.id, before.bytes - 1)
    assert gate.translator.end_flow(before.id)
