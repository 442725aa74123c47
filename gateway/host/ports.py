"""Whose port is whose, when the gateway masquerades to an address that the host owns too.

The kernel picks source ports for the host's own connections from ip_local_port_range; a port must belong to
one of the two, or replies reach the wrong one. What something on the host has bound is never allocated either:
otherwise an outsider's reply could be steered into a service, or a service's into a flow (CVE-2021-3773).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from .changes import Changes, read_setting

Range = tuple[int, int]  # inclusive
RESERVED = "ipv4/ip_local_reserved_ports"
BOUND = {"tcp": ("tcp", "tcp6"), "udp": ("udp", "udp6")}
LISTEN, UNCONNECTED = "0A", "07"


def kernel_range() -> Range:
    """What the kernel picks source ports from, for both families."""
    words = (read_setting("ipv4/ip_local_port_range") or "32768 60999").split()
    return int(words[0]), int(words[1])


def overlap(one: Range, other: Range) -> Range | None:
    first, last = max(one[0], other[0]), min(one[1], other[1])
    return (first, last) if first <= last else None


def keep_apart(changes: Changes, wanted: Range) -> tuple[Range, ...]:
    """Share out the ports; returns the ranges the gateway must leave alone.

    If the gateway's range holds all of the kernel's, the kernel keeps its own; else the kernel gives up the overlap.
    """
    kernel = kernel_range()
    common = overlap(wanted, kernel)
    if common is None:
        return ()
    if common == kernel:
        return (kernel,)
    changes.setting(RESERVED, written([*ranges(read_setting(RESERVED) or ""), common]))
    return ()


def ranges(text: str) -> list[Range]:
    """Of "8080,9000-9010": [(8080, 8080), (9000, 9010)]."""
    ends = [part.strip().split("-") for part in text.split(",") if part.strip()]
    return [(int(end[0]), int(end[-1])) for end in ends]


def written(parts: Iterable[Range]) -> str:
    """As the kernel writes it: in order, what touches or overlaps joined."""
    joined: list[Range] = []
    for first, last in sorted(parts):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
        else:
            joined.append((first, last))
    return ",".join(f"{first}-{last}" if first != last else str(first) for first, last in joined)


def listening() -> dict[str, frozenset[int]]:
    """Ports that something in this network namespace has bound: TCP listeners, UDP sockets without a peer."""
    return {name: frozenset(port for file in files for port in _bound(file)) for name, files in BOUND.items()}


def without(wanted: Range, taken: Iterable[Range]) -> list[Range]:
    """`wanted` less `taken`, as ranges in order."""
    left, first = [], wanted[0]
    for start, end in sorted(taken):
        if start > first:
            left.append((first, min(start - 1, wanted[1])))
        first = max(first, end + 1)
        if first > wanted[1]:
            break
    if first <= wanted[1]:
        left.append((first, wanted[1]))
    return [(start, end) for start, end in left if start <= end]


def _bound(file: str) -> list[int]:
    try:
        lines = Path(f"/proc/thread-self/net/{file}").read_text().splitlines()[1:]
    except OSError:  # a kernel without IPv6
        return []
    state = LISTEN if file.startswith("tcp") else UNCONNECTED
    return [int(words[1].rsplit(":", 1)[1], 16) for words in map(str.split, lines) if words[3] == state]
