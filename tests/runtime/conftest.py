"""A gateway between two memory links, driven by hand or over its control socket."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.resources import load
from gateway.runtime import control
from gateway.runtime.gateway import Gateway
from gateway.runtime.sockets import claim
from gateway.wire import build, sides

RESOURCES = """
apiVersion: gateway/v1
kind: Gateway
metadata: {name: node-a}
spec:
  inside: {driver: memory, addresses: [192.168.0.1/16]}
  outside: {driver: memory, addresses: [198.51.100.1/24]}
  addresses: [198.51.100.10, "2001:db8:e::10"]
  limits: {flows: 1000}
---
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: default-ipv4-ippool}
spec: {cidr: 192.168.0.0/16, natOutgoing: true}
---
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: six}
spec: {cidr: "fd00:1::/48", natOutgoing: true}
"""


class Driven(Gateway):
    """A running gateway whose packets are given and taken by the test."""

    def send(self, *packets: bytes, side: int = sides.INSIDE) -> list[bytes]:
        """Packets arrive on `side`; what left on the other."""
        for packet in packets:
            self.pump.links[side].inject(packet)
        while self.pump.on_readable(side):
            pass
        return [packet for _, packet in self.pump.links[1 - side].drain()]

    def open(self, count: int = 1, destination: str = "203.0.113.7") -> list[bytes]:
        return self.send(*(build.udp_datagram("192.168.1.2", 40000 + number, destination, 53, b"?")
                           for number in range(count)))


class Api:
    """The control API, spoken to over its real socket."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.session = session

    async def ask(self, method: str, path: str, **options: Any) -> tuple[int, Any]:
        async with self.session.request(method, f"http://gateway{path}", **options) as answer:
            text = await answer.text()
            if answer.content_type == "application/json":
                return answer.status, json.loads(text)
            if answer.content_type == control.LINES:
                return answer.status, [json.loads(line) for line in text.splitlines()]
            return answer.status, text

    async def get(self, path: str) -> Any:
        status, found = await self.ask("GET", path)
        assert status == 200, found
        return found


Story = Callable[[Driven, Api], Coroutine[Any, Any, None]]


@pytest.fixture
def live(tmp_path: Path) -> Callable[..., None]:
    """Runs a story with a started gateway and its API, and ends both."""
    def run(story: Story, resources: str = RESOURCES, **options: Any) -> None:
        async def whole() -> None:
            gateway = Driven(load(resources), **options)
            await gateway.start()
            claimed = claim(tmp_path / "gateway.sock")
            runner = await control.serve(gateway, claimed)
            connector = aiohttp.UnixConnector(str(claimed.path))
            try:
                async with aiohttp.ClientSession(connector=connector) as session:
                    await story(gateway, Api(session))
            finally:
                await runner.cleanup()
                claimed.release()
                await gateway.stop()
        asyncio.run(whole())
    return run
