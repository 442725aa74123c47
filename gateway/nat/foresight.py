"""Asks memory for what the flows that a batch will begin will need, before the first of them needs it.

A new flow is entered in the index two to four times, each time at a place as random as the others: one trip to memory
after the other. Here the slots of all flows that a batch from inside seems to begin are asked for at once.
What such a flow will be called outside is guessed: the egress address that its source keeps, and its own port. Nothing
is decided here: a wrong guess costs time and nothing else; what was hashed for a right one is not hashed again.
"""

from __future__ import annotations

from ..wire import bits, ipv4, ipv6, order, sides, udp
from ..wire.batch import Batch
from . import account, bounds, prefetch, row
from .lookahead import Lookahead
from .options import Options, numbers
from .sources import Sources
from .table import FlowTable


class Foresight:
    """By frame: own, the key of its source endpoint's mapping, 0 if not known. holder: its source's account, 0 if it
    had none. egress: 1 + the number of the egress address it is guessed to get, 0 for no guess; reply, external: the
    keys of its reply tuple and of its mapping then.
    """

    def __init__(self, lookahead: Lookahead, table: FlowTable, options: Options, sources: Sources) -> None:
        self.lookahead, self.table, self.options, self.sources = lookahead, table, options, sources
        self.index = table.index
        self.size = self.guessed = 0
        self.source_high = self.source_low = self.destination_high = self.destination_low = self.ports = self.number = 0
        self.bind(lookahead.batch)

    def bind(self, batch: Batch) -> None:
        self.batch = batch
        self.u8, self.u32, self.u64 = batch.u8, batch.u32, batch.u64
        if self.size < batch.capacity:
            self.size = batch.capacity
            self.own, self.reply = numbers(self.size, "Q"), numbers(self.size, "Q")
            self.external = numbers(self.size, "Q")
            self.egress, self.frames = numbers(self.size, "I"), numbers(self.size, "I")
            self.holder = numbers(self.size, "I")
            self.guessed = 0

    def run(self, side: int) -> None:
        """After `lookahead` has: for the frames of the batch that it found no flow of, if they come from inside."""
        for place in range(self.guessed):
            self.own[self.frames[place]] = self.egress[self.frames[place]] = 0
        self.guessed = self.lookahead.missing if side == sides.INSIDE else 0
        for place in range(self.guessed):
            frame = self.frames[place] = self.lookahead.strangers[place]
            self.read(self.batch.start[frame])
            self.guess(frame)

    def read(self, at: int) -> None:
        """The packet's tuple; `Lookahead` has seen that it is all there."""
        self.source_high = self.destination_high = 0
        if self.u8[at] == ipv4.PLAIN:
            words = order.span32(self.u32, at >> 2, (ipv4.HEADER + udp.HEADER) >> 2)
            self.number = words[ipv4.TTL >> 2] >> 8 & 0xFF
            self.source_low = bits.V4_MAPPED | order.swap32(words[ipv4.SOURCE >> 2])
            self.destination_low = bits.V4_MAPPED | order.swap32(words[ipv4.DESTINATION >> 2])
            self.ports = order.swap32(words[ipv4.HEADER >> 2])
        else:
            word = (at + ipv6.SOURCE) >> 3
            self.number = self.u8[at + ipv6.NEXT_HEADER]
            self.source_high, self.source_low = order.swap64(self.u64[word]), order.swap64(self.u64[word + 1])
            self.destination_high = order.swap64(self.u64[word + 2])
            self.destination_low = order.swap64(self.u64[word + 3])
            self.ports = order.swap32(self.u32[(at + ipv6.HEADER) >> 2])

    def guess(self, frame: int) -> None:
        label = self.number << row.LABEL_PROTOCOL | self.ports >> 16
        mapped = self.options.mapping[self.number] == 0
        if mapped:
            self.own[frame] = self.table.mapping_key(bounds.INTERNAL, self.source_high, self.source_low, 0, 0, label)
            prefetch.prefetch32(self.index, self.table.home(self.own[frame]))
        self.holder[frame] = holder = self.sources.find(self.source_high, self.source_low)
        self.egress[frame] = egress = self.sources.r32[holder * account.QUADS + account.EGRESS] if holder else 0
        leaves = sides.OUTSIDE
        if egress != 0:
            high, low = self.options.egress[2 * egress - 2], self.options.egress[2 * egress - 1]
            self.reply[frame] = self.table.key(
                self.destination_high, self.destination_low, high, low, leaves << row.LABEL_SIDE | label
                | (self.ports & bits.M16) << row.LABEL_SOURCE_PORT)
            prefetch.prefetch32(self.index, self.table.home(self.reply[frame]))
            self.external[frame] = 0
            if mapped:
                self.external[frame] = self.table.mapping_key(bounds.EXTERNAL, high, low, 0, 0, label)
                prefetch.prefetch32(self.index, self.table.home(self.external[frame]))
