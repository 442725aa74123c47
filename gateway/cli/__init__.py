"""The command line: arguments, tables, colour, exit codes. Whatever takes long to import is imported by its command.

Exit codes: 0 all is well; 1 the answer is no; 2 bad input; 3 there is no gateway, or it cannot start.
"""

from __future__ import annotations

import typer

from . import explain, flows, lab, pools, run, stats, validate

app = typer.Typer(name="gateway", no_args_is_help=True, add_completion=False, rich_markup_mode=None,
                  pretty_exceptions_enable=False, context_settings={"help_option_names": ["-h", "--help"]},
                  help="A source-NAT egress gateway in user space that speaks Calico's resources.")


def show_version(wanted: bool) -> None:
    if wanted:
        from .. import __version__

        typer.echo(f"gateway {__version__}")
        raise typer.Exit


@app.callback()
def options(version: bool = typer.Option(False, "--version", callback=show_version, is_eager=True,
                                         help="Print the version and end.")) -> None:
    """A source-NAT egress gateway in user space that speaks Calico's resources."""


for name, command in {"run": run, "lab": lab, "validate": validate, "explain": explain, "pools": pools,
                      "stats": stats}.items():
    app.command(name, help=command.HELP)(getattr(command, name))
app.add_typer(flows.app, name="flows")


def main() -> None:
    app()
