"""`gateway pools`: a running gateway's pools, and the ports in use on its egress addresses."""

from __future__ import annotations

from pathlib import Path

import typer

from . import live, out

HELP = """Show a running gateway's pools with their flows, and its egress addresses with their ports in use.

Exit status: 0, 3 no gateway.

\b
Examples:
  gateway pools
  gateway pools -o json | jq '.addresses[].ports.tcp'
"""


def pools(output: out.Form = out.Output, socket: Path = out.Socket) -> None:
    answer = live.get(socket, "/v1/pools")
    if output is out.Form.JSON:
        return out.document(answer)
    out.table(("POOL", "CIDR", "NAT OUTGOING", "DISABLED", "FLOWS"),
              [(pool["name"], pool["cidr"], yes(pool["natOutgoing"]), yes(pool["disabled"]), pool["flows"])
               for pool in answer["pools"]], right=("FLOWS",))
    typer.echo()
    out.table(("EGRESS ADDRESS", "PROTOCOL", "PORTS IN USE", "OF", "SOURCES", "SHARED"),
              [(one["address"], protocol, ports["used"], ports["of"], one["sources"], yes(one["shared"]))
               for one in answer["addresses"] for protocol, ports in one["ports"].items()],
              right=("PORTS IN USE", "OF", "SOURCES"))
    typer.echo(f"\nflows that are not translated: {answer['untranslated']}")


def yes(value: bool) -> str:
    return "yes" if value else "no"
