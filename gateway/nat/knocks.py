"""SYNs that nobody inside asked for: silence for 6 s, then port unreachable (RFC 5382 REQ-4).

Silence, because the SYN may be one half of a simultaneous open whose other half is on its way out. Whatever
is not told within the bound below is never told.
"""

from __future__ import annotations

from collections import deque

from ..match.settings import Settings
from ..wire import bits, protocol, vnet
from ..wire import checksum as sums
from ..wire.packet import Packet
from . import row
from .answers import Answers, Outbox
from .engine import Engine
from .verdict import Verdict

KNOCKS_MAX = 256
Ends = tuple[int, int, int, int, int]


class Knocks:
    """Remembers up to KNOCKS_MAX unsolicited SYNs until their time is up; one sent again is told with the first."""

    def __init__(self, engine: Engine, answers: Answers, outbox: Outbox) -> None:
        self.engine, self.answers, self.outbox = engine, answers, outbox
        self.waiting: deque[tuple[int, int, bytes, Ends]] = deque()

    def use(self, settings: Settings) -> None:
        self.silence = settings.timeouts.tcp_inbound_syn

    def note(self, side: int, now: int) -> None:
        """The engine has just parsed such a SYN."""
        packet = self.engine.packet
        if len(self.waiting) < KNOCKS_MAX:
            sums.finish_checksum(self.engine.batch.slab, packet)  # what its sender left to the kernel is quoted
            data = bytes(self.engine.batch.slab[packet.at : packet.end])
            ends = self.ends_of(packet)
            if all(known != ends for *_, known in self.waiting):
                self.waiting.append((now + self.silence, side, data, ends))

    def ends_of(self, packet: Packet) -> Ends:
        return (packet.source_high, packet.source_low, packet.destination_high, packet.destination_low, packet.ports)

    def tick(self, now: int) -> None:
        """Tell those whose time is up, unless somebody inside has meanwhile called them."""
        while self.waiting and self.waiting[0][0] <= now:
            _, side, data, _ = self.waiting.popleft()
            answer = self.judge(side, data, now)
            if answer is not None:
                self.outbox.append((side, bytes(vnet.HEADER), answer))

    def judge(self, side: int, data: bytes, now: int) -> bytes | None:
        engine = self.engine
        packet: Packet = engine.packet
        with engine.aside() as scratch:
            scratch.append(data)
            packet.parse(scratch.start[0], len(data), False)
            label = side << row.LABEL_SIDE | protocol.TCP << row.LABEL_PROTOCOL | packet.ports
            found = engine.table.find(packet.source_high, packet.source_low, packet.destination_high,
                                      packet.destination_low, label, now >> row.TICK_SHIFT & bits.M32)
            if found and engine.table.r8[(found >> 1) * row.BYTES + row.FLAGS] & row.KNOCKING:
                found = 0  # its own: the host that it was for has not called
            return None if found else self.answers.error(Verdict.DROP_UNSOLICITED_SYN, side, now)
