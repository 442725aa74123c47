"""A link without a kernel: what is injected is read, what is written can be drained. For the simulator and tests."""

from __future__ import annotations

from collections import deque

from .link import BATCH_BYTES, VNET_HEADER, Frames, LinkStatistics

NO_OFFLOAD = bytes(VNET_HEADER)


class MemoryLink:
    """`room`: packets held for draining; beyond it they are dropped and counted, as on any queue."""

    def __init__(self, name: str = "memory", mtu: int = 1500, room: int = 1 << 20) -> None:
        self.name, self.mtu, self._room = name, mtu, room
        self._waiting: deque[tuple[bytes, bytes]] = deque()
        self._written: list[tuple[bytes, bytes]] = []
        self._statistics = LinkStatistics()

    def inject(self, packet: bytes, offload: bytes = NO_OFFLOAD) -> None:
        """One IP packet arrives, with the virtio_net_hdr that a device would have given it."""
        self._waiting.append((offload, packet))

    def drain(self) -> list[tuple[bytes, bytes]]:
        """(offload header, packet) of everything written since the last call."""
        written, self._written = self._written, []
        return written

    def linger(self, nanoseconds: int) -> bool:
        return False

    def fileno(self) -> int:
        return -1

    def read_batch(self, batch: Frames) -> int:
        count = total = 0
        while self._waiting and count < batch.capacity and total < BATCH_BYTES:
            offload, packet = self._waiting.popleft()
            start = batch.start[count]
            batch.slab[start - VNET_HEADER : start] = offload
            batch.slab[start : start + len(packet)] = packet
            batch.length[count] = len(packet)
            total += len(packet)
            count += 1
        batch.count = count
        self._statistics.received += count
        return count

    def write_batch(self, batch: Frames, side: int) -> int:
        before = self._statistics.sent
        for index in range(batch.count):
            if batch.out[index] == side:
                start = batch.start[index]
                packet = bytes(batch.slab[start : start + batch.length[index]])
                self.write(packet, bytes(batch.slab[start - VNET_HEADER : start]))
        return self._statistics.sent - before

    def write(self, packet: bytes, offload: bytes) -> bool:
        if len(self._written) >= self._room:
            self._statistics.reasons["memory_full"] += 1
            return False
        self._written.append((offload, packet))
        self._statistics.sent += 1
        return True

    @property
    def more(self) -> bool:
        return bool(self._waiting)

    @property
    def dropped(self) -> int:
        return self._statistics.dropped

    def statistics(self) -> LinkStatistics:
        return self._statistics

    def close(self) -> None:
        self._waiting.clear()
