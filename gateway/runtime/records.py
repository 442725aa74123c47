"""Session events: drained from the translator, kept for a while, handed to whoever follows, and written to a file."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import IO, Any

from . import log

EVENTS_KEPT = 4096
FOLLOWERS_MAX = 16
BACKLOG_MAX = 4096  # events a slow follower may lag behind before it loses some


class FollowersFull(Exception):
    """No more than FOLLOWERS_MAX may follow at once."""


class Records:
    """The latest events. A follower that is too slow loses events, never slows the gateway."""

    def __init__(self, path: Path | None = None) -> None:
        self.latest: deque[dict[str, Any]] = deque(maxlen=EVENTS_KEPT)
        self.followers: set[asyncio.Queue[dict[str, Any]]] = set()
        self.limiter = log.Limiter()
        self.file: IO[str] | None = path.open("a", encoding="utf-8") if path else None
        self.total = 0
        self.lost = 0  # by followers

    def add(self, events: Iterable[dict[str, Any]]) -> None:
        lines = []
        for one in events:
            self.total += 1
            self.latest.append(one)
            self.warn(one)
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
