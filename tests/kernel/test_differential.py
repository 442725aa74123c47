"""The kernel as a second opinion: the same random conversations through the simulator and through nftables masquerade
between two TUN devices, packet by packet. What may differ is named in `compared.DIFFERENCES`.

KERNEL_EXAMPLES=20000 searches longer (scripts/fuzz --kernel).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.testing import Simulator, namespaces
from gateway.testing.strategies import EGRESS, REMOTE, Conversation, Endpoint, Step, conversations, fragment, gateway
from gateway.wire import build
from tests.seen import seen
from tests.worlds import INTERNAL_POOLS

from .compared import plain, together
from .masquerade import Masquerade

EXAMPLES = int(os.environ.get("KERNEL_EXAMPLES", "250"))
MISSING = namespaces.missing() or (None if shutil.which("nft", path=os.environ["PATH"] + ":/usr/sbin:/sbin")
                                   else "nft is not installed (nftables)")
pytestmark = pytest.mark.skipif(MISSING is not None, reason=str(MISSING))
ROUTER = {4: "203.0.113.250", 6: "2001:db8:5::ffff"}
INSIDE_ROUTER = {4: "192.168.250.1", 6: "fd00:10:244::ffff"}
ERRORS = {4: [(3, 0), (3, 1), (3, 3), (3, 4), (3, 13), (11, 0), (12, 0)], 6: [(1, 0), (1, 4), (2, 0), (3, 0), (4, 0)]}
TWISTS = st.sampled_from(["", "", "", "", "again", "lost", "last hop", "fragments", "error", "router's error", "tos"])


@dataclass(frozen=True)
class Turn:
    """A step of one of the conversations, and what happens to it."""

    talk: int
    twist: str
    number: int


@st.composite
def scripts(draw: st.DrawFn) -> tuple[list[Conversation], list[tuple[Turn, Step]], int]:
    """Conversations of distinct hosts, interleaved; the outside MTU."""
    talks = draw(st.lists(conversations(), min_size=1, max_size=3, unique_by=lambda talk: talk.flow.internal.address))
    rest = [list(talk.steps) for talk in talks]
    turns = []
    while any(rest):
        which = draw(st.sampled_from([number for number, steps in enumerate(rest) if steps]))
        turns.append((Turn(which, draw(TWISTS), draw(st.integers(0, 40))), rest[which].pop(0)))
    return talks, turns, draw(st.sampled_from([1500, 1500, 1300]))


class Both:
    """One example: the two NATs side by side, and what each has emitted of each conversation."""

    def __init__(self, kernel: Masquerade, talks: list[Conversation], mtu: int) -> None:
        outside = {"driver": "memory", "addresses": ["198.51.100.1/24", "2001:db8:e::1/64"], "mtu": mtu}
        spec: dict[str, Any] = {"outside": outside, "limits": {"icmpErrorsPerSecond": 1_000_000},
                                "nat": {"mssClamping": "Off"}}
        self.simulator, self.kernel, self.talks = Simulator([gateway(**spec), *INTERNAL_POOLS]), kernel, talks
        kernel.forget(mtu)
        self.ports = [[talk.flow.internal.port] * 2 for talk in talks]
        self.refused: set[int] = set()  # conversations whose beginning got no further than the gateway
        self.emitted: list[list[list[bytes]]] = [[[], []] for _ in talks]

    def is_tcp(self, talk: int) -> bool:
        return self.talks[talk].flow.protocol == "tcp"

    def external(self, talk: int, which: int) -> Endpoint:
        family = 4 if "." in self.talks[talk].flow.internal.address else 6
        return Endpoint(EGRESS[family][0], self.ports[talk][which])

    def say(self, turn: Turn, step: Step) -> None:
        if turn.twist == "lost" and not self.is_tcp(turn.talk):
            return  # a segment that never came is not acknowledged either: what follows would be nonsense
        if turn.talk in self.refused and (step.side == "outside" or self.is_tcp(turn.talk)):
            return  # compared.DIFFERENCES: "refused beginnings" and, of TCP, "refused segments"
        if turn.twist == "tos":
            step = replace(step, tos=turn.number * 5)
        elif turn.twist == "last hop":  # a probe, as of traceroute; the packet itself follows
            probe = replace(step, ttl=1)
            self.exchange(turn.talk, step.side, [[self.packet(turn.talk, probe, which)] for which in (0, 1)], False)
        sent = [self.parts(turn, self.packet(turn.talk, step, which)) for which in (0, 1)]
        for _ in range(2 if turn.twist == "again" else 1):
            self.exchange(turn.talk, step.side, sent)
        if "error" in turn.twist and all(self.emitted[turn.talk]):
            self.complain(turn)

    def packet(self, talk: int, step: Step, which: int) -> bytes:
        return self.talks[talk].packet(step, self.external(talk, which) if step.side == "outside" else None)

    def parts(self, turn: Turn, packet: bytes) -> list[bytes]:
        if turn.twist != "fragments" or len(packet) < 80:
            return [packet]
        parts = fragment(packet, max(24, len(packet) // (2 + turn.number % 3) // 8 * 8), turn.number)
        return parts[::-1] if turn.number % 2 else parts

    def complain(self, turn: Turn) -> None:
        """An error about what was emitted last, from its receiver or from a router on the way there."""
        sent = []
        for which, packets in enumerate(self.emitted[turn.talk]):
            told = seen(packets[-1])
            outward = told.source == self.external(turn.talk, which).address
            routers = ROUTER if outward else INSIDE_ROUTER
            source = routers[told.family] if turn.twist == "router's error" else told.destination
            kinds = ERRORS[told.family]
            kind, code = kinds[turn.number % len(kinds)]
            rest = (1400).to_bytes(4, "big") if (kind, code) in ((3, 4), (2, 0)) else bytes(4)
            reach = (28, 40, 60, 548)[turn.number % 4] + (20 if told.family == 6 else 0)
            sent.append([build.icmp_message(source, told.source, kind, code, rest + packets[-1][:reach])])
        self.exchange(turn.talk, "outside" if outward else "inside", sent, learn=False)

    def exchange(self, talk: int, side: str, sent: list[list[bytes]], learn: bool = True) -> None:
        """Into both; the same must come out."""
        ours: dict[str, list[bytes]] = {"inside": [], "outside": []}
        theirs: dict[str, list[bytes]] = {"inside": [], "outside": []}
        for packet in sent[0]:
            self.simulator.inject(side, packet)
        for where in ours:
            ours[where] = together(self.simulator.drain(where))
        expected = sum(map(len, ours.values()))
        for number, packet in enumerate(sent[1]):
            last = number == len(sent[1]) - 1
            for where, packets in self.kernel.inject(side, packet, expected if last else 0).items():
                theirs[where] += packets
        theirs = {where: together(packets) for where, packets in theirs.items()}
        if learn:
            self.learn(talk, side, ours, theirs)
        reduced = [{where: [plain(one, self.ports[talk][which]) for one in packets] for where, packets in came.items()}
                   for which, came in enumerate((ours, theirs))]
        after = [one.hex() for one in sent[0]]
        assert reduced[0] == reduced[1], f"ours {reduced[0]}\nkernel {reduced[1]}\nafter {after}"

    def learn(self, talk: int, side: str, *came: dict[str, list[bytes]]) -> None:
        there = "outside" if side == "inside" else "inside"
        if self.is_tcp(talk) or (side == "inside" and not self.emitted[talk][0]):
            (self.refused.discard if came[0][there] else self.refused.add)(talk)
        for which, packets in enumerate(came):
            if packets[there]:
                self.emitted[talk][which].append(packets[there][-1])
                if there == "outside":
                    self.ports[talk][which] = seen(packets[there][-1]).source_port


@pytest.fixture(scope="module")
def kernel() -> Iterator[Masquerade]:
    with Masquerade() as masquerade:
        yield masquerade


@settings(max_examples=EXAMPLES, derandomize="KERNEL_EXAMPLES" not in os.environ, deadline=None, database=None,
          suppress_health_check=list(HealthCheck))
@given(scripts())
def test_the_kernel_does_the_same(kernel, script):
    talks, turns, mtu = script
    both = Both(kernel, talks, mtu)
    for turn, step in turns:
        both.say(turn, step)


def test_the_two_are_really_two(kernel):
    """Otherwise the test above compares a thing with itself, or nothing with nothing."""
    kernel.forget(1500)
    remote = REMOTE[4].split("/")[0][:-1] + "9"
    [left] = kernel.inject("inside", build.udp_datagram("192.168.1.2", 4000, remote, 53), 1)["outside"]
    assert seen(left)[2:6] == (EGRESS[4][0], 4000, remote, 53)
    [back] = kernel.inject("outside", build.udp_datagram(remote, 53, EGRESS[4][0], 4000), 1)["inside"]
    assert seen(back)[4:6] == ("192.168.1.2", 4000)
