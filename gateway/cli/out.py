"""What every command prints with: data on standard output, sentences on standard error, colour on a terminal only."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NoReturn

import typer

if TYPE_CHECKING:
    from ..resources.errors import ResourceErrors

BAD_INPUT = 2
NO_GATEWAY = 3
WIDE = 1000  # columns where there is no terminal: a pipe wants whole lines


class Form(StrEnum):
    TEXT = "text"
    JSON = "json"


Files = typer.Option(None, "-f", "--file", metavar="PATH",
                     help="Resources: a file, a folder, or - for standard input. May be given several times.")
Output = typer.Option(Form.TEXT, "-o", "--output", help="text for people, json for programs.")
Socket = typer.Option(None, "--socket", envvar="GATEWAY_SOCKET", metavar="PATH",
                      help="The running gateway's control socket; default: the only one there is.")


def say(text: str) -> None:
    """A sentence for people."""
    typer.echo(text, err=True)


def stop(text: str, code: int) -> NoReturn:
    """End with a sentence and an exit status."""
    say(typer.style("error: ", fg="red", bold=True) + text if sys.stderr.isatty() else f"error: {text}")
    raise typer.Exit(code)


def refuse(errors: ResourceErrors) -> NoReturn:
    """Every mistake on a line of its own, then exit status 2."""
    for error in errors.errors:
        say(str(error))
    count = len(errors.errors)
    stop(f"{count} mistake{'s' * (count != 1)} in the resources; nothing was applied", BAD_INPUT)


def sources(files: Sequence[str] | None) -> list[str]:
    """The -f values; exit status 2 without one, or when standard input is mixed with files.

    An empty one is a shell's variable that was not set, and not the current folder.
    """
    given = list(files or ())
    if not all(given):
        stop("no resources: -f has an empty value; give a file, a folder or - with -f PATH", BAD_INPUT)
    if not given:
        stop("no resources: give a file, a folder or - with -f PATH", BAD_INPUT)
    if "-" in given and len(given) > 1:
        stop("-f - (standard input) cannot be combined with other -f", BAD_INPUT)
    return given


def document(value: Any) -> None:
    """One JSON document."""
    typer.echo(json.dumps(value, indent=2))


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], right: Sequence[str] = ()) -> None:
    """Aligned columns; those in `right` hold numbers."""
    from rich.console import Console
    from rich.table import Table

    terminal = sys.stdout.isatty()
    grid = Table(box=None, pad_edge=False, header_style="bold" if terminal else "")
    for name in columns:
        grid.add_column(name, justify="right" if name in right else "left", no_wrap=not terminal, overflow="fold")
    for row in rows:
        grid.add_row(*("-" if cell is None else str(cell) for cell in row))
    console = Console(highlight=False, markup=False, emoji=False, width=None if terminal else WIDE)
    console.print(grid)


def quiet_pipe() -> None:
    """The reader of our output has gone (`| head`): end without a traceback, also when Python flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
