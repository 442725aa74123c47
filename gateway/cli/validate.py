"""`gateway validate`: everything that is wrong with resources, before anything runs."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import Any

import typer

from . import out

HELP = """Load resources and print every mistake: file, line, column, kind, name, field and what to do.

Exit status: 0 valid, 2 not.

\b
Examples:
  gateway validate -f gateway.yaml
  gateway validate -f resources/ -o json
  kubectl get ippools -o yaml | gateway validate -f -
"""


def validate(files: list[str] = out.Files, output: out.Form = out.Output) -> None:
    sources = out.sources(files)
    from ..resources.build import build
    from ..resources.errors import ResourceErrors
    from ..runtime.reload import read

    try:
        resources = read(sources)
        build(resources)
    except ResourceErrors as errors:
        if output is out.Form.TEXT:
            out.refuse(errors)
        out.document({"valid": False, "errors": [asdict(error) for error in errors.errors], "notes": [],
                      "resources": {}})
        raise typer.Exit(out.BAD_INPUT) from None
    report(Counter(one.kind for one in resources.objects), [str(note) for note in resources.notes], output)


def report(kinds: Counter[str], notes: list[str], output: out.Form) -> None:
    if output is out.Form.JSON:
        valid: dict[str, Any] = {"valid": True, "errors": [], "notes": notes, "resources": dict(kinds)}
        return out.document(valid)
    for note in notes:
        out.say(f"note: {note}")
    typer.echo("valid: " + ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())))
