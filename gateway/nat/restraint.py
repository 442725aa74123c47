"""How many errors the gateway sends: in all, and to one host.

A limit must not be an oracle (CVE-2020-25705, "SAD DNS"). Where exactly N errors a second are sent, whoever sends
probes under false addresses learns how many of them were answered from how many of the N are left for himself.
So each error costs one token or two, by a keyed coin: what is left says nothing certain, and no more than the limit
is ever sent. And nobody gets near what is left for all: each host has a bucket of its own, which is asked first.
Those are a fixed number, shared by a keyed hash, so that a flood of addresses costs no memory, and nobody knows
whose bucket he shares.
"""

from __future__ import annotations

from ..match.settings import SECOND, Address
from .siphash import siphash2

BUCKETS = 1024
SHARE = 4  # one host gets this part of the limit
LEAST = 10  # errors a second, or the whole limit where that is less: traceroute and path MTU discovery need a few


class Bucket:
    """`rate` tokens a second, a second's worth at once."""

    def __init__(self, rate: int) -> None:
        self.rate, self.tokens, self.filled = rate, float(rate), 0

    def take(self, now: int, cost: int) -> bool:
        """Spend `cost` tokens if there is one; now in nanoseconds."""
        self.tokens = min(self.rate, self.tokens + (now - self.filled) * self.rate / SECOND)
        self.filled = now
        if self.tokens < 1:
            return False
        self.tokens -= cost
        return True


class Restraint:
    """allow: whether an error may be sent to a host now. suppressed: how many were not."""

    def __init__(self, key0: int, key1: int) -> None:
        self.key0, self.key1 = key0, key1
        self.tosses = self.suppressed = 0
        self.limit = -1

    def use(self, limit: int) -> None:
        """limit: errors a second. A reload that leaves it as it was leaves the buckets as they are."""
        if limit != self.limit:
            self.limit = limit
            self.all = Bucket(limit)
            self.hosts: dict[int, Bucket] = {}

    def allow(self, host: Address, now: int) -> bool:
        allowed = self.host_bucket(host).take(now, self.cost()) and self.all.take(now, self.cost())
        self.suppressed += not allowed
        return allowed

    def host_bucket(self, host: Address) -> Bucket:
        number = siphash2(self.key1, self.key0, *host) % BUCKETS
        if number not in self.hosts:
            self.hosts[number] = Bucket(max(self.limit // SHARE, min(self.limit, LEAST)))
        return self.hosts[number]

    def cost(self) -> int:
        self.tosses += 1
        return 1 + (siphash2(self.key0, self.key1, self.tosses, 1) & 1)
