"""The translator by itself, compiled or interpreted, fed from memory."""

from __future__ import annotations

import importlib
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from types import ModuleType
from typing import Any

from gateway import twin
from gateway.resources import load
from gateway.resources.build import build
from gateway.wire import build as packets
from gateway.wire import sides, tcp

SEED = bytes(range(16))
REMOTE = "203.0.113.9"
NOW = 1_000_000_000
MESSAGE = bytes(18)
RESOURCES = """\
apiVersion: gateway/v1
kind: Gateway
metadata: {{name: bench}}
spec:
  inside: {{driver: memory, interface: inside}}
  outside: {{driver: memory, interface: outside}}
  addresses: [{addresses}]
  nat: {{portRange: "1024-65535", onExhaustion: Drop}}
  limits: {{flows: {flows}}}
---
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {{name: default-ipv4-ippool}}
spec: {{cidr: 192.168.0.0/16, natOutgoing: true}}
"""


def is_compiled() -> bool:
    """Whether this process's gateway is, as installed."""
    origin = importlib.import_module("gateway.nat.table").__file__ or ""
    return not origin.endswith(".py")


def module(name: str, interpreted: bool) -> ModuleType:
    return twin.interpreted(name) if interpreted else importlib.import_module(f"gateway.{name}")


def resources(flows: int, addresses: int) -> str:
    """A table of so many flows, and egress addresses from 198.51.100.10 on."""
    egress = ", ".join(f"198.51.{100 + (10 + number) // 256}.{(10 + number) % 256}" for number in range(addresses))
    return RESOURCES.format(addresses=egress, flows=flows)


class Engine:
    """A translator and the one batch it is fed with, as in the running gateway."""

    def __init__(self, interpreted: bool = False, flows: int = 262_144, addresses: int = 8) -> None:
        rules: Any = build(load(resources(flows, addresses)))
        if interpreted:
            rules = module("match.ruleset", True).Ruleset(rules.sets, rules.settings)
        self.translator = module("nat.translator", interpreted).Translator(rules, SEED)
        self.batch = module("wire.batch", interpreted).Batch()

    def translate(self, given: Sequence[bytes], side: int, now: int = NOW) -> int:
        """Translate up to a batch of packets; the nanoseconds it took, filling the batch not counted."""
        batch, translate = self.batch, self.translator.translate
        batch.clear()
        for packet in given:
            batch.append(packet)
        began = time.perf_counter_ns()
        translate(batch, side, now)
        took = time.perf_counter_ns() - began
        self.translator.outbox.clear()
        return took

    def rest(self, ticks: int = 50) -> None:
        """As a gateway does that has run for some seconds."""
        for _ in range(ticks):
            self.translator.tick(NOW)

    def accepted(self) -> list[bytes]:
        """What of the last batch goes out."""
        return [self.batch.packet(index) for index in range(self.batch.count) if self.batch.out[index] != sides.NOWHERE]

    def through(self, given: Sequence[bytes], side: int) -> list[bytes]:
        """Every packet translated; raises if one was not let through."""
        out = []
        for some in chunks(given, self.batch.capacity):
            self.translate(some, side)
            out += self.accepted()
        if len(out) != len(given):
            lost = len(given) - len(out)
            raise RuntimeError(f"{lost} of {len(given)} packets did not pass: {self.translator.counters()}")
        return out


def chunks(given: Sequence[bytes], size: int) -> Iterator[Sequence[bytes]]:
    rest = iter(given)
    while some := list(islice(rest, size)):
        yield some


def sources(count: int, first: int = 0) -> Iterator[tuple[str, int]]:
    """Pods in turn, and ports that look random: no source comes twice in 16 million."""
    for number in range(first, first + count):
        pod, turn = number % 256, number // 256
        yield f"192.168.7.{pod}", 1024 + (turn * 40_487 + pod * 7919) % 64_512


def datagrams(count: int, first: int = 0) -> list[bytes]:
    return [packets.udp_datagram(address, port, REMOTE, 53, MESSAGE) for address, port in sources(count, first)]


def segments(count: int, flags: int = tcp.SYN, first: int = 0, **fields: Any) -> list[bytes]:
    return [packets.tcp_segment(address, port, REMOTE, 443, flags=flags, **fields)
            for address, port in sources(count, first)]


def egress_of(packet: bytes) -> tuple[str, int]:
    """Source address and port of an IPv4 packet."""
    return ".".join(map(str, packet[12:16])), int.from_bytes(packet[20:22], "big")


def udp_conversation(engine: Engine, flows: int) -> tuple[list[bytes], list[bytes]]:
    """Open UDP flows; packets of each, from inside and from outside."""
    out = datagrams(flows)
    back = [packets.udp_datagram(REMOTE, 53, *egress_of(one), MESSAGE) for one in engine.through(out, sides.INSIDE)]
    engine.through(back, sides.OUTSIDE)
    return out, back


def tcp_conversation(engine: Engine, flows: int) -> tuple[list[bytes], list[bytes]]:
    """Open TCP flows by their three-way handshakes; a data segment of each, from inside and from outside."""
    opened = [egress_of(one) for one in engine.through(segments(flows, sequence=100), sides.INSIDE)]
    answers = [packets.tcp_segment(REMOTE, 443, *one, flags=tcp.SYN | tcp.ACK, sequence=500, acknowledgement=101)
               for one in opened]
    engine.through(answers, sides.OUTSIDE)
    engine.through(segments(flows, tcp.ACK, sequence=101, acknowledgement=501), sides.INSIDE)
    out = segments(flows, tcp.ACK, sequence=101, acknowledgement=501, payload=MESSAGE)
    back = [packets.tcp_segment(REMOTE, 443, *one, MESSAGE, flags=tcp.ACK, sequence=501, acknowledgement=101)
            for one in opened]
    return out, back
