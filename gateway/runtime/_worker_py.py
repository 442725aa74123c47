"""The worker's loop, interpreted: the same class as `_worker.pyx`, to step through and to compare with.

It holds the GIL like any Python, so it keeps nothing away from packets; but it takes turns in the same way.
"""

from __future__ import annotations

import os
import select
import threading
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..nat import row
from ..wire import bits, sides
from .pump import BATCHES_A_WAKEUP, Pump

if TYPE_CHECKING:
    from ..wire.batch import Batch

TICK_NS = 6_250_000
TICK_BUDGET = 256
INBOX_BYTES = 4 * 1024 * 1024


class Inbox:
    """Frames for one worker, in the order in which they came. Anybody puts in, without waiting for anybody."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[int, bool, bytes, bytes]] = deque()
        self._lock = threading.Lock()
        self._bytes = self.received = self.overflowed = 0
        self.bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def put(self, side: int, handed: bool, offload: bytes, packet: bytes) -> bool:
        """One packet with its offload header; False where there is no room. handed: it is not handed over again."""
        with self._lock:
            if self._bytes + len(packet) > INBOX_BYTES:
                self.overflowed += 1
                return False
            self._waiting.append((side, handed, offload, packet))
            self._bytes += len(packet)
            self.received += 1
        os.eventfd_write(self.bell, 1)
        return True

    def take(self, batch: Batch) -> tuple[int, bool] | None:
        """Fill a batch with the frames that wait, as long as they are seen on one side: which, and whether handed."""
        batch.clear()
        with self._lock:
            seen_on = self._waiting[0][:2] if self._waiting else None
            while self._waiting and self._waiting[0][:2] == seen_on and batch.count < batch.capacity:
                _, _, offload, packet = self._waiting.popleft()
                batch.append(packet, offload)
                self._bytes -= len(packet)
        return seen_on

    def close(self) -> None:
        os.close(self.bell)


class Rounds:
    """The pump's links and translator, driven from here.  wakeups, batches, packets: by side.

    inboxes: of all workers by number, this one's among them; none where there is one worker.
    """

    def __init__(self, pump: Pump, inboxes: Sequence[Inbox] = ()) -> None:
        self.pump = pump
        self._inbox = inboxes[pump.translator.share.number] if inboxes else None
        self.wakeups, self.batches, self.packets = pump.wakeups, pump.batches, pump.packets
        self._turn, self._queue = threading.Lock(), threading.Lock()
        self._stopping = False
        self._waker = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._next_tick = 0
        self._poll = select.poll()
        self._poll.register(self._waker, select.POLLIN)
        if self._inbox:
            self._poll.register(self._inbox.bell, select.POLLIN)

    def close(self) -> None:
        os.close(self._waker)

    def stop(self) -> None:
        """`run` returns after the batches at hand, whether it was called already or will be."""
        self._stopping = True
        os.eventfd_write(self._waker, 1)

    def on_readable(self, side: int, dense: int, linger: int) -> int:
        return Pump.on_readable(self.pump, side)

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
        if self._inbox and self._inbox.bell in ready:
            self._read_inbox(self._inbox)

    def _read_inbox(self, inbox: Inbox) -> None:
        os.eventfd_read(inbox.bell)
        emptied = False
        try:
            for _ in range(BATCHES_A_WAKEUP):
                seen_on = inbox.take(self.pump.batch)
                if seen_on is None:
                    emptied = True
                    break
                self.pump.translate(*seen_on)
        finally:
            if not emptied:  # what is left rings again, whatever happened
                os.eventfd_write(inbox.bell, 1)
