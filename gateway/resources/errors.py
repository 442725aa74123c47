"""What is wrong with resources: where, what, and what to do about it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class ResourceError:
    """One mistake. line and column count from 1; both are 0 where there is no text (resources given as dicts)."""

    file: str
    line: int
    column: int
    kind: str
    name: str
    field: str
    message: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        what = "/".join(part for part in (self.kind, self.name) if part)
        return ": ".join(part for part in (where, what, self.field, self.message) if part)


class ResourceErrors(Exception):
    """Everything that is wrong with a set of resources. Nothing of the set may be applied."""

    def __init__(self, errors: Iterable[ResourceError]) -> None:
        self.errors: list[ResourceError] = sorted(set(errors))
        super().__init__("\n".join(str(error) for error in self.errors))


def nearest(word: str, valid: Iterable[str]) -> str:
    """ "; did you mean natOutgoing?" or nothing. """
    folded = {name.lower(): name for name in valid}
    close = difflib.get_close_matches(word.lower(), folded, n=1, cutoff=0.6)
    return f"; did you mean {folded[close[0]]}?" if close else ""


def listed(words: Iterable[str]) -> str:
    """ "a, b and c" """
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last
