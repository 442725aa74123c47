"""Packets of established flows in a large table, in random order: what a packet costs when its flow is in no cache.

With a few flows every row is in the processor's caches whatever the table is made of. Here each packet belongs to
another flow than those before it, and of a million flows none is seen twice within a pass.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from statistics import mean, median

from bench import engine
from bench.engine import Engine, chunks
from bench.footprint import STEP
from bench.memory import COMPILED, PACKETS
from bench.report import say
from bench.results import Results
from gateway.wire import build as packets
from gateway.wire import sides, tcp

FLOWS = (1_000, 100_000, 1_000_000)
SAMPLE = 50_000  # flows whose packets are measured; their rows are many times what a second-level cache holds
SEED = 1
Conversation = tuple[list[bytes], list[bytes]]  # a packet of each flow from inside, and from outside


def run(results: Results, rounds: int, flows: Iterable[int] = FLOWS) -> None:
    for count in flows:
        for name, open_flows in (("UDP", open_udp), ("TCP", open_tcp)):
            say(f"{count} flows in random order, {name}")
            for value in measure(count, open_flows, rounds):
                results.add(PACKETS, f"established {name}, {count} flows in random order", "ns", COMPILED, value, True)


def measure(flows: int, open_flows: Callable[[Engine, int, int, set[int]], Conversation], rounds: int) -> list[float]:
    """Nanoseconds a packet of each round, both directions."""
    one = Engine(flows=max(flows, STEP), addresses=8 + flows // 40_000)
    sample = set(random.Random(SEED).sample(range(flows), min(SAMPLE, flows)))
    out, back = [], []
    for first in range(0, flows, STEP):
        given, answered = open_flows(one, min(STEP, flows - first), first, sample)
        out += given
        back += answered
    if one.translator.live != flows or len(out) != len(sample) or len(back) != len(sample):
        raise RuntimeError(f"{one.translator.live} of {flows} flows were opened")
    return [mean((clocked(one, out, sides.INSIDE, turn), clocked(one, back, sides.OUTSIDE, turn)))
            for turn in range(rounds)]


def clocked(one: Engine, given: list[bytes], side: int, turn: int) -> float:
    """Nanoseconds a packet, median over the batches of a pass in an order of its own; every packet must pass."""
    given = random.Random(turn).sample(given, len(given))
    one.through(given[:64], side)  # what the code itself needs is in the caches
    took = []
    for some in chunks(given, 64):
        took.append(one.translate(some, side) / len(some))
        if any(one.batch.out[index] == sides.NOWHERE for index in range(one.batch.count)):
            raise RuntimeError(f"a packet of an open flow did not pass: {one.translator.counters()}")
    return median(took)


def open_udp(one: Engine, count: int, first: int, sample: set[int]) -> Conversation:
    """Open flows `first` and on; packets of those in the sample, which are answered as well."""
    out = engine.datagrams(count, first)
    sent = zip(range(first, first + count), out, one.through(out, sides.INSIDE), strict=True)
    chosen = [(given, engine.egress_of(left)) for number, given, left in sent if number in sample]
    back = [packets.udp_datagram(engine.REMOTE, 53, *egress, engine.MESSAGE) for _, egress in chosen]
    one.through(back, sides.OUTSIDE)
    return [given for given, _ in chosen], back


def open_tcp(one: Engine, count: int, first: int, sample: set[int]) -> Conversation:
    """The same; those in the sample have their three-way handshake."""
    sent = zip(range(first, first + count), engine.sources(count, first),
               one.through(engine.segments(count, first=first, sequence=100), sides.INSIDE), strict=True)
    chosen = [(source, engine.egress_of(left)) for number, source, left in sent if number in sample]
    one.through([packets.tcp_segment(engine.REMOTE, 443, *egress, flags=tcp.SYN | tcp.ACK, sequence=500,
                                     acknowledgement=101) for _, egress in chosen], sides.OUTSIDE)
    segments = [[packets.tcp_segment(*source, engine.REMOTE, 443, payload, flags=tcp.ACK, sequence=101,
                                     acknowledgement=501) for source, _ in chosen] for payload in (b"", engine.MESSAGE)]
    one.through(segments[0], sides.INSIDE)
    return segments[1], [packets.tcp_segment(engine.REMOTE, 443, *egress, engine.MESSAGE, flags=tcp.ACK, sequence=501,
                                             acknowledgement=101) for _, egress in chosen]
