"""Identifiers of what may be fragmented: unique for a pair of addresses and a protocol (RFC 6864, RFC 7857 section 10).

Many hosts share an external address, and each counts its datagrams by itself: two of theirs with one identifier
would be put together into one at the receiver. So whatever leaves with another source than it came with, and may
be fragmented, gets an identifier from here. What never can be (an atomic datagram) keeps its own, and so does what
keeps its source: its sender has seen to it. Nobody can foresee an identifier, nor tell from his own how many
others were given out (RFC 7739 section 5.3): each pair starts elsewhere, and counters are shared by a keyed hash.
"""

from __future__ import annotations

from ..wire import bits, ipv4, order, vnet
from ..wire.batch import Batch
from ..wire.packet import Packet, fold
from . import bounds
from .shares import Share
from .siphash import siphash2


class Identifiers:
    """counters: bounds.COUNTERS of 32 bits, of which IPv4 uses the low half; readable for whoever puts them back."""

    def __init__(self, key0: int, key1: int, batch: Batch, share: Share) -> None:
        self.key0, self.key1, self.share = key0, key1, share
        self.slice = (1 << 16) // share.count  # of the low 16 bits, this worker's: all speak for the same addresses
        self.counters = memoryview(bytearray(4 * bounds.COUNTERS)).cast("I")
        self.bind(batch)

    def bind(self, batch: Batch) -> None:
        """Renumber packets of this batch from now on."""
        self.u8, self.u16 = batch.u8, batch.u16

    def take(self, source_high: int, source_low: int, destination_high: int, destination_low: int, number: int,
             count: int) -> int:
        """The first of `count` identifiers in a row for datagrams of this protocol between these addresses."""
        high = siphash2(self.key0, self.key1, source_high, destination_high) if source_high else 0
        pair = siphash2(self.key0, self.key1, source_low ^ high, destination_low ^ number << 56)
        slot = pair & (bounds.COUNTERS - 1)
        first = self.counters[slot]
        self.counters[slot] = (first + count) & bits.M32
        taken = (first + (pair >> 32)) & bits.M32
        return taken if self.share.count == 1 else self.confine(slot, taken, count)

    def confine(self, slot: int, taken: int, count: int) -> int:
        """As many identifiers whose low 16 bits are this worker's: in its slice, and none across its end."""
        over = taken % self.slice + count - self.slice
        if 0 < over < count:
            self.counters[slot] = (self.counters[slot] + count - over) & bits.M32
            taken = (taken + count - over) & bits.M32
        return (taken // self.slice << 16 | self.share.number * self.slice + taken % self.slice) & bits.M32

    def renumber(self, packet: Packet, source_low: int, destination_low: int) -> int:
        """Give an IPv4 packet that leaves between these addresses an identifier; returns the old less the new one.

        The header's checksum gets the difference (RFC 1624). The kernel numbers the parts of a superpacket in a row.
        """
        at = packet.at
        new = self.take(0, source_low, 0, destination_low, packet.protocol, self.segments(packet)) & bits.M16
        old = self.u16[(at + ipv4.ID) >> 1]
        self.u16[(at + ipv4.ID) >> 1] = order.swap16(new)
        present = self.u16[(at + ipv4.CHECKSUM) >> 1] ^ bits.M16
        self.u16[(at + ipv4.CHECKSUM) >> 1] = fold(present + order.swap16(new) + (old ^ bits.M16)) ^ bits.M16
        return (order.swap16(old) - new) & bits.M16

    def segments(self, packet: Packet) -> int:
        """How many packets this one becomes on the wire."""
        before = packet.at - vnet.HEADER
        size = self.u16[(before + vnet.GSO_SIZE) >> 1]
        length = packet.end - packet.at
        if self.u8[before + vnet.GSO_TYPE] == vnet.GSO_NONE or size == 0 or packet.segment >= length:
            return 1
        return (length - (packet.segment - size) + size - 1) // size
