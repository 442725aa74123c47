"""A link that takes frames from the driver, before the host's stack has seen them: AF_XDP.

For loads of small packets. Where the driver is a veth's, frames are copied, and its other end cuts superpackets up
before it sends them: bulk TCP suffers. What the host is to keep (`take`) is decided in the driver, by a program of
ours that goes with this process. Sending goes back the same way, superpackets by a packet socket.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterable

from . import bpf, device, ingress_program
from .early_drop import RULES_MAX
from .ingress_program import Rule
from .link import LinkError
from .packet import SEND_BYTES, SO_SNDBUFFORCE, PacketLink, give_room, new_sender
from .syscalls import Xdp
from .xdp_socket import XdpSocket, chunk_for


class XdpLink(PacketLink):
    """As a PacketLink; until `take` says what is the gateway's, everything stays the host's."""

    _programmed = b""  # the MAC address that the program looks for; PacketLink has the rules
    _attachment = _sockets = -1  # descriptors
    _xdp: XdpSocket

    def take(self, rules: Iterable[Rule]) -> None:
        """From the next frame on, the gateway gets what these rules take. Raises LinkError, and the old ones hold."""
        rules = tuple(rules)
        if rules == self._rules and self._programmed == self._mac:
            return
        if len(rules) > RULES_MAX:
            raise LinkError(f"driver xdp on {self.name}: {len(rules)} addresses and CIDRs are too many, at most "
                            f"{RULES_MAX}; use driver packet")
        try:
            program = bpf.load(ingress_program.build(rules, self._mac, self._sockets), bpf.XDP)
            try:
                self._use(program)
            finally:
                os.close(program)
        except OSError as error:
            raise self._refused(error) from None
        self._rules, self._programmed = rules, self._mac

    def close(self) -> None:
        """The program first: from then on frames go to the host, which keeps dropping those it was told to."""
        for fd in (self._attachment, self._sockets):
            if fd >= 0:
                os.close(fd)
        self._attachment = self._sockets = -1
        self._calls.close()
        self._xdp.close()
        self._sender.close()

    def _open(self, bypass: bool) -> None:
        self._check()
        self._sender = new_sender(self.name, bypass)
        try:
            self._xdp = XdpSocket(chunk_for(self.mtu))
        except OSError as error:
            self._sender.close()
            raise self._refused(error) from None
        self._socket = self._xdp.socket
        self._calls = Xdp(self._xdp, self._sender.fileno(), self._mac, self.next_hops.cache)
        try:
            give_room(self._socket, SO_SNDBUFFORCE, socket.SO_SNDBUF, SEND_BYTES)
            self._xdp.bind(socket.if_nametoindex(self.name))
            self._sockets = bpf.socket_map(1)
            bpf.put(self._sockets, 0, self._socket.fileno())
            self.take(())
        except OSError as error:
            self.close()
            raise self._refused(error) from None
        except LinkError:
            self.close()
            raise

    def _check(self) -> None:
        if not chunk_for(self.mtu):
            raise LinkError(f"{self.name} has an MTU of {self.mtu}, too much for driver xdp: make it at most 3826, or "
                            "use driver packet")
        queues = device.receive_queues(self.name)
        if queues > 1:
            raise LinkError(f"{self.name} has {queues} receive queues, and driver xdp reads one: ethtool -L "
                            f"{self.name} combined 1, or use driver packet")

    def _use(self, program: int) -> None:
        if self._attachment < 0:
            self._attachment = bpf.attach(program, socket.if_nametoindex(self.name), bpf.XDP)
        else:
            bpf.replace(self._attachment, program)

    def _refused(self, error: OSError) -> LinkError:
        if error.errno in (errno.EPERM, errno.EACCES):
            return LinkError(f"no permission for XDP on {self.name}: run as root, outside of a user namespace")
        if error.errno in (errno.EOPNOTSUPP, errno.EINVAL) and self._attachment < 0:
            return LinkError(f"{self.name} cannot have an XDP program ({error.strerror}): its driver has no XDP, as a "
                             "bridge's has not, or this kernel lacks it; use driver packet")
        if error.errno == errno.EBUSY:
            return LinkError(f"{self.name} has an XDP program or socket of somebody else's: remove it (ip link set "
                             f"{self.name} xdp off), or use driver packet")
        return LinkError(f"cannot use XDP on {self.name}: {error.strerror}; use driver packet")

    def _count_overruns(self) -> None:
        if self._socket.fileno() >= 0:
            dropped, _, _, full, unfilled, _ = self._xdp.statistics()
            self._reasons["receive_buffer_full"] = dropped + full + unfilled
