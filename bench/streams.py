"""TCP in several streams at once, out, back and both ways, and what the whole machine spends on a terabit."""

from __future__ import annotations

from collections.abc import Callable

from bench.cpu import Busy
from bench.measures import TCP_CORE_TIME, Figures, Measure, gigabits, iperf
from bench.paths import DataPath

STREAMS = (1, 4, 16)
WAYS: dict[str, list[str]] = {"out": [], "back": ["-R"], "both": ["--bidir"]}


def streams(count: int, way: str) -> Callable[[DataPath, float], Figures]:
    row = title(count, way)

    def take(path: DataPath, seconds: float) -> Figures:
        """`both` is the sum of both ways. The ends' work, and starting iperf3, are in the core time."""
        with Busy() as cores_spent:
            end = iperf(path, seconds, "-P", str(count), *WAYS[way])
        rate = gigabits(end) + (gigabits(end, "sum_received_bidir_reverse") if way == "both" else 0)
        terabits = rate * max(1, round(seconds)) / 1e3
        return {row: rate, f"{row}: core time": cores_spent.spent / terabits}

    return take


def title(count: int, way: str) -> str:
    return f"tcp {way}, {count} stream{'s' if count > 1 else ''}"


MEASURES = [
    Measure(f"tcp-{way}-{count}", streams(count, way),
            {title(count, way): "Gb/s", f"{title(count, way)}: core time": TCP_CORE_TIME}, "iperf3")
    for count in STREAMS for way in WAYS
]
