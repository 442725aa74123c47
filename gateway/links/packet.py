"""A link on an Ethernet interface: AF_PACKET sockets with offload headers, a batch a system call or, from a ring, none.

Bound to ETH_P_ALL the receiver sees frames before the host's own ingress does, so that an ingress drop
(host.nftables) can keep the host's stack from seeing them a second time; bound to ETH_P_IP it would come after
that drop. Sending has a socket of its own: each frame that leaves one wakes whoever waits on it, and the loop waits
on the receiver.
"""

from __future__ import annotations

import socket
import struct
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress

from . import device, filter
from ._syscalls_py import destination, link_header
from .early_drop import EarlyDrop
from .fanout import Fanout
from .ingress_program import Rule
from .link import VNET_HEADER, Frames, LinkError, LinkStatistics, NextHopSource, reason
from .next_hops import NextHops
from .syscalls import Packet

SOL_PACKET = 263
PACKET_RX_RING, PACKET_STATISTICS, PACKET_COPY_THRESH, PACKET_VERSION, TPACKET_V2 = 5, 6, 7, 10, 1
PACKET_VNET_HDR, PACKET_QDISC_BYPASS, PACKET_IGNORE_OUTGOING = 15, 20, 23
ETH_P_ALL = 0x0003
SO_RCVBUFFORCE, SO_SNDBUFFORCE = 33, 32
RECEIVE_BYTES = 32 * 1024 * 1024  # a frame costs its buffer's true size, 2 KiB and more: room for some ten milliseconds
SEND_BYTES = 8 * 1024 * 1024
# A frame of an ordinary MTU; what is longer is copied into the socket's queue instead. An odd number of cache lines:
# the slots' first lines, which every frame touches, would all meet in a few sets of a cache if it were a power of two.
RING_SLOT = 27 * 64
RING_SLOTS = 4096  # some milliseconds; more would be cold in every core's cache when their turn comes
RING_SLOTS_LEAST = 512  # of each of many queues
RING_BLOCK = 64 * RING_SLOT  # what the kernel allocates at once: whole pages, without a gap behind the last slot
BLOCK_SLOTS = RING_BLOCK // RING_SLOT


