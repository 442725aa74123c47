"""`gateway run`: a gateway in the current network namespace, until it is told to end."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

import typer

from . import out

HELP = """Run a gateway in the current network namespace until SIGINT or SIGTERM.

Reloads its resources when they change, or on SIGHUP; a wrong set is refused and the old rules stay. Every
change made to the kernel is undone at the end.

Exit status: 0 ended, 1 failed while it ran, 2 bad resources, 3 cannot start.

\b
Examples:
  gateway run -f gateway.yaml
  gateway run -f resources/ --events sessions.jsonl
  ip netns exec lab gateway run -f gateway.yaml --socket /tmp/lab.sock
"""


class LogForm(StrEnum):
    TEXT = "text"
    JSON = "json"


Socket = typer.Option(None, "--socket", envvar="GATEWAY_SOCKET", metavar="PATH",
                      help="Where the control socket is made; default: by metadata.name in $RUNTIME_DIRECTORY, "
                           "/run/gateway, $XDG_RUNTIME_DIR/gateway or /tmp/gateway-UID.")
Events = typer.Option(None, "--events", metavar="PATH", help="Append session events to this file, as JSON lines.")
Log = typer.Option(LogForm.TEXT, "--log-format", help="Lines on standard error: text or json.")

def run(
    files: list[str] = out.Files,
    socket: Path = Socket,
    events: Path = Events,
    log_format: LogForm = Log,
) -> None:
    sources = out.sources(files)
    from ..resources.errors import ResourceErrors
    from ..runtime import log
    from ..runtime import run as runtime

    log.start(log_format.value)
    try:
        failure = runtime.run(sources, socket, events)
    except ResourceErrors as errors:
        out.refuse(errors)
    except runtime.CANNOT_START as error:
        out.stop(f"cannot start: {error}", out.NO_GATEWAY)
    if failure:
        out.stop(failure, 1)
