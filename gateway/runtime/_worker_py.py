"""The worker's loop, interpreted: the same class as `_worker.pyx`, to step through and to compare with.

It holds the GIL like any Python, so it keeps nothing away from packets; but it takes turns in the same way.
"""

from __future__ import annotations

import os
import select
import threading
from typing import TYPE_CHECKING

from ..nat import row
from ..wire import bits, sides

if TYPE_CHECKING:
    from .pump import Pump

TICK_NS = 25_000_000
TICK_BUDGET = 1024


class Rounds:
    """The pump's links and translator, driven from here.  wakeups, batches, packets: by side."""

    def __init__(self, pump: Pump) -> None:
        self.pump = pump
        self.wakeups, self.batches, self.packets = pump.wakeups, pump.batches, pump.packets
        self._turn, self._queue = threading.Lock(), threading.Lock()
        self._stopping = False
        self._waker = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._next_tick = 0
        self._poll = select.poll()
        self._poll.register(self._waker, select.POLLIN)

    def close(self) -> None:
        os.close(self._waker)

    def stop(self) -> None:
        """`run` returns after the batches at hand, whether it was called already or will be."""
        self._stopping = True
        os.eventfd_write(self._waker, 1)

    def enter(self) -> None:
        with self._queue:
            self._turn.acquire()

    def leave(self) -> None:
        self._turn.release()

    def copy(self, view: memoryview) -> bytes:
        self.enter()
        try:
            return bytes(view)
        finally:
            self.leave()

    def run(self) -> None:
        """Until `stop`. Raises what went wrong, the turn given back; `run` may be called again."""
        while not self._stopping:
            ready = dict(self._poll.poll(max(0, self._next_tick - self.pump.clock()) / 1_000_000))
            with self._queue:
                pass
            with self._turn:
                self._go_round(ready)

    def _go_round(self, ready: dict[int, int]) -> None:
        now = self.pump.clock()
        if now >= self._next_tick:
            self._next_tick = now + TICK_NS
            for link in self.pump.links:
                self._poll.register(link.fileno(), select.POLLIN)
            self.pump.translator.engine.records.now = now
            self.pump.translator.engine.end_expired(now >> row.TICK_SHIFT & bits.M32, TICK_BUDGET)
        for side in (sides.INSIDE, sides.OUTSIDE):
            fd = self.pump.links[side].fileno()
            if fd in ready and not self.pump.on_readable(side) and ready[fd] != select.POLLIN:
                self._poll.unregister(fd)  # an error that stays, such as ENETDOWN: looked at again with the next tick
