"""A link that misbehaves on purpose, the same way for the same seed: drops, duplicates, reorders, corrupts.

Only what is read is disturbed: what the gateway must cope with is what arrives.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from .link import VNET_HEADER, Frames, Link, LinkStatistics
from .wrapped import WrappedLink


@dataclass(frozen=True)
class Faults:
    """Probabilities, each from 0 to 1, a frame."""

    drop: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    corrupt: float = 0.0


class FaultyLink(WrappedLink):
    """`link`, disturbed. A duplicate, and a frame overtaken by the next, come with the following read."""

    def __init__(self, link: Link, faults: Faults, seed: int = 0) -> None:
        super().__init__(link)
        self.faults = faults
        self._random = random.Random(seed)
        self._late: list[tuple[bytes, bytes]] = []
        self._lost = 0

    @property
    def more(self) -> bool:
        return self.link.more or bool(self._late)

    def read_batch(self, batch: Frames) -> int:
        count = self.link.read_batch(batch)
        late, self._late = self._late, []
        kept: list[tuple[bytes, bytes]] = []
        for index in range(count):
            kept += self._disturb(*_frame(batch, index))
        kept += late
        self._late = kept[batch.capacity :] + self._late
        for index, (offload, packet) in enumerate(kept[: batch.capacity]):
            start = batch.start[index]
            batch.slab[start - VNET_HEADER : start] = offload
            batch.slab[start : start + len(packet)] = packet
            batch.length[index] = len(packet)
        batch.count = min(len(kept), batch.capacity)
        return batch.count

    def statistics(self) -> LinkStatistics:
        statistics = self.link.statistics()
        statistics.reasons["fault_drop"] = self._lost
        return statistics

    def _disturb(self, offload: bytes, packet: bytes) -> list[tuple[bytes, bytes]]:
        """What becomes of one frame now; the rest is kept for the next read."""
        faults, happens = self.faults, self._random.random
        if happens() < faults.drop:
            self._lost += 1
            return []
        if happens() < faults.corrupt:
            packet = self._flip(packet)
        if happens() < faults.duplicate:
            self._late.append((offload, packet))
        if happens() < faults.reorder:
            self._late.append((offload, packet))
            return []
        return [(offload, packet)]

    def _flip(self, packet: bytes) -> bytes:
        """One bit the other way round."""
        bit = self._random.randrange(8 * len(packet))
        flipped = bytearray(packet)
        flipped[bit // 8] ^= 1 << bit % 8
        return bytes(flipped)


def _frame(batch: Frames, index: int) -> tuple[bytes, bytes]:
    start = batch.start[index]
    return bytes(batch.slab[start - VNET_HEADER : start]), bytes(batch.slab[start : start + batch.length[index]])
