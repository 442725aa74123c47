"""How a lab tells what happens: each conversation as both sides saw it, a line a check, a closing count."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rich.console import Console
from rich.text import Text

from labs.clients import NoAnswer, Talk
from labs.running import RunningGateway
from labs.tap import Packet, Tap
from labs.world import Host, World

INDENT = "    "


@dataclass(frozen=True)
class Exchange:
    """One question and its answer, each on both sides of the gateway. None: that side never saw it."""

    asker: Host
    asked: Host
    sent: Packet | None
    seen: Packet | None
    answered: Packet | None
    received: Packet | None
    said: str = ""
    complaint: str = ""


class Story:
    """What the reader sees, and the count of what held and what did not."""

    def __init__(self, console: Console, world: World, gateway: RunningGateway) -> None:
        self.console, self.world, self.gateway = console, world, gateway
        self.held = self.failed = 0

    def __getitem__(self, name: str) -> Host:
        return self.world.hosts[name]

    def line(self, *parts: str | tuple[str, str]) -> None:
        self.console.print(Text.assemble(*parts), soft_wrap=True)

    def chapter(self, title: str) -> None:
        self.line("\n", (title, "bold"))

    def converse(self, what: str, asker: Host, asked: Host, version: int, talk: Talk) -> Exchange:
        """Let `talk` run on `asker` towards `asked`, watch both ends, and print the four sights of it."""
        address = asked.address(version)
        with Tap(asker.namespace) as near, Tap(asked.namespace) as far:
            said = complaint = ""
            try:
                said = talk(asker.namespace, address)
            except NoAnswer as reason:
                complaint = str(reason)
            (sent, received), (answered, seen) = near.read(), far.read()
        exchange = Exchange(asker, asked, towards(sent, address), towards(seen, address),
                            away(answered, address), away(received, address), said, complaint)
        self._show(what, exchange)
        return exchange

    def _show(self, what: str, talk: Exchange) -> None:
        self.line("\n", (what, "cyan"), ": ", (talk.said or talk.complaint, "red" if talk.complaint else "italic"))
        width = max(len(host.name) for host in (talk.asker, talk.asked)) + len(" received")
        sights = [(f"{talk.asker.name} sent", talk.sent), (f"{talk.asked.name} saw", talk.seen),
                  (f"{talk.asked.name} answered", talk.answered), (f"{talk.asker.name} received", talk.received)]
        senders = max((len(packet.sender) for _, packet in sights if packet), default=0)
        for label, packet in sights:
            shown = f"{packet.sender:<{senders}} → {packet.receiver}" if packet else "nothing"
            self.line(INDENT, (f"{label:<{width}}  ", "dim"), shown)

    def check(self, claim: str, holds: bool, otherwise: str = "") -> bool:
        self.held, self.failed = self.held + holds, self.failed + (not holds)
        mark = ("ok     ", "green") if holds else ("FAILED ", "bold red")
        self.line(INDENT, mark, claim, "" if holds or not otherwise else f" ({otherwise})")
        return holds

    def expect_translated(self, talk: Exchange, egress: str) -> None:
        asked, asker = talk.asked.name, talk.asker.name
        self.check(f"{asked} saw the egress address {egress}", talk.seen is not None and talk.seen.source == egress)
        self._expect_answer(talk, f"{asker} got the answer at its own address, from the one it asked")

    def expect_untouched(self, talk: Exchange) -> None:
        asked, asker = talk.asked.name, talk.asker.name
        self.check(f"{asked} saw what {asker} sent, unchanged", talk.sent is not None and talk.sent == talk.seen)
        self._expect_answer(talk, f"{asker} got the answer")

    def _expect_answer(self, talk: Exchange, claim: str) -> None:
        sent, received = talk.sent, talk.received
        mirrored = sent is not None and received is not None and (
            (received.source, received.source_port) == (sent.destination, sent.destination_port)
            and (received.destination, received.destination_port) == (sent.source, sent.source_port))
        self.check(claim, mirrored and not talk.complaint, talk.complaint)

    def close(self, name: str) -> None:
        total = self.held + self.failed
        self.line("\n", (f"{name}: ", "bold"),
                  (f"all {total} checks hold" if not self.failed else f"{self.failed} of {total} checks FAILED",
                   "bold green" if not self.failed else "bold red"))
        if self.failed:
            self.line(("what the gateway said:\n", "dim"), self.gateway.log() or "nothing")


def towards(packets: Iterable[Packet], address: str) -> Packet | None:
    return next((packet for packet in packets if packet.destination == address), None)


def away(packets: Iterable[Packet], address: str) -> Packet | None:
    return next((packet for packet in packets if packet.source == address), None)
