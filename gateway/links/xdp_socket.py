"""An AF_XDP socket's memory: chunks for frames, and four rings that pass them between the kernel and the gateway.

fill: chunks the kernel may receive into.  received: those it did.  to_send: those it shall send.  sent: those it
has. Numbers are addresses in this process; `_xdp.pxi` and `_xdp_py.py` work on them.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import socket
import struct
from dataclasses import dataclass

AF_XDP, SOL_XDP = 44, 283
MMAP_OFFSETS, RX_RING, TX_RING, UMEM_REG, FILL_RING, COMPLETION_RING, STATISTICS = 1, 2, 3, 4, 5, 6, 7
PAGE_RX, PAGE_TX, PAGE_FILL, PAGE_COMPLETION = 0, 0x80000000, 0x100000000, 0x180000000
USE_NEED_WAKEUP = 1 << 3
DESCRIPTOR, ADDRESS = 16, 8
ENTRIES = 2048  # of each ring, and chunks for each way
HEADROOM = 256  # that the kernel keeps free in a chunk
CHUNKS = 2048, 4096
MAP_SHARED_POPULATE = mmap.MAP_SHARED | mmap.MAP_POPULATE
_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_int64]
_libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]


@dataclass(frozen=True)
class Ring:
    """Addresses of its numbers and entries. entries: a power of two."""

    producer: int
    consumer: int
    flags: int
    first: int
    entries: int


class XdpSocket:
    """`chunk` bytes a frame, the first ENTRIES chunks to receive into, the others to send from."""

    def __init__(self, chunk: int) -> None:
        self.chunk = chunk
        self.socket = socket.socket(AF_XDP, socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, 0)
        self._maps: list[tuple[int, int]] = []
        try:
            self._make()
        except OSError:
            self.close()
            raise

    def _make(self) -> None:
        size = 2 * ENTRIES * self.chunk
        self.memory = self._map(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE, 0)
        self._set(UMEM_REG, struct.pack("QQIIII", self.memory, size, self.chunk, 0, 0, 0))
        for option in (FILL_RING, COMPLETION_RING, RX_RING, TX_RING):
            self._set(option, struct.pack("I", ENTRIES))
        answer = struct.unpack("16Q", self.socket.getsockopt(SOL_XDP, MMAP_OFFSETS, 128))
        self.received = self._ring(PAGE_RX, DESCRIPTOR, answer[0:4])
        self.to_send = self._ring(PAGE_TX, DESCRIPTOR, answer[4:8])
        self.fill = self._ring(PAGE_FILL, ADDRESS, answer[8:12])
        self.sent = self._ring(PAGE_COMPLETION, ADDRESS, answer[12:16])

    def bind(self, interface: int, queue: int = 0) -> None:
        """Without copying where the driver can, else with."""
        address = struct.pack("HHIII", AF_XDP, USE_NEED_WAKEUP, interface, queue, 0)
        if _libc.bind(self.socket.fileno(), address, len(address)) < 0:
            raise _error()

    def statistics(self) -> tuple[int, ...]:
        """(dropped, invalid, invalid to send, ring full, nothing to fill, nothing to send), since it was opened."""
        return struct.unpack("6Q", self.socket.getsockopt(SOL_XDP, STATISTICS, 48))

    def close(self) -> None:
        self.socket.close()
        for address, size in self._maps:
            _libc.munmap(address, size)
        self._maps.clear()

    def _set(self, option: int, value: bytes) -> None:
        self.socket.setsockopt(SOL_XDP, option, value)

    def _ring(self, page: int, entry: int, offsets: tuple[int, ...]) -> Ring:
        producer, consumer, first, flags = offsets
        base = self._map(self.socket.fileno(), first + ENTRIES * entry, MAP_SHARED_POPULATE, page)
        return Ring(base + producer, base + consumer, base + flags, base + first, ENTRIES)

    def _map(self, fd: int, size: int, flags: int, offset: int) -> int:
        address = _libc.mmap(None, size, mmap.PROT_READ | mmap.PROT_WRITE, flags, fd, offset)
        if address is None or address == ctypes.c_void_p(-1).value:
            raise _error()
        self._maps.append((address, size))
        return int(address)


def chunk_for(mtu: int) -> int:
    """The smallest chunk that holds a frame of this MTU; 0 if there is none."""
    return next((chunk for chunk in CHUNKS if mtu + 14 + HEADROOM <= chunk), 0)


def _error() -> OSError:
    code = ctypes.get_errno()
    return OSError(code, os.strerror(code))
