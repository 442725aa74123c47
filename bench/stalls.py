"""The longest single call of each kind in a large table: while it works, no other packet passes.

    python -m bench.stalls 10000000     # as many flows, by itself; the time of every thousandth call beside the longest

Flows are opened, looked up in random order and left to expire, in batches and ticks as the running gateway has them;
and rules with many pools are swapped in while all flows live. Time is the thread's own, so that what else runs on the
machine is not in it, and the cycle collector is off, as it is the bench's, not the packet path's.
"""

from __future__ import annotations

import gc
import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench import engine
from bench.engine import Engine, chunks, datagrams
from bench.footprint import STEP
from bench.memory import COMPILED
from bench.report import say
from bench.results import Results
from gateway.resources import load
from gateway.resources.build import build
from gateway.runtime.gateway import TICK_BUDGET
from gateway.wire import sides

SECTION = "in memory: the longest single call, microseconds"
FLOWS = 1_000_000
POOLS = 10_000
SAMPLE = 200_000  # flows looked up
LATER = engine.NOW + 10 * 60 * 1_000_000_000  # every UDP flow's time is up
POOL = """\
---
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {{name: pool-{number}}}
spec: {{cidr: 10.{high}.{low}.0/24, natOutgoing: true}}
"""


@dataclass
class Calls:
    """Nanoseconds of the thread's own time that each call of one kind took."""

    took: list[int] = field(default_factory=list)

    def clock(self, call: Callable[[], Any]) -> Any:
        began = time.thread_time_ns()
        result = call()
        self.took.append(time.thread_time_ns() - began)
        return result

    def share(self, part: float) -> float:
        """Microseconds below which this part of the calls stayed."""
        return sorted(self.took)[min(int(len(self.took) * part), len(self.took) - 1)] / 1000


def egress_count(flows: int) -> int:
    return 8 + flows // 40_000


def many_pools(flows: int) -> Any:
    """The same rules with POOLS more pools."""
    text = engine.resources(flows, egress_count(flows))
    return build(load(text + "".join(POOL.format(number=number, high=number >> 8, low=number & 255)
                                     for number in range(POOLS))))


def translate(calls: Calls, one: Engine, given: Sequence[bytes]) -> None:
    one.batch.clear()
    for packet in given:
        one.batch.append(packet)
    calls.clock(lambda: one.translator.translate(one.batch, sides.INSIDE, engine.NOW))


def measure(flows: int) -> dict[str, Calls]:
    """Every kind of call, in an engine of its own. Raises when a flow is not opened, found or ended."""
    one = Engine(flows=flows, addresses=egress_count(flows))
    one.rest()
    opening, looking, idle, swap, expiry = Calls(), Calls(), Calls(), Calls(), Calls()
    keep = random.Random(engine.SEED).sample(range(flows), min(SAMPLE, flows))
    wanted, sample = set(keep), []
    gc.collect()
    gc.disable()
    try:
        for first in range(0, flows, STEP):
            given = datagrams(min(STEP, flows - first), first)
            sample += [packet for number, packet in enumerate(given, first) if number in wanted]
            for some in chunks(given, 64):
                translate(opening, one, some)
            one.translator.engine.records.drain()
        if one.translator.live != flows:
            raise RuntimeError(f"{one.translator.live} of {flows} flows were opened: {one.translator.counters()}")
        random.Random(1).shuffle(sample)
        for some in chunks(sample, 64):
            translate(looking, one, some)
            if len(one.accepted()) != len(some):
                raise RuntimeError("an open flow was not found")
        for _ in range(flows // TICK_BUDGET + 1):
            idle.clock(lambda: one.translator.tick(engine.NOW, TICK_BUDGET))
        rules = many_pools(flows)
        one.translator.prepare(rules)
        swap.clock(lambda: one.translator.use(rules))
        while one.translator.live:
            expiry.clock(lambda: one.translator.tick(LATER, TICK_BUDGET))
            one.translator.engine.records.drain()
    finally:
        gc.enable()
    return {"opening 64 flows": opening, "64 packets in random order": looking, "a tick, nothing expired": idle,
            f"rules with {POOLS} pools swapped in": swap, "a tick, everything expired": expiry}


def run(results: Results, rounds: int, flows: int = FLOWS) -> None:
    for turn in range(rounds):
        say(f"round {turn + 1} of {rounds}: the longest calls, {flows} flows")
        for name, calls in measure(flows).items():
            results.add(SECTION, f"{name}, {flows} flows", "µs", COMPILED, calls.share(1), True)


def main() -> None:
    flows = int(sys.argv[1]) if len(sys.argv) > 1 else FLOWS
    for name, calls in measure(flows).items():
        print(f"{name}: {len(calls.took)} calls, median {calls.share(0.5):.1f} µs, 999 of 1,000 below "
              f"{calls.share(0.999):.1f} µs, longest {calls.share(1):.1f} µs")


if __name__ == "__main__":
    main()
