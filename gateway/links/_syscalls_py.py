"""The batched system calls, interpreted: the same classes as `_syscalls.pyx`, to step through and to compare with.

One call a frame, both ways. What is written to the slab and sent is byte for byte the same.
"""

from __future__ import annotations

import errno
import os
import socket
from collections import Counter
from collections.abc import Callable

from .link import BATCH_BYTES, FRAME_MAX, VNET_HEADER, Frames

ETHERNET = 14
HEADROOM = VNET_HEADER + ETHERNET
NEEDS_CHECKSUM = 1
IN_FLIGHT = 196608
VLEN_LEAST = 4
RETRIES = 4
HOPS = 65536
TYPE_IPV4, TYPE_IPV6 = b"\x08\x00", b"\x86\xdd"


class Calls:
    """What both kinds of descriptor have."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.received = self.sent = self.truncated = self.unresolved = 0
        self.more = False
        self._failed: Counter[int] = Counter()

    def errors(self) -> dict[int, int]:
        """{errno: frames that could not be sent because of it}."""
        return dict(sorted(self._failed.items()))

    def _send(self, call: Callable[[], int], retries: int) -> tuple[bool, int]:
        """(whether the kernel took it, retries left)."""
        while True:
            try:
                call()
            except OSError as error:
                if error.errno in (errno.EAGAIN, errno.ENOBUFS) and retries:
                    retries -= 1
                    continue
                self._failed[error.errno or 0] += 1
                return False, retries
            return True, retries


def set_header_length(batch: Frames, index: int) -> None:
    """Make hdr_len of a frame's offload header the length of all its headers, if it is to be completed or segmented."""
    at, length = batch.start[index], batch.length[index]
    packet, offload = batch.slab[at : at + length], batch.slab[at - VNET_HEADER : at]
    kind, checksum_offset = offload[1], _number(offload, 8)
    if offload[0] & NEEDS_CHECKSUM:
        start = _number(offload, 6)
    elif kind == 0:
        return
    else:
        start = (packet[0] & 15) * 4 if packet[0] >> 4 == 4 else 40
    if start + 8 > length:
        return
    if kind & 0x7F in (1, 4) or (kind == 0 and checksum_offset == 16):
        headers = start + (packet[start + 12] >> 4) * 4 if start + 20 <= length else length
    else:
        headers = start + 8
    offload[2:4] = min(headers, length).to_bytes(2, "little")


class Tun(Calls):
    """A TUN descriptor with IFF_VNET_HDR: one system call a frame."""

    def read(self, batch: Frames) -> int:
        """Fill the batch until nothing is left to read, it is full, or holds BATCH_BYTES. Returns its count."""
        count = total = 0
        self.more = True
        while count < batch.capacity and total < BATCH_BYTES:
            start = batch.start[count]
            try:
                size = os.readv(self.fd, [batch.slab[start - VNET_HEADER : start + FRAME_MAX]])
            except OSError:
                size = 0
            if size <= VNET_HEADER:
                self.more = False
                break
            batch.length[count] = size - VNET_HEADER
            total += size
            count += 1
        self.received += count
        batch.count = count
        return count

    def write(self, batch: Frames, side: int) -> int:
        """Write the frames whose `out` is `side`; returns how many the kernel took."""
        done, retries = 0, RETRIES
        for index in range(batch.count):
            if batch.out[index] != side:
                continue
            if batch.length[index] > FRAME_MAX:
                self._failed[errno.EMSGSIZE] += 1
                continue
            set_header_length(batch, index)
            start = batch.start[index]
            frame = batch.slab[start - VNET_HEADER : start + batch.length[index]]
            taken, retries = self._send(lambda frame=frame: os.write(self.fd, frame), retries)  # type: ignore[misc]
            done += taken
        self.sent += done
        return done


class NextHopCache:
    """destination -> next hop -> MAC address. A route change forgets the destinations, not the hops."""

    def __init__(self, entries: int = 4096) -> None:
        self._entries: dict[bytes, int] = {}
        self._room = entries
        self._macs: dict[int, int] = {}
        self._used: set[int] = set()

    def clear(self) -> None:
        self._entries.clear()

    def put(self, destination: bytes, hop: int) -> None:
        if not 0 < hop < HOPS:
            raise ValueError("no such hop number")
        if len(self._entries) >= self._room:
            self._entries.pop(next(iter(self._entries)))
        self._entries[bytes(destination)] = hop

    def set_mac(self, hop: int, mac: int) -> None:
        if not 0 < hop < HOPS:
            raise ValueError("no such hop number")
        self._macs[hop] = mac

    def used(self, hop: int) -> bool:
        """Whether a frame went to `hop` since the last call."""
        was = hop in self._used
        self._used.discard(hop)
        return was

    def find(self, destination: bytes) -> int:
        hop = self._entries.get(destination, 0)
        if hop:
            self._used.add(hop)
        return self._macs.get(hop, 0)


