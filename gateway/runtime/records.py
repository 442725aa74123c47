"""Session events: drained from the translator, kept for a while, handed to whoever follows, and written to a file."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO, Any

from ..nat.events import Events
from . import log

EVENTS_KEPT = 4096
FOLLOWERS_MAX = 16
BACKLOG_MAX = 4096  # events a slow follower may lag behind before it loses some


Drained = Events | list[dict[str, Any]]


class FollowersFull(Exception):
    """No more than FOLLOWERS_MAX may follow at once."""


class Records:
    """The latest events. A follower that is too slow loses events, never slows the gateway."""

    def __init__(self, path: Path | None = None) -> None:
        self.read: deque[dict[str, Any]] = deque(maxlen=EVENTS_KEPT)
        self.unread: deque[Drained] = deque()  # later ones, which nobody has asked for
        self.waiting = 0  # in them
        self.followers: set[asyncio.Queue[dict[str, Any]]] = set()
        self.limiter = log.Limiter()
        self.file: IO[str] | None = path.open("a", encoding="utf-8") if path else None
        self.total = 0
        self.lost = 0  # by followers

    @property
    def latest(self) -> deque[dict[str, Any]]:
        while self.unread:
            self.read.extend(self.unread.popleft())
        self.waiting = 0
        return self.read

    def add(self, events: Drained) -> None:
        """Reading an event out costs as much as a hundred packets: without followers and a file, not before asked."""
        self.total += len(events)
        for one in events.refusals() if isinstance(events, Events) else events:
            self.warn(one)
        if len(events):
            self.unread.append(events)
            self.waiting += len(events)
        while self.unread and self.waiting - len(self.unread[0]) >= EVENTS_KEPT:
            self.waiting -= len(self.unread.popleft())
        if self.followers or self.file is not None:
            self.pass_on(events)

    def pass_on(self, events: Drained) -> None:
        lines = []
        for one in events:
            lines.append(json.dumps(one))
            for queue in self.followers:
                if queue.full():
                    self.lost += 1
                else:
                    queue.put_nowait(one)
        if self.file is not None and lines:
            self.write("\n".join(lines) + "\n")

    def warn(self, one: dict[str, Any]) -> None:
        """What an operator must hear of without asking, once per interval."""
        kind = one.get("kind")
        if kind in ("exhausted", "quota"):
            facts = {name: one[name] for name in ("protocol", "internal", "external", "reason") if one.get(name)}
            self.limiter.event(f"{kind}", logging.WARNING, **facts)

    def write(self, text: str) -> None:
        assert self.file is not None
        try:
            self.file.write(text)
            self.file.flush()
        except OSError as error:
            self.limiter.event("events_not_written", logging.ERROR, error=error.strerror)

    async def follow(self) -> AsyncIterator[dict[str, Any]]:
        """Every event from now on."""
        if len(self.followers) >= FOLLOWERS_MAX:
            raise FollowersFull
        queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue(BACKLOG_MAX)
        self.followers.add(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self.followers.discard(queue)

    def close(self) -> None:
        if self.file is not None:
            self.file.close()
