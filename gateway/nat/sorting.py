"""Whose a fragment is, where a port decides that only its datagram's first one names (`nat.shares`): worker 0 sorts.

All such fragments go there. Once it has seen a first one, it hands the others over after it, and what came before
that, which it held. It judges nothing else, but for pieces that overlap while it holds them: whose they are does
(`nat.fragments`). What it knows and holds is bounded in number, per source and in time, and goes when a datagram is
complete.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from ..match.settings import Settings
from ..wire import bits, ipv4, protocol, vnet
from ..wire.packet import Packet
from . import bounds
from .engine import Engine
from .pieces import key_of, overlap, payload_size
from .verdict import Verdict

SHARE = 4  # one source may hold at most this part of all that may be held
FRAGMENTS_OF_ONE = 128  # 65,535 bytes over an MTU of 576, the least that IPv4 routes can be relied on to have
NOBODY = -1
EXTENSIONS = (protocol.HOP_BY_HOP, protocol.ROUTING, protocol.DESTINATION)
NO_OFFLOAD = bytes(vnet.HEADER)

Mail = list[tuple[int, int, bytes, bytes]]  # (addressee as `Engine.addressee` says it, side, offload header, packet)


@dataclass
class Sorted:
    """One datagram: whose it is, NOBODY as long as that is not known. seen: sizes of its parts, by offset."""

    source: tuple[int, int]
    side: int
    expires: int
    owner: int = NOBODY
    seen: dict[int, int] = field(default_factory=dict)
    size: int = 0  # of the whole payload, once its last fragment was seen
    held: list[bytes] = field(default_factory=list)
    refused: bool = False  # its parts overlap

    def is_complete(self) -> bool:
        return self.owner != NOBODY and 0 < self.size <= sum(self.seen.values())


class Sorting:
    """Says of the fragment that the engine has just parsed whether it is to be judged here."""

    def __init__(self, engine: Engine, mail: Mail) -> None:
        self.engine, self.mail = engine, mail
        self.datagrams: dict[tuple[int, ...], Sorted] = {}
        self.known_by: Counter[tuple[int, int]] = Counter()
        self.held = 0

    def use(self, settings: Settings) -> None:
        self.limit, self.lifetime = settings.limits.fragments_held, settings.timeouts.fragment
        self.share = max(1, self.limit // SHARE)

    def judge(self, index: int, side: int, now: int) -> Verdict:
        """ACCEPT: by this worker. HAND_OVER: by `Decider.owner`. Or what else becomes of it."""
        share, decider, packet = self.engine.share, self.engine.decider, self.engine.packet
        if decider.handed:
            return Verdict.ACCEPT
        owner = bounds.SORTING if self.hides_protocol(packet) else self.owner_of(packet, side, -1)
        if owner == bounds.SORTING and share.number == 0:
            return self.sort(packet, index, side, now)
        decider.owner = owner
        return Verdict.ACCEPT if owner == share.number else Verdict.HAND_OVER

    def hides_protocol(self, packet: Packet) -> bool:
        """Whether only the first fragment says of which protocol they are."""
        return packet.family == 6 and packet.load8(packet.fragment_header) in EXTENSIONS

    def owner_of(self, packet: Packet, side: int, port: int) -> int:
        flags = self.engine.decider.ruleset.flags
        source, destination = (packet.source_high, packet.source_low), (packet.destination_high, packet.destination_low)
        return self.engine.decider.owner_of(side, packet.protocol, *source, *destination, flags(*source),
                                            flags(*destination), port)

    def sort(self, packet: Packet, index: int, side: int, now: int) -> Verdict:
        offset, size, key = (packet.fragment & ipv4.OFFSET_MASK) * 8, payload_size(packet), key_of(packet, side)
        last = not packet.fragment & ipv4.MF
        known = self.datagrams.get(key) or self.begin(key, packet, side, now)
        if known is None or len(known.seen) >= FRAGMENTS_OF_ONE:
            return Verdict.DROP_FRAGMENT_LIMIT
        refused = self.check(known, offset, size, last) if known.owner == NOBODY else None
        if refused is not None:
            return refused
        if offset == 0 and known.owner == NOBODY:
            known.owner = self.owner_of(packet, side, packet.ports & bits.M16)
            self.release(known)
        if known.owner == NOBODY:
            if len(known.held) >= self.share or self.held >= self.limit:
                return Verdict.DROP_FRAGMENT_LIMIT
            known.held.append(self.engine.batch.packet(index))
            self.held += 1
        known.seen[offset] = size
        if last:
            known.size = offset + size
        if known.is_complete():  # a fast sender comes round to the same identifier within seconds
            self.forget(key)
        if known.owner == NOBODY:
            return Verdict.HOLD_FRAGMENT
        self.engine.decider.owner = known.owner
        return Verdict.ACCEPT if known.owner == self.engine.share.number else Verdict.HAND_OVER

    def check(self, known: Sorted, offset: int, size: int, last: bool) -> Verdict | None:
        """What `nat.fragments` would refuse; it does the same where an owner is known."""
        if known.refused:
            return Verdict.DROP_FRAGMENT_REFUSED
        if known.seen.get(offset) == size:  # a network may deliver twice (RFC 8200 section 4.5)
            return Verdict.DROP_FRAGMENT_OVERLAP
        if overlap(((at, at + part) for at, part in known.seen.items()), known.size, offset, offset + size, last):
            known.refused = True
            self.let_go(known, Verdict.DROP_FRAGMENT_OVERLAP)
            return Verdict.DROP_FRAGMENT_OVERLAP
        return None

    def begin(self, key: tuple[int, ...], packet: Packet, side: int, now: int) -> Sorted | None:
        """None: there is room for no more."""
        source = packet.source_high, packet.source_low
        if len(self.datagrams) >= self.limit or self.known_by[source] >= self.share:
            return None
        self.known_by[source] += 1
        self.datagrams[key] = Sorted(source, side, now + self.lifetime)
        return self.datagrams[key]

    def release(self, known: Sorted) -> None:
        """Hand over what was held, after the first fragment: also to this worker itself, where it is its own."""
        for data in known.held:
            self.mail.append((known.owner, known.side, NO_OFFLOAD, data))
        self.let_go(known, Verdict.HAND_OVER)

    def let_go(self, known: Sorted, verdict: Verdict) -> None:
        self.engine.counters[Verdict.HOLD_FRAGMENT] -= len(known.held)
        self.engine.counters[verdict] += len(known.held)
        self.held -= len(known.held)
        known.held.clear()

    def forget(self, key: tuple[int, ...]) -> None:
        reduce(self.known_by, self.datagrams.pop(key).source, 1)

    def tick(self, now: int) -> None:
        """Forget datagrams whose time is up; they stand in the order in which they came."""
        while self.datagrams:
            key = next(iter(self.datagrams))
            if self.datagrams[key].expires > now:
                break
            self.let_go(self.datagrams[key], Verdict.DROP_FRAGMENT_TIMEOUT)
            self.forget(key)


def reduce(counter: Counter[tuple[int, int]], source: tuple[int, int], count: int) -> None:
    """Whoever is down to 0 is forgotten: anybody can think of new sources for ever."""
    counter[source] -= count
    if counter[source] <= 0:
        del counter[source]
