"""All translators of a gateway as one: N workers, each with a share of its flows and ports, answer like a single one.

Who calls this sees to it that none of them translates meanwhile (`runtime.workers`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

from ..match.ruleset import Ruleset
from ..wire import sides
from . import bounds, flow
from .events import Events
from .explain import Explanation
from .translator import Translator


class Translators:
    """`workers` of them, by number."""

    def __init__(self, ruleset: Ruleset, seed: bytes | int, workers: int = 1) -> None:
        self.all = [Translator(ruleset, seed, number, workers) for number in range(workers)]

    @property
    def ruleset(self) -> Ruleset:
        return self.all[0].ruleset

    def prepare(self, ruleset: Ruleset) -> None:
        """See `Translator.prepare`."""
        for one in self.all:
            one.prepare(ruleset)

    def use(self, ruleset: Ruleset) -> None:
        for one in self.all:
            one.use(ruleset)

    def take_ahead(self) -> None:
        """All the memory that the first flows will need, before there is a packet to wait for it."""
        for one in self.all:
            while one.take_ahead():
                pass

    def counters(self) -> dict[str, int]:
        """Packets by verdict. One that was handed over counts in both workers: once as that."""
        total: Counter[str] = Counter()
        for one in self.all:
            total.update(one.counters())
        return dict(total)

    def flows(self, now: int, copies: Sequence[flow.Copy] = ()) -> Iterator[flow.Flow]:
        """copies: how to copy rows of each at one moment, see `Translator.flows`."""
        return chain.from_iterable(one.flows(now, copies[number] if copies else bytes)
                                   for number, one in enumerate(self.all))

    def end_flow(self, identifier: str) -> bool:
        return any(one.end_flow(identifier) for one in self.all)

    def explain(self, packet: bytes, side: int, now: int) -> dict[str, Any]:
        """As the packet's owner explains it, and whoever that sends it on to."""
        told = Explanation(self.all[0], side, now)
        result = told.run(packet)
        if result["verdict"] == "hand_over":
            told = Explanation(self.all[self.all[0].engine.decider.owner % bounds.SORTING], side, now)
            result = told.run(packet)
        if result["verdict"] == "accept" and told.leaves == sides.ACROSS:
            further = self.explain(told.sent, sides.ACROSS, now)
            steps = [*result["steps"][:-1], *further["steps"]]
            kept = {name: result[name] for name in ("source", "pool", "translated") if further["verdict"] == "accept"}
            return {**further, **kept, "steps": steps}
        return result

    def take_events(self, epoch: int = 0) -> list[Events]:
        """Of each of them, see `Translator.take_events`."""
        return [one.take_events(epoch) for one in self.all]

    def events_lost(self) -> dict[str, int]:
        total: Counter[str] = Counter()
        for one in self.all:
            total.update(one.events_lost())
        return dict(total)

    @property
    def live(self) -> int:
        return sum(one.live for one in self.all)

    @property
    def capacity(self) -> int:
        return sum(one.capacity for one in self.all)

    @property
    def memory(self) -> int:
        return sum(one.memory for one in self.all)
