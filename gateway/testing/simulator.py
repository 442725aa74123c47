"""The whole data path without a kernel: the Translator between two in-memory queues, on a virtual clock.

Adds nothing to what the running gateway does with a packet. Whatever drivers the resources name, memory
carries the packets; MTUs and addresses are the resources'. Everything random comes from the seed. With `workers: N`,
N above 1, each packet arrives at any of them, by chance, and what is another's is handed over, one packet at a time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from itertools import chain
from pathlib import Path
from random import Random
from typing import Any, Literal, overload

from gateway import twin
from gateway.nat.flow import Flow
from gateway.resources import Resources, load
from gateway.resources.build import build
from gateway.resources.update import check_pools
from gateway.wire import sides, vnet
from gateway.wire.batch import FRAME_MAX, NO_OFFLOAD

SIDES = {"inside": sides.INSIDE, "outside": sides.OUTSIDE}
SECOND = 1_000_000_000
EPOCH = 1_767_225_600 * SECOND  # events are dated from 2026-01-01T00:00:00Z on
TICK = SECOND // 10
TICK_BUDGET = 4096  # rows visited each time: as many a second as in a running gateway, whose ticks come more often
STEP_MAX = 8192  # rows looked at between two collections of events
STEPS_MAX = 256  # of one advance(): a longer way is gone in longer steps, each with the budget of those it skips

Source = str | Path | Sequence[dict[str, Any]]


@dataclass(frozen=True)
class Rooms:
    """The modules of one speed: compiled (or as installed), or the interpreted twins."""

    batch: Any
    ruleset: Any
    translators: Any
    bounds: Any

    @classmethod
    def of(cls, pure: bool) -> Rooms:
        names = ("wire.batch", "match.ruleset", "nat.translators", "nat.bounds")
        return cls(*(twin.interpreted(name) if pure else import_module(f"gateway.{name}") for name in names))


def number_of(side: str) -> int:
    if side not in SIDES:
        raise ValueError(f"there is no side {side!r}: inside or outside")
    return SIDES[side]


class Simulator:
    """`resources`: anything `load()` takes; ResourceErrors when it is wrong. `pure`: the interpreted twins."""

    def __init__(self, resources: Source, seed: int | bytes = 1, *, pure: bool = False) -> None:
        self._rooms = Rooms.of(pure)
        self._batch = self._rooms.batch.Batch()
        loaded = self._resources = load(resources)
        self._workers = max(loaded.gateway.spec.workers, 1)
        self._translators = self._rooms.translators.Translators(self._ruleset(loaded), seed, self._workers)
        self._translator = self._translators.all[0]  # the only one, mostly
        self._steering = Random(seed)
        self._emitted: dict[int, deque[tuple[bytes, bytes]]] = {side: deque() for side in SIDES.values()}
        self._told: list[Any] = []  # nat.events.Events, of either twin
        self._now = 0

    @property
    def now(self) -> float:
        """Seconds since the simulator's start."""
        return self._now / SECOND

    def inject(self, side: str, packet: bytes, offload: bytes | None = None) -> None:
        """One IP packet arrives, with the virtio_net_hdr the link would have carried (default: all zero)."""
        if offload is not None and len(offload) != vnet.HEADER:
            raise ValueError(f"an offload header has {vnet.HEADER} bytes, not {len(offload)}")
        self._translate(number_of(side), [(packet, offload or NO_OFFLOAD)])

    def inject_many(self, side: str, packets: Iterable[bytes]) -> None:
        """Packets arrive in one read, or in as many as the batch size makes of them."""
        frames = [(packet, NO_OFFLOAD) for packet in packets]
        for first in range(0, len(frames), self._batch.capacity):
            self._translate(number_of(side), frames[first : first + self._batch.capacity])

    @overload
    def drain(self, side: str, offload: Literal[False] = False) -> list[bytes]: ...
    @overload
    def drain(self, side: str, offload: Literal[True]) -> list[tuple[bytes, bytes]]: ...
    def drain(self, side: str, offload: bool = False) -> list[bytes] | list[tuple[bytes, bytes]]:
        """What was emitted on that side since the last call; with `offload`, (virtio_net_hdr, packet)."""
        queue = self._emitted[number_of(side)]
        frames = list(queue)
        queue.clear()
        return frames if offload else [packet for _, packet in frames]

    def advance(self, seconds: float) -> None:
        """Time passes, without traffic. Flows end when they would in the gateway."""
        if seconds < 0:
            raise ValueError("time does not go back")
        for moment in self._moments(self._now + round(seconds * SECOND)):
            skipped = max(1, -(-(moment - self._now) // TICK))
            self._now = moment
            self._expire(TICK_BUDGET * skipped)

    def _expire(self, budget: int) -> None:
        """In steps, where more could end at once than the translator can note events of."""
        step = budget if self._translators.live <= STEP_MAX else STEP_MAX
        for left in range(budget, 0, -step):
            for one in self._translators.all:
                one.tick(self._now, min(left, step))
                self._deliver(one.take_mail())
            self._collect()

    def apply(self, resources: Source) -> None:
        """Hot reload. ResourceErrors, and nothing changed, when the resources are wrong or change what a pool keeps.

        What a gateway reads at start only, `limits.flows` and `workers`, stays as it was. Unlike one that runs, this
        one takes other egress addresses: it has no links.
        """
        loaded = load(resources)
        check_pools(self._resources, loaded)
        self._translators.use(self._ruleset(loaded))
        self._resources = loaded

    def counters(self) -> dict[str, int]:
        """Every verdict by name, zero ones too."""
        counted: dict[str, int] = self._translators.counters()
        return counted

    def flows(self) -> list[Flow]:
        return list(self._translators.flows(self._now))

    def end_flow(self, flow: Flow | str) -> bool:
        """Administrative end of one of flows(), or of a flow's id. False when it is no longer there."""
        return bool(self._translators.end_flow(flow if isinstance(flow, str) else flow.id))

    def events(self) -> list[dict[str, Any]]:
        """Sessions and exhaustion since the last call."""
        self._collect()
        told = list(chain.from_iterable(self._told))
        self._told.clear()
        return told

    def explain(self, packet: bytes, side: str = "inside") -> dict[str, Any]:
        """What would become of a packet and why; changes no state."""
        explained: dict[str, Any] = self._translators.explain(packet, number_of(side), self._now)
        return explained

    def _ruleset(self, resources: Resources) -> Any:
        built = build(resources)
        return self._rooms.ruleset.Ruleset(built.sets, built.settings)  # of the translator's own twin

    def _translate(self, side: int, frames: list[tuple[bytes, bytes]]) -> None:
        if self._workers == 1:
            self._run(0, side, False, frames)
        else:
            for frame in frames:
                self._deliver(self._run(self._steering.randrange(self._workers), side, False, [frame]))
        self._collect()

    def _run(self, worker: int, side: int, handed: bool, frames: list[tuple[bytes, bytes]]) -> Any:
        """A batch through one worker's translator; what is for others, as `nat.sorting.Mail`."""
        batch, translator = self._batch, self._translators.all[worker]
        batch.clear()
        for packet, offload in frames:
            batch.append(packet[:FRAME_MAX], offload)  # a link reads no more of a frame
        translator.translate(batch, side, self._now, handed)
        for index in range(batch.count):
            if batch.out[index] in self._emitted:
                self._emitted[batch.out[index]].append((batch.offload(index), batch.packet(index)))
        return translator.post(batch, side) if self._workers > 1 else ()

    def _deliver(self, mail: Iterable[tuple[int, int, bytes, bytes]]) -> None:
        """Hand over, and what that makes those hand over who get it."""
        waiting, sorting = deque(mail), self._rooms.bounds.SORTING
        while waiting:
            addressee, side, offload, packet = waiting.popleft()
            waiting += self._run(addressee % sorting, side, addressee < sorting, [(packet, offload)])

    def _collect(self) -> None:
        for one in self._translators.all:
            for side, offload, packet in one.outbox:
                self._emitted[side].append((offload, packet))
            one.outbox.clear()
        self._told += [told for told in self._translators.take_events(EPOCH) if len(told)]

    def _moments(self, end: int) -> Iterator[int]:
        """The times at which to run expiry: every tick, or some of them and those at which a flow ends."""
        ticks = range(self._now - self._now % TICK + TICK, end, TICK)
        if len(ticks) <= STEPS_MAX:
            return iter([*ticks, end])
        ends = {self._now + round(flow.expires_in * SECOND) for flow in self._translators.flows(self._now)}
        due = sorted({moment - moment % TICK + TICK for moment in ends if moment < end - TICK})
        chosen = {*ticks[:: -(-len(ticks) // STEPS_MAX)], *due[:: -(-len(due) // STEPS_MAX) or 1]}
        return iter([*sorted(chosen), end])
