"""Which rules are in use since when, and what was wrong with those that were refused."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..match.ruleset import Ruleset
    from ..resources import Resources


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass
class Rules:
    resources: Resources
    ruleset: Ruleset
    generation: int = 1
    loaded: str = field(default_factory=now)
    applied: int = 0
    refused: int = 0
    errors: list[str] = field(default_factory=list)  # of the last reload, if it was refused

    def use(self, resources: Resources, ruleset: Ruleset) -> None:
        self.resources, self.ruleset, self.loaded, self.errors = resources, ruleset, now(), []
        self.generation += 1
        self.applied += 1

    def refuse(self, errors: list[str]) -> None:
        self.refused += 1
        self.errors = errors

    def describe(self) -> dict[str, Any]:
        return {"generation": self.generation, "loaded": self.loaded, "applied": self.applied,
                "refused": self.refused, "errors": self.errors, "notes": list(self.resources.notes)}
