"""What a lab is: a drawing, resources, a network and a story. And how one is run so that nothing stays behind."""

from __future__ import annotations

import os
import signal
import stat
import textwrap
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.text import Text

from gateway.testing import namespaces
from labs.clients import NoAnswer
from labs.keeping import detach
from labs.running import NotRunning, RunningGateway
from labs.story import Story
from labs.world import World

TUN = Path("/dev/net/tun")


class Unable(RuntimeError):
    """This machine or user cannot run labs; the text says what is missing and what to do."""


@dataclass(frozen=True)
class Lab:
    name: str
    summary: str
    drawing: str
    resources: str
    world: Callable[[], World]
    tell: Callable[[Story], None]

    def run(self, console: Console, keep: bool = False) -> int:
        """Build it, talk through it, show it, take it down; the number of failed checks. Raises Unable.

        With `keep` everything stays up, held by a process in the background whose end takes it down.
        """
        prepare()
        return detach(self, console) if keep else self.perform(console)

    def perform(self, console: Console, then: Callable[[Story], None] | None = None) -> int:
        self._introduce(console)
        try:
            return self._perform(console, then)
        except NotRunning as error:
            console.print(Text(f"\n{error}", "red"), soft_wrap=True)
            return 1

    def _perform(self, console: Console, then: Callable[[Story], None] | None) -> int:
        with interruptible(), self.world() as world, RunningGateway(world.node, self.resources) as gateway:
            story = Story(console, world, gateway)
            try:
                self.tell(story)
            except NoAnswer as reason:
                story.check(str(reason), False)
            story.close(self.name)
            if then is not None:
                then(story)
            return story.failed

    def _introduce(self, console: Console) -> None:
        console.print(Text.assemble((self.name, "bold"), ": ", self.summary), soft_wrap=True)
        console.print(Text(self.drawing.rstrip(), "cyan"), soft_wrap=True)
        console.print(Text("\nWhat the gateway is told\n", "bold"))
        console.print(Text(textwrap.indent(self.resources.strip(), "    "), "dim"), soft_wrap=True)


def prepare() -> None:
    """Be allowed to make namespaces and a TUN: as root, or as root of a user namespace of this process's own."""
    if not TUN.exists():
        raise Unable(f"there is no {TUN}: load the kernel's module (modprobe tun), or give the container the device "
                     "(docker run --device /dev/net/tun --cap-add NET_ADMIN --cap-add SYS_ADMIN)")
    if not os.access(TUN, os.R_OK | os.W_OK):
        mode = stat.S_IMODE(TUN.stat().st_mode)
        raise Unable(f"{TUN} is mode {mode:04o}: run this as root, or open it once with: sudo chmod 0666 {TUN}")
    try:
        if os.geteuid() != 0:
            namespaces.isolate()
    except (OSError, namespaces.NamespaceError) as error:
        raise Unable(f"{error}; run this as root") from None
    missing = namespaces.missing()
    if missing:
        raise Unable(missing)


@contextmanager
def interruptible() -> Iterator[None]:
    """Being told to end, by whichever signal, unwinds like Ctrl-C: everything built is taken down."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, action in before.items():
            signal.signal(number, action)
