"""The flow table as people ask for it: which flows, as JSON, and how many ports and flows each pool has in use.

Everything here walks the table in bounded steps and lets the loop breathe between them: packets wait while
Python runs.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, fields
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from time import monotonic
from typing import TYPE_CHECKING, Any

from ..nat.flow import PROTOCOLS, STATES
from .question import QuestionError, endpoint

if TYPE_CHECKING:
    from ..nat.flow import Flow

STEP = 0.001  # seconds of Python before the loop has its turn
Network = IPv4Network | IPv6Network


@dataclass(frozen=True)
class End:
    """One end of a flow's original tuple that is asked for: addresses and perhaps a port."""

    network: Network
    port: int | None

    @classmethod
    def parse(cls, text: str, what: str) -> End:
        if "/" in text:
            try:
                return cls(ip_network(text, strict=False), None)
            except ValueError:
                raise QuestionError(f"{what} {text!r} is not a CIDR") from None
        address, port = endpoint(text, what)
        return cls(ip_network(address), port)

    def matches(self, address: str, port: int) -> bool:
        return (self.port is None or port == self.port) and ip_address(address) in self.network


@dataclass(frozen=True)
class FlowFilter:
    """Which flows are asked for; what is None does not matter."""

    protocol: str | None = None
    state: str | None = None
    pool: str | None = None
    source: End | None = None
    destination: End | None = None
    external: End | None = None

    @classmethod
    def parse(cls, query: Mapping[str, str]) -> FlowFilter:
        """From a query string's names and values. Raises QuestionError at what is not known or makes no sense."""
        known = [one.name for one in fields(cls)]
        for name in query:
            if name not in known:
                raise QuestionError(f"there is no filter {name!r}: one of {', '.join(known)}")
        source, destination, external = (
            End.parse(query[name], name) if name in query else None for name in ("source", "destination", "external"))
        return cls(protocol_asked(query.get("protocol")), state_asked(query.get("state")), query.get("pool"), source,
                   destination, external)

    def matches(self, flow: Flow) -> bool:
        """The cheap questions first: an address is parsed only for a flow that passed the others."""
        source, source_port, destination, destination_port = flow.original
        return ((self.protocol is None or flow.protocol == self.protocol)
                and (self.state is None or flow.state == self.state)
                and (self.pool is None or flow.pool == self.pool)
                and (self.source is None or self.source.matches(source, source_port))
                and (self.destination is None or self.destination.matches(destination, destination_port))
                and (self.external is None or self.external.matches(*outer(flow))))


def protocol_asked(name: str | None) -> str | None:
    """A protocol as flows call it: its name, or the number of one that has none."""
    if name is None or name.lower() in PROTOCOLS.values():
        return name and name.lower()
    if name.isascii() and name.isdigit() and int(name) <= 255:
        return PROTOCOLS.get(int(name), str(int(name)))
    raise QuestionError(f"protocol {name!r} is not one of: {', '.join(PROTOCOLS.values())}, or a number from 0 to 255")


def state_asked(name: str | None) -> str | None:
    if name is None or name.lower() in STATES.values():
        return name and name.lower()
    raise QuestionError(f"state {name!r} is not one of: {', '.join(dict.fromkeys(STATES.values()))}")


def outer(flow: Flow) -> tuple[str, int]:
    """The external address and port: where replies are sent to."""
    return flow.reply[2], flow.reply[3]


def as_json(flow: Flow) -> dict[str, Any]:
    return {one.name: getattr(flow, one.name) for one in fields(flow)}


async def steps(flows: Iterator[Flow]) -> AsyncIterator[list[Flow]]:
    """The flows, as many at a time as STEP allows; the loop runs in between. The table may change meanwhile."""
    step, end = [], monotonic() + STEP
    for flow in flows:
        step.append(flow)
        if monotonic() >= end:
            yield step
            await asyncio.sleep(0)
            step, end = [], monotonic() + STEP
    if step:
        yield step


async def matching(flows: Iterator[Flow], asked: FlowFilter) -> AsyncIterator[list[Flow]]:
    async for step in steps(flows):
        found = [flow for flow in step if asked.matches(flow)]
        if found:
            yield found


@dataclass
class Usage:
    """What is in use: flows per pool, and per external address and protocol the ports and internal addresses."""

    flows: Counter[str]
    untranslated: int
    ports: dict[str, dict[str, set[int]]]  # external address: protocol: ports
    sources: dict[str, set[str]]  # external address: internal addresses

    @classmethod
    async def count(cls, flows: Iterator[Flow]) -> Usage:
        usage = cls(Counter(), 0, {}, {})
        async for step in steps(flows):
            for flow in step:
                usage.add(flow)
        return usage

    def add(self, flow: Flow) -> None:
        source = flow.original[0]
        address, port = outer(flow)
        if (address, port) == flow.original[:2]:
            self.untranslated += 1
            return
        if flow.pool is not None:
            self.flows[flow.pool] += 1
        self.ports.setdefault(address, {}).setdefault(flow.protocol, set()).add(port)
        self.sources.setdefault(address, set()).add(source)
