"""An XDP link's rings, interpreted: the same class as in `_xdp.pxi`, to step through and to compare with."""

from __future__ import annotations

import ctypes
import errno
import socket
import struct
from contextlib import suppress

from ._syscalls_py import ETHERNET, NEEDS_CHECKSUM, TYPE_IPV4, TYPE_IPV6, NextHopCache, Packet
from .link import VNET_HEADER, Frames
from .xdp_socket import AF_XDP, Ring, XdpSocket

NEED_WAKEUP = 1
TCP, UDP = 6, 17
M32 = 0xFFFFFFFF


class Lane:
    """One ring's numbers and entries. size: bytes of an entry."""

    def __init__(self, ring: Ring, size: int) -> None:
        self.producer, self.consumer, self.flags = (
            ctypes.c_uint32.from_address(at) for at in (ring.producer, ring.consumer, ring.flags))
        self._size, self._mask = size, ring.entries - 1
        self._entries = memoryview((ctypes.c_uint8 * (size * ring.entries)).from_address(ring.first)).cast("B")

    def __len__(self) -> int:
        return (self.producer.value - self.consumer.value) & M32

    def put(self, entry: bytes) -> None:
        at = (self.producer.value & self._mask) * self._size
        self._entries[at : at + self._size] = entry
        self.producer.value += 1

    def take(self) -> bytes:
        at = (self.consumer.value & self._mask) * self._size
        entry = bytes(self._entries[at : at + self._size])
        self.consumer.value += 1
        return entry


class Xdp(Packet):
    """Receives by AF_XDP, and sends by it what fits into a chunk; superpackets go by the packet socket `sender`."""

    FAMILY = AF_XDP

    def __init__(self, owner: XdpSocket, sender: int, mac: bytes, cache: NextHopCache) -> None:
        super().__init__(owner.socket.fileno(), sender, mac, cache)
        self._owner, self._chunk, entries = owner, owner.chunk, owner.fill.entries
        size = 2 * entries * owner.chunk
        self._memory = memoryview((ctypes.c_uint8 * size).from_address(owner.memory)).cast("B")
        self._fill, self._done = Lane(owner.fill, 8), Lane(owner.sent, 8)
        self._received, self._to_send = Lane(owner.received, 16), Lane(owner.to_send, 16)
        for number in range(entries):
            self._fill.put(struct.pack("Q", number * owner.chunk))
        self._spare = [(entries + number) * owner.chunk for number in range(entries)]

    def read(self, batch: Frames) -> int:
        """Fill the batch with what has been received. Returns its count: IP packets only."""
        count = 0
        ready = min(len(self._received), batch.capacity)
        for _ in range(ready):
            address, length, _ = struct.unpack("QII", self._received.take())
            frame = self._memory[address : address + length]
            if bytes(frame[12:14]) in (TYPE_IPV4, TYPE_IPV6) and length >= ETHERNET + (
                    20 if frame[13] == 0 else 40):
                start, packet = batch.start[count], bytes(frame[ETHERNET:])
                batch.slab[start : start + len(packet)] = packet
                batch.slab[start - VNET_HEADER : start] = unfinished(packet)
                batch.length[count] = len(packet)
                count += 1
            self._fill.put(struct.pack("Q", address - address % self._chunk))
        self.more = len(self._received) > 0
        if ready and self._fill.flags.value & NEED_WAKEUP:
            with suppress(OSError):
                self._socket.recv(0, socket.MSG_DONTWAIT)
        self.received += count
        batch.count = count
        return count

    def send(self, batch: Frames, side: int) -> int:
        """Send the frames whose `out` is `side` and whose next hop is known; returns how many the kernel took."""
        chosen = [index for index in range(batch.count) if batch.out[index] == side]
        if any(batch.slab[batch.start[index] - VNET_HEADER + 1] or batch.length[index] + ETHERNET > self._chunk
               for index in chosen):
            return super().send(batch, side)
        while len(self._done):
            self._spare.append(struct.unpack("Q", self._done.take())[0])
        done = 0
        for index in chosen:
            if not batch.neighbour[index]:
                self.unresolved += 1
            elif not self._spare:
                self._failed[errno.ENOBUFS] += 1
            else:
                self._place(batch, index)
                done += 1
        if done:
            self._kick(done)
        self.sent += done
        return done

    def _place(self, batch: Frames, index: int) -> None:
        start = batch.start[index]
        packet = finished(bytes(batch.slab[start - VNET_HEADER : start]),
                          bytes(batch.slab[start : start + batch.length[index]]))
        kind = TYPE_IPV4 if packet[0] >> 4 == 4 else TYPE_IPV6
        frame = batch.neighbour[index].to_bytes(6, "big") + self._own + kind + packet
        address = self._spare.pop()
        self._memory[address : address + len(frame)] = frame
        self._to_send.put(struct.pack("QII", address, len(frame), 0))

    def _kick(self, count: int) -> None:
        for _ in range(count // 16 + 4):
            if not len(self._to_send):
                return
            try:
                self._socket.send(b"", socket.MSG_DONTWAIT)
            except OSError as error:
                if error.errno not in (errno.EAGAIN, errno.EBUSY, errno.ENOBUFS):
                    self._failed[error.errno or 0] += 1
                    return


def unfinished(packet: bytes) -> bytes:
    """The offload header that the kernel would have given: see `mark_unfinished` in _xdp.pxi."""
    if packet[0] >> 4 == 4:
        start, number, addresses = (packet[0] & 15) * 4, packet[9], packet[12:20]
        size = int.from_bytes(packet[2:4], "big") - start
        if start < 20 or packet[6] & 0x3F or packet[7]:
            return bytes(VNET_HEADER)
    else:
        start, number, addresses, size = 40, packet[6], packet[8:40], int.from_bytes(packet[4:6], "big")
    at = start + (16 if number == TCP else 6)
    if number not in (TCP, UDP) or at + 2 > len(packet):
        return bytes(VNET_HEADER)
    pseudo = total(addresses + struct.pack("!HH", number, size & 0xFFFF))
    if packet[at : at + 2] != pseudo.to_bytes(2, "big"):
        return bytes(VNET_HEADER)
    return struct.pack("<BBHHHH", NEEDS_CHECKSUM, 0, 0, 0, start, at - start)


def finished(offload: bytes, packet: bytes) -> bytes:
    start, offset = struct.unpack_from("<HH", offload, 6)
    if not offload[0] & NEEDS_CHECKSUM or start + offset + 2 > len(packet):
        return packet
    checksum = ~total(packet[start:]) & 0xFFFF
    if checksum == 0 and offset == 6:
        checksum = 0xFFFF  # 0 would say that a datagram has none
    return packet[: start + offset] + checksum.to_bytes(2, "big") + packet[start + offset + 2 :]


def total(data: bytes) -> int:
    """The one's complement sum of 16-bit words."""
    padded = data + bytes(len(data) & 1)
    added: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while added >> 16:
        added = (added & 0xFFFF) + (added >> 16)
    return added
