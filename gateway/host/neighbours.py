"""The kernel's routes and neighbours of one interface, read once and followed by netlink events.

What a packet link asks on a destination it does not know yet: which next hop, which MAC address. The kernel
does the resolving (probe); it does not see the gateway's traffic, so entries go stale, which is no harm, and are
asked to be confirmed while they are in use.
"""

from __future__ import annotations

import select
import socket
from contextlib import suppress
from ipaddress import ip_address
from typing import Any, Protocol

from pyroute2.netlink.rtnl.marshal import MarshalRtnl

from . import interfaces
from .dialogue import Dialogue

LINKS, NEIGHBOURS, ROUTES_V4, ROUTES_V6 = 0x1, 0x4, 0x40, 0x400  # RTMGRP_
RTM_NEWLINK, RTM_NEWROUTE, RTM_DELROUTE, RTM_NEWNEIGH, RTM_DELNEIGH = 16, 24, 25, 28, 29
EVENT_BYTES = 1 << 20
EVENTS_PER_WAKE = 64  # datagrams
MAIN = 254
UNICAST = 1
REACHABLE, STALE, DELAY, PROBE, NOARP, PERMANENT = 0x02, 0x04, 0x08, 0x10, 0x40, 0x80
VALID = REACHABLE | STALE | DELAY | PROBE | NOARP | PERMANENT

Route = tuple[int, bytes | None]  # metric, gateway or None for on-link


class Listener(Protocol):
    def routes_changed(self) -> None: ...
    def neighbour_changed(self, hop: bytes) -> None: ...
    def interface_changed(self) -> None: ...


class Neighbours:
    """`fileno` is readable when something changed; then call `on_readable`. `listener` is told what."""

    def __init__(self, interface: str) -> None:
        self.interface = interface
        self.listener: Listener | None = None
        self._index = interfaces.interface(interface).index
        self._events = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC,
                                     socket.NETLINK_ROUTE)
        with suppress(OSError):
            self._events.setsockopt(socket.SOL_SOCKET, 33, EVENT_BYTES)  # SO_RCVBUFFORCE
        self._events.bind((0, LINKS | NEIGHBOURS | ROUTES_V4 | ROUTES_V6))
        self._marshal = MarshalRtnl()
        self._kernel = Dialogue()
        self._macs: dict[bytes, int] = {}
        self._routes: dict[int, list[tuple[int, dict[int, Route]]]] = {}
        self._read_all()

    def fileno(self) -> int:
        return self._events.fileno()

    def close(self) -> None:
        self._events.close()
        self._kernel.close()

    def next_hop(self, destination: bytes) -> bytes | None:
        """By the longest prefix among the main table's routes that leave by this interface."""
        size = 8 * len(destination)
        number = int.from_bytes(destination, "big")
        for length, routes in self._routes.get(size, ()):
            found = routes.get(number >> (size - length))
            if found is not None:
                return destination if found[1] is None else found[1]
        return None

    def mac(self, hop: bytes) -> int:
        return self._macs.get(hop, 0)

    def probe(self, hop: bytes) -> None:
        """Have the kernel use the entry: it asks for the address, or whether it still holds if that is long ago."""
        family = socket.AF_INET if len(hop) == 4 else socket.AF_INET6
        self._kernel.use_neighbour(self._index, family, str(ip_address(hop)))

    def on_readable(self) -> None:
        """Take in what changed, a bounded amount at a time."""
        routes = False
        for _ in range(EVENTS_PER_WAKE):
            try:
                data = self._events.recv(1 << 16)
            except BlockingIOError:
                break
            except OSError:  # ENOBUFS: events were lost, so everything is read again
                self._read_all()
                self._tell_all()
                return
            for message in self._marshal.parse(data):
                routes |= self._take(message)
        if routes:
            self._read_routes()
            if self.listener is not None:
                self.listener.routes_changed()

    def wait(self, seconds: float) -> bool:
        """For tests and tools without a loop: wait for an event and take it in."""
        ready = bool(select.select([self._events], [], [], seconds)[0])
        if ready:
            self.on_readable()
        return ready

    def _take(self, message: Any) -> bool:
        """One event; True if the routes have to be read again."""
        event = message["header"]["type"]
        if event in (RTM_NEWROUTE, RTM_DELROUTE):
            return bool(message["table"] == MAIN or message.get("table") == MAIN)
        if event in (RTM_NEWNEIGH, RTM_DELNEIGH) and message["ifindex"] == self._index:
            hop = self._learn(message, gone=event == RTM_DELNEIGH)
            if hop is not None and self.listener is not None:
                self.listener.neighbour_changed(hop)
        elif event == RTM_NEWLINK and message.get("ifname") == self.interface:
            self._index = message["index"]
            if self.listener is not None:
                self.listener.interface_changed()
            return True  # going down takes routes along, without an event for each
        return False

    def _learn(self, message: Any, gone: bool = False) -> bytes | None:
        """The hop whose MAC address this message changes, if it does."""
        text, mac = message.get("dst"), message.get("lladdr")
        if not text or message["family"] not in (socket.AF_INET, socket.AF_INET6) or message["flags"] & 0x08:
            return None
        hop = ip_address(text).packed
        valid = not gone and message["state"] & VALID and mac
        now = int(mac.replace(":", ""), 16) if valid else 0
        if self._macs.get(hop, 0) == now:
            return None
        if now:
            self._macs[hop] = now
        else:
            self._macs.pop(hop, None)
        return hop

    def _read_all(self) -> None:
        self._macs.clear()
        for message in self._kernel.neighbours():
            if message["ifindex"] == self._index:
                self._learn(message)
        self._read_routes()

    def _tell_all(self) -> None:
        if self.listener is not None:
            self.listener.routes_changed()
            for hop in list(self._macs):
                self.listener.neighbour_changed(hop)

    def _read_routes(self) -> None:
        found: dict[int, dict[int, dict[int, Route]]] = {}
        for family, size in ((socket.AF_INET, 32), (socket.AF_INET6, 128)):
            for message in self._kernel.routes(family):
                if message["type"] == UNICAST and (message.get("table") or message["table"]) == MAIN:
                    self._add(found.setdefault(size, {}), size, message)
        self._routes = {size: sorted(lengths.items(), reverse=True) for size, lengths in found.items()}

    def _add(self, lengths: dict[int, dict[int, Route]], size: int, message: Any) -> None:
        """A route, if one of its paths leaves by this interface; of several with one prefix the smallest metric."""
        paths = message.get("multipath") or [message]
        path = next((path for path in paths if _out(path) == self._index), None)
        if path is None:
            return
        text = message.get("dst")
        number = int(ip_address(text)) >> (size - message["dst_len"]) if text else 0
        via = path.get("via")
        gateway = path.get("gateway") or (via.get("addr") if isinstance(via, dict) else None)
        route = message.get("priority") or 0, ip_address(gateway).packed if gateway else None
        routes = lengths.setdefault(message["dst_len"], {})
        if number not in routes or route[0] < routes[number][0]:
            routes[number] = route


def _out(path: Any) -> int | None:
    with suppress(KeyError, AttributeError, TypeError):
        if path.get("oif") is not None:
            return int(path.get("oif"))
        return int(path["oif"])
    return None
