"""Reload: on SIGHUP or when what was loaded has changed on disk, new rules for flows to come; live flows stay.

Reading and building happen on another thread, the swap between two batches. A set that is wrong in anything
changes nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..resources import ResourceErrors, Resources, check_update, load
from ..resources.documents import Trail
from ..resources.update import RESTART
from . import assembly, log

if TYPE_CHECKING:
    from ..match.ruleset import Ruleset
    from .gateway import Gateway

STDIN = "-"
DEBOUNCE = 200  # milliseconds of quiet that end one change made of several writes
LOOK_ANYWAY = 2000  # milliseconds: what changed before the watch began, or where inotify sees nothing (network disks)
SWITCH_INTERVAL = 0.0005  # seconds the building thread may hold Python while packets wait; the default is 5 ms


def read(sources: Sequence[str]) -> Resources:
    """Load paths, or "-" for standard input, as one set. Raises ResourceErrors."""
    if list(sources) == [STDIN]:
        return load(sys.stdin.read(), name="<stdin>")
    return load(Path(sources[0]) if len(sources) == 1 else [Path(one) for one in sources])


def fixed_changes(old: Resources, new: Resources) -> Iterator[tuple[Trail, str]]:
    """What links and the control socket took from the resources, beside what check_update watches: (where, what)."""
    if old.gateway.name != new.gateway.name:
        yield ("metadata", "name"), f"was {old.gateway.name}"
    was, now = old.gateway.spec, new.gateway.spec
    if was.inside.mtu != now.inside.mtu:
        yield ("spec", "inside", "mtu"), f"was {was.inside.mtu}"
    if was.records.file != now.records.file:
        yield ("spec", "records", "file"), f"was {was.records.file or 'not given'}"
    if was.outside.next_hop != now.outside.next_hop:
        yield ("spec", "outside", "nextHop"), f"was {', '.join(map(str, was.outside.next_hop)) or 'not given'}"


class Reloader:
    """Loads again what the gateway was started with."""

    def __init__(self, gateway: Gateway, sources: Sequence[str]) -> None:
        self.gateway, self.sources = gateway, list(sources)
        self.lock = asyncio.Lock()
        self.seen = digest(self.sources)

    async def reload(self, why: str) -> bool:
        """Returns whether new rules are in use. Says what is wrong on standard error otherwise."""
        from ..host import HostError

        if STDIN in self.sources:
            log.event("reload_refused", logging.ERROR, why=why, text="standard input was read once: nothing to reload")
            return False
        async with self.lock:
            self.seen = await asyncio.to_thread(digest, self.sources)
            try:
                facts = self.gateway.facts
                resources, ruleset = await asyncio.to_thread(self.build)
                await self.gateway.use(resources, ruleset)
                if self.gateway.facts is not facts:  # the host changed while these rules were built
                    await self.gateway.surroundings.learn()
            except (ResourceErrors, HostError) as error:
                self.refuse(why, error)
                return False
            except Exception as error:  # our bug, or the host's refusal in words of its own: the old rules stay
                self.refuse(why, error)
                log.logger.error("traceback", exc_info=error)
                return False
            log.event("reloaded", why=why, generation=self.gateway.rules.generation)
            for note in resources.notes:
                log.event("note", text=note)
            return True

    def build(self) -> tuple[Resources, Ruleset]:
        interval = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH_INTERVAL)
        try:
            gateway, resources = self.gateway, read(self.sources)
            check_update(gateway.rules.resources, resources)
            self.check_fixed(resources)
            return resources, gateway.facts.rules(resources)
        finally:
            sys.setswitchinterval(interval)

    def check_fixed(self, resources: Resources) -> None:
        """Raises ResourceErrors if something differs that is fixed when a gateway starts."""
        gateway = self.gateway
        changes = [*fixed_changes(gateway.rules.resources, resources),
                   *assembly.beyond_update(gateway.attached, resources, gateway.facts)]
        if changes:
            raise ResourceErrors(resources.gateway.error(*place, message=f"{was}; {RESTART}") for place, was in changes)

    def refuse(self, why: str, error: Exception) -> None:
        """One line for each mistake: the operator mends all of them at once."""
        problems = str(error).splitlines()
        self.gateway.rules.refuse(problems)
        for problem in problems:
            log.event("resource_error", logging.ERROR, text=problem)
        log.event("reload_refused", logging.ERROR, why=why, errors=len(problems), rules="the old ones stay in use")

    async def watch(self) -> None:
        """Reload whenever the bytes that were loaded change, however the editor or Kubernetes replaces files."""
        paths = watched(self.sources)
        if not paths:
            return
        from watchfiles import awatch

        async for _ in awatch(*paths, debounce=DEBOUNCE, step=50, recursive=False, rust_timeout=LOOK_ANYWAY,
                              yield_on_timeout=True):
            if await asyncio.to_thread(digest, self.sources) != self.seen:
                await self.reload("changed")


def watched(sources: Sequence[str]) -> list[Path]:
    """Folders to watch: a file's own folder, since a file that is replaced by another is no longer watched itself."""
    paths = [Path(one).absolute() for one in sources if one != STDIN]
    folders = {one if one.is_dir() else one.parent for path in paths for one in (path, path.resolve())}
    return sorted(folder for folder in folders if folder.is_dir())


def files(source: str) -> list[Path]:
    path = Path(source)
    return sorted(one for one in path.iterdir() if one.is_file()) if path.is_dir() else [path]


def digest(sources: Sequence[str]) -> bytes:
    """Of everything that would be loaded; what cannot be read counts as empty."""
    whole = hashlib.sha256()
    for source in sources:
        if source == STDIN:
            continue
        try:
            for path in files(source):
                whole.update(str(path).encode() + b"\0" + path.read_bytes() + b"\0")
        except OSError as error:
            whole.update(str(error.errno).encode())
    return whole.digest()
