"""The benchmarks in memory run, small, and every figure is there."""

from __future__ import annotations

import pytest

pytest.importorskip("Cython")

from bench import compile, engine
from bench.results import Results


@pytest.fixture(scope="module")
def results() -> Results:
    compile.ensure()
    from bench import memory

    out = Results({})
    memory.run(out, rounds=1, flows=70, new_flows=2000, pools=(10, 100), most=2000, held=2000)
    return out


def test_every_figure_is_there(results: Results) -> None:
    names = {name for rows in results.sections.values() for name in rows}
    assert {"established UDP", "established TCP", "new UDP", "new TCP", "10 pools", "100 pools",
            "a UDP flow", "a TCP flow"} <= names
    assert engine.is_compiled() == ("established TCP, 1000 flows in random order" in names)


def test_both_speeds_are_measured_where_there_are_two(results: Results) -> None:
    row = results.row("established UDP")
    assert row is not None
    assert set(row.values) == ({"compiled", "interpreted"} if engine.is_compiled() else {"interpreted"})
    if engine.is_compiled():
        assert row.median("compiled") < row.median("interpreted")


def test_no_source_comes_twice() -> None:
    assert len(set(engine.sources(300_000))) == 300_000


@pytest.mark.skipif(not engine.is_compiled(), reason="the bounds are of the compiled path")
def test_a_large_table_opens_finds_and_ends_all_its_flows() -> None:
    from bench import stalls

    found = stalls.measure(5000)
    assert len(found) == 5 and all(calls.took and calls.share(0.5) <= calls.share(1) for calls in found.values())


@pytest.mark.parametrize("name", ["open_udp", "open_tcp"])
def test_flows_in_random_order_are_open_ones(name: str) -> None:
    from bench import scale

    assert all(took > 0 for took in scale.measure(5000, getattr(scale, name), rounds=1))


def test_memory_of_the_kernels_flows_is_read_from_its_tables() -> None:
    from bench import conntrack

    row = "nf_conntrack  160  224  256  16  1 : tunables 0 0 0 : slabdata  14  14  0"
    assert conntrack.slab("nf_conntrack", "slabinfo - version: 2.1\n" + row) == 14 * conntrack.PAGE
    assert conntrack.unreclaimable("Slab: 9 kB\nSUnreclaim:      37 kB\n") == 37 * 1024
