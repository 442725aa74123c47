"""`gateway stats`: a running gateway's counters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from . import live, out

HELP = """Show a running gateway's counters: what became of packets, flows, links, and the rules in use.

Exit status: 0, 3 no gateway.

\b
Examples:
  gateway stats
  gateway stats -o json | jq .counters
"""


def stats(output: out.Form = out.Output, socket: Path = out.Socket,
          everything: bool = typer.Option(False, "--all", help="Also the verdicts that no packet got.")) -> None:
    answer = live.get(socket, "/v1/stats")
    if output is out.Form.JSON:
        return out.document(answer)
    show(answer, everything)


def show(answer: dict[str, Any], everything: bool) -> None:
    flows, rules = answer["flows"], answer["rules"]
    typer.echo(f"{answer['name']}, up {answer['uptime']:.0f} s, {flows['live']} of {flows['capacity']} flows, "
               f"rules of {rules['loaded']} (generation {rules['generation']})\n")
    out.table(("LINK", "INTERFACE", "DRIVER", "RECEIVED", "SENT", "DROPPED", "WHY"),
              [(side, link["interface"], link["driver"], link["received"], link["sent"], link["dropped"],
                ", ".join(f"{name} {count}" for name, count in link["reasons"].items()))
               for side, link in answer["links"].items()], right=("RECEIVED", "SENT", "DROPPED"))
    typer.echo()
    if len(answer["shares"]) > 1:
        out.table(("WORKER", "INSIDE", "OUTSIDE", "FLOWS", "HANDED OVER", "INBOX FULL"),
                  [tuple(share.values()) for share in answer["shares"]],
                  right=("INSIDE", "OUTSIDE", "FLOWS", "HANDED OVER", "INBOX FULL"))
        typer.echo()
    out.table(("VERDICT", "PACKETS"), [(name, count) for name, count in answer["counters"].items()
                                       if count or everything or name == "accept"], right=("PACKETS",))
    for error in rules["errors"]:
        out.say(f"the last reload was refused: {error}")
