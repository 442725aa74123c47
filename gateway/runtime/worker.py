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
from collections.abc import Callable
from typing import TYPE_CHECKING

from .pump import Pump

if TYPE_CHECKING:
    from ..links.link import Link, NextHopListener, NextHopSource
    from ..nat.translator import Translator

if TYPE_CHECKING or os.environ.get("GATEWAY_PURE") == "1":
    from ._worker_py import Rounds
else:
    from ._worker import Rounds

SWITCH_INTERVAL = 0.0005  # seconds that Python elsewhere may keep a packet waiting which needs Python; by default 5 ms


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


class Crossing:
    """Between a worker's link and the loop's knowledge of next hops: the link asks the kernel by way of the loop,
    which talks to it for others too, and is told of changes in a turn."""

    def __init__(self, source: NextHopSource, link: NextHopListener, turn: Turn) -> None:
        self.source, self.link, self.turn = source, link, turn
        self.loop = asyncio.get_running_loop()
        self.listener: NextHopListener | None = link
        source.listener = self

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


class Worker(Pump):
    """A pump that needs no loop. `failed` is called on the loop with every exception that ended a batch."""

    def __init__(self, links: tuple[Link, Link], translator: Translator, failed: Callable[[Exception], None],
                 clock: Callable[[], int] = time.monotonic_ns) -> None:
        super().__init__(links, translator, clock)
        self.failed, self.loop = failed, asyncio.get_running_loop()
        self.rounds = Rounds(self)
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
