"""How much memory flows take: a process of its own, its resident bytes before and after opening them.

    python -m bench.footprint udp 1000000
"""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Callable
from pathlib import Path

from bench.engine import Engine, datagrams, segments
from gateway.wire import sides

STEP = 4096  # packets made at a time: what the bench itself needs stays the same


def resident() -> int:
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        if line.startswith("Rss:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("no Rss in smaps_rollup")


def fill(engine: Engine, make: Callable[[int, int], list[bytes]], flows: int) -> None:
    for first in range(0, flows, STEP):
        engine.through(make(min(STEP, flows - first), first), sides.INSIDE)


def measure(protocol: str, flows: int) -> dict[str, int]:
    def make(count: int, first: int) -> list[bytes]:
        return datagrams(count, first) if protocol == "udp" else segments(count, first=first)

    fill(Engine(flows=STEP), make, STEP)  # code and allocator arenas are in memory from here on
    engine = Engine(flows=flows, addresses=8 + flows // 40_000)  # ports enough for so many
    engine.batch.slab[:] = bytes(len(engine.batch.slab))
    gc.collect()
    before = resident()
    fill(engine, make, flows)
    gc.collect()
    return {"flows": engine.translator.live, "resident": resident() - before, "reserved": engine.translator.memory}


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], int(sys.argv[2]))))
