"""A flow as people see it: a row of the table read out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..wire import address, bits, protocol
from . import row, state
from .engine import Engine

Tuple = tuple[str, int, str, int]

PROTOCOLS = {protocol.TCP: "tcp", protocol.UDP: "udp", protocol.ICMP: "icmp", protocol.ICMPV6: "icmpv6",
             protocol.SCTP: "sctp", protocol.DCCP: "dccp", protocol.UDPLITE: "udplite", protocol.GRE: "gre",
             protocol.ESP: "esp", protocol.AH: "ah"}
STATES = {state.NONE: "new", state.NEW: "new", state.ACTIVE: "active", state.SYN_SENT: "syn-sent",
          state.SYN_RECEIVED: "syn-received", state.ESTABLISHED: "established", state.FIN_WAIT: "fin-wait",
          state.CLOSING: "closing", state.RESET: "reset"}


@dataclass(frozen=True)
class Flow:
    """One live flow. original and reply: (source, source port, destination, destination port) as they arrive;
    an ICMP identifier counts as both ports. expires_in: seconds. bytes: of IP packets, both directions.
    """

    id: str
    protocol: str
    state: str
    original: Tuple
    reply: Tuple
    expires_in: float
    packets: int
    bytes: int
    pool: str | None
    policy: str | None
    external: str | None


def tuple_of(engine: Engine, base: int, direction: int) -> Tuple:
    """A row's original or reply tuple."""
    r64, at = engine.table.r64, base * row.WORDS + direction * row.TUPLE_STRIDE
    label = r64[base * row.WORDS + row.ORIGINAL_LABEL + direction]
    return (address.text(r64[at], r64[at + 1]), label >> row.LABEL_SOURCE_PORT & bits.M16,
            address.text(r64[at + 2], r64[at + 3]), label & bits.M16)


def identify(engine: Engine, base: int) -> str:
    """The row's number and a check on what is in it, so that an id never comes to mean another flow."""
    return identity(base, engine.table.r64[base * row.WORDS : base * row.WORDS + row.REPLY_LABEL + 1])


def identity(base: int, words: Sequence[int]) -> str:
    """The same, from the words of a row that may be gone."""
    check = 0
    for index, word in enumerate(words):
        check = (check * 0x9E3779B1 + (word & row.LABEL_MASK if index >= row.ORIGINAL_LABEL else word)) & bits.M64
    return f"{base:x}-{check >> 32:08x}"


def read(engine: Engine, base: int, now: int) -> Flow:
    """Row `base` as a Flow; `now` in nanoseconds."""
    table = engine.table
    number = table.r64[base * row.WORDS + row.ORIGINAL_LABEL] >> row.LABEL_PROTOCOL & 0xFF
    original, reply = tuple_of(engine, base, 0), tuple_of(engine, base, 1)
    left = table.r32[base * row.QUADS + row.EXPIRES] - (now >> row.TICK_SHIFT) & bits.M32
    translated = (reply[2], reply[3]) != (original[0], original[1])
    return Flow(
        id=identify(engine, base), protocol=PROTOCOLS.get(number, str(number)),
        state=STATES[table.r8[base * row.BYTES + row.STATE]], original=original, reply=reply,
        expires_in=(left << row.TICK_SHIFT) / 1e9,
        packets=table.r32[base * row.QUADS + row.PACKETS], bytes=table.r64[base * row.WORDS + row.OCTETS],
        pool=engine.options.pools[table.r16[base * row.HALVES + row.DECISION]] or None, policy=None,
        external=endpoint(reply[2], reply[3]) if translated else None)


def endpoint(host: str, port: int) -> str:
    """ "192.0.2.1:80", "[2001:db8::1]:80". """
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
