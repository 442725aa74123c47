"""Writes a run's figures into docs/speed.md, between its two marks, and its picture, docs/speed.svg.

    scripts/bench full --json run.json
    python -m bench.page run.json
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from bench.picture import Document, draw
from bench.report import figure

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "speed.md"
BEGIN, END = "<!-- figures: written by bench.page -->", "<!-- end of figures -->"


def cell(row: dict[str, Any], path: str) -> str:
    taken = row["values"].get(path)
    if not taken:
        return ""
    spread = f" ({figure(min(taken))}-{figure(max(taken))})" if len(taken) > 1 else ""
    return figure(row["median"][path]) + spread


def table(rows: dict[str, dict[str, Any]]) -> list[str]:
    paths = list(dict.fromkeys(path for row in rows.values() for path in row["median"]))
    return [f"| | {' | '.join(paths)} |", "|" + "---|" * (len(paths) + 1),
            *(f"| {name}, {row['unit']} | {' | '.join(cell(row, path) for path in paths)} |"
              for name, row in rows.items())]


def aims(document: Document) -> list[str]:
    measured = [aim for aim in document["aims"] if aim["measured"] is not None]
    if not measured:
        return []
    return ["### Aims", "", "| aimed at | measured | holds |", "|---|---|---|",
            *(f"| {aim['aim']} | {figure(aim['measured'])} | {'yes' if aim['holds'] else 'no'} |" for aim in measured),
            ""]


def written(document: Document) -> str:
    """The part of the page that a run makes: machine, tables, aims, what was left out."""
    machine = "; ".join(f"{name} {value}" for name, value in document["machine"].items())
    lines = [f"Medians (least-most of the rounds). {machine}.", ""]
    for title, rows in document["sections"].items():
        lines += [f"### {title[0].upper()}{title[1:]}", "", *table(rows), ""]
    lines += [*aims(document), *(f"- {' '.join(note.split())}" for note in document["notes"]), ""]
    return "\n".join(lines)


def into(page: str, document: Document) -> str:
    """The page with its figures replaced; raises ValueError where the marks are missing."""
    before, began, rest = page.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not began or not ended:
        raise ValueError(f"the page lacks {BEGIN} or {END}")
    return f"{before}{BEGIN}\n\n{written(document)}\n{END}{after}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.page", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="what scripts/bench --json wrote")
    parser.add_argument("--page", type=Path, default=PAGE, help="the page to write into (docs/speed.md)")
    arguments = parser.parse_args()
    document = json.loads(arguments.run.read_text())
    arguments.page.write_text(into(arguments.page.read_text(), document))
    try:
        arguments.page.with_suffix(".svg").write_text(draw(document))
    except ValueError as error:
        print(f"no picture: {error}")


if __name__ == "__main__":
    main()
