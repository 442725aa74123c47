"""Packet steps 1, 2 and 4: the loop sees a side readable, a batch is read, translated and sent.

Work per wake-up is bounded: what is left keeps the descriptor readable, so the loop comes back to it after
everything else that waits has had its turn. No Python object is made per packet.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from ..wire import sides
from ..wire.batch import Batch

if TYPE_CHECKING:
    from ..links.link import Link
    from ..nat.translator import Translator

BATCHES_A_WAKEUP = 4  # 256 small packets: about 0.1 ms compiled, the longest that the other side has to wait
# Being woken costs the sender's core microseconds a time. Where this many packets came at once more are about to, and
# it is cheaper to look for them a little longer than to fall asleep.
DENSE = 8
LINGER_NS = 30_000


class Pump:
    """Moves frames between two links, indexed by side, through a translator."""

    def __init__(self, links: tuple[Link, Link], translator: Translator,
                 clock: Callable[[], int] = time.monotonic_ns) -> None:
        self.links, self.translator, self.clock = links, translator, clock
        self.batch = Batch()
        self.wakeups = [0, 0]  # by side
        self.batches = [0, 0]
        self.packets = [0, 0]
        self.turn: AbstractContextManager[object] = nullcontext()  # held by whoever else works on the translator
        self.own_packets = 0  # made by the gateway itself: ICMP errors, echo answers, reassembled fragments

    def on_readable(self, side: int) -> int:
        """Translate what waits on `side`, up to the bound; returns the number of frames read."""
        self.wakeups[side] += 1
        link, batch, total, before = self.links[side], self.batch, 0, 0
        for _ in range(BATCHES_A_WAKEUP):
            count = link.read_batch(batch)
            if not count:
                break
            total += count
            self.batches[side] += 1
            self.packets[side] += count
            self.translate(side)
            if not link.more and (total - before < DENSE or not link.linger(LINGER_NS)):
                break
            before = total
        return total

    def close(self) -> None:
        """It is not called again."""

    def translate(self, side: int, handed: bool = False) -> None:
        """The batch at hand, which came in on `side`, and out with it: also where a frame met a bug of ours."""
        try:
            self.translator.translate(self.batch, side, self.clock(), handed)
        finally:
            self.deliver(side)

    def deliver(self, side: int) -> None:
        """The translated batch, which came in on `side`."""
        self.send(self.batch)

    def copy(self, view: memoryview) -> bytes:
        """A part of the flow table as it is at one moment."""
        return bytes(view)

    def send(self, batch: Batch) -> None:
        """Emit a translated batch, then what the translator made of its own."""
        inside, outside = self.links
        inside.write_batch(batch, sides.INSIDE)
        outside.write_batch(batch, sides.OUTSIDE)
        if self.translator.outbox:
            self.flush()

    def flush(self) -> None:
        """Send the translator's own packets. One that cannot be sent is lost, as on any link: none is kept."""
        for side, offload, packet in self.translator.outbox:
            self.own_packets += self.links[side].write(packet, offload)
        self.translator.outbox.clear()
