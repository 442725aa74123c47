"""Internal addresses that open flows: what each of them holds, may yet open, and which egress address it keeps.

Each has an account (`nat.account`). Its flows are the live rows it opened from inside. Its ports are the
mappings of its endpoints (one port each, however many flows share it) and, where mappings depend on the remote
endpoint, its translated flows, one port each; for protocols without ports, the address counts as one.
A row counts from the moment it is linked until it is closed: an expired one until it is swept.

Pairing (RFC 4787 REQ-2, RFC 6888 REQ-2): at its first translated flow an address gets the egress address with
the fewest hosts, and keeps it; who holds no port there and finds none free moves to another. An address by hash alone
would need no memory, but leaves 64 of them with 0 to 6 of 100 hosts. An idle host is forgotten only for want of room,
the one that was idle longest first.
"""

from __future__ import annotations

from ..match.settings import Settings
from ..wire import sides
from . import account, record, row
from .memory import reserve
from .siphash import siphash2
from .table import FlowTable


class Sources:
    """One account more than the table has rows: so one is idle whenever another address asks for one.

    account: that of the last source `admit` looked at.  hosts: by egress address, IPv4's first, how many keep it.
    rehearsing: nothing that is asked leaves a trace.
    """

    def __init__(self, table: FlowTable, key0: int, key1: int) -> None:
        self.table, self.t8, self.t32, self.t64 = table, table.r8, table.r32, table.r64
        self.key0, self.key1 = key0, key1
        self.capacity = table.capacity + 1
        self.egress: list[tuple[int, int]] = []
        self.hosts = memoryview(bytearray(4)).cast("I")
        self.rehearsing = False
        memory = reserve((self.capacity + 1) * account.BYTES)  # touched only when used
        self.r32, self.r64 = memory.cast("I"), memory.cast("Q")
        self.buckets = reserve(self.capacity * 4).cast("I")
        self.known = self.oldest = self.newest = self.account = 0

    def use(self, settings: Settings) -> None:
        """Take over another ruleset's limits and egress addresses. Not for the packet path."""
        limits, before = settings.limits, self.egress
        self.flow_limit, self.port_limit = limits.flows_per_source, limits.ports_per_source
        self.rate = limits.new_flows_per_second_per_source
        self.first6, self.egress = len(settings.egress4), [*settings.egress4, *settings.egress6]
        if self.egress != before:  # never in a gateway that runs: with a million hosts it takes a tenth of a second
            self.pair_anew(before)

    def pair_anew(self, before: list[tuple[int, int]]) -> None:
        """Pairings follow their egress address to its new number; those whose address is gone end."""
        self.hosts = memoryview(bytearray(4 * max(len(self.egress), 1))).cast("I")
        numbers = [0, *(self.egress.index(one) + 1 if one in self.egress else 0 for one in before)]
        for number in range(1, self.known + 1):
            at = number * account.QUADS + account.EGRESS
            self.r32[at] = paired = numbers[self.r32[at]]
            if paired:
                self.hosts[paired - 1] += 1

    # A new flow

    def admit(self, high: int, low: int, guess: int, now: int) -> int:
        """0 if this source may open a flow, which is then counted; else the limit it has reached (`nat.record`).

        guess: the account that it may have; 0 for none.  now: nanoseconds.
        """
        self.account = self.enter(high, low, guess)
        if self.flow_limit != 0 and self.r32[self.account * account.QUADS + account.FLOWS] >= self.flow_limit:
            return record.FLOWS
        if self.rate != 0 and not self.take(now):
            return record.RATE
        return 0

    def take(self, now: int) -> bool:
        """One flow more: `rate` a second, a second's worth at once.

        Each costs its part of a second, in nanoseconds (the generic cell rate algorithm of ITU-T I.371): a bucket
        filled by ticks would be a token short after a second that is no whole number of them.
        """
        at = self.account * account.WORDS + account.PAID
        paid = max(self.r64[at], now) + account.SECOND // self.rate
        if paid > now + account.SECOND:
            return False
        self.r64[at] = paid
        return True

    def may_take_port(self) -> bool:
        """Whether the admitted source may have one external port more."""
        return self.port_limit == 0 or self.r32[self.account * account.QUADS + account.PORTS] < self.port_limit

    def paired(self, first: int, count: int) -> int:
        """Which of the `count` egress addresses from number `first` on the admitted source keeps, from now on."""
        at = self.account * account.QUADS + account.EGRESS
        if self.r32[at] == 0:
            chosen = self.fewest(first, count)
            self.r32[at] = chosen + 1
            if self.account != 0:
                self.hosts[chosen] += 1
        return self.r32[at] - 1

    def holds_nothing(self) -> bool:
        """Whether the admitted source has no external port, so that nobody knows it by an address."""
        return self.r32[self.account * account.QUADS + account.PORTS] == 0

    def move(self, first: int, count: int) -> int:
        """The admitted source, which is paired, keeps the next of the `count` egress addresses from now on."""
        at = self.account * account.QUADS + account.EGRESS
        chosen = first + (self.r32[at] - first) % count
        if self.account != 0:
            self.hosts[self.r32[at] - 1] -= 1
            self.hosts[chosen] += 1
        self.r32[at] = chosen + 1
        return chosen

    def fewest(self, first: int, count: int) -> int:
        """The egress address with the fewest hosts; of several, the first from a place that nobody can foresee."""
        at = self.account * account.WORDS
        start = (siphash2(self.key1, self.key0, self.r64[at], self.r64[at + 1]) >> 32) * count >> 32
        best = first + start
        for step in range(count):
            number = first + (start + step) % count
            if self.hosts[number] < self.hosts[best]:
                best = number
        return best

    def announce(self, now: int) -> int:
        """1 + how many refusals of the admitted source went untold, if it is time to tell one; else 0. Nanoseconds."""
        at, silent = self.account * account.WORDS + account.TOLD, self.account * account.QUADS + account.SILENT
        if self.r64[at] != 0 and now + 1 - self.r64[at] < record.QUIET:
            self.r32[silent] += 1
            return 0
        untold = self.r32[silent] + 1
        self.r64[at], self.r32[silent] = now + 1, 0
        return untold

    # Rows

    def count(self, member: int) -> None:
        """A row was linked: the admitted source's if it is from inside."""
        inside, port = self.from_inside(member), self.holds_port(member)
        if (inside or port) and not self.rehearsing:
            if not inside:
                word = self.internal(member)
                self.account = self.enter(self.t64[word], self.t64[word + 1], 0)
            at = self.account * account.QUADS
            if self.is_idle(self.account):
                self.leave_idle(self.account)
            self.r32[at + account.FLOWS] += inside
            self.r32[at + account.PORTS] += port

    def release(self, member: int) -> None:
        """A linked row is about to be closed."""
        inside, port, word = self.from_inside(member), self.holds_port(member), self.internal(member)
        found = 0
        if (inside or port) and not self.rehearsing:
            found = self.find(self.t64[word], self.t64[word + 1])
        if found:
            self.r32[found * account.QUADS + account.FLOWS] -= inside
            self.r32[found * account.QUADS + account.PORTS] -= port
            if self.is_idle(found):
                self.join_idle(found)

    def is_idle(self, number: int) -> bool:
        return (self.r32[number * account.QUADS + account.FLOWS]
                | self.r32[number * account.QUADS + account.PORTS]) == 0

    def from_inside(self, member: int) -> bool:
        return (self.t64[member * row.WORDS + row.ORIGINAL_LABEL] >> row.LABEL_SIDE & 1) == sides.INSIDE

    def internal(self, member: int) -> int:
        """The word at which a row's internal address starts."""
        return member * row.WORDS + (row.ORIGINAL_SOURCE if self.from_inside(member) else row.REPLY_SOURCE)

    def holds_port(self, member: int) -> bool:
        """Whether a port comes and goes with this row: it is alone in its mapping, or has one of its own."""
        if self.t8[member * row.BYTES + row.FLAGS] & row.MAPPED:
            return self.t32[member * row.QUADS + row.NEXT] == member
        at = member * row.WORDS
        return self.from_inside(member) and (
            self.t64[at + row.REPLY_DESTINATION] != self.t64[at + row.ORIGINAL_SOURCE]
            or self.t64[at + row.REPLY_DESTINATION + 1] != self.t64[at + row.ORIGINAL_SOURCE + 1])

    # Accounts

    def find(self, high: int, low: int) -> int:
        """The account of an internal address; 0 if it has none."""
        found = self.buckets[self.bucket(high, low)]
        while found and not self.is_held_by(found, high, low):
            found = self.r32[found * account.QUADS + account.CHAIN]
        return found

    def is_held_by(self, number: int, high: int, low: int) -> bool:
        at = number * account.WORDS + account.ADDRESS
        return self.r64[at] == high and self.r64[at + 1] == low

    def enter(self, high: int, low: int, guess: int) -> int:
        """The account of an internal address, opened if need be. In a rehearsal a copy of it, account 0."""
        found = guess if guess and self.is_held_by(guess, high, low) else self.find(high, low)
        if self.rehearsing:
            for word in range(account.WORDS):
                self.r64[word] = self.r64[found * account.WORDS + word] if found else 0
            if not found:
                self.begin(0, high, low)
            return 0
        return found if found else self.open(high, low)

    def open(self, high: int, low: int) -> int:
        if self.known < self.capacity:
            self.known += 1
            opened = self.known
        else:
            opened = self.oldest
            self.evict(opened)
        bucket = self.bucket(high, low)
        self.begin(opened, high, low)
        self.r32[opened * account.QUADS + account.CHAIN] = self.buckets[bucket]
        self.buckets[bucket] = opened
        self.join_idle(opened)
        return opened

    def begin(self, number: int, high: int, low: int) -> None:
        at = number * account.WORDS
        for word in range(account.WORDS):
            self.r64[at + word] = 0
        self.r64[at + account.ADDRESS], self.r64[at + account.ADDRESS + 1] = high, low

    def evict(self, number: int) -> None:
        """Forget an idle account."""
        at = number * account.QUADS
        bucket = self.bucket(self.r64[number * account.WORDS], self.r64[number * account.WORDS + 1])
        before = self.buckets[bucket]
        if before == number:
            self.buckets[bucket] = self.r32[at + account.CHAIN]
        else:
            while self.r32[before * account.QUADS + account.CHAIN] != number:
                before = self.r32[before * account.QUADS + account.CHAIN]
            self.r32[before * account.QUADS + account.CHAIN] = self.r32[at + account.CHAIN]
        if self.r32[at + account.EGRESS]:
            self.hosts[self.r32[at + account.EGRESS] - 1] -= 1
        self.leave_idle(number)

    def bucket(self, high: int, low: int) -> int:
        return (siphash2(self.key0, self.key1, high, low) >> 32) * self.capacity >> 32

    # The list of idle accounts, from the one that was idle longest

    def join_idle(self, number: int) -> None:
        at = number * account.QUADS
        self.r32[at + account.OLDER], self.r32[at + account.NEWER] = self.newest, 0
        if self.newest:
            self.r32[self.newest * account.QUADS + account.NEWER] = number
        else:
            self.oldest = number
        self.newest = number

    def leave_idle(self, number: int) -> None:
        older = self.r32[number * account.QUADS + account.OLDER]
        newer = self.r32[number * account.QUADS + account.NEWER]
        if older:
            self.r32[older * account.QUADS + account.NEWER] = newer
        else:
            self.oldest = newer
        if newer:
            self.r32[newer * account.QUADS + account.OLDER] = older
        else:
            self.newest = older
