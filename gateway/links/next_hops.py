"""Which MAC address a frame goes to, and what waits until that is known.

A packet link asks here only for destinations that its compiled cache does not know. Routes and neighbours come
from a NextHopSource; its changes come back through `routes_changed` and `neighbour_changed`.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from time import monotonic_ns

from .link import NextHopSource
from .syscalls import NextHopCache

HELD_PER_HOP = 64  # frames
HELD = 1024  # frames, all hops together: a scan of a quiet subnet must not hold more
HOLD_NS = 3_000_000_000
CONFIRM_NS = 30_000_000_000  # how often a hop in use is asked whether it is still there
HOPS = 65536

Send = Callable[[bytes, bytes, int], bool]  # packet, offload, MAC address


class NextHops:
    """`fixed`: next hops for all of their family, instead of the routes."""

    def __init__(self, source: NextHopSource, send: Send, fixed: Sequence[str] = ()) -> None:
        self.source, self._send = source, send
        self._fixed = {len(one): one for one in (ip_address(text).packed for text in fixed)}
        self.cache = NextHopCache()
        self.reasons: Counter[str] = Counter()
        self._numbers: dict[bytes, int] = {}
        self._held: dict[bytes, deque[tuple[int, bytes, bytes]]] = {}
        self._count = 0
        self._confirmed = monotonic_ns()

    def find(self, destination: bytes) -> int:
        """The MAC address to send to, 0 if the packet has to be held or cannot go; remembered in the cache."""
        hop = self._hop(destination)
        if hop is None:
            return 0
        number = self._numbers.get(hop) or self._number(hop)
        self.cache.put(destination, number)
        mac = self.source.mac(hop)
        self.cache.set_mac(number, mac)
        return mac

    def hold(self, destination: bytes, packet: bytes, offload: bytes) -> None:
        """Keep a packet until its next hop answers, at most HOLD_NS."""
        hop = self._hop(destination)
        if hop is None:
            self.reasons["no_route"] += 1
            return
        queue = self._held.get(hop)
        if queue is None:
            queue = self._held[hop] = deque()
            self.source.probe(hop)
        if len(queue) >= HELD_PER_HOP or self._count >= HELD:
            self.reasons["next_hop_queue_full"] += 1
            return
        queue.append((monotonic_ns() + HOLD_NS, packet, offload))
        self._count += 1

    def routes_changed(self) -> None:
        self.cache.clear()

    def neighbour_changed(self, hop: bytes) -> None:
        """The hop answered, moved to another MAC address, or is gone."""
        mac = self.source.mac(hop)
        if hop in self._numbers:
            self.cache.set_mac(self._numbers[hop], mac)
        if mac:
            self._release(hop, mac)

    def tick(self) -> None:
        """Give up on what waited too long; ask hops in use whether they still hold. A few times a second."""
        now = monotonic_ns()
        for hop in list(self._held):
            mac = self.source.mac(hop)  # in case an event was lost
            if mac:
                self.neighbour_changed(hop)
            else:
                self._give_up(hop, now)
        if now - self._confirmed >= CONFIRM_NS:
            self._confirmed = now
            for hop, number in self._numbers.items():
                if self.cache.used(number):
                    self.source.probe(hop)

    def _hop(self, destination: bytes) -> bytes | None:
        return self._fixed.get(len(destination)) or self.source.next_hop(destination)

    def _number(self, hop: bytes) -> int:
        if len(self._numbers) >= HOPS - 1:
            self._numbers.clear()
            self.cache.clear()
        self._numbers[hop] = len(self._numbers) + 1
        return self._numbers[hop]

    def _release(self, hop: bytes, mac: int) -> None:
        queue = self._held.pop(hop, None) or ()
        self._count -= len(queue)
        for _, packet, offload in queue:
            self._send(packet, offload, mac)

    def _give_up(self, hop: bytes, now: int) -> None:
        queue = self._held[hop]
        while queue and queue[0][0] <= now:
            queue.popleft()
            self._count -= 1
            self.reasons["next_hop_silent"] += 1
        if not queue:
            del self._held[hop]
