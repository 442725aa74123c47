"""Medians, ratios within one run, and aims that say no when they do not hold."""

from __future__ import annotations

import io
import json

from rich.console import Console

from bench import report
from bench.results import AIMS, GATEWAY, KERNEL, NULL, PACKET, Results


def run_of(gateway: list[float], kernel: list[float], row: str = "udp 1") -> Results:
    results = Results({"machine": "one"})
    for path, values in ((GATEWAY, gateway), (KERNEL, kernel)):
        for value in values:
            results.add("on links", row, "kpps", path, value)
    return results


def aim(results: Results, says: str) -> bool | None:
    return next(one for one in AIMS if one.says == says).holds(results)


def test_the_median_of_the_rounds_counts() -> None:
    row = run_of([100, 900, 300], [400]).row("udp 1")
    assert row is not None
    assert row.median(GATEWAY) == 300
    assert row.ratio(GATEWAY, KERNEL) == 0.75
    assert row.ratio(GATEWAY, NULL) is None


def test_an_aim_holds_fails_or_was_not_measured() -> None:
    says = "udp 1, this gateway: at least 0.6 of kernel nftables"
    assert aim(run_of([61], [100]), says) is True
    assert aim(run_of([59], [100]), says) is False
    assert aim(run_of([], [100]), says) is None
    assert aim(Results({}), says) is None


def test_aims_are_shown_where_something_was_measured_for_them() -> None:
    assert (shown := report.aims(run_of([61], [100]))) is not None
    assert shown.row_count == 1
    assert report.aims(run_of([], [100])) is None


def test_an_upper_bound_is_not_a_lower_one() -> None:
    results = Results({})
    results.add("memory", "established UDP", "ns", "compiled", 61)
    assert aim(results, "established UDP: under 60 ns") is False


def test_an_aim_may_compare_two_rows() -> None:
    results, says = Results({}), next(one.says for one in AIMS if one.base)
    results.add("latency", "pestered p99.9", "µs", PACKET, 210)
    assert aim(results, says) is None
    results.add("latency", "idle p99.9", "µs", PACKET, 100)
    assert aim(results, says) is False
    results.add("latency", "idle p99.9", "µs", PACKET, 120)
    assert aim(results, says) is True


def test_the_table_shows_ratio_and_spread() -> None:
    results = run_of([100, 300, 200], [400])
    out = Console(file=io.StringIO(), width=140)
    out.print(report.table("on links", results.sections["on links"]), report.ratios(results.sections["on links"]))
    text = out.file.getvalue()  # type: ignore[attr-defined]
    assert "200 (100-300)" in text
    assert "0.50" in text


def test_the_json_has_every_value() -> None:
    document = json.loads(json.dumps(run_of([1, 2], [4]).as_json()))
    row = document["sections"]["on links"]["udp 1"]
    assert row["values"] == {GATEWAY: [1, 2], KERNEL: [4]}
    assert row["median"][GATEWAY] == 1.5
    wanted = {"aim": "udp 1, this gateway: at least 0.6 of kernel nftables", "measured": 0.375, "holds": False}
    assert wanted in document["aims"]
