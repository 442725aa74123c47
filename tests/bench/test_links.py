"""The benchmarks on links run, briefly, on the kernel's data paths and on ours, and leave nothing behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.testing.namespaces import missing

pytest.importorskip("Cython")
if reason := missing():
    pytest.skip(reason, allow_module_level=True)

from bench import compile, links, measures
from bench.paths import DataPath, Forwarding, Gateway, Masquerade, Null, PacketGateway, PacketNull, XdpGateway, XdpNull

KINDS: list[type[DataPath]] = [Forwarding, Masquerade, Gateway, Null, PacketGateway, PacketNull, XdpGateway, XdpNull]


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind.key)
def path(request: pytest.FixtureRequest) -> Iterator[DataPath]:
    compile.ensure()
    if reason := links.lacks(request.param.tool) or links.lacks("ping"):
        pytest.skip(reason)
    with request.param() as up:
        yield up
    assert not list(Path("/run/netns").glob(f"{up.field.gateway.name}*"))


@pytest.mark.parametrize("take", [measures.udp_one, measures.udp_thousand, measures.new_udp,
                                  measures.connections, measures.anywhere])
def test_something_gets_through_translated_as_it_should_be(path: DataPath, take: object) -> None:
    figures = take(path, 0.2)  # type: ignore[operator]
    assert all(value > 0 for value in figures.values()), figures


def test_ping(path: DataPath, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measures, "PINGS", 50)
    figures = measures.ping(path, 0)
    assert 0 < figures["ping p50"] <= figures["ping p99"]


def test_tcp(path: DataPath) -> None:
    if not links.have("iperf3"):
        pytest.skip("iperf3 is missing")
    assert measures.tcp_out(path, 1)["tcp out"] > 0
    assert measures.tcp_back(path, 1)["tcp back"] > 0


def test_a_source_that_should_not_be_seen_spoils_the_figure(path: DataPath) -> None:
    wrong = "192.168.1.2" if path.translates else "198.51.100.10"
    with pytest.raises(measures.Untranslated, match=wrong):
        measures.check_sources(path, {wrong})
    with pytest.raises(measures.Untranslated, match="nothing"):
        measures.check_sources(path, set())
