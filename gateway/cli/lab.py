"""`gateway lab`: lists the labs, or builds one in namespaces of its own, with real traffic, and checks it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from . import out

if TYPE_CHECKING:
    from labs import Lab

HELP = """List the labs, or build one: fresh network namespaces, real traffic, what both sides saw, and checks.

Nothing is left behind, unless --keep leaves the lab up to be looked at.

Exit status: 0 all checks hold, 1 one failed, 2 no such lab, 3 this host or user cannot run labs.

\b
Examples:
  gateway lab
  gateway lab nat-outgoing
  gateway lab nat-outgoing --keep
"""


def lab(name: str = typer.Argument(None, metavar="NAME", help="The lab to build; none: list them."),
        keep: bool = typer.Option(False, "--keep", help="Leave the lab up, and say how to look into it."),
        output: out.Form = out.Output) -> None:
    known = {one.name: one for one in all_labs()}
    if name is None:
        return listing(list(known.values()), output)
    if name not in known:
        out.stop(f"there is no lab {name!r}: one of {', '.join(known)}", out.BAD_INPUT)
    if output is out.Form.JSON:
        out.stop("-o json is for the list of labs: leave the name out", out.BAD_INPUT)
    from rich.console import Console

    from labs import Unable

    try:
        failed = known[name].run(Console(highlight=False), keep)
    except Unable as error:
        out.stop(str(error), out.NO_GATEWAY)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    raise typer.Exit(1 if failed else 0)


def all_labs() -> list[Lab]:
    try:
        from labs import all_labs as found
    except ImportError as error:
        out.stop(f"the labs are not installed with this gateway ({error})", out.NO_GATEWAY)
    return found()


def listing(known: list[Lab], output: out.Form) -> None:
    if output is out.Form.JSON:
        return out.document([{"name": one.name, "summary": one.summary, "drawing": one.drawing} for one in known])
    out.table(("LAB", "WHAT IT SHOWS"), [(one.name, one.summary) for one in known])
