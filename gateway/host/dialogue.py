"""Short questions to the kernel over a netlink socket of our own: dumps, and a neighbour to be resolved.

For what is asked while packets flow. pyroute2's own sockets bring an event loop along, which cannot run inside
the gateway's; its messages, encoded and parsed here, need none.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from pyroute2.netlink.rtnl.marshal import MarshalRtnl
from pyroute2.netlink.rtnl.ndmsg import ndmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

RTM_GETROUTE, RTM_NEWNEIGH, RTM_GETNEIGH = 26, 28, 30
NLM_F_REQUEST, NLM_F_DUMP, NLM_F_REPLACE, NLM_F_CREATE = 0x1, 0x300, 0x100, 0x400
NLMSG_ERROR, NLMSG_DONE = 2, 3
NTF_USE = 0x01
ANSWER_WITHIN = 2.0  # seconds; the kernel answers at once
RECEIVE = 1 << 18


class Dialogue:
    """One question at a time; OSError when the kernel refuses it."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        self._socket.bind((0, 0))
        self._socket.settimeout(ANSWER_WITHIN)
        self._marshal = MarshalRtnl()
        self._sequence = 0

    def routes(self, family: int) -> Iterator[Any]:
        """Every route of a family, all tables."""
        question = rtmsg()
        question["family"] = family
        return self._dump(RTM_GETROUTE, question)

    def neighbours(self) -> Iterator[Any]:
        """Every neighbour, all interfaces."""
        return self._dump(RTM_GETNEIGH, ndmsg())

    def use_neighbour(self, index: int, family: int, address: str) -> None:
        """As if a packet had been sent there: the kernel asks for the MAC address, or confirms an old one."""
        question = ndmsg()
        question["family"], question["ifindex"], question["flags"] = family, index, NTF_USE
        question["attrs"] = [("NDA_DST", address)]
        # Without an acknowledgement: whether the neighbour answers is learnt from events, not from this.
        with suppress(OSError):
            self._send(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, question)

    def close(self) -> None:
        self._socket.close()

    def _send(self, kind: int, flags: int, question: Any) -> None:
        self._sequence += 1
        question["header"]["type"], question["header"]["flags"] = kind, NLM_F_REQUEST | flags
        question["header"]["sequence_number"] = self._sequence
        question.encode()
        self._socket.send(question.data)

    def _dump(self, kind: int, question: Any) -> Iterator[Any]:
        self._send(kind, NLM_F_DUMP, question)
        while True:
            for message in self._marshal.parse(self._socket.recv(RECEIVE)):
                header = message["header"]
                if header["sequence_number"] != self._sequence:
                    continue  # an error about a neighbour that could not be asked for
                if header["type"] == NLMSG_DONE:
                    return
                if header["type"] == NLMSG_ERROR:
                    raise OSError(errno.EIO, f"the kernel refused a netlink dump: {header.get('error')}")
                yield message
