"""`gateway explain`: every step of a decision, of resources that are not running yet or of a live gateway."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from . import out

HELP = """Say what would become of a packet, and why, step by step. Changes nothing.

With -f: of a gateway with these resources, offline: no interface of this host is looked at, so that egress addresses
must be written there, and no port counts as the host's. Without: of the gateway that runs. A port left out is
40000 for the source, and the protocol's best known one for the destination; for ICMP the source's port is
the identifier.

Exit status: 0 the packet would pass, 1 it would not, 2 bad input, 3 no gateway.

\b
Examples:
  gateway explain -f gateway.yaml --src 192.168.1.2 --dst 8.8.8.8:53 --protocol udp
  gateway explain --src 192.168.1.2:40000 --dst 203.0.113.7:443
  gateway explain --side outside --src 203.0.113.7:443 --dst 198.51.100.10:40000 -o json
  gateway explain -f gateway.yaml --src fd00::2 --dst '[2001:db8::1]:443'
"""


def explain(
    files: list[str] = out.Files,
    source: str = typer.Option(..., "--src", metavar="IP[:PORT]", help="Source; [IPv6]:PORT with a port."),
    destination: str = typer.Option(..., "--dst", metavar="IP[:PORT]", help="Destination."),
    protocol: str = typer.Option("tcp", metavar="NAME", help="tcp, udp, icmp, sctp, ... or a number."),
    side: str = typer.Option("inside", help="The side on which the packet arrives: inside or outside."),
    output: out.Form = out.Output,
    socket: Path = out.Socket,
) -> None:
    from ..runtime.question import Question, QuestionError

    try:
        question = Question.parse(source, destination, protocol, side)
    except QuestionError as error:
        out.stop(str(error), out.BAD_INPUT)
    if files:
        answer = offline(out.sources(files), question.packet(), question.side)
    else:
        answer = ask(socket, {"source": source, "destination": destination, "protocol": protocol, "side": side})
    if output is out.Form.JSON:
        out.document(answer)
    else:
        show(answer)
    raise typer.Exit(0 if passes(answer) else 1)


def offline(sources: Sequence[str], packet: bytes, side: int) -> dict[str, Any]:
    from ..resources.errors import ResourceErrors
    from ..runtime.offline import explain

    try:
        return explain(sources, packet, side)
    except ResourceErrors as errors:
        out.refuse(errors)


def ask(socket: Path | None, question: dict[str, str]) -> dict[str, Any]:
    import json

    from . import live

    with live.asked(socket, "POST", "/v1/explain", question) as response:
        answer: dict[str, Any] = json.loads(response.read())
        return answer


def passes(answer: dict[str, Any]) -> bool:
    return not answer["verdict"].startswith(("drop_", "reject_"))


def show(answer: dict[str, Any]) -> None:
    """The steps, one a line, and below them what comes of it."""
    rows = [(step["stage"], step["says"]) for step in answer["steps"] if step["stage"] != "verdict"]
    rows += [(name, f"{change['from']} -> {change['to']}") for name in ("source", "destination")
             if (change := answer.get(name))]
    rows.append(("verdict", verdict(answer)))
    width = max(len(stage) for stage, _ in rows)
    for stage, says in rows:
        typer.echo(f"{stage:<{width}}  {says}")


def verdict(answer: dict[str, Any]) -> str:
    """ "accept: translated", "drop_not_ours: dropped: ...": the verdict's name, and the translator's reason."""
    name = typer.style(answer["verdict"], fg="green" if passes(answer) else "red", bold=True)
    if passes(answer):
        return f"{name}: {'translated' if answer['translated'] else 'not translated'}"
    why = [step["says"] for step in answer["steps"] if step["stage"] == "verdict"]
    return ": ".join([name, *why])
