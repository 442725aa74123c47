"""Lines for the operator on standard error: one event a line, its facts as key=value after it.

A repeated event is limited by its name, not by its text: what a stranger on the network can cause must not
fill a disk. The number left out is said with the next line that is let through.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

REPEAT_AFTER = 10.0  # seconds between two lines of one limited event
EVENTS_KNOWN = 1024  # names remembered by the limiter

logger = logging.getLogger("gateway")


def event(name: str, /, level: int = logging.INFO, **facts: Any) -> None:
    """`event("reloaded", generation=2)`: a line such as `2026-08-01T10:00:00Z info reloaded generation=2`."""
    logger.log(level, name, extra={"facts": facts})


class Limiter:
    """Lets an event through once every REPEAT_AFTER seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, every: float = REPEAT_AFTER) -> None:
        self.clock, self.every = clock, every
        self.last: dict[str, tuple[float, int]] = {}  # name: when it was let through, how many were left out since

    def event(self, name: str, /, level: int = logging.WARNING, **facts: Any) -> bool:
        """Log the event unless it came too soon; returns whether it was logged."""
        now = self.clock()
        when, left_out = self.last.get(name, (now - self.every, 0))
        if now - when < self.every:
            self.last[name] = when, left_out + 1
            return False
        if len(self.last) >= EVENTS_KNOWN:
            self.last.clear()
        self.last[name] = now, 0
        event(name, level, **facts, **({"left_out": left_out} if left_out else {}))
        return True


class PlainFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        facts = "".join(f" {name}={quoted(value)}" for name, value in getattr(record, "facts", {}).items())
        error = f" error={quoted(self.formatException(record.exc_info))}" if record.exc_info else ""
        return f"{moment(record.created)} {record.levelname.lower()} {record.getMessage()}{facts}{error}"


class JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {"time": moment(record.created), "level": record.levelname.lower(), "event": record.getMessage(),
                **getattr(record, "facts", {})}
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def quoted(value: Any) -> str:
    """A value as one word: quoted as JSON where it holds white space, a quote or an equals sign."""
    text = str(value)
    return json.dumps(text) if not text or any(sign in text for sign in ' "=\n\t') else text


def moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def start(form: str = "text", level: int = logging.INFO) -> None:
    """Send the gateway's lines to standard error. `form`: "text" or "json"."""
    out = logging.StreamHandler(sys.stderr)
    out.setFormatter(JsonFormatter() if form == "json" else PlainFormatter())
    logger.handlers[:] = [out]
    logger.setLevel(level)
    logger.propagate = False
    root = logging.getLogger()  # what the libraries have to say, in the same form
    root.handlers[:] = [out]
    root.setLevel(logging.WARNING)
