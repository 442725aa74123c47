"""Several packet sockets on one interface: each frame goes to one of them, which one says a program (`links.steering`).

A socket that is bound but in no group yet would get every frame: so each lets nothing in until all have joined.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence

from . import filter
from .steering import Instruction

SOL_PACKET, PACKET_FANOUT, PACKET_FANOUT_DATA = 263, 18, 22
BY_PROGRAM, UNIQUE, IGNORE_OUTGOING = 6, 0x2000, 0x4000
FLAGS = BY_PROGRAM | IGNORE_OUTGOING


class Fanout:
    """A group that only this process can join. Without a program the first member gets everything."""

    def __init__(self) -> None:
        self.members: list[socket.socket] = []
        self.number = 0

    def join(self, member: socket.socket) -> None:
        """A bound socket. OSError where the kernel has no such groups."""
        if self.members:
            member.setsockopt(SOL_PACKET, PACKET_FANOUT, self.number | FLAGS << 16)
        else:
            member.setsockopt(SOL_PACKET, PACKET_FANOUT, (FLAGS | UNIQUE) << 16)
            self.number = member.getsockopt(SOL_PACKET, PACKET_FANOUT) & 0xFFFF
        self.members.append(member)

    def steer(self, program: Sequence[Instruction]) -> None:
        """From the next frame on; the program answers with the place of a member in the order in which they joined."""
        filter.install(self.members[0], SOL_PACKET, PACKET_FANOUT_DATA, program)
