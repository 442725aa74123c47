"""A family of tools: what it needs, what it looks at; and how several are run at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from labs.behaviour.report import Report
from labs.clients import present

PACKAGES = {"turnserver": "coturn", "turnutils_natdiscovery": "coturn", "traceroute": "traceroute", "mtr": "mtr-tiny",
            "tracepath": "iputils-tracepath", "ping": "iputils-ping", "curl": "curl", "iperf3": "iperf3",
            "ip": "iproute2", "hping3": "hping3", "nmap": "nmap"}
AT_ONCE = 4


@dataclass(frozen=True)
class Family:
    """look: runs the tools in a network of its own, and takes it down."""

    name: str
    title: str
    tools: tuple[str, ...]
    look: Callable[[Report], None]

    def run(self) -> Report:
        """A tool or a gateway that breaks off is a failed check; what was seen until then stays in the report."""
        report, began = Report(self.name, self.title), time.monotonic()
        try:
            self.look(report)
        except Exception as error:
            report.check(f"it ran to its end, without {type(error).__name__}: {error}", False)
        report.seconds = time.monotonic() - began
        return report


def missing(families: Iterable[Family]) -> dict[str, str]:
    """The tools that this machine does not have, and the Debian package of each."""
    return {tool: PACKAGES[tool] for family in families for tool in family.tools if not present(tool)}


def run(families: Iterable[Family]) -> list[Report]:
    """All of them, several at once: most of the time is spent waiting for answers that must not come."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(Family.run, families))
