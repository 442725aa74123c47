"""Every external port of one address given to flows to one destination: the last is found, the next is refused and
its sender told, and what ends makes room for exactly one more. Timed as the ports run out.
"""

from __future__ import annotations

import time
from statistics import median
from typing import Any

from bench import engine
from bench.memory import COMPILED, INTERPRETED
from bench.report import say
from bench.results import Results
from gateway.resources import load
from gateway.resources.build import build
from gateway.testing.strategies import gateway, pool
from gateway.wire import build as packets
from gateway.wire import sides

FIRST, LAST = 1024, 65535
PORTS = LAST - FIRST + 1  # 64,512
SECTION = "exhaustion: 64,512 flows of one external address to one destination, nanoseconds a flow"
EGRESS = {4: "198.51.100.10", 6: "2001:db8:e::10"}
REMOTE = {4: "203.0.113.5", 6: "2001:db8:5::5"}
HOSTS = {4: ("192.168.1.2", "192.168.1.3"), 6: ("fd00:10:244::2", "fd00:10:244::3")}
REFUSAL = {4: (3, 1), 6: (1, 3)}  # host unreachable (RFC 792), address unreachable (RFC 4443)
SAMPLES = 500  # flows opened and timed one by one at each mark


class Filled:
    """One egress address, fed one packet at a time. All flows come from one internal address, until its ports are
    used up too; none keeps its port, so that each has to be searched for."""

    def __init__(self, family: int, protocol: str, interpreted: bool = False) -> None:
        self.family, self.make = family, packets.udp_datagram if protocol == "udp" else packets.tcp_segment
        spec: dict[str, Any] = {"addresses": [EGRESS[family]], "nat": {"portPreservation": False},
                                "limits": {"flows": 131_072, "icmpErrorsPerSecond": 1_000_000}}
        pools = [pool("four", "192.168.0.0/16"), pool("six", "fd00:10:244::/64")]
        rules: Any = build(load([gateway(**spec), *pools]))
        rules = engine.module("match.ruleset", interpreted).Ruleset(rules.sets, rules.settings)
        self.translator = engine.module("nat.translator", interpreted).Translator(rules, engine.SEED)
        self.batch = engine.module("wire.batch", interpreted).Batch(1)
        self.opened = 0

    def packet(self, number: int) -> bytes:
        """The first packet of flow `number`: internal endpoints all different, ports not in order."""
        return self.make(HOSTS[self.family][number // PORTS], FIRST + number * 40_487 % PORTS, REMOTE[self.family], 443)

    def send(self, number: int) -> tuple[int, bytes | None, int]:
        """(nanoseconds, what left, its external port or 0)."""
        self.batch.clear()
        self.batch.append(self.packet(number))
        began = time.perf_counter_ns()
        self.translator.translate(self.batch, sides.INSIDE, engine.NOW)
        took = time.perf_counter_ns() - began
        left = self.batch.packet(0) if self.batch.out[0] == sides.OUTSIDE else None
        at = 20 if self.family == 4 else 40
        return took, left, int.from_bytes(left[at : at + 2], "big") if left else 0

    def fill(self, count: int) -> tuple[list[int], set[int]]:
        """Open flows up to `count`; the nanoseconds that each took, and their ports."""
        times, ports = [], set()
        while self.opened < count:
            took, left, port = self.send(self.opened)
            if left is None:
                raise RuntimeError(f"flow {self.opened + 1} was refused: {self.translator.counters()}")
            self.opened += 1
            times.append(took)
            ports.add(port)
        return times, ports

    def refused(self, number: int) -> tuple[int, tuple[int, int] | None]:
        """One more flow than there are ports: nanoseconds, and type and code of the error that its sender got."""
        took, left, _ = self.send(number)
        if left is not None:
            raise RuntimeError("a flow more than there are ports")
        answers = [packet for side, _, packet in self.translator.outbox if side == sides.INSIDE]
        self.translator.outbox.clear()
        at = 20 if self.family == 4 else 40
        return took, (answers[0][at], answers[0][at + 1]) if len(answers) == 1 else None

    def end_one(self) -> None:
        ended = next(iter(self.translator.flows(engine.NOW)))
        if not self.translator.end_flow(ended.id):
            raise RuntimeError(f"{ended.id} could not be ended")


def demonstrate(family: int, protocol: str, interpreted: bool = False) -> dict[str, float]:
    """Raises when anything is not as it must be; median nanoseconds of a flow, by how full it was."""
    took: dict[str, float] = {}
    one = Filled(family, protocol, interpreted)
    ports: set[int] = set()
    for share in (50, 90, 99, 100):
        mark = PORTS * share // 100
        ports |= one.fill(mark - SAMPLES)[1]
        times, more = one.fill(mark)
        ports |= more
        took[f"{share} % full"] = median(times)
    expect(ports, set(range(FIRST, LAST + 1)), "ports")
    refusals = [one.refused(PORTS + number) for number in range(SAMPLES)]
    took["refused, sender told"] = median(nanoseconds for nanoseconds, _ in refusals)
    expect({answer for _, answer in refusals}, {REFUSAL[family]}, "answers to refused flows")
    one.end_one()
    expect(one.send(PORTS)[2] in ports, True, "one more flow after one ended")
    expect(one.refused(PORTS + 1)[1], REFUSAL[family], "the answer to a second one")
    expect(one.translator.live, PORTS, "live flows")
    return took


def expect(came: object, due: object, what: str) -> None:
    if came != due:
        raise RuntimeError(f"{what}: {came}, not {due}")


def run(results: Results, rounds: int) -> None:
    interpreted = not engine.is_compiled()
    column = INTERPRETED if interpreted else COMPILED
    for turn in range(rounds):
        for family in (4, 6):
            for protocol in ("udp", "tcp"):
                name = f"{protocol.upper()} over IPv{family}"
                say(f"round {turn + 1} of {rounds}: {name}")
                for mark, took in demonstrate(family, protocol, interpreted).items():
                    results.add(SECTION, f"{name}, {mark}", "ns", column, took, True)
    results.note(f"exhaustion: all {PORTS:,} flows opened, the next refused (ICMP 3/1, v6 1/3), one more after one "
                 "ended and no second: UDP and TCP, both families")
    say("")
