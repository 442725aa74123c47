"""A flow as people see it: a row of the table read out."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ..wire import address, bits, protocol
from . import bounds, row, state
from .engine import Engine

Tuple = tuple[str, int, str, int]
Copy = Callable[[memoryview], bytes]

PROTOCOLS = {protocol.TCP: "tcp", protocol.UDP: "udp", protocol.ICMP: "icmp", protocol.ICMPV6: "icmpv6",
             protocol.SCTP: "sctp", protocol.DCCP: "dccp", protocol.UDPLITE: "udplite", protocol.GRE: "gre",
             protocol.ESP: "esp", protocol.AH: "ah"}
STATES = {state.NONE: "new", state.NEW: "new", state.ACTIVE: "active", state.SYN_SENT: "syn-sent",
          state.SYN_RECEIVED: "syn-received", state.SYN_ANSWERED: "syn-received", state.ESTABLISHED: "established",
          state.FIN_WAIT: "fin-wait", state.CLOSING: "closing", state.RESET: "reset"}
ROW = struct.Struct(f"={row.WORDS}Q")


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


def words_of(engine: Engine, base: int) -> tuple[int, ...]:
    """A row's 64-bit words."""
    return ROW.unpack_from(engine.table.r8, base * row.BYTES)


def tuple_of(engine: Engine, base: int, direction: int) -> Tuple:
    """A row's original or reply tuple."""
    return tuple_in(words_of(engine, base), direction)


def tuple_in(words: Sequence[int], direction: int) -> Tuple:
    """The same, from a row's words."""
    at, label = direction * row.TUPLE_STRIDE, words[row.ORIGINAL_LABEL + direction]
    return (address.text(words[at], words[at + 1]), label >> row.LABEL_SOURCE_PORT & bits.M16,
            address.text(words[at + 2], words[at + 3]), label & bits.M16)


def identify(engine: Engine, base: int) -> str:
    """The row's number, a check on what is in it, and which opening was its: an id never comes to mean another
    flow, not even a later one of the same hosts and ports in the same row (before 65,536 others were opened).
    """
    words = words_of(engine, base)
    return identity(number_of(base, engine.share.number), words[: row.REPLY_LABEL + 1],
                    words[row.OCTETS] >> row.OPENING_SHIFT)


def number_of(base: int, worker: int) -> int:
    """A row's number among those of all workers."""
    return worker << bounds.ROW_BITS | base


def identity(base: int, words: Sequence[int], opening: int) -> str:
    """The same, from the words of a row that may be gone."""
    check = 0
    for index, word in enumerate(words):
        check = (check * 0x9E3779B1 + (word & row.LABEL_MASK if index >= row.ORIGINAL_LABEL else word)) & bits.M64
    return f"{base:x}-{check >> 32:08x}{opening:04x}"


def live(data: bytes, first: int, pools: Sequence[str], now: int) -> Iterator[Flow]:
    """The flows in a copy of some rows, of which `first` is the first's `number_of`; `now` in nanoseconds."""
    for base, words in enumerate(ROW.iter_unpack(data), first):
        left = (words[row.EXPIRES // 2] & bits.M32) - (now >> row.TICK_SHIFT) & bits.M32
        if words[row.FLAGS // 8] >> row.FLAGS % 8 * 8 & row.USED and 0 < left <= row.LIFETIME_MAX:
            yield read(words, base, pools, left)


def read(words: Sequence[int], base: int, pools: Sequence[str], left: int) -> Flow:
    """A row with so many ticks left as a Flow. Every field of the row is read once: listings are long."""
    number = words[row.ORIGINAL_LABEL] >> row.LABEL_PROTOCOL & 0xFF
    original, reply = tuple_in(words, 0), tuple_in(words, 1)
    times, octets, last = words[row.EXPIRES // 2], words[row.OCTETS], words[row.STATE // 8]
    return Flow(
        id=identity(base, words[: row.REPLY_LABEL + 1], octets >> row.OPENING_SHIFT),
        protocol=PROTOCOLS.get(number) or str(number), state=STATES[last & 0xFF], original=original, reply=reply,
        expires_in=(left << row.TICK_SHIFT) / 1e9, packets=times >> 32, bytes=octets & row.OCTETS_MASK,
        pool=pools[last >> 48] or None, policy=None,
        external=endpoint(reply[2], reply[3]) if reply[2:] != original[:2] else None)


def endpoint(host: str, port: int) -> str:
    """ "192.0.2.1:80", "[2001:db8::1]:80". """
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
