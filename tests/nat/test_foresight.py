"""What is fetched ahead for new flows changes nothing but time; a right guess is what would have been hashed."""

from __future__ import annotations

import pytest

from gateway.nat import bounds, row
from gateway.wire import sides

from .gate import SPEEDS, Gate

REMOTES = {"192.168.1.2": "203.0.113.1", "2001:db8:1::2": "2001:db8:5::1"}


def look(gate: Gate, *given: bytes, side: int = sides.INSIDE) -> None:
    """As `Engine.run` begins with a batch, once the table is large."""
    gate.batch = gate.module("wire.batch").Batch(len(given))
    for packet in given:
        gate.batch.append(packet)
    gate.engine.bind(gate.batch)
    gate.engine.lookahead.run(side)
    gate.engine.foresight.run(side)


@pytest.mark.parametrize("pod", REMOTES)
@pytest.mark.parametrize("spoken", ["tcp", "udp"])
@pytest.mark.parametrize("pure", SPEEDS)
def test_a_right_guess_is_what_the_flow_is_found_by(pod: str, spoken: str, pure: bool) -> None:
    gate = Gate(pure=pure)
    gate.inject(gate.packet(pod, 1, REMOTES[pod], 53, spoken), sides.INSIDE)  # from now on it keeps an egress address
    packet = gate.packet(pod, 40000, REMOTES[pod], 53, spoken)
    look(gate, packet)
    guessed = gate.engine.foresight
    guess = guessed.egress[0], guessed.reply[0], guessed.own[0], guessed.external[0]
    gate.inject(packet, sides.INSIDE)
    table = gate.engine.table
    assert guess[0] == (2 if ":" in pod else 1) and guess[1] == table.row_key(2, sides.REPLY)
    mapped = spoken == "udp"  # only UDP's mapping is independent of the remote
    assert guess[2] == (table.row_key(2, bounds.INTERNAL) if mapped else 0)
    assert guess[3] == (table.row_key(2, bounds.EXTERNAL) if mapped else 0)


@pytest.mark.parametrize("pure", SPEEDS)
def test_a_host_that_keeps_no_egress_address_yet_gets_no_guess(pure: bool) -> None:
    gate = Gate(pure=pure, addresses=3)
    packet = gate.packet("192.168.1.2", 40000, "203.0.113.1", 53, "udp")
    look(gate, packet)
    assert gate.engine.foresight.egress[0] == 0
    assert gate.send("192.168.1.2", 1)
    look(gate, packet)
    kept = gate.pair("192.168.1.2")
    assert kept and gate.egress[gate.engine.foresight.egress[0] - 1] == kept


@pytest.mark.parametrize("pure", SPEEDS)
def test_nothing_is_left_of_a_batch_before(pure: bool) -> None:
    gate = Gate(pure=pure)
    assert gate.send("192.168.1.2", 9)
    new = [gate.packet("192.168.1.2", port, "203.0.113.1", 53, "udp") for port in (1, 2)]
    look(gate, *new)
    assert all(gate.engine.foresight.own[:2]) and all(gate.engine.foresight.egress[:2])
    gate.translator.translate(gate.batch, sides.INSIDE, gate.now)
    look(gate, new[1], new[0])
    assert not any(gate.engine.foresight.own[:2]) and not any(gate.engine.foresight.egress[:2]), "they have flows now"
    look(gate, *(gate.packet("192.168.1.2", port, "203.0.113.1", 53, "udp") for port in (3, 4)), side=sides.OUTSIDE)
    assert not any(gate.engine.foresight.own[:2])


@pytest.mark.parametrize("pure", SPEEDS)
def test_flows_opened_by_wrong_guesses_are_whole(pure: bool) -> None:
    """Ports that others have, hairpins, hosts without an egress address, first packets twice in a batch: each row is
    found by all its keys, and when all have ended nothing is left in the index."""
    gate = Gate(pure=pure, addresses=2)
    table, many = gate.engine.table, bounds.LOOKAHEAD_FROM + 1
    for number in range(many):
        gate.inject(gate.packet("192.168.2.1", 1024 + number, "203.0.113.9", 443, "tcp"), sides.INSIDE)
    gate.batch = gate.module("wire.batch").Batch()
    own = gate.egress[0]
    for turn in range(8):
        gate.batch.clear()
        for pod in range(16):
            ends = f"192.168.3.{pod}", 40000 + turn // 2
            for remote in (("203.0.113.1", 53), (own, 40000)):
                for spoken in ("udp", "tcp"):
                    gate.batch.append(gate.packet(*ends, *remote, spoken))
        gate.translator.translate(gate.batch, sides.INSIDE, gate.now)
    assert table.live > many + 4 * 32
    ports = {one.external for one in gate.rows() if one.protocol == "udp"}
    assert len(ports) == 16 * 4, "each source endpoint has one of its own"
    for member in range(many + 1, table.high_water + 1):
        for direction in (sides.ORIGINAL, sides.REPLY):
            at = member * row.WORDS + direction * row.TUPLE_STRIDE
            label = table.r64[member * row.WORDS + row.ORIGINAL_LABEL + direction] & row.LABEL_MASK
            found = table.find(*table.r64[at : at + 4], label, gate.now >> row.TICK_SHIFT)
            assert found >> 1 == member  # whoever calls himself has one tuple for both directions
    gate.advance(100_000)
    assert table.live == 0 and not any(table.index)
