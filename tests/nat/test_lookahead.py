"""Looking ahead changes nothing but time: a key it offers is the one that parsing gives."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.nat import bounds, row
from gateway.wire import fault, kind, protocol, sides
from tests.worlds import HOSTILE, SIDES

from .gate import SPEEDS, Gate

GATES = {pure: Gate(pure=pure) for pure in SPEEDS}


@given(st.lists(HOSTILE, min_size=1, max_size=1), SIDES, st.sampled_from(SPEEDS))
def test_a_key_is_that_of_the_parsed_tuple(arrived, side, pure):
    gate, number = GATES[pure], sides.INSIDE if side == "inside" else sides.OUTSIDE
    engine, packet = gate.engine, gate.engine.packet
    gate.batch.clear()
    gate.batch.append(arrived[0])
    engine.bind(gate.batch)
    engine.lookahead.run(number)
    key = engine.lookahead.keys[0]
    wrong = packet.parse(gate.batch.start[0], gate.batch.length[0], False)
    if key and wrong == fault.NONE and packet.kind == kind.FLOW:
        label = number << row.LABEL_SIDE | packet.protocol << row.LABEL_PROTOCOL | packet.ports
        assert packet.protocol in (protocol.TCP, protocol.UDP)
        assert key == engine.table.key(packet.source_high, packet.source_low, packet.destination_high,
                                       packet.destination_low, label)


@pytest.mark.parametrize("pod, remote", [("192.168.1.2", "203.0.113.1"), ("2001:db8:1::2", "2001:db8:5::1")])
@pytest.mark.parametrize("spoken", ["tcp", "udp"])
@pytest.mark.parametrize("pure", SPEEDS)
def test_plain_packets_are_looked_ahead_for(pod, remote, spoken, pure):
    gate = Gate(pure=pure)
    assert gate.send(pod, 40000, remote, 80, spoken)
    gate.inject(gate.packet(pod, 40000, remote, 80, spoken), sides.INSIDE)
    gate.batch.clear()
    gate.batch.append(gate.packet(pod, 40000, remote, 80, spoken))
    gate.engine.lookahead.run(sides.INSIDE)
    assert gate.engine.table.candidate(gate.engine.lookahead.keys[0]) == 1


@pytest.mark.parametrize("pure", SPEEDS)
def test_flows_beyond_the_caches_are_found_again(pure):
    """More flows than it takes to look ahead; each packet of each one passes, and opens nothing twice."""
    gate, many = Gate(pure=pure), bounds.LOOKAHEAD_FROM + 300
    for _ in range(2):
        for number in range(many):
            assert gate.send(f"192.168.{number >> 12}.1", 1024 + (number & 4095))
    assert gate.translator.live == many
