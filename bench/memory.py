"""Measurements in memory: the translator and the matcher alone, without links, compiled beside interpreted.

Packets come in batches of 64, as in the running gateway; the time is that of `translate`, its call included.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from array import array
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median

from bench import engine
from bench.engine import Engine, chunks, datagrams, segments
from bench.report import say
from bench.results import Results
from gateway.wire import bits, sides

ROOT = Path(__file__).parent.parent
PACKETS = "in memory: nanoseconds a packet, batches of 64"
LOOKUPS = "in memory: nanoseconds a pool lookup"
FOOTPRINT = "in memory: resident memory"
PORTS = "in memory: nanoseconds to open a UDP flow, by ports in use on the one egress address"
COMPILED, INTERPRETED = "compiled", "interpreted"
FLOWS = 1000
NEW_FLOWS = 50_000
POOLS = (10, 1_000, 100_000)
ADDRESSES = 4096  # looked up in turn
EXTERNAL_PORTS = 64_512
SEED = 1


def speeds() -> list[tuple[str, bool]]:
    """(column, interpreted) of what this process can run."""
    return [(COMPILED, False), (INTERPRETED, True)] if engine.is_compiled() else [(INTERPRETED, False)]


def run(results: Results, rounds: int, flows: int = FLOWS, new_flows: int = NEW_FLOWS,
        pools: Iterable[int] = POOLS, most: int = 1_000_000, held: int = 1_000_000) -> None:
    """most: flows of the largest table, in which packets come in random order.  held: flows whose memory is measured.
    """
    from bench import scale, stalls

    if not engine.is_compiled():
        results.note("the gateway is not compiled here: there are no compiled figures")
    for turn in range(rounds):
        for column, interpreted in speeds():
            say(f"round {turn + 1} of {rounds}: packets, {column}")
            established(results, column, interpreted, flows)
            new(results, column, interpreted, new_flows // 25 if column == INTERPRETED else new_flows)
    for count in pools:
        say(f"lookups, {count} pools")
        lookups(results, count, rounds)
    if engine.is_compiled():
        scale.run(results, rounds, [count for count in scale.FLOWS if count <= most])
        stalls.run(results, rounds, most)
        say("ports running out")
        crowded(results, rounds)
    say("memory")
    footprints(results, held)
    say("")


def established(results: Results, column: str, interpreted: bool, flows: int) -> None:
    for name, converse in (("UDP", engine.udp_conversation), ("TCP", engine.tcp_conversation)):
        one = Engine(interpreted)
        out, back = converse(one, flows)
        repeats = 5 if column == INTERPRETED else 40
        took = median(one.translate(some, side) / len(some) for _ in range(repeats)
                      for side, given in ((sides.INSIDE, out), (sides.OUTSIDE, back)) for some in chunks(given, 64))
        one.through(out, sides.INSIDE)  # all of them pass, still
        one.through(back, sides.OUTSIDE)
        results.add(PACKETS, f"established {name}", "ns", column, took, True)


def new(results: Results, column: str, interpreted: bool, flows: int) -> None:
    for name, make in (("UDP", datagrams), ("TCP", segments)):
        one = Engine(interpreted)
        one.rest()
        took = sum(one.translate(some, sides.INSIDE) for some in chunks(make(flows), 64))
        if one.translator.live != flows:
            raise RuntimeError(f"{one.translator.live} of {flows} flows were opened")
        results.add(PACKETS, f"new {name}", "ns", column, took / flows, True)


def pool_set(count: int) -> list[tuple[int, int]]:
    """(network, length) of disjoint and nested IPv4 pools, as they come in clusters: /16 to /30."""
    chosen = random.Random(SEED)
    found: dict[tuple[int, int], None] = {}
    while len(found) < count:
        length = chosen.choice((16, 18, 20, 22, 24, 24, 26, 26, 28, 30)) if count < 50_000 else chosen.randint(20, 30)
        found[(chosen.getrandbits(32) >> (32 - length) << (32 - length), length)] = None
    return list(found)


def wanted(pools: list[tuple[int, int]]) -> list[int]:
    """Addresses to look up: half of them in a pool."""
    chosen = random.Random(SEED)
    return [network | chosen.getrandbits(32 - length) if chosen.random() < 0.5 else chosen.getrandbits(32)
            for network, length in (chosen.choice(pools) for _ in range(ADDRESSES))]


def lookups(results: Results, count: int, rounds: int) -> None:
    from bench.lookups import look_up
    from gateway.match.prefixes import Prefixes

    pools = pool_set(count)
    entries = [(0, bits.V4_MAPPED | network, 96 + length, number) for number, (network, length) in enumerate(pools)]
    lows = array("Q", (bits.V4_MAPPED | one for one in wanted(pools)))
    built = Prefixes(entries)
    ways: dict[str, Callable[[], object]] = {
        "in a loop": lambda: look_up(built, memoryview(lows)),
        "a call from Python": lambda: [built.lookup(0, low) for low in lows],
    }
    if engine.is_compiled():
        twin = engine.module("match.prefixes", True).Prefixes(entries)
        ways["interpreted"] = lambda: [twin.lookup(0, low) for low in lows]
    if (peer := radix(pools, lows)) is not None:
        ways["py-radix, a call"] = peer
    else:
        results.note("py-radix was left out: it is not installed")
    for _ in range(rounds):
        for column, way in ways.items():
            results.add(LOOKUPS, f"{count} pools", "ns", column, clocked(way) / ADDRESSES, True)


def radix(pools: list[tuple[int, int]], lows: Iterable[int]) -> Callable[[], object] | None:
    """py-radix with the same pools, given packed addresses: its fastest way."""
    try:
        from radix import Radix
    except ImportError:
        return None
    tree = Radix()
    for network, length in pools:
        tree.add(packed=(network).to_bytes(4, "big"), masklen=length)
    packed = [(low & bits.M32).to_bytes(4, "big") for low in lows]
    return lambda: [tree.search_best(packed=one) for one in packed]


def clocked(way: Callable[[], object]) -> int:
    way()  # what is measured is in the caches
    began = time.perf_counter_ns()
    way()
    return time.perf_counter_ns() - began


def crowded(results: Results, rounds: int) -> None:
    """Opening flows while the ports run out: around 90 and 99 % of them in use, and when none is left."""
    for _ in range(rounds):
        one, opened = Engine(addresses=1), 0
        for share, measured in ((90, 640), (99, 320)):
            before = EXTERNAL_PORTS * share // 100 - measured // 2
            one.through(datagrams(before - opened, opened), sides.INSIDE)
            took = sum(one.translate(some, sides.INSIDE) for some in chunks(datagrams(measured, before), 64))
            opened = before + measured
            results.add(PORTS, f"{share} % in use", "ns", COMPILED, took / measured, True)
        one.through(datagrams(EXTERNAL_PORTS - opened, opened), sides.INSIDE)
        took = sum(one.translate(some, sides.INSIDE) for some in chunks(datagrams(640, EXTERNAL_PORTS), 64))
        if one.translator.live != EXTERNAL_PORTS:
            raise RuntimeError(f"{one.translator.live} flows, not {EXTERNAL_PORTS}: not every port was found")
        results.add(PORTS, "100 % in use: refused", "ns", COMPILED, took / 640, True)


def footprints(results: Results, flows: int) -> None:
    """Each UDP flow has a mapping of its own: the most that a flow can need."""
    column = COMPILED if engine.is_compiled() else INTERPRETED
    for protocol in ("udp", "tcp"):
        done = subprocess.run([sys.executable, "-m", "bench.footprint", protocol, str(flows)], cwd=ROOT, check=True,
                              stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
        found = json.loads(done.stdout)
        if found["flows"] != flows:
            raise RuntimeError(f"{found['flows']} of {flows} flows were opened")
        results.add(FOOTPRINT, f"a {protocol.upper()} flow", "bytes", column, found["resident"] / flows, True)
        results.add(FOOTPRINT, f"reserved for {flows} flows", "MiB", column, found["reserved"] / 2**20)
