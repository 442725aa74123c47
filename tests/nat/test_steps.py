"""Work in bounded steps: memory taken ahead of flows, expired flows ended when a full table needs a row."""

from __future__ import annotations

import pytest

from gateway.nat import bounds, memory, row

from .gate import SECOND, SPEEDS, Gate


@pytest.mark.parametrize("pure", SPEEDS)
def test_a_full_table_ends_some_expired_flows_at_once(pure: bool) -> None:
    gate = Gate("flows: 500", pure=pure)
    for number in range(500):
        assert gate.send("192.168.1.1", 1024 + number)
    assert gate.send("192.168.1.1", 2000) is None
    gate.now += 400 * SECOND  # their time is up, and nothing has swept them
    assert gate.send("192.168.1.1", 2000)
    swept = 501 - gate.translator.live
    assert bounds.SWEEP_WHEN_FULL <= swept <= 2 * bounds.SWEEP_WHEN_FULL
    assert sum(one["kind"] == "closed" for one in gate.events()) == swept, "they ended as flows do"


@pytest.mark.parametrize("pure", SPEEDS)
def test_nothing_is_ended_before_it_must_be_nor_for_an_explanation(pure: bool) -> None:
    gate = Gate("flows: 3", pure=pure)
    for number in range(3):
        assert gate.send("192.168.1.1", 1024 + number)
    gate.now += 400 * SECOND
    gate.explain("192.168.1.1", 2000, "203.0.113.1", 53, "udp")
    assert gate.translator.live == 3
    assert gate.send("192.168.1.1", 1025), "the same tuple again, and it too is a new flow by now"
    assert gate.translator.live == 1


def test_memory_is_taken_in_steps_and_keeps_what_it_holds() -> None:
    view = memory.reserve(3 * bounds.AHEAD_STEP + 100)
    ahead = memory.Ahead(view, 0)
    view[5] = view[2 * bounds.AHEAD_STEP] = 7
    assert ahead.step(0) == 0
    assert [ahead.step(bounds.AHEAD_STEP + 1) for _ in range(3)] == [bounds.AHEAD_STEP, bounds.AHEAD_STEP, 0]
    assert [ahead.step(1 << 60) for _ in range(3)] == [bounds.AHEAD_STEP, 100, 0]
    assert view[5] == view[2 * bounds.AHEAD_STEP] == 7 and not any(view[6 : 2 * bounds.AHEAD_STEP])


@pytest.mark.parametrize("pure", SPEEDS)
def test_a_gateway_at_rest_takes_what_its_next_flows_need_and_no_more(pure: bool) -> None:
    gate = Gate("flows: 200000", pure=pure)
    index, rows = gate.engine.table.ahead
    for _ in range(100):
        gate.translator.tick(gate.now)
    assert index.taken == index.size <= bounds.INDEX_AHEAD
    assert bounds.ROWS_AHEAD <= rows.taken <= bounds.ROWS_AHEAD + bounds.AHEAD_STEP + row.BYTES < rows.size
    assert gate.engine.records.ahead.taken == gate.engine.records.ahead.size
    large = Gate("flows: 2000000", pure=pure)
    for _ in range(100):
        large.translator.tick(large.now)
    assert large.engine.table.ahead[0].taken == 0, "an index as large as that is taken where it is used"


def test_an_older_kernel_takes_nothing_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "POPULATE_WRITE", 9999)  # no such advice
    ahead = memory.Ahead(memory.reserve(1 << 20), 0)
    assert ahead.step(1 << 20) == 1 << 20 and ahead.step(1 << 20) == 0
