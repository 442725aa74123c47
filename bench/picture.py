"""A picture of a run, as SVG written by hand: each data path beside the kernel's own NAT of the same run.

    python -m bench.page FILE.json
"""

from __future__ import annotations

from html import escape
from typing import Any

from bench.results import GATEWAY, KERNEL, PACKET, XDP

Document = dict[str, Any]  # what `Results.as_json` returns
ROWS = {
    "tcp out": "TCP out, one stream", "tcp back": "TCP back, one stream", "udp 1": "small UDP, 1 flow",
    "udp 1000": "small UDP, 1,000 flows", "udp, 1000000 flows": "small UDP, 1,000,000 flows",
    "new udp": "new UDP flows", "connections": "connect, request, close",
}
COLOURS = {GATEWAY: "#2f6db3", PACKET: "#2a9d8f", XDP: "#7b4ea3", "slirp4netns": "#c9803a", "pasta": "#b5455a"}
WIDTH, LEFT, RIGHT, TOP = 760, 190, 40, 78
BAR, GAP = 13, 14  # a bar's height, and what lies between two rows


def shares(document: Document) -> dict[str, dict[str, float]]:
    """By row and data path: the median divided by that of the kernel's NAT in the same section."""
    found: dict[str, dict[str, float]] = {}
    for section in document["sections"].values():
        for name in ROWS.keys() & section.keys():
            medians = section[name]["median"]
            for path in COLOURS.keys() & medians.keys():
                if kernel := medians.get(KERNEL):
                    found.setdefault(name, {}).setdefault(path, medians[path] / kernel)
    return found


def draw(document: Document) -> str:
    """The whole picture; raises ValueError if the run has nothing to compare with the kernel."""
    found = shares(document)
    if not found:
        raise ValueError("no figure of this run stands beside the kernel's NAT")
    scale = (WIDTH - LEFT - RIGHT) / max(1.0, *(share for row in found.values() for share in row.values()))
    lines, y = [], TOP
    for name, title in ROWS.items():
        if name in found:
            bars = [(path, found[name][path]) for path in COLOURS if path in found[name]]
            lines += row(title, bars, y, scale)
            y += BAR * len(bars) + GAP
    at = LEFT + scale
    lines.append(f'<line x1="{at:.1f}" y1="{TOP - 6}" x2="{at:.1f}" y2="{y - GAP + 6}" stroke="#333"/>')
    lines.append(text(at, TOP - 11, f"{KERNEL} = 1", anchor="middle"))
    return "\n".join([*opening(y + 16), *legend(found), *lines, text(LEFT, y + 6, caption(document), 10), "</svg>", ""])


def row(title: str, bars: list[tuple[str, float]], y: int, scale: float) -> list[str]:
    """A row's title and bars, from `y` downwards."""
    lines = [text(LEFT - 8, y + BAR * len(bars) / 2 + 4, title, anchor="end")]
    for number, (path, share) in enumerate(bars):
        top, length = y + number * BAR, max(share * scale, 1)
        lines.append(f'<rect x="{LEFT}" y="{top}" width="{length:.1f}" height="{BAR - 2}" fill="{COLOURS[path]}"/>')
        lines.append(text(LEFT + length + 4, top + BAR - 4, f"{share:.2f}", 10))
    return lines


def legend(found: dict[str, dict[str, float]]) -> list[str]:
    lines, x = [], 16.0
    for path in (path for path in COLOURS if any(path in row for row in found.values())):
        lines.append(f'<rect x="{x:.0f}" y="32" width="11" height="11" fill="{COLOURS[path]}"/>')
        lines.append(text(x + 16, 42, path))
        x += 34 + 7 * len(path)
    return lines


def opening(height: float) -> list[str]:
    return [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" role="img" '
            'font-family="sans-serif" fill="#222">',
            "<title>Rates beside the kernel's own NAT, more is better</title>",
            f'<rect width="{WIDTH}" height="{height:.0f}" fill="#fff"/>',
            text(16, 20, "Rates beside the kernel's own NAT (nftables), one run, more is better", 14)]


def caption(document: Document) -> str:
    machine = document["machine"]
    return ", ".join(machine[key] for key in ("machine", "kernel") if key in machine)


def text(x: float, y: float, words: str, size: int = 12, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}">{escape(words)}</text>'
