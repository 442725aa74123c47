"""What was measured, and whether it is what we aim for: medians over rounds, their spread, ratios within one run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from typing import Any

GATEWAY, NULL, KERNEL = "this gateway", "null forwarder", "kernel nftables"
PACKET, PACKET_NULL = "packet both sides", "null, packet both sides"
XDP, XDP_NULL = "AF_XDP both sides", "null, AF_XDP both sides"
NULL_OF = {GATEWAY: NULL, PACKET: PACKET_NULL, XDP: XDP_NULL}  # what the same links do without translation


@dataclass
class Row:
    """One figure on several data paths (or engines): every round's value of each."""

    unit: str
    fewer_is_better: bool = False
    values: dict[str, list[float]] = field(default_factory=dict)

    def median(self, path: str) -> float | None:
        taken = self.values.get(path)
        return median(taken) if taken else None

    def ratio(self, path: str, peer: str) -> float | None:
        ours, theirs = self.median(path), self.median(peer)
        return ours / theirs if ours is not None and theirs else None


@dataclass
class Results:
    """sections: title -> row name -> Row.  notes: what was left out, and why.
    failed: something went wrong; an aim that does not hold is no failure."""

    machine: dict[str, str]
    sections: dict[str, dict[str, Row]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    failed: bool = False

    def add(self, section: str, row: str, unit: str, path: str, value: float, fewer_is_better: bool = False) -> None:
        rows = self.sections.setdefault(section, {})
        rows.setdefault(row, Row(unit, fewer_is_better)).values.setdefault(path, []).append(value)

    def rows(self, name: str) -> list[Row]:
        """Of every section that has a row of this name."""
        return [rows[name] for rows in self.sections.values() if name in rows]

    def row(self, name: str) -> Row | None:
        return next(iter(self.rows(name)), None)

    def note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)

    def fail(self, text: str) -> None:
        """A figure is missing that should be there."""
        self.note(text)
        self.failed = True

    def as_json(self) -> dict[str, Any]:
        return {
            "machine": self.machine,
            "sections": {title: {name: {"unit": row.unit, "median": {path: row.median(path) for path in row.values},
                                        "values": row.values} for name, row in rows.items()}
                         for title, rows in self.sections.items()},
            "aims": [{"aim": aim.says, "measured": aim.measured(self), "holds": aim.holds(self)} for aim in AIMS],
            "notes": self.notes,
        }


@dataclass(frozen=True)
class Aim:
    """measure(row) is to be at least, or at most, `bound`; with `base`, divided by that of the row of this name."""

    says: str
    row: str
    measure: Callable[[Row], float | None]
    bound: float
    at_least: bool = True
    base: str = ""

    def measured(self, results: Results) -> float | None:
        """In the first section that has what it compares."""
        value, base = self._first(results, self.row), self._first(results, self.base) if self.base else 1.0
        return value / base if value is not None and base else None

    def _first(self, results: Results, name: str) -> float | None:
        return next((value for row in results.rows(name) if (value := self.measure(row)) is not None), None)

    def holds(self, results: Results) -> bool | None:
        """None when it was not measured."""
        value = self.measured(results)
        if value is None:
            return None
        return value >= self.bound if self.at_least else value <= self.bound


def of(peer: str, path: str = GATEWAY) -> Callable[[Row], float | None]:
    return lambda row: row.ratio(path, peer)


def best_of(peer: str) -> Callable[[Row], float | None]:
    """Whoever chooses between tools chooses among drivers too."""
    return lambda row: max((one for path in (GATEWAY, PACKET) if (one := row.ratio(path, peer)) is not None),
                           default=None)


TCP, SMALL = ("tcp out", "tcp back"), ("udp 1", "udp 1000", "udp, 100000 flows")
AIMS = [
    *(Aim(f"{row}, {path}: at least {bound} of {KERNEL}", row, of(KERNEL, path), bound)
      for path, bounds in ((GATEWAY, {TCP: 0.6, SMALL: 0.6}), (PACKET, {TCP: 0.65, SMALL: 0.95}), (XDP, {SMALL: 1.3}))
      for rows, bound in bounds.items() for row in rows),
    *(Aim(f"{row}, {PACKET}: at least {bound} of {KERNEL}", row, of(KERNEL, PACKET), bound)
      for row, bound in (("new udp", 1), ("connections", 0.75))),
    *(Aim(f"{row}, {path}: at least 0.92 of {null}", row, of(null, path), 0.92)
      for path, null in NULL_OF.items() for row in ("tcp out", "tcp back", "udp 1", "udp 1000")),
    Aim(f"round trips, {PACKET}: p99.9 under load, listing and reloading, at most twice that of idle links",
        "pestered p99.9", lambda row: row.median(PACKET), 2, at_least=False, base="idle p99.9"),
    *(Aim(f"{row}, the better of TUN and packet sockets: at least 5 times {peer}", row, best_of(peer), 5)
      for peer in ("slirp4netns", "pasta") for row in ("tcp out", "tcp back", "udp 1", "udp 1000")),
    *(Aim(f"{row}: under {bound} ns", row, lambda row: row.median("compiled"), bound, at_least=False)
      for name in ("UDP", "TCP")
      for row, bound in ((f"established {name}", 60), (f"established {name}, 1000000 flows in random order", 150),
                         (f"new {name}", 400))),
    *(Aim(f"{row}: at most 160 bytes", row, lambda row: row.median("compiled"), 160, at_least=False)
      for row in ("a UDP flow", "a TCP flow")),
]
