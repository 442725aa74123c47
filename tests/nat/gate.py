"""A translator with a clock, driven one packet at a time: for tests that look inside."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any

from gateway import twin
from gateway.resources import load
from gateway.resources.build import build
from gateway.wire import address, sides, tcp
from gateway.wire import build as packets

SECOND = 1_000_000_000
SPEEDS = (False, True)  # interpreted?
RESOURCES = """
apiVersion: gateway/v1
kind: Gateway
metadata: {{name: gate}}
spec:
  inside: {{driver: memory, addresses: [10.99.0.1, "fd00::1"]}}
  outside: {{driver: memory}}
  addresses: [{addresses}]
  nat: {{{nat}}}
  limits: {{{limits}}}
  records: {{{records}}}
---
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {{name: pool4}}
spec: {{cidr: 192.168.0.0/16, natOutgoing: true}}
---
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {{name: pool6}}
spec: {{cidr: "2001:db8:1::/64", natOutgoing: true}}
"""


class Gate:
    """addresses: how many egress addresses a family, or which ones."""

    def __init__(self, limits: str = "", *, pure: bool = False, addresses: int | Sequence[str] = 1, nat: str = "",
                 records: str = "", seed: int = 1) -> None:
        self.module = twin.interpreted if pure else lambda name: import_module(f"gateway.{name}")
        self.options: dict[str, Any] = {"limits": limits, "nat": nat, "records": records}
        self.batch = self.module("wire.batch").Batch(1)
        self.now = SECOND
        self.translator = self.module("nat.translator").Translator(self.ruleset(addresses), seed)
        self.engine = self.translator.engine

    def ruleset(self, addresses: int | Sequence[str]) -> Any:
        if isinstance(addresses, int):
            addresses = [f"198.51.100.{1 + number}" for number in range(addresses)] + [
                f"2001:db8:e::{1 + number:x}" for number in range(addresses)]
        self.egress = list(addresses)
        quoted = ", ".join(f'"{one}"' for one in addresses)
        rules = build(load(RESOURCES.format(addresses=quoted, **self.options)))
        return self.module("match.ruleset").Ruleset(rules.sets, rules.settings)

    def apply(self, *, addresses: int | Sequence[str] | None = None, limits: str | None = None) -> None:
        if limits is not None:
            self.options["limits"] = limits
        self.translator.use(self.ruleset(self.egress if addresses is None else addresses))

    def packet(self, pod: str, port: int, remote: str, remote_port: int, protocol: str) -> bytes:
        if protocol == "tcp":
            return packets.tcp_segment(pod, port, remote, remote_port, flags=tcp.SYN)
        return packets.udp_datagram(pod, port, remote, remote_port, b"question")

    def send(self, pod: str, port: int, remote: str = "203.0.113.1", remote_port: int = 53,
             protocol: str = "udp") -> bytes | None:
        """A pod sends a packet; what leaves outside, None if nothing does."""
        self.inject(self.packet(pod, port, remote, remote_port, protocol), sides.INSIDE)
        return self.batch.packet(0) if self.batch.out[0] == sides.OUTSIDE else None

    def inject(self, data: bytes, side: int) -> None:
        self.batch.clear()
        self.batch.append(data)
        self.translator.translate(self.batch, side, self.now)

    def external(self, pod: str, port: int, protocol: str = "udp") -> str:
        """The address that a pod's packet leaves with."""
        sent = self.send(pod, port, protocol=protocol)
        assert sent
        return ".".join(map(str, sent[12:16]))

    def explain(self, *packet: Any) -> dict[str, Any]:
        told: dict[str, Any] = self.translator.explain(self.packet(*packet), sides.INSIDE, self.now)
        return told

    def answers(self) -> list[bytes]:
        """The gateway's own packets since the last call."""
        own = [packet for _, _, packet in self.translator.outbox]
        self.translator.outbox.clear()
        return own

    def advance(self, seconds: float) -> None:
        self.now += round(seconds * SECOND)
        self.translator.tick(self.now, 1 << 20)

    def events(self) -> list[dict[str, Any]]:
        told: list[dict[str, Any]] = self.translator.events()
        return told

    def rows(self) -> Iterator[Any]:
        """Every flow in the table."""
        return iter(self.translator.flows(self.now))

    def account(self, pod: str) -> tuple[int, int]:
        """(flows, ports) that are counted for an internal address."""
        found, quads = self.engine.sources.find(*address.words(pod)), self.module("nat.account")
        r32, at = self.engine.sources.r32, found * quads.QUADS
        return (r32[at + quads.FLOWS], r32[at + quads.PORTS]) if found else (0, 0)

    def pair(self, pod: str) -> str | None:
        """The egress address that an internal address keeps."""
        found, quads = self.engine.sources.find(*address.words(pod)), self.module("nat.account")
        number = self.engine.sources.r32[found * quads.QUADS + quads.EGRESS] if found else 0
        return address.text(*self.engine.sources.egress[number - 1]) if number else None

    def hosts(self, egress: str) -> int:
        """How many internal addresses keep this egress address."""
        hosts: int = self.engine.sources.hosts[self.engine.sources.egress.index(address.words(egress))]
        return hosts
