"""Asks memory for what a batch's packets will need, before the first of them needs it.

In a large table each packet waits for its index slot, then for its row: two trips to memory, one after the other.
Here all packets' slots are asked for first, then all their rows, and meanwhile the work goes on: what is asked for
first has come when the last was asked for.
Nothing is decided here: a wrong guess, or none, costs time and nothing else.
"""

from __future__ import annotations

from ..wire import bits, ipv4, ipv6, order, protocol, udp
from ..wire.batch import Batch
from . import prefetch, row
from .table import FlowTable


class Lookahead:
    """keys: by frame, the hash of its tuple; 0 where it is not a plain TCP or UDP packet.

    strangers: the first `missing` of them are the frames, among those, whose tuple no row seems to have.
    """

    def __init__(self, table: FlowTable, batch: Batch) -> None:
        self.table, self.r64, self.index = table, table.r64, table.index
        self.missing = 0
        self.keys = memoryview(bytearray(8)).cast("Q")
        self.strangers = memoryview(bytearray(4)).cast("I")
        self.bind(batch)

    def bind(self, batch: Batch) -> None:
        self.batch = batch
        self.u8, self.u32, self.u64 = batch.u8, batch.u32, batch.u64
        if len(self.keys) < batch.capacity:
            self.keys = memoryview(bytearray(8 * batch.capacity)).cast("Q")
            self.strangers = memoryview(bytearray(4 * batch.capacity)).cast("I")

    def run(self, side: int) -> None:
        """Fill in `keys` for the bound batch, whose frames come from `side`, and ask for what they lead to."""
        self.missing = 0
        for frame in range(self.batch.count):
            key = self.key(self.batch.start[frame], self.batch.length[frame], side << row.LABEL_SIDE)
            self.keys[frame] = key
            prefetch.prefetch32(self.index, self.table.home(key))
        for frame in range(self.batch.count):
            at = self.table.candidate(self.keys[frame]) * row.WORDS
            if at == 0 and self.keys[frame] != 0:
                self.strangers[self.missing] = frame
                self.missing += 1
            prefetch.prefetch64(self.r64, at)
            prefetch.prefetch64(self.r64, at + row.ORIGINAL_LABEL)

    def key(self, at: int, length: int, label: int) -> int:
        """The hash of the tuple of the packet at `at`, if its ports are where most packets have them."""
        if length >= ipv4.HEADER + udp.HEADER and self.u8[at] == ipv4.PLAIN:
            return self.key4(at, label)
        if length >= ipv6.HEADER + udp.HEADER and self.u8[at] >> 4 == 6:
            return self.key6(at, label)
        return 0

    def key4(self, at: int, label: int) -> int:
        words = order.span32(self.u32, at >> 2, (ipv4.HEADER + udp.HEADER) >> 2)
        number = words[ipv4.TTL >> 2] >> 8 & 0xFF
        if number != protocol.TCP and number != protocol.UDP:
            return 0
        label |= number << row.LABEL_PROTOCOL | order.swap32(words[ipv4.HEADER >> 2])
        return self.table.key(0, bits.V4_MAPPED | order.swap32(words[ipv4.SOURCE >> 2]),
                              0, bits.V4_MAPPED | order.swap32(words[ipv4.DESTINATION >> 2]), label)

    def key6(self, at: int, label: int) -> int:
        number = self.u8[at + ipv6.NEXT_HEADER]
        if number != protocol.TCP and number != protocol.UDP:
            return 0
        label |= number << row.LABEL_PROTOCOL | order.swap32(self.u32[(at + ipv6.HEADER) >> 2])
        word = (at + ipv6.SOURCE) >> 3
        return self.table.key(order.swap64(self.u64[word]), order.swap64(self.u64[word + 1]),
                              order.swap64(self.u64[word + 2]), order.swap64(self.u64[word + 3]), label)
