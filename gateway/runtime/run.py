"""A gateway's life in its process: signals, reload, the control API, and an orderly end."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import uvloop

from ..host import HostError
from ..links import LinkError
from . import control, log
from .gateway import Gateway
from .reload import Reloader, read
from .sockets import Claim, SocketError, claim, default_path

CANNOT_START = (SocketError, LinkError, HostError, OSError)  # raised by `run` before anything has stayed changed


def run(sources: Sequence[str], socket: Path | None = None, events: Path | None = None) -> str | None:
    """Run until SIGINT or SIGTERM; returns why it failed after it had started, or None.

    Raises ResourceErrors or one of CANNOT_START when it cannot start; nothing stays changed.
    """
    resources = read(sources)
    gateway = Gateway(resources, events=events)
    for note in resources.notes:
        log.event("note", text=note)
    claimed = claim(socket or default_path(gateway.name))
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(live(gateway, sources, claimed))
    finally:
        claimed.release()
    return gateway.failure


async def live(gateway: Gateway, sources: Sequence[str], claimed: Claim) -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(unexpected(gateway))
    reloader = Reloader(gateway, sources)
    background: set[asyncio.Task[Any]] = set()

    def reload() -> None:
        task = loop.create_task(reloader.reload("SIGHUP"))
        background.add(task)
        task.add_done_callback(background.discard)

    # Before the start: a signal that comes meanwhile must not leave the kernel half changed.
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, gateway.ended.set)
    loop.add_signal_handler(signal.SIGHUP, reload)
    await gateway.start()
    try:
        runner = await control.serve(gateway, claimed)
        background.add(loop.create_task(watch(reloader)))
        announce(gateway, claimed)
        await gateway.ended.wait()
        for task in background:
            task.cancel()
        await runner.cleanup()
    finally:
        await gateway.stop()
        log.event("ended", name=gateway.name)


async def watch(reloader: Reloader) -> None:
    """Without file watching (no inotify left) a gateway still runs, and reloads on SIGHUP."""
    try:
        await reloader.watch()
    except Exception as error:
        log.event("not_watching", logging.WARNING, error=error, reload="by SIGHUP only")


def announce(gateway: Gateway, claimed: Claim) -> None:
    inside, outside = gateway.pump.links
    log.event("started", name=gateway.name, inside=inside.name, outside=outside.name, socket=claimed.path,
              pools=len(gateway.rules.resources.pools), flows_max=gateway.translator.capacity)


def unexpected(gateway: Gateway) -> Callable[[asyncio.AbstractEventLoop, dict[str, Any]], None]:
    """A bug of ours in a callback: the batch it concerned goes nowhere, the gateway goes on, the log says it once."""
    def report(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if gateway.limiter.event("bug", logging.ERROR, what=context.get("message"), error=repr(error)) and error:
            log.logger.error("traceback", exc_info=error)
    return report
