"""Random and mutated packets through both twins in step: same verdicts, bytes, counters, flows and records.

    python -m tests.fuzz.million [PACKETS] [--seed N] [--only compiled]

Packets come in reads of 1 to 64. Prints what it came to; any disagreement or broken invariant ends it.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field

from gateway.nat import engine
from gateway.nat.verdict import NAMES

from .choices import Drawn
from .invariants import WORLDS, Outcome, Watched
from .poison import is_sanitized
from .traffic import Arrival, Traffic

SERIES = 5000  # packets through one pair of translators; then another world


@dataclass
class Figures:
    packets: int = 0
    emitted: int = 0
    flows: int = 0
    series: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        names = ", ".join(f"{name} {count:,}" for name, count in self.verdicts.most_common())
        return (f"{self.packets:,} packets in {self.series} series, {self.emitted:,} emitted, {self.flows:,} flows "
                f"opened; {len(self.verdicts)} verdicts: {names}")


def reads(traffic: Traffic) -> Iterator[list[Arrival]]:
    """What each read brings, without end: 1 to 64 packets of one side; time passes before the first only."""
    gathered: list[Arrival] = []
    most = 1
    while True:
        following = traffic.next()
        if gathered and (len(gathered) + len(following) > most or following[0].pause
                         or following[0].side != gathered[0].side):
            yield gathered
            gathered, most = [], 1 + traffic.below(64)
        gathered += following


def agree(one: Watched, other: Watched) -> None:
    """Everything that can be listed, and the very memory of both tables."""
    assert one.translator.counters() == other.translator.counters()
    flows = [[asdict(flow) for flow in watched.translator.flows(watched.now)] for watched in (one, other)]
    assert flows[0] == flows[1]
    for view in ("r8", "index"):
        assert bytes(getattr(one.translator.engine.table, view)) == bytes(getattr(other.translator.engine.table, view))


def difference(arrivals: list[Arrival], one: Outcome, other: Outcome) -> str:
    """The first packet of a read that did not fare alike, or what the gateway said of its own."""
    for at, arrival in enumerate(arrivals):
        fates = [(outcome.verdicts[at], [item for item in outcome.forwarded if item[3] == at])
                 for outcome in (one, other)]
        if fates[0] != fates[1]:
            return f"{arrival.packet.hex()}, {arrival.offload.hex()} from side {arrival.side}: {fates}"
    return f"{one.own} {other.own}"


def through(twins: Sequence[Watched], arrivals: list[Arrival]) -> Outcome:
    outcomes = [watched.translate(arrivals) for watched in twins]
    if len(outcomes) == 2 and outcomes[0] != outcomes[1]:
        raise AssertionError("the twins disagree: " + difference(arrivals, *outcomes))
    for watched, outcome in zip(twins, outcomes, strict=True):
        watched.check(arrivals, outcome)
    return outcomes[0]


def series(number: int, seed: int, packets: int, speeds: Sequence[bool], figures: Figures) -> None:
    """One world's; `speeds`: interpreted or not, of each twin."""
    traffic = Traffic(Drawn(seed * 1_000_003 + number))
    twins = [Watched(number % len(WORLDS), seed, pure=pure) for pure in speeds]
    for arrivals in reads(traffic):
        outcome = through(twins, arrivals)
        for side, _, packet, *_ in (*outcome.forwarded, *outcome.own):
            traffic.emitted(side, packet)
        figures.emitted += len(outcome.forwarded) + len(outcome.own)
        if twins[0].arrived >= packets:
            break
    figures.packets += twins[0].arrived
    figures.series += 1
    figures.verdicts.update({NAMES[at]: count for at, count in enumerate(twins[0].translator.engine.counters) if count})
    events = [watched.translator.events() for watched in twins]
    figures.flows += sum(event["kind"] == "created" for event in events[0])
    if len(twins) == 2:
        assert events[0] == events[1]
        agree(*twins)


def run(packets: int, seed: int = 1, speeds: Sequence[bool] = (False, True)) -> Figures:
    figures = Figures()
    while figures.packets < packets:
        series(figures.series, seed, min(SERIES, packets - figures.packets), speeds, figures)
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packets", type=int, nargs="?", default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=["compiled", "interpreted"], help="one twin by itself")
    parser.add_argument("--sanitized", metavar="FOLDER", help="fail unless the packet path is the one built there")
    given = parser.parse_args()
    if given.sanitized and not (is_sanitized() and str(engine.__file__).startswith(given.sanitized)):
        parser.error(f"no sanitizer watches {engine.__file__}")
    speeds = {"compiled": (False,), "interpreted": (True,), None: (False, True)}[given.only]
    began = time.perf_counter()
    figures = run(given.packets, given.seed, speeds)
    took = time.perf_counter() - began
    judged = "both twins agree on all of them, and every invariant held" if len(speeds) == 2 else "every invariant held"
    print(f"{figures}\n{judged}; {took:.0f} s, {took / figures.packets * 1e6:.0f} us a packet")
    return 0


if __name__ == "__main__":
    sys.exit(main())
