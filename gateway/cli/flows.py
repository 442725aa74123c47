"""`gateway flows`: a running gateway's flow table, filtered; and the administrative end of one flow."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import typer

from . import live, out

HELP = """Show a running gateway's flows.

With -o json: one object a line. Filters are ANDed; --source and --destination look at the flow as the one
who opened it sees it, --external at the translated source.

Exit status: 0, 2 bad input, 3 no gateway.

\b
Examples:
  gateway flows --protocol tcp --source 192.168.1.0/24
  gateway flows --external 198.51.100.10:40000
  gateway flows -o json | jq -r .external
  gateway flows end ID
"""
END_HELP = """End a flow: its next packet is decided anew. IDs are in the first column of `gateway flows`.

\b
Examples:
  gateway flows end 1-bf0f04790001
"""
SHOWN = 1000
COLUMNS = ("ID", "PROTOCOL", "STATE", "SOURCE", "DESTINATION", "EXTERNAL", "POOL", "EXPIRES", "PACKETS", "BYTES")
app = typer.Typer(invoke_without_command=True, rich_markup_mode=None, help=HELP)


@app.callback()
def flows(
    context: typer.Context,
    protocol: str = typer.Option(None, metavar="NAME", help="tcp, udp, icmp, ..."),
    source: str = typer.Option(None, metavar="IP[:PORT]|CIDR", help="Who opened the flow."),
    destination: str = typer.Option(None, metavar="IP[:PORT]|CIDR", help="To whom."),
    external: str = typer.Option(None, metavar="IP[:PORT]|CIDR", help="The translated source."),
    state: str = typer.Option(None, metavar="NAME", help="new, active, established, closing, ..."),
    pool: str = typer.Option(None, metavar="NAME", help="The pool that had it translated."),
    limit: int = typer.Option(None, min=0, metavar="N", help=f"At most so many; 0: all. Default: {SHOWN} as text, "
                                                              "all as json."),
    output: out.Form = out.Output,
    socket: Path = out.Socket,
) -> None:
    if context.invoked_subcommand is not None:
        context.obj = socket
        return
    filters = {"protocol": protocol, "source": source, "destination": destination, "external": external,
               "state": state, "pool": pool}
    query = urlencode({name: value for name, value in filters.items() if value is not None})
    most = limit if limit is not None else 0 if output is out.Form.JSON else SHOWN
    try:
        listing(f"/v1/flows?{query}", most, output, socket)
    except BrokenPipeError:
        out.quiet_pipe()


@app.command("end", help=END_HELP)
def end(context: typer.Context, flow: str = typer.Argument(metavar="ID", help="The flow's id."),
        socket: Path = out.Socket) -> None:
    with live.asked(socket or context.obj, "DELETE", f"/v1/flows/{quote(flow, safe='')}"):
        out.say(f"ended {flow}")


def listing(target: str, most: int, output: out.Form, socket: Path | None) -> None:
    with live.asked(socket, "GET", target) as response:
        lines = islice(response, most or None)
        if output is out.Form.JSON:
            for line in lines:
                typer.echo(line.decode().rstrip("\n"))
            return
        rows = [row(json.loads(line)) for line in lines]
        more = bool(most and len(rows) == most and response.readline())
    out.table(COLUMNS, rows, right=("EXPIRES", "PACKETS", "BYTES"))
    if more:
        out.say(f"there are more than {most}: narrow them down, or see all with --limit 0")


def row(flow: dict[str, Any]) -> tuple[Any, ...]:
    source, source_port, destination, destination_port = flow["original"]
    return (flow["id"], flow["protocol"], flow["state"], joined(source, source_port),
            joined(destination, destination_port), flow["external"], flow["pool"], f"{flow['expires_in']:.0f}s",
            flow["packets"], flow["bytes"])


def joined(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
