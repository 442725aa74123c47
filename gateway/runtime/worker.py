"""Thread mode, `spec.workers`: the pump in a thread of its own, so that Python work on the loop delays no packet.

The worker moves frames without the GIL and ends flows whose time is up. What else is done to its translator and its
links is done on the loop, in turns: the worker stops between two batches for whoever holds `turn`. Turns are kept
short: a listing copies a few rows in each, and what takes long (reading resources, netlink) happens outside of them.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ..nat import bounds
from ..wire.batch import Batch
from .pump import DENSE, LINGER_NS, Pump

if TYPE_CHECKING:
    from ..links.link import Link, NextHopListener, NextHopSource
    from ..nat.sorting import Mail
    from ..nat.translator import Translator

if TYPE_CHECKING or os.environ.get("GATEWAY_PURE") == "1":
    from ._worker_py import Inbox, Rounds
else:
    from ._worker import Inbox, Rounds

SWITCH_INTERVAL = 0.0005  # seconds that Python elsewhere may keep a packet waiting which needs Python; by default 5 ms


def new_inbox() -> Inbox:
    """Of the speed at hand."""
    return Inbox()


class Turn:
    """For the loop's thread alone: while it is held the worker translates nothing. May be nested."""

    def __init__(self, rounds: Rounds) -> None:
        self.rounds, self.depth = rounds, 0

    def __enter__(self) -> None:
        if self.depth == 0:
            self.rounds.enter()
        self.depth += 1

    def __exit__(self, *_: object) -> None:
        self.depth -= 1
        if self.depth == 0:
            self.rounds.leave()


class Listeners(list["Crossing"]):
    """All that want to know of one source's changes: each worker has a link of its own, with what it remembers."""

    def routes_changed(self) -> None:
        for one in self:
            one.routes_changed()

    def neighbour_changed(self, hop: bytes) -> None:
        for one in self:
            one.neighbour_changed(hop)

    def interface_changed(self) -> None:
        for one in self:
            one.interface_changed()


class Crossing:
    """Between a worker's link and the loop's knowledge of next hops: the link asks the kernel by way of the loop,
    which talks to it for others too, and is told of changes in a turn."""

    def __init__(self, source: NextHopSource, link: NextHopListener, turn: Turn) -> None:
        self.source, self.link, self.turn = source, link, turn
        self.loop = asyncio.get_running_loop()
        self.listener: NextHopListener | None = link
        if isinstance(source.listener, Listeners):
            source.listener.append(self)
        else:
            source.listener = Listeners([self])

    def next_hop(self, destination: bytes) -> bytes | None:
        return self.source.next_hop(destination)

    def mac(self, hop: bytes) -> int:
        return self.source.mac(hop)

    def probe(self, hop: bytes) -> None:
        self.loop.call_soon_threadsafe(self.source.probe, hop)

    def routes_changed(self) -> None:
        with self.turn:
            self.link.routes_changed()

    def neighbour_changed(self, hop: bytes) -> None:
        with self.turn:
            self.link.neighbour_changed(hop)

    def interface_changed(self) -> None:
        with self.turn:
            self.link.interface_changed()


class LoopPump(Pump):
    """A pump on the loop whose wake-ups are compiled, as a worker's: with a frame or two each, they are what costs."""

    def __init__(self, links: tuple[Link, Link], translator: Translator,
                 clock: Callable[[], int] = time.monotonic_ns) -> None:
        super().__init__(links, translator, clock)
        self.rounds = Rounds(self)
        self.wakeups, self.batches, self.packets = self.rounds.wakeups, self.rounds.batches, self.rounds.packets

    def on_readable(self, side: int) -> int:
        return self.rounds.on_readable(side, DENSE, LINGER_NS)

    def close(self) -> None:
        self.rounds.close()


class Worker(Pump):
    """A pump that needs no loop. `failed` is called on the loop with every exception that ended a batch.

    inboxes: of all workers by number, where there are several.
    """

    def __init__(self, links: tuple[Link, Link], translator: Translator, failed: Callable[[Exception], None],
                 clock: Callable[[], int] = time.monotonic_ns, inboxes: Sequence[Inbox] = ()) -> None:
        super().__init__(links, translator, clock)
        self.failed, self.loop = failed, asyncio.get_running_loop()
        self.inboxes = inboxes
        self.rounds = Rounds(self, inboxes)
        self.wakeups, self.batches, self.packets = self.rounds.wakeups, self.rounds.batches, self.rounds.packets
        self.turn: Turn = Turn(self.rounds)
        for link in links:
            hops = getattr(link, "next_hops", None)
            if hops is not None:
                hops.source = Crossing(hops.source, link, self.turn)  # type: ignore[arg-type]
        self.thread = threading.Thread(target=self.run, name="worker")

    def start(self) -> None:
        self.interval = sys.getswitchinterval()
        sys.setswitchinterval(min(self.interval, SWITCH_INTERVAL))
        gc.disable()
        self.thread.start()

    def stop(self) -> None:
        """The batches at hand are finished first."""
        self.rounds.stop()
        self.thread.join()
        self.rounds.close()
        sys.setswitchinterval(self.interval)
        gc.enable()

    def copy(self, view: memoryview) -> bytes:
        return self.rounds.copy(view)

    def deliver(self, side: int) -> None:
        """See Pump; what belongs to other workers goes to them first."""
        if self.inboxes:
            self.post(self.translator.post(self.batch, side))
        super().deliver(side)

    def send(self, batch: Batch) -> None:
        self.post_mail()
        super().send(batch)

    def flush(self) -> None:
        self.post_mail()
        super().flush()

    def post_mail(self) -> None:
        if self.inboxes:
            self.post(self.translator.take_mail())

    def post(self, mail: Mail) -> None:
        """What finds no room in an inbox is lost, and counted there."""
        for addressee, side, offload, packet in mail:
            self.inboxes[addressee % bounds.SORTING].put(side, addressee < bounds.SORTING, offload, packet)

    def collect_garbage(self) -> None:
        """Instead of whenever Python thinks it is time: with thousands of pools in memory that takes a tenth of a
        second, and must not happen while a turn is held."""
        due = [count > threshold for count, threshold in zip(gc.get_count(), gc.get_threshold(), strict=True)]
        if any(due):
            gc.collect(max(generation for generation in range(3) if due[generation]))

    def run(self) -> None:
        """A link that fails for good ends the thread; a bug of ours costs one batch, as on the loop."""
        while True:
            try:
                return self.rounds.run()
            except Exception as error:
                self.loop.call_soon_threadsafe(self.failed, error)
                if isinstance(error, OSError):
                    return
