"""Drops at tc ingress what a packet socket has its copy of, before anything else looks at it.

The ingress chain of `host.nftables` drops the same and more, by ports too, and is what the host relies on; but it costs
the sender's core a sixth of the way from a pod to the gateway, and a program of a few instructions next to nothing.
Where the kernel (before Linux 6.6) or a missing permission forbids it, the chain does all by itself.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable

from . import bpf
from .ingress_program import Rule, build_drop

RULES_MAX = 2048  # a rule is up to 13 instructions, and jumps reach 32,767 of them


class EarlyDrop:
    """On one interface, gone with `close` or the process. Until `use` it drops nothing."""

    def __init__(self, interface: str) -> None:
        self.interface = interface
        self._attachment = -1
        self._in_force: tuple[tuple[Rule, ...], bytes] = (), b""

    def use(self, rules: Iterable[Rule], mac: bytes) -> None:
        """From the next frame on drop what these rules take of what is sent to this MAC address, if that can be."""
        wanted = tuple(rules), mac
        if wanted == self._in_force or (not wanted[0] and self._attachment < 0):
            return
        self._in_force = wanted
        try:
            if len(wanted[0]) > RULES_MAX:
                return self.close()
            self._load(build_drop(*wanted))
        except OSError:
            self.close()

    def close(self) -> None:
        if self._attachment >= 0:
            os.close(self._attachment)
        self._attachment = -1

    def _load(self, code: bytes) -> None:
        program = bpf.load(code, bpf.TC)
        try:
            if self._attachment < 0:
                self._attachment = bpf.attach(program, socket.if_nametoindex(self.interface), bpf.TC)
            else:
                bpf.replace(self._attachment, program)
        finally:
            os.close(program)
