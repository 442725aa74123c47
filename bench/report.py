"""Results as tables for people. Each cell: the median, and how far the rounds lay apart."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.table import Table

from bench.results import AIMS, KERNEL, NULL_OF, Results, Row


def figure(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def cell(row: Row, path: str) -> str:
    middle, taken = row.median(path), row.values.get(path, [])
    if middle is None:
        return "-"
    return figure(middle) + (f" [dim]({figure(min(taken))}-{figure(max(taken))})[/]" if len(taken) > 1 else "")


def table(title: str, rows: dict[str, Row]) -> Table:
    paths = list(dict.fromkeys(path for row in rows.values() for path in row.values))
    out = Table(title=title, title_justify="left")
    out.add_column("")
    out.add_column("unit")
    for path in paths:
        out.add_column(path, justify="right", overflow="fold")
    for name, row in rows.items():
        unit = f"{row.unit}, less is better" if row.fewer_is_better else row.unit
        out.add_row(name, unit, *(cell(row, path) for path in paths))
    return out


def ratios(rows: dict[str, Row]) -> Table | None:
    """Each gateway beside the kernel's own NAT, and beside what its links do without translation."""
    pairs = [(path, peer, to) for path, null in NULL_OF.items() for peer, to in ((KERNEL, "kernel"), (null, "null"))
             if any(row.ratio(path, peer) is not None for row in rows.values())]
    if not pairs:
        return None
    out = Table(title="ratios of the medians", title_justify="left")
    out.add_column("")
    for path, _, to in pairs:
        out.add_column(f"{path} to {to}", justify="right")
    for name, row in rows.items():
        values = [row.ratio(path, peer) for path, peer, _ in pairs]
        out.add_row(name, *("-" if value is None else f"{value:.2f}" for value in values))
    return out


def aims(results: Results) -> Table | None:
    """None if nothing was measured for which there is an aim."""
    out = Table(title="aims", title_justify="left")
    out.add_column("aim")
    out.add_column("measured", justify="right")
    out.add_column("holds")
    for aim in AIMS:
        value = aim.measured(results)
        if value is not None:
            out.add_row(aim.says, figure(value), "[green]yes[/]" if aim.holds(results) else "[red]no[/]")
    return out if out.rows else None


def show(results: Results) -> None:
    console = Console(width=None if Console().is_terminal else 140, highlight=False)
    console.print(" · ".join(f"{name}: {text}" for name, text in results.machine.items()))
    tables = [one for title, rows in results.sections.items() for one in (table(title, rows), ratios(rows))]
    for one in (*tables, aims(results)):
        if one is not None:
            console.print(one)
    for note in results.notes:
        console.print(f"• {note}")


def say(what: str) -> None:
    """Progress, for whoever waits."""
    if sys.stderr.isatty():
        print(f"\r\033[K{what}", end="", file=sys.stderr, flush=True)
