"""Round trips and the machine's core time, from what the ends and the kernel report."""

from __future__ import annotations

import pytest

from gateway.testing.namespaces import missing

pytest.importorskip("Cython")

from bench import compile, cpu, latency, links
from bench.paths import Gateway, PacketGateway

STAT = "cpu  100 0 50 1000 7 0 25 0 99 0\ncpu0 1 1 1\n"


def test_idle_time_and_time_waiting_are_no_work_and_a_guests_is_counted_once() -> None:
    assert cpu.busy(STAT) == 175 / cpu.TICK


def test_percentiles_the_worst_and_what_was_lost() -> None:
    assert latency.shown("idle", [number * 1000 for number in range(1000)], 250) == {
        "idle p50": 500, "idle p99": 990, "idle p99.9": 999, "idle worst": 999, "idle probes": 20}


@pytest.mark.skipif(bool(missing()), reason=str(missing()))
@pytest.mark.parametrize("kind", [Gateway, PacketGateway], ids=lambda kind: kind.key)
def test_a_gateway_answers_under_load_while_it_lists_and_reloads(kind: type[Gateway]) -> None:
    if reason := links.lacks("ping"):
        pytest.skip(reason)
    compile.ensure()
    with kind() as path:
        figures = latency.idle(path, 0.2) | latency.loaded(path, 0.2) | latency.pestered(path, 0.3)
        assert "reload" in path.log.read_text()
    rows = [row for measure in latency.MEASURES for row in measure.figures]
    assert set(figures) == set(rows)
    assert all(value > 0 for row, value in figures.items() if "probes" not in row)
