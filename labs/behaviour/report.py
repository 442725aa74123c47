"""What a family of tools showed: commands, their own words, and which claims held."""

from __future__ import annotations

import os
import re
import subprocess
import textwrap
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from gateway.testing.namespaces import Namespace
from labs.running import RunningGateway

PLAIN = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
ENVIRONMENT = {**PLAIN, "LC_ALL": "C", "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin"}
PATIENCE = 60.0
SETTLING = 2.0
WIDTH = 120
Trim = Callable[[str], str]


def trim(text: str) -> str:
    """Without empty lines and the spaces at a line's end."""
    return "\n".join(line.rstrip() for line in text.splitlines() if line.strip())


def without(pattern: str) -> Trim:
    """A trim that also leaves out the lines in which `pattern` is found."""
    return lambda text: trim("\n".join(line for line in text.splitlines() if not re.search(pattern, line)))


@dataclass
class Report:
    """parts: Markdown.  checks: claim, whether it held, and what was seen otherwise."""

    name: str
    title: str
    parts: list[str] = field(default_factory=list)
    checks: list[tuple[str, bool, str]] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def say(self, text: str) -> None:
        """A paragraph of the page."""
        self.parts.append(textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False))

    def start(self, where: Namespace, command: str, cwd: str | None = None) -> subprocess.Popen[str]:
        return where.popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT,
                           stdin=subprocess.DEVNULL, cwd=cwd)

    def run(self, where: Namespace, command: str, shown: Trim | None = trim, cwd: str | None = None) -> str:
        """Run a tool to its end and show what it said; `shown` None keeps it out of the page."""
        return self.finish(where, command, self.start(where, command, cwd), shown)

    def finish(self, where: Namespace, command: str, tool: subprocess.Popen[str], shown: Trim | None = trim) -> str:
        try:
            said = "".join(tool.communicate(timeout=PATIENCE))
        except subprocess.TimeoutExpired:
            tool.kill()
            said = "".join(tool.communicate())
        if shown is not None:
            self.show(where, command, shown(said))
        return said

    def show(self, where: Namespace, command: str, text: str) -> None:
        """`name-of-the-place$ command` and its output, as in a terminal."""
        place = where.name.removeprefix("gw-").rsplit("-", 1)[0]
        self.commands.append(f"{place}$ {command}")
        self.parts.append("\n".join(filter(None, ("```", self.commands[-1], text, "```"))))

    def check(self, claim: str, holds: bool, otherwise: object = "", shown: bool = True) -> bool:
        self.checks.append((claim, holds, str(otherwise).strip()))
        if shown or not holds:
            self.parts.append(f"- {claim}" if holds else f"- **FAILED** {claim}")
        return holds

    def expect(self, claim: str, pattern: str, said: str) -> bool:
        """That a tool said something: `pattern` is found in its output."""
        return self.check(claim, re.search(pattern, said, re.MULTILINE | re.DOTALL) is not None, said)

    def expect_counted(self, claim: str, gateway: RunningGateway, before: dict[str, int], **wanted: int) -> bool:
        """That these of the gateway's counters rose by so much, or will within a moment; -1: by anything."""
        deadline = time.monotonic() + SETTLING
        while True:
            now = counters(gateway)
            risen = {name: now[name] - before[name] for name in wanted}
            if all(risen[name] == by or (by < 0 < risen[name]) for name, by in wanted.items()):
                return self.check(claim, True)
            if time.monotonic() > deadline:
                return self.check(claim, False, f"{risen}, not {wanted}")
            time.sleep(0.05)

    def join(self, other: Report) -> None:
        """What another report saw, after what this one did."""
        self.parts += other.parts
        self.checks += other.checks
        self.commands += other.commands

    @property
    def failed(self) -> list[tuple[str, str]]:
        return [(claim, otherwise) for claim, holds, otherwise in self.checks if not holds]

    def markdown(self) -> str:
        """The family's part of the page; claims that follow each other make one list."""
        text = "\n\n".join([f"### {self.title}", *self.parts])
        return re.sub(r"^(- .*)\n\n(?=- )", r"\1\n", text, flags=re.MULTILINE)


def counters(gateway: RunningGateway) -> dict[str, int]:
    """The gateway's verdicts so far, by name."""
    return dict[str, Any](gateway.ask("/v1/stats")["counters"])
