"""A link with its traffic written down: pcapng (raw IP), as Wireshark and tcpdump read it.

Superpackets are written whole and their checksums may be unfinished: this is what passes through the gateway,
not what passes on a wire.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from typing import BinaryIO

from .link import Frames, Link
from .wrapped import WrappedLink

LINKTYPE_RAW = 101
OPTION_END, OPTION_COMMENT, OPTION_FLAGS, OPTION_NAME, OPTION_RESOLUTION = 0, 1, 2, 2, 9
RECEIVED, SENT = 1, 2  # epb_flags
NANOSECONDS = b"\x09"

Comment = Callable[[Frames, int], str]


class Pcapng:
    """Writes blocks to a binary file, which stays the caller's to close."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._interfaces = 0
        self._block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))

    def interface(self, name: str) -> int:
        """Declare an interface; returns its number."""
        options = _option(OPTION_NAME, name.encode()) + _option(OPTION_RESOLUTION, NANOSECONDS) + _option(OPTION_END)
        self._block(1, struct.pack("<HHI", LINKTYPE_RAW, 0, 0) + options)
        self._interfaces += 1
        return self._interfaces - 1

    def packet(self, interface: int, time_ns: int, packet: bytes, direction: int = 0, comment: str = "") -> None:
        header = struct.pack("<IIIII", interface, time_ns >> 32, time_ns & 0xFFFFFFFF, len(packet), len(packet))
        options = _option(OPTION_COMMENT, comment.encode()) if comment else b""
        options += _option(OPTION_FLAGS, struct.pack("<I", direction)) + _option(OPTION_END)
        self._block(6, header + packet + bytes(-len(packet) % 4) + options)

    def _block(self, kind: int, body: bytes) -> None:
        length = struct.pack("<I", 12 + len(body))
        self._file.write(struct.pack("<I", kind) + length + body + length)


class CapturedLink(WrappedLink):
    """`link`, with every packet it brings or takes written to `log`. `comment(batch, index)` annotates what is sent,
    a verdict for instance."""

    def __init__(self, link: Link, log: Pcapng, comment: Comment | None = None,
                 clock: Callable[[], int] = time.time_ns) -> None:
        super().__init__(link)
        self._log, self._comment, self._clock = log, comment, clock
        self._interface = log.interface(link.name)

    def read_batch(self, batch: Frames) -> int:
        count = self.link.read_batch(batch)
        for index in range(count):
            self._log.packet(self._interface, self._clock(), _packet(batch, index), RECEIVED)
        return count

    def write_batch(self, batch: Frames, side: int) -> int:
        """Written down first: sending may write over a frame's offload header."""
        for index in range(batch.count):
            if batch.out[index] == side:
                comment = self._comment(batch, index) if self._comment else ""
                self._log.packet(self._interface, self._clock(), _packet(batch, index), SENT, comment)
        return self.link.write_batch(batch, side)

    def write(self, packet: bytes, offload: bytes) -> bool:
        self._log.packet(self._interface, self._clock(), packet, SENT)
        return self.link.write(packet, offload)


def _packet(batch: Frames, index: int) -> bytes:
    start = batch.start[index]
    return bytes(batch.slab[start : start + batch.length[index]])


def _option(kind: int, data: bytes = b"") -> bytes:
    return struct.pack("<HH", kind, len(data)) + data + bytes(-len(data) % 4)
