"""What began, ended or was refused, noted on the packet path and read out off it (RFC 6888 REQ-12, RFC 8158).

A fixed buffer that whoever drains it empties at once, so that only the part in use is ever touched. A full one
counts what it loses, by kind: records must never slow packets down.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..wire import order
from ..wire.packet import Packet
from . import bounds, record, row
from .memory import Ahead, reserve
from .table import FlowTable


class Records:
    """Up to record.CAPACITY records between two `drain`s.

    now: nanoseconds, set by the translator once a batch.  lost: by record kind.  muted: nothing is noted.
    """

    def __init__(self, table: FlowTable, packet: Packet) -> None:
        self.packet = packet
        self.t16, self.t64 = table.r16, table.r64
        memory = reserve(record.CAPACITY * record.WORDS * 8)
        self.r64 = memory.cast("Q")
        self.ahead = Ahead(memory, bounds.RECORDS_AHEAD)
        self.count = self.now = 0
        self.muted = False
        self.lost = memoryview(bytearray(8 * record.KINDS)).cast("Q")
        self.use((), ())

    def use(self, egress4: Sequence[object], egress6: Sequence[object]) -> None:
        """Exhaustion is told once a second for each egress address and protocol; and for no address."""
        size = (len(egress4) + len(egress6) + 1) * 256
        self.told = memoryview(bytearray(8 * size)).cast("Q")
        self.silent = memoryview(bytearray(4 * size)).cast("I")

    def drain(self) -> bytes:
        """All records, and none are left."""
        taken = bytes(self.r64[: self.count * record.WORDS])
        self.count = 0
        return taken

    def created(self, member: int) -> None:
        self.note(record.CREATED, 0, member, self.now)

    def closed(self, member: int, reason: int, late: int) -> None:
        """A row ends; it was dead for `late` nanoseconds already."""
        self.note(record.CLOSED, reason, member, self.now - late)

    def note(self, kind: int, reason: int, member: int, time: int) -> None:
        """Copy a row's tuples."""
        if self.has_room(kind):
            noted = order.span64(self.r64, self.count * record.WORDS, record.WORDS)
            flow = order.span64(self.t64, member * row.WORDS, row.WORDS)
            for word in range(record.TUPLES):
                noted[word] = flow[word]
            opening = flow[row.OCTETS] >> row.OPENING_SHIFT << row.OPENING_SHIFT
            noted[row.ORIGINAL_LABEL] = flow[row.ORIGINAL_LABEL] & row.LABEL_MASK | opening
            self.seal(kind, reason, self.t16[member * row.HALVES + row.DECISION], member, time)

    def exhausted(self, reason: int, pool: int, egress: int, high: int, low: int) -> None:
        """Nothing is left for the packet's flow. egress: 1 + the number of the egress address; 0, and ::, for none."""
        place = egress << 8 | self.packet.protocol
        if not self.muted:
            if self.told[place] != 0 and self.now + 1 - self.told[place] < record.QUIET:
                self.silent[place] += 1
            else:
                self.refuse(record.EXHAUSTED, reason, pool, high, low, self.silent[place])
                self.told[place], self.silent[place] = self.now + 1, 0

    def quota(self, reason: int, pool: int, silent: int) -> None:
        """The packet's source has reached a limit. silent: how many such events were swallowed since the last."""
        self.refuse(record.QUOTA, reason, pool, 0, 0, silent)

    def refuse(self, kind: int, reason: int, pool: int, high: int, low: int, silent: int) -> None:
        """The packet's addresses, and the external one."""
        if self.has_room(kind):
            at = self.count * record.WORDS
            for word in range(record.TUPLES):
                self.r64[at + word] = 0
            self.r64[at + row.ORIGINAL_SOURCE] = self.packet.source_high
            self.r64[at + row.ORIGINAL_SOURCE + 1] = self.packet.source_low
            self.r64[at + row.ORIGINAL_DESTINATION] = self.packet.destination_high
            self.r64[at + row.ORIGINAL_DESTINATION + 1] = self.packet.destination_low
            self.r64[at + row.REPLY_DESTINATION], self.r64[at + row.REPLY_DESTINATION + 1] = high, low
            self.r64[at + row.ORIGINAL_LABEL] = self.packet.protocol << row.LABEL_PROTOCOL | self.packet.ports
            self.seal(kind, reason, pool, silent, self.now)

    def has_room(self, kind: int) -> bool:
        if self.muted or self.count == record.CAPACITY:
            self.lost[kind] += not self.muted
            return False
        return True

    def seal(self, kind: int, reason: int, pool: int, subject: int, time: int) -> None:
        at = self.count * record.WORDS
        self.r64[at + record.SUBJECT] = subject | kind << record.KIND | reason << record.REASON | pool << record.POOL
        self.r64[at + record.TIME] = time
        self.count += 1