class PacketLink:
    """`source` knows routes and neighbours; each of `next_hops` replaces its routes for one family.

    `bypass`: past the queueing discipline. It saves little, and costs the queue in front of a
    busy card, tc and nftables egress, and being seen by tcpdump on this host.  `group`: of `queues` links that share
    the interface's frames; nothing is received until `open_up`.
    """

    def __init__(self, interface: str, source: NextHopSource, next_hops: Sequence[str] = (),
                 bypass: bool = False, group: Fanout | None = None, queues: int = 1) -> None:
        self.name = interface
        self.mtu, self._mac = _describe(interface)
        self.next_hops = NextHops(source, self._send_to, next_hops)
        self._rules: tuple[Rule, ...] = ()
        self._drop = EarlyDrop(interface)
        self._slots = RING_SLOTS
        if queues > 1:
            self._slots = max(RING_SLOTS // queues // BLOCK_SLOTS * BLOCK_SLOTS, RING_SLOTS_LEAST)
        self._group = group
        self._open(bypass)
        self._sent, self._reasons = 0, Counter[str]()
        source.listener = self

    def linger(self, nanoseconds: int) -> bool:
        return self._calls.linger(nanoseconds)

    @property
    def calls(self) -> Packet:
        """The descriptor by itself, for a thread that runs without Python."""
        return self._calls

    def fileno(self) -> int:
        return self._socket.fileno()

    def read_batch(self, batch: Frames) -> int:
        return self._calls.read(batch)

    def write_batch(self, batch: Frames, side: int) -> int:
        sent = self._calls.write(batch, side)
        if sent >= 0:
            return sent
        for index in self._calls.resolve(batch, side) or ():
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

    def take(self, rules: Iterable[Rule]) -> None:
        """What is the gateway's, and not the host's, by addresses: the first rule that matches decides."""
        self._rules = tuple(rules)
        self._drop.use(self._rules, self._mac)

    def open_up(self) -> None:
        """All of the group have joined: receive."""
        filter.attach(self._socket)

    def routes_changed(self) -> None:
        self.next_hops.routes_changed()

    def neighbour_changed(self, hop: bytes) -> None:
        self.next_hops.neighbour_changed(hop)

    def interface_changed(self) -> None:
        """The interface has another MAC address or MTU, perhaps."""
        with suppress(LinkError, OSError):
            self.mtu, self._mac = _describe(self.name)
            self._calls.set_mac(self._mac)
        self.take(self._rules)

    def tick(self) -> None:
        """Call a few times a second: packets that wait for a next hop are given up in time."""
        self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)  # ENETDOWN; until it is taken the loop cannot wait
        self.next_hops.tick()

    @property
    def more(self) -> bool:
        return self._calls.more

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
        self._drop.close()
        self._calls.close()
        self._socket.close()
        self._sender.close()

    def _open(self, bypass: bool) -> None:
        self._sender, self._socket = new_sender(self.name, bypass), _new(self.name)
        self._calls: Packet = Packet(self._socket.fileno(), self._sender.fileno(), self._mac, self.next_hops.cache)
        try:
            _set_up_receiver(self._socket)
            if self._group:
                filter.shut(self._socket)
            if self._calls.RINGS:
                self._receive_by_ring()
            self._socket.bind((self.name, ETH_P_ALL))
            if self._group:
                self._group.join(self._socket)
        except OSError as error:
            self.close()
            raise LinkError(f"cannot open a packet socket on {self.name}: {error.strerror}") from None

    def _receive_by_ring(self) -> None:
        """Small frames then cost no system call, and no buffer that one core fills and another has to give back.

        Not TPACKET_V3: its blocks are handed over a millisecond late. Without memory for a ring, recvmmsg does.
        """
        size = self._slots * RING_SLOT
        self._socket.setsockopt(SOL_PACKET, PACKET_VERSION, TPACKET_V2)
        self._socket.setsockopt(SOL_PACKET, PACKET_COPY_THRESH, 1)
        with suppress(OSError):
            self._socket.setsockopt(
                SOL_PACKET, PACKET_RX_RING, struct.pack("IIII", RING_BLOCK, size // RING_BLOCK, RING_SLOT, self._slots))
            self._calls.use_ring(size, RING_SLOT)

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
            self._sender.sendmsg([link_header(offload, mac, self._mac, packet[0] >> 4), packet])
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


def _new(interface: str) -> socket.socket:
    try:  # protocol 0: nothing is received before the filter is in place
        return socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, 0)
    except PermissionError:
        raise LinkError(f"no permission to open a packet socket on {interface}: run as root, or with the capability "
                        "NET_RAW") from None


def _set_up_receiver(opened: socket.socket) -> None:
    filter.attach(opened)
    opened.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    opened.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    give_room(opened, SO_RCVBUFFORCE, socket.SO_RCVBUF, RECEIVE_BYTES)


def new_sender(interface: str, bypass: bool) -> socket.socket:
    opened = _new(interface)
    try:
        opened.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
        if bypass:
            opened.setsockopt(SOL_PACKET, PACKET_QDISC_BYPASS, 1)
        give_room(opened, SO_SNDBUFFORCE, socket.SO_SNDBUF, SEND_BYTES)
        opened.bind((interface, 0))
    except OSError as error:
        opened.close()
        raise LinkError(f"cannot open a packet socket on {interface}: {error.strerror}") from None
    return opened


def give_room(opened: socket.socket, force: int, plain: int, size: int) -> None:
    try:
        opened.setsockopt(socket.SOL_SOCKET, force, size)
    except PermissionError:  # in a user namespace: as much as net.core.rmem_max or wmem_max allows
        opened.setsockopt(socket.SOL_SOCKET, plain, size)