class Packet(Calls):
    """AF_PACKET sockets with PACKET_VNET_HDR, one to receive and one to send."""

    RINGS = False  # interpreted, one would save nothing
    FAMILY = -1  # of the receiver: to be found out

    def __init__(self, fd: int, sender: int, mac: bytes, cache: NextHopCache) -> None:
        super().__init__(fd)
        self.cache = cache
        self._mean = 0
        self._socket = socket.socket(self.FAMILY, fileno=os.dup(fd))
        self._sender = socket.socket(fileno=os.dup(sender))
        self.set_mac(mac)

    def linger(self, nanoseconds: int) -> bool:
        return False

    def use_ring(self, size: int, frame: int) -> None:
        raise NotImplementedError

    def close(self) -> None:
        self._socket.close()
        self._sender.close()

    def set_mac(self, mac: bytes) -> None:
        if len(mac) != 6:
            raise ValueError("a MAC address has 6 bytes")
        self._own = bytes(mac)

    def read(self, batch: Frames) -> int:
        """Fill the batch as one recvmmsg would. Returns its count: IP packets only."""
        count = got = total = 0
        fits = min(max(IN_FLIGHT // (self._mean + 1), VLEN_LEAST), batch.capacity)
        while got < fits:
            start = batch.start[count]
            room = batch.slab[start - HEADROOM : start + FRAME_MAX]
            try:
                size, _, flags, _ = self._socket.recvmsg_into([room], 0, socket.MSG_DONTWAIT)
            except OSError:
                break
            got, total = got + 1, total + size
            if self._canonical(batch, start, size, flags):
                batch.length[count] = size - HEADROOM
                count += 1
        self.more = got == fits
        if got:
            self._mean = (self._mean * 3 + total // got) // 4
        self.received += count
        batch.count = count
        return count

    def _canonical(self, batch: Frames, start: int, size: int, flags: int) -> bool:
        if flags & socket.MSG_TRUNC:
            self.truncated += 1
            return False
        if size <= HEADROOM or batch.slab[start - 2 : start] not in (TYPE_IPV4, TYPE_IPV6):
            return False
        offload = bytearray(batch.slab[start - HEADROOM : start - ETHERNET])
        _move(offload, 2, -ETHERNET)
        if offload[0] & NEEDS_CHECKSUM:
            _move(offload, 6, -ETHERNET)
        batch.slab[start - VNET_HEADER : start] = offload
        return True

    def resolve(self, batch: Frames, side: int) -> list[int] | None:
        """Give every frame for `side` its next hop's MAC address. Returns the indices of those with none, or None."""
        missing = []
        for index in range(batch.count):
            if batch.out[index] == side:
                batch.neighbour[index] = self.cache.find(destination(batch, index))
                if not batch.neighbour[index]:
                    missing.append(index)
        return missing or None

    def write(self, batch: Frames, side: int) -> int:
        """Resolve and send; -1, and nothing is sent, if there are frames without a next hop."""
        return -1 if self.resolve(batch, side) else self.send(batch, side)

    def send(self, batch: Frames, side: int) -> int:
        """Send the frames whose `out` is `side` and whose next hop is known; returns how many the kernel took."""
        done, retries = 0, RETRIES
        for index in range(batch.count):
            if batch.out[index] != side:
                continue
            if not batch.neighbour[index]:
                self.unresolved += 1
            elif batch.length[index] > FRAME_MAX:
                self._failed[errno.EMSGSIZE] += 1
            else:
                frame = self._frame(batch, index)
                taken, retries = self._send(
                    lambda frame=frame: self._sender.send(frame, socket.MSG_DONTWAIT), retries)  # type: ignore[misc]
                done += taken
        self.sent += done
        return done

    def _frame(self, batch: Frames, index: int) -> memoryview:
        set_header_length(batch, index)
        start = batch.start[index]
        offload = bytearray(batch.slab[start - VNET_HEADER : start])
        batch.slab[start - HEADROOM : start] = link_header(
            offload, batch.neighbour[index], self._own, batch.slab[start] >> 4)
        return memoryview(batch.slab[start - HEADROOM : start + batch.length[index]])


def link_header(offload: bytes | bytearray, mac: int, own: bytes, version: int) -> bytes:
    """[offload 10][Ethernet 14] for an AF_PACKET socket, from an offload header that counts from the IP header."""
    moved = bytearray(offload)
    if moved[0] & NEEDS_CHECKSUM or moved[1]:
        _move(moved, 2, ETHERNET)
    if moved[0] & NEEDS_CHECKSUM:
        _move(moved, 6, ETHERNET)
    return bytes(moved) + mac.to_bytes(6, "big") + own + (TYPE_IPV4 if version == 4 else TYPE_IPV6)


def destination(batch: Frames, index: int) -> bytes:
    """The destination address of a frame, 4 or 16 bytes."""
    start = batch.start[index]
    first, last = (16, 20) if batch.slab[start] >> 4 == 4 else (24, 40)
    return bytes(batch.slab[start + first : start + last])


def _number(data: memoryview | bytearray, at: int) -> int:
    return int.from_bytes(data[at : at + 2], "little")


def _move(offload: bytearray, at: int, by: int) -> None:
    offload[at : at + 2] = (max(_number(offload, at) + by, 0) & 0xFFFF).to_bytes(2, "little")
