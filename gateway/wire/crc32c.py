"""SCTP's checksum (RFC 9260 appendix A), where a sender left it to the kernel that takes the packet.

It covers neither addresses nor what a translator changes of SCTP, so a finished one stays as it is. An unfinished
one cannot stay: whoever writes a packet to a socket can ask for an Internet checksum only (virtio_net_hdr has no
word for another), and that is what hardware would put in its place.
"""

from __future__ import annotations

from . import bits, sctp, vnet
from .batch import Batch


def remainders() -> bytes:
    """Of every byte, by the Castagnoli polynomial; 256 numbers of 32 bits in memory order."""
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (sctp.POLYNOMIAL if value & 1 else 0)
        table.append(value)
    return b"".join(value.to_bytes(4, "little") for value in table)


class Crc32c:
    """Finishes checksums in one batch at a time."""

    def __init__(self) -> None:
        self.table = memoryview(bytearray(remainders())).cast("I")

    def bind(self, batch: Batch) -> None:
        self.u8, self.u16, self.u32 = batch.u8, batch.u16, batch.u32

    def finish(self, at: int, transport: int, end: int) -> None:
        """Write the checksum of the packet whose IP header is at `at`, if its offload header says so."""
        before = at - vnet.HEADER
        if (self.u8[before + vnet.FLAGS] & vnet.NEEDS_CHECKSUM
                and at + self.u16[(before + vnet.CHECKSUM_START) >> 1] == transport
                and self.u16[(before + vnet.CHECKSUM_OFFSET) >> 1] == sctp.CHECKSUM):
            self.write(transport, end)
            self.u8[before + vnet.FLAGS] = 0
            self.u16[(before + vnet.CHECKSUM_START) >> 1] = self.u16[(before + vnet.CHECKSUM_OFFSET) >> 1] = 0

    def write(self, transport: int, end: int) -> None:
        self.u32[(transport + sctp.CHECKSUM) >> 2] = 0
        rest = bits.M32
        for index in range(transport, end):
            rest = self.table[(rest ^ self.u8[index]) & 0xFF] ^ rest >> 8
        self.u32[(transport + sctp.CHECKSUM) >> 2] = rest ^ bits.M32
