"""Rows of the flow table as the translator fills them in, and how the tests look them up again."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from gateway import twin
from gateway.nat import bounds, row, table
from gateway.wire import bits, protocol, sides

INTERPRETED = twin.interpreted("nat.table")
BOTH = [pytest.param(table, id="compiled"), pytest.param(INTERPRETED, id="interpreted")]
M32 = 0xFFFFFFFF
TABLE = table.FlowTable

Endpoint = tuple[int, int, int]  # high, low, port
Tuple = tuple[int, int, int, int, int]  # as find takes it


def v4(low: int) -> int:
    return bits.V4_MAPPED | low


@dataclass(frozen=True)
class Flow:
    """What the translator fills in. A flow from outside arrives at the external endpoint."""

    internal: Endpoint
    external: Endpoint
    remote: Endpoint
    side: int = sides.INSIDE
    number: int = protocol.UDP
    mapped: bool = False
    scoped: bool = False

    def tuples(self) -> tuple[Tuple, Tuple]:
        label = self.number << row.LABEL_PROTOCOL
        inside = (self.internal[:2], self.remote[:2], label | self.internal[2] << 16 | self.remote[2])
        back = (self.remote[:2], self.external[:2],
                1 << row.LABEL_SIDE | label | self.remote[2] << 16 | self.external[2])
        first, second = (inside, back) if self.side == sides.INSIDE else (back, inside)
        return (*first[0], *first[1], first[2]), (*second[0], *second[1], second[2])

    def mapping(self) -> tuple[Endpoint, Endpoint, int, tuple[int, int]]:
        return self.internal, self.external, self.number, self.remote[:2] if self.scoped else (0, 0)


def fill(flows: table.FlowTable, member: int, flow: Flow, expires: int) -> None:
    for direction, (a, b, c, d, label) in enumerate(flow.tuples()):
        first = member * row.WORDS + direction * row.TUPLE_STRIDE
        for offset, word in enumerate((a, b, c, d)):
            flows.r64[first + offset] = word
        flows.r64[member * row.WORDS + row.ORIGINAL_LABEL + direction] = label | 0xABCD << 48  # the deltas are no key
    flows.r32[member * row.QUADS + row.EXPIRES] = expires & M32
    flows.r8[member * row.BYTES + row.MAPPING_SCOPE] = flow.scoped
    if flow.mapped:
        flows.r8[member * row.BYTES + row.FLAGS] |= row.MAPPED


def opened(flows: table.FlowTable, flow: Flow, expires: int = 100) -> int:
    member = flows.reserve()
    fill(flows, member, flow, expires)
    assert flows.link(member)
    return int(member)


def label(end: Endpoint, number: int) -> int:
    return number << row.LABEL_PROTOCOL | end[2]


def internal(flows: table.FlowTable, flow: Flow) -> int:
    ours, _, number, scope = flow.mapping()
    return int(flows.find_mapping(bounds.INTERNAL, *ours[:2], *scope, label(ours, number)))


def external(flows: table.FlowTable, flow: Flow) -> int:
    _, ours, number, scope = flow.mapping()
    return int(flows.find_mapping(bounds.EXTERNAL, *ours[:2], *scope, label(ours, number)))
