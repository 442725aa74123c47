"""What changes around a running gateway: interfaces that go, go down or carry less, ports that the host takes."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..links.device import is_up
from . import assembly, log

if TYPE_CHECKING:
    from .gateway import Gateway

LINKS_EVERY = 1.0  # seconds between two looks at the interfaces
PORTS_EVERY = 5.0  # seconds between two looks at the host's own ports and addresses


class Surroundings:
    """Of a gateway that has started. The watches are tasks of its loop."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway, self.opened = gateway, gateway.opened
        self.indexes = [socket.if_nametoindex(link.name) if link.fileno() >= 0 else 0 for link in self.opened.links]

    async def watch_links(self) -> None:
        """An interface that is gone, or a TUN that was taken down (its routes went with it), ends the gateway."""
        gateway = self.gateway
        while True:
            await asyncio.sleep(LINKS_EVERY)
            for why in self.lost_links():
                return gateway.fail(why)
            try:
                self.read_again()
            except Exception as error:  # our bug, about a packet: it must not end this watch
                gateway.limiter.event("packet_failed", logging.ERROR, error=repr(error))
            if gateway.attached and self.opened.mtus != gateway.facts.mtus:
                for note in assembly.mtu_notes(gateway.rules.resources, self.opened.both):
                    log.event("note", text=note)
                await self.learn(mtus=self.opened.mtus)

    def lost_links(self) -> Iterator[str]:
        for link, known in zip(self.opened.links, self.indexes, strict=True):
            if link.fileno() < 0:  # memory
                continue
            try:
                same, up = socket.if_nametoindex(link.name) == known, is_up(link.name)
            except OSError:
                same = up = False
            if not same:
                yield f"the interface {link.name} is gone"
            elif link.fileno() in self.opened.tuns and not up:
                yield f"the TUN device {link.name} was taken down, and the routes into it are gone"

    def read_again(self) -> None:
        """libuv stops looking at a descriptor that had an error, such as ENETDOWN while its interface was down."""
        loop = asyncio.get_running_loop()
        for side, link in enumerate(self.opened.links):
            if link.fileno() >= 0 and not self.gateway.workers:  # which look again by themselves
                loop.remove_reader(link.fileno())
                loop.add_reader(link.fileno(), self.gateway.on_readable, side)
                self.gateway.on_readable(side)  # takes the error

    async def watch_ports(self) -> None:
        """Ports that the host begins to listen on are not allocated from then on, on addresses it shares."""
        gateway, attached = self.gateway, self.gateway.attached
        while attached is not None:
            await asyncio.sleep(PORTS_EVERY)
            try:
                listening = await gateway.on_host(attached.refresh)
                self.opened.take(attached)
            except Exception as error:
                gateway.limiter.event("host_not_read", logging.ERROR, error=repr(error))
                continue
            if attached.shared and listening != gateway.facts.listening:
                await self.learn(listening=listening)

    async def learn(self, **news: Any) -> None:
        """Rules that know what the host has become: fields of `HostFacts`."""
        gateway, resources = self.gateway, self.gateway.rules.resources
        gateway.facts = facts = replace(gateway.facts, **news)
        ruleset = await asyncio.to_thread(facts.rules, resources)
        if resources is gateway.rules.resources and facts is gateway.facts:  # else who came meanwhile knew of this
            gateway.rules.ruleset = ruleset
            gateway.decide_by(ruleset)
