"""Sizes, numbers of flows, overload and several streams: small, on the kernel's data path and on ours."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway.testing.namespaces import missing

pytest.importorskip("Cython")
if reason := missing():
    pytest.skip(reason, allow_module_level=True)

from bench import compile, field, links, loads, streams
from bench.measures import Blast, Measure
from bench.paths import DataPath, Gateway, Masquerade


@pytest.fixture(scope="module", params=[Masquerade, Gateway], ids=lambda kind: kind.key)
def path(request: pytest.FixtureRequest) -> Iterator[DataPath]:
    compile.ensure()
    if reason := links.lacks(request.param.tool) or links.lacks("ping"):
        pytest.skip(reason)
    with request.param() as up:
        yield up


def taken(measure: Measure, path: DataPath, seconds: float = 0.4) -> dict[str, float]:
    """The figures, all of those that the measure announces."""
    figures = measure.take(path, seconds)
    assert set(figures) == set(measure.figures)
    assert all(value > 0 for name, value in figures.items() if not name.startswith("loss rate")), figures
    return figures


@pytest.mark.parametrize("measure", loads.SIZE_MEASURES, ids=lambda measure: measure.key)
def test_every_size_gets_through(path: DataPath, measure: Measure) -> None:
    taken(measure, path)


@pytest.mark.parametrize("measure", loads.FLOW_MEASURES[:2], ids=lambda measure: measure.key)
def test_flows_are_opened_before_they_are_measured(path: DataPath, measure: Measure) -> None:
    taken(measure, path)


def test_a_paced_load_is_offered_as_it_should_be_and_delivered(path: DataPath) -> None:
    sent, got = loads.delivered(path, Blast(1, 10, 0.5, rate=2000, burst=4))
    assert 1000 < sent < 2200
    assert got > 900


def test_overload(path: DataPath, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loads, "TRIALS", 2)
    monkeypatch.setattr(loads, "LOSS", 0.9)
    for measure in loads.OVERLOAD_MEASURES:
        assert all(0 <= value <= 100 for name, value in taken(measure, path).items() if name.startswith("loss rate"))


def test_what_was_not_offered_is_no_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sender that fell behind, and one whose packets were lost."""
    given = iter([(50e3, 50e3), (200e3, 150e3), (400e3, 400e3 + 1), (800e3, 0), (1e6, 9e5)])
    monkeypatch.setattr(loads, "delivered", lambda *_: next(given))
    figures = loads.offered(object(), 1)  # type: ignore[arg-type]
    assert [figures[f"loss rate of {rate}"] for rate in loads.OFFERED] == [0, 25, 0, 100]


def test_streams_both_ways_at_once(path: DataPath) -> None:
    if reason := links.lacks("iperf3"):
        pytest.skip(reason)
    taken(next(one for one in streams.MEASURES if one.key == "tcp-both-4"), path, 1)


def test_the_kernels_room_for_flows_is_put_back(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    setting = tmp_path / "max"  # type: ignore[operator]
    setting.write_text("1000\n")
    monkeypatch.setattr(loads, "CONNECTIONS", setting)
    with pytest.raises(ZeroDivisionError), loads.room_for(Masquerade(), 600):
        assert setting.read_text() == "1200"
        raise ZeroDivisionError
    assert setting.read_text() == "1000\n"


def test_there_are_ports_for_every_flow() -> None:
    for flows, (sources, ports) in loads.FLOWS.items():
        assert sources * ports == flows < len(field.EGRESS) * 64_512
