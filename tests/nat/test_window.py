"""Two TCP ends that keep to the rules, over links that lose: whatever they send passes, with any window and scale."""

import random
from dataclasses import dataclass, field

import pytest

from gateway.testing import Simulator
from gateway.wire import build, tcp
from tests.worlds import A4, E4, S4, world

WIDE = {"driver": "memory", "mtu": 65_535}  # so that long segments stand for superpackets
STEPS = 300
LOSS = 0.13  # on each side of the gateway
ENDS = (("inside", (A4, 40000, S4, 80)), ("outside", (S4, 80, E4, 40000)))


@dataclass
class End:
    """Numbers count from the initial sequence number. edge: how far the peer lets it send; offered: how far it lets
    the peer send."""

    initial: int
    scale: int | None
    room: int
    following: int = 1
    received: int = 1
    acknowledged: int = 1
    edge: int = 1
    offered: int = 1
    early: set[tuple[int, int]] = field(default_factory=set)

    def first_window(self) -> int:
        return min(65_535, self.room)

    def receive(self, start: int, end: int) -> None:
        if start < end <= self.offered:
            self.early.add((start, end))
        for begin, after in sorted(self.early):
            if begin <= self.received:
                self.early.discard((begin, after))
                self.received = max(self.received, after)


class Conversation:
    def __init__(self, seed: int) -> None:
        self.random, self.seed = random.Random(seed), seed
        scales = self.random.choice([(None, None), (7, 7), (0, 9), (14, 3)])
        starts = [self.random.choice([2**32 - 5, 2**32 - 70_000, self.random.randrange(2**32)]) for _ in scales]
        self.ends = [End(start, scale, self.random.choice([1000, 60_000, 500_000]))
                     for start, scale in zip(starts, scales, strict=True)]
        self.start()

    def start(self, **nat: str) -> None:
        """A gateway that knows nothing yet."""
        self.sim = Simulator(world(inside=WIDE, outside=WIDE, nat=nat), seed=self.seed)

    def shake_hands(self) -> None:
        for index, (end, flags) in enumerate(zip(self.ends, (tcp.SYN, tcp.SYN | tcp.ACK), strict=True)):
            options = b"" if end.scale is None else bytes([tcp.OPTION_WINDOW_SCALE, 3, end.scale, tcp.OPTION_NOP])
            self.cross(index, flags, 0, index, end.first_window(), options=options)
            self.ends[1 - index].edge = end.offered = 1 + end.first_window()
        self.send(0, 1, 0)

    def step(self, index: int) -> None:
        end, chance = self.ends[index], self.random.random()
        room = end.edge - end.following
        if chance < 0.5 and room > 0:
            self.send(index, end.following, min(room, self.random.choice([1, 100, 1448, 1448, 60_000])))
        elif chance < 0.65 and end.acknowledged < end.following:
            self.send(index, end.acknowledged, min(end.following - end.acknowledged, 1448))
        elif chance < 0.75:
            self.send(index, end.following - 1, 0)  # keep-alive
        elif chance < 0.8 and room <= 0:
            self.send(index, end.edge, 1)  # probe of a full window
        else:
            self.send(index, end.following, 0)

    def send(self, index: int, start: int, size: int) -> None:
        end, peer = self.ends[index], self.ends[1 - index]
        shift = (end.scale or 0) if peer.scale is not None else 0
        window = max(self.random.choice([end.room, end.room // 2, 0]), end.offered - end.received)
        window = min(65_535, window >> shift)
        end.offered = max(end.offered, end.received + (window << shift))
        end.following = max(end.following, start + size)
        if self.sim.flows() and self.random.random() < LOSS:
            return
        self.cross(index, tcp.ACK, start, end.received, window, bytes(size))
        if self.random.random() >= LOSS:
            peer.receive(start, start + size)
            peer.acknowledged = max(peer.acknowledged, end.received)
            peer.edge = max(peer.edge, end.received + (window << shift))

    def cross(self, index: int, flags: int, start: int, acknowledged: int, window: int, payload: bytes = b"",
              options: bytes = b"") -> None:
        (side, addresses), own, peer = ENDS[index], self.ends[index], self.ends[1 - index]
        acknowledgement = (peer.initial + acknowledged) % 2**32 if flags & tcp.ACK else 0
        self.sim.inject(side, build.tcp_segment(*addresses, payload, flags=flags, window=window, options=options,
                                                sequence=(own.initial + start) % 2**32,
                                                acknowledgement=acknowledgement))
        emitted = self.sim.drain("outside" if side == "inside" else "inside")
        assert emitted, (start, acknowledged, len(payload), own, peer)


@pytest.mark.parametrize("seed", range(20))
def test_what_keeps_to_the_windows_passes(seed: int) -> None:
    conversation = Conversation(seed)
    conversation.shake_hands()
    for _ in range(STEPS):
        conversation.step(conversation.random.randrange(2))
    assert conversation.sim.flows()[0].state == "established"


@pytest.mark.parametrize("seed", range(20))
def test_what_keeps_to_the_windows_is_adopted_by_a_gateway_that_saw_nothing_of_it(seed: int) -> None:
    conversation = Conversation(seed)
    conversation.shake_hands()
    for _ in range(STEPS // 2):
        conversation.step(conversation.random.randrange(2))
    conversation.start(midstream="Adopt")
    conversation.step(0)
    for _ in range(STEPS // 2):
        conversation.step(conversation.random.randrange(2))
    assert conversation.sim.flows()[0].state == "established"
