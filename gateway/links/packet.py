"""The outside link: an AF_PACKET socket on an Ethernet interface, with offload headers, a batch a system call.

Bound to ETH_P_ALL it sees frames before the host's own ingress does, so that an ingress drop (host.nftables)
can keep the host's stack from seeing them a second time; bound to ETH_P_IP it would come after that drop.
"""

from __future__ import annotations

import socket
import struct
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress

from . import device, filter
from ._syscalls_py import destination, link_header
from .link import VNET_HEADER, Frames, LinkError, LinkStatistics, NextHopSource, reason
from .next_hops import NextHops
from .syscalls import Packet

SOL_PACKET = 263
PACKET_STATISTICS, PACKET_VNET_HDR, PACKET_QDISC_BYPASS, PACKET_IGNORE_OUTGOING = 6, 15, 20, 23
ETH_P_ALL = 0x0003
SO_RCVBUFFORCE, SO_SNDBUFFORCE = 33, 32
RECEIVE_BYTES = 32 * 1024 * 1024  # a frame costs its buffer's true size, 2 KiB and more: room for some ten milliseconds
SEND_BYTES = 8 * 1024 * 1024


class PacketLink:
    """`source` knows routes and neighbours; each of `next_hops` replaces its routes for one family.

    `bypass`: past the queueing discipline. It saves little, and costs the queue in front of a
    busy card, tc and nftables egress, and being seen by tcpdump on this host.
    """

    def __init__(self, interface: str, source: NextHopSource, next_hops: Sequence[str] = (),
                 bypass: bool = False) -> None:
        self.name = interface
        self.mtu, mac = _describe(interface)
        self._socket = _open(interface, bypass)
        self.next_hops = NextHops(source, self._send_to, next_hops)
        self._calls = Packet(self._socket.fileno(), mac, self.next_hops.cache)
        self._mac = mac
        self._sent, self._reasons = 0, Counter[str]()
        source.listener = self

    def fileno(self) -> int:
        return self._socket.fileno()

    def read_batch(self, batch: Frames) -> int:
        return self._calls.read(batch)

    def write_batch(self, batch: Frames, side: int) -> int:
        missing = self._calls.resolve(batch, side)
        if missing is not None:
            for index in missing:
                self._look_up(batch, index)
        return self._calls.send(batch, side)

    def write(self, packet: bytes, offload: bytes) -> bool:
        to = packet[16:20] if packet[0] >> 4 == 4 else packet[24:40]
        mac = self.next_hops.find(to)
        if not mac:
            self.next_hops.hold(to, packet, offload)
            return False
        return self._send_to(packet, offload, mac)

    def accept(self, destinations: Iterable[str] | None) -> None:
        """From now on receive only what goes to these prefixes (None: anything): the host's own traffic stays out."""
        filter.attach(self._socket, destinations)

    def routes_changed(self) -> None:
        self.next_hops.routes_changed()

    def neighbour_changed(self, hop: bytes) -> None:
        self.next_hops.neighbour_changed(hop)

    def interface_changed(self) -> None:
        """The interface has another MAC address or MTU, perhaps."""
        with suppress(LinkError, OSError):
            self.mtu, self._mac = _describe(self.name)
            self._calls.set_mac(self._mac)

    def tick(self) -> None:
        """Call a few times a second: packets that wait for a next hop are given up in time."""
        self.next_hops.tick()

    @property
    def dropped(self) -> int:
        return self.statistics().dropped

    def statistics(self) -> LinkStatistics:
        self._count_overruns()
        reasons = Counter({reason(number): count for number, count in self._calls.errors().items()})
        reasons["receive_truncated"] = self._calls.truncated
        return LinkStatistics(self._calls.received, self._calls.sent + self._sent,
                              +(reasons + self._reasons + self.next_hops.reasons))

    def close(self) -> None:
        self._calls.close()
        self._socket.close()

    def _look_up(self, batch: Frames, index: int) -> None:
        to = destination(batch, index)
        mac = self.next_hops.find(to)
        if mac:
            batch.neighbour[index] = mac
            return
        start = batch.start[index]
        packet = bytes(batch.slab[start : start + batch.length[index]])
        self.next_hops.hold(to, packet, bytes(batch.slab[start - VNET_HEADER : start]))

    def _send_to(self, packet: bytes, offload: bytes, mac: int) -> bool:
        try:
            self._socket.sendmsg([link_header(offload, mac, self._mac, packet[0] >> 4), packet])
        except OSError as error:
            self._reasons[reason(error.errno or 0)] += 1
            return False
        self._sent += 1
        return True

    def _count_overruns(self) -> None:
        """The kernel's count of frames that found the receive buffer full; reading it sets it to zero."""
        if self._socket.fileno() >= 0:
            answer = self._socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8)
            self._reasons["receive_buffer_full"] += struct.unpack("II", answer)[1]


def _describe(interface: str) -> tuple[int, bytes]:
    """(MTU, MAC address)."""
    try:
        kind, mac = device.mac(interface)
        mtu = device.mtu(interface)
    except OSError:
        there = ", ".join(device.interfaces())
        raise LinkError(f"there is no interface {interface!r} in this network namespace; there are: {there}") from None
    if kind != device.ARPHRD_ETHER:
        raise LinkError(f"{interface} is not an Ethernet interface (hardware type {kind}): a packet link needs one")
    return mtu, mac


def _open(interface: str, bypass: bool) -> socket.socket:
    try:  # protocol 0: nothing is received before the filter is in place
        opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, 0)
    except PermissionError:
        raise LinkError(f"no permission to open a packet socket on {interface}: run as root, or with the capability "
                        "NET_RAW") from None
    try:
        _set_up(opened, bypass)
        opened.bind((interface, ETH_P_ALL))
    except OSError as error:
        opened.close()
        raise LinkError(f"cannot open a packet socket on {interface}: {error.strerror}") from None
    return opened


def _set_up(opened: socket.socket, bypass: bool) -> None:
    filter.attach(opened)
    opened.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    opened.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    if bypass:
        opened.setsockopt(SOL_PACKET, PACKET_QDISC_BYPASS, 1)
    for force, plain, size in ((SO_RCVBUFFORCE, socket.SO_RCVBUF, RECEIVE_BYTES),
                               (SO_SNDBUFFORCE, socket.SO_SNDBUF, SEND_BYTES)):
        try:
            opened.setsockopt(socket.SOL_SOCKET, force, size)
        except PermissionError:  # in a user namespace: as much as net.core.rmem_max allows
            opened.setsockopt(socket.SOL_SOCKET, plain, size)
