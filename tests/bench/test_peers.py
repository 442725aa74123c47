"""What translates elsewhere in user space is measured by the same measurements, and leaves nothing behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.testing.namespaces import missing

pytest.importorskip("Cython")
if reason := missing():
    pytest.skip(reason, allow_module_level=True)

from bench import compile, field, links, measures
from bench.__main__ import WHOLE, chosen
from bench.nat64 import POOL, Tayga
from bench.paths import DataPath
from bench.peers import Pasta, Slirp


@pytest.fixture(scope="module", params=[Slirp, Pasta], ids=lambda kind: kind.key)
def path(request: pytest.FixtureRequest) -> Iterator[DataPath]:
    compile.ensure()
    if reason := links.lacks(request.param.tool) or links.lacks("ping"):
        pytest.skip(reason)
    with request.param() as up:
        yield up
    assert not list(Path("/run/netns").glob(f"{up.field.gateway.name}*"))


@pytest.mark.parametrize("take", [measures.udp_one, measures.udp_thousand, measures.connections])
def test_its_packets_reach_the_server_from_the_uplinks_address(path: DataPath, take: object) -> None:
    figures = take(path, 0.2)  # type: ignore[operator]
    assert all(value > 0 for value in figures.values()), figures
    assert path.right(field.UPLINK) and not path.right(path.pod)


def test_taygas_packets_reach_the_server_from_its_pool() -> None:
    compile.ensure()
    if reason := links.lacks("tayga") or links.lacks("ping"):
        pytest.skip(reason)
    with Tayga() as path:
        figures = measures.udp_one(path, 0.2) | measures.udp_thousand(path, 0.2)
        assert path.right(POOL.split("/")[0]) and not path.right(field.UPLINK)
    assert figures["udp 1"] > 0 and figures["udp 1000"] > 0


def test_names_choose_parts_in_their_order() -> None:
    assert chosen([]) == chosen(["all"]) == ["memory", "links"]
    assert chosen(["peers", "memory"]) == ["memory", "peers"]
    assert chosen(["full"]) == WHOLE
