"""One gateway: links, host, translator and pump put together, started and ended in the order that leaks nothing.

Start: the control socket is claimed (two gateways of one name never meet in the kernel), the links are opened,
the host is attached (ingress drop before capture, forwarding last), and only then is a packet translated.
End: the pump stops first, so that what is still captured goes nowhere; then the host is undone in reverse, so
that forwarding which the gateway switched on is off again before the capture ends, and only then do the links
close. Where forwarding was on before the gateway came, the host is left forwarding, as it was found.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from .. import __version__
from ..match.settings import SECOND
from ..nat.translators import Translators
from ..wire import sides
from . import assembly, log
from .listing import Usage
from .pump import Pump
from .records import Records
from .rules import Rules, now
from .surroundings import Surroundings
from .worker import LoopPump
from .workers import Workers

if TYPE_CHECKING:
    from ..host import Attached
    from ..match.ruleset import Ruleset
    from ..nat.flow import Flow
    from ..resources import Resources

TICK = 0.025  # seconds between two looks for expired flows
WORKERS_TICK = 0.1  # the same where workers look by themselves: each look of the loop's takes their turns
TICK_BUDGET = 1024  # rows a look visits: to end one costs a microsecond or two, and packets wait meanwhile
SIDES = ("inside", "outside")
P = ParamSpec("P")
T = TypeVar("T")


class Gateway:
    """`resources` and the `ruleset` built from them; nothing is opened before `start`."""

    def __init__(self, resources: Resources, *, events: Path | None = None,
                 clock: Callable[[], int] = time.monotonic_ns) -> None:
        self.facts = assembly.look(resources)
        self.rules = Rules(resources, self.facts.rules(resources))
        self.name = resources.gateway.name
        self.clock = clock
        file = resources.gateway.spec.records.file
        self.records = Records(events or (Path(file) if file else None))
        self.limiter = log.Limiter()
        self.attached: Attached | None = None
        self.host_thread = ThreadPoolExecutor(1, "host")
        self.started, self.started_at = now(), clock()
        self.seed = secrets.token_bytes(16)
        self.ended = asyncio.Event()
        self.failure: str | None = None
        self.tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Open, attach, and translate from now on. Raises LinkError or HostError with nothing left changed."""
        self.opened = await self.on_host(assembly.open_links, self.rules.resources, self.rules.ruleset, self.seed)
        try:
            await self.attach()
            self.translator = Translators(self.rules.ruleset, self.seed, len(self.opened.queues))
            self.translator.take_ahead()
            self.workers = self.make_workers()
            self.pumps: Sequence[Pump] = self.workers.all if self.workers else [self.make_pump()]
        except BaseException:
            await self.detach()
            raise
        self.watch()

    async def attach(self) -> None:
        resources = self.rules.resources
        if assembly.in_memory(resources):
            return
        from .. import host

        self.attached = await self.on_host(host.attach, assembly.plan_of(resources, self.facts))
        self.opened.take(self.attached)
        facts = await self.on_host(self.facts.attached, self.attached)
        self.facts = replace(facts, mtus=self.opened.mtus)
        self.rules.ruleset = self.facts.rules(resources)
        for note in (*self.attached.notes, *assembly.mtu_notes(resources, self.opened.both)):
            log.event("note", text=note)

    def make_workers(self) -> Workers | None:
        """Threads; None where the loop drives the pump. Memory has nothing that a thread could wait for."""
        if self.rules.resources.gateway.spec.workers and all(link.fileno() >= 0 for link in self.opened.links):
            return Workers(self.opened.queues, self.translator, self.on_worker_error, self.clock)
        return None

    def make_pump(self) -> Pump:
        kind = LoopPump if all(hasattr(link, "calls") for link in self.opened.links) else Pump
        return kind(self.opened.both, self.translator.all[0], self.clock)

    @property
    def pump(self) -> Pump:
        """The first one; others differ in what flows they have."""
        return self.pumps[0]

    @property
    def turn(self) -> AbstractContextManager[object]:
        """Held by whoever works on all translators at once."""
        return self.workers.turn if self.workers else self.pump.turn

    async def on_host(self, work: Callable[P, T], *values: P.args, **options: P.kwargs) -> T:
        """Talk to the kernel on the one thread that does so: pyroute2 brings a loop of its own, and may take long."""
        return await asyncio.get_running_loop().run_in_executor(self.host_thread, partial(work, *values, **options))

    def watch(self) -> None:
        loop = asyncio.get_running_loop()
        for side, link in enumerate(self.opened.links):
            if link.fileno() >= 0 and not self.workers:  # memory has none
                loop.add_reader(link.fileno(), self.on_readable, side)
        for watcher in self.opened.watchers:
            loop.add_reader(watcher.fileno(), watcher.on_readable)
        self.surroundings = Surroundings(self)
        work = self.keep_time, self.surroundings.watch_links, self.surroundings.watch_ports
        self.tasks = [loop.create_task(one()) for one in work]
        if self.workers:
            self.workers.start()

    def on_readable(self, side: int) -> None:
        """A link that fails for good ends the gateway: a host that cannot translate must not stay attached."""
        try:
            self.pump.on_readable(side)
        except OSError as error:
            self.fail(f"the {SIDES[side]} link {self.pump.links[side].name} failed: {error.strerror}")

    def on_worker_error(self, error: Exception) -> None:
        if isinstance(error, OSError):
            self.fail(f"a link failed: {error.strerror}")
        else:
            asyncio.get_running_loop().call_exception_handler({"message": "in the worker", "exception": error})

    def fail(self, why: str) -> None:
        self.failure = why
        log.event("failed", logging.ERROR, why=why)
        self.ended.set()

    async def keep_time(self) -> None:
        """Expiry, in bounded looks, and the events since the last one."""
        while True:
            await asyncio.sleep(WORKERS_TICK if self.workers else TICK)
            try:
                self.tick()
            except Exception as error:  # our bug: it must not end expiry for good
                self.limiter.event("tick_failed", logging.ERROR, error=repr(error))

    def tick(self) -> None:
        for number, tick in self.opened.timers:
            with self.pumps[number].turn:
                tick()
        if self.workers:
            self.workers.collect_garbage()
        for pump in self.pumps:
            if not self.workers or pump.translator.waiting:
                self.tick_one(pump)
            else:
                pump.translator.take_ahead()

    def tick_one(self, pump: Pump) -> None:
        with pump.turn:
            pump.translator.tick(self.clock(), 0 if self.workers else TICK_BUDGET)
            if pump.translator.outbox or pump.translator.mail:
                pump.flush()
        self.collect(pump)

    def collect(self, pump: Pump) -> None:
        with pump.turn:
            events = pump.translator.take_events(time.time_ns() - self.clock())
        self.records.add(events)

    def collect_events(self) -> None:
        for pump in self.pumps:
            self.collect(pump)

    def flows(self) -> Iterator[Flow]:
        """Every live flow, read out in steps between which packets pass."""
        return self.translator.flows(self.clock(), [pump.copy for pump in self.pumps])

    def end_flow(self, name: str) -> bool:
        with self.turn:
            return self.translator.end_flow(name)

    def explain(self, packet: bytes, side: int) -> dict[str, Any]:
        with self.turn:
            return self.translator.explain(packet, side, self.clock())

    async def use(self, resources: Resources, ruleset: Ruleset) -> None:
        """Swap the rules between two batches. What either set captures is captured meanwhile."""
        attached = self.attached
        if attached is None:
            return self.swap(resources, ruleset)
        plan = assembly.plan_of(resources, self.facts)
        if plan == attached.plan:
            return self.swap(resources, ruleset)
        await self.on_host(attached.update, assembly.both(attached.plan, plan))
        self.opened.take(attached)
        self.swap(resources, ruleset)
        try:
            await self.on_host(attached.update, plan)
            self.opened.take(attached)
        except Exception as error:  # too much stays captured, and is dropped: closed, not open
            log.event("still_captured", logging.WARNING, error=error)

    def swap(self, resources: Resources, ruleset: Ruleset) -> None:
        self.decide_by(ruleset)
        self.rules.use(resources, ruleset)

    def decide_by(self, ruleset: Ruleset) -> None:
        self.translator.prepare(ruleset)
        with self.turn:
            self.translator.use(ruleset)

    async def stop(self) -> None:
        """The reverse of `start`; see the order at the top."""
        loop = asyncio.get_running_loop()
        for task in self.tasks:
            task.cancel()
        if self.workers:
            await asyncio.to_thread(self.workers.stop)
        else:
            self.pump.close()
        for descriptor in [one.fileno() for one in self.opened.descriptors if one.fileno() >= 0]:
            loop.remove_reader(descriptor)
        self.collect_events()
        self.records.close()
        await self.detach()

    async def detach(self) -> None:
        try:
            if self.attached is not None:
                for failure in await self.on_host(self.attached.undo):
                    log.event("not_undone", logging.ERROR, text=failure)
        finally:
            self.opened.close()
            self.host_thread.shutdown()

    def describe(self) -> dict[str, Any]:
        """What `gateway stats` shows."""
        translator = self.translator
        return {
            "name": self.name, "version": __version__, "pid": os.getpid(),
            "workers": len(self.pumps) if self.workers else 0, "started": self.started,
            "uptime": (self.clock() - self.started_at) / SECOND,
            "flows": {"live": translator.live, "capacity": translator.capacity, "bytes": translator.memory},
            "links": {SIDES[side]: self.describe_link(side) for side in (sides.INSIDE, sides.OUTSIDE)},
            "own_packets": sum(pump.own_packets for pump in self.pumps), "events": self.records.total,
            "events_lost": translator.events_lost(), "rules": self.rules.describe(),
            "counters": translator.counters(), "shares": self.workers.describe() if self.workers else [],
        }

    def describe_link(self, side: int) -> dict[str, Any]:
        link, spec = self.pump.links[side], self.rules.resources.gateway.spec
        statistics = [pump.links[side].statistics() for pump in self.pumps]
        reasons = sum((one.reasons for one in statistics), Counter[str]())
        return {"interface": link.name, "driver": (spec.inside, spec.outside)[side].driver, "mtu": link.mtu,
                "wakeups": sum(pump.wakeups[side] for pump in self.pumps),
                "batches": sum(pump.batches[side] for pump in self.pumps),
                "received": sum(one.received for one in statistics), "sent": sum(one.sent for one in statistics),
                "dropped": reasons.total(), "reasons": dict(reasons)}

    def describe_pools(self, usage: Usage) -> dict[str, Any]:
        """What `gateway pools` shows."""
        settings = self.rules.ruleset.settings
        available = assembly.port_counts(settings)
        pools = [{"name": pool.name, "cidr": str(pool.spec.cidr), "natOutgoing": pool.spec.nat_outgoing,
                  "disabled": pool.spec.disabled, "flows": usage.flows[pool.name]}
                 for pool in self.rules.resources.pools]
        addresses = [self.describe_address(one, usage, available) for one in assembly.egress_of(settings)]
        return {"pools": pools, "addresses": addresses, "untranslated": usage.untranslated}

    def describe_address(self, text: str, usage: Usage, available: dict[str, int]) -> dict[str, Any]:
        ports = usage.ports.get(text, {})
        names = ("tcp", "udp", "icmpv6" if ":" in text else "icmp")
        return {"address": text, "shared": text in self.facts.shared,
                "sources": len(usage.sources.get(text, ())),
                "ports": {name: {"used": len(ports.get(name, ())), "of": available[name]} for name in names}}

    def describe_resources(self) -> list[Any]:
        return [one.document.value for one in self.rules.resources.objects]
