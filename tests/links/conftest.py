"""Real links in real namespaces, at both speeds; skipped, with the reason, where the host does not allow them."""

import select
import socket
import time
from collections.abc import Callable, Iterator

import pytest

from gateway.links import _syscalls_py, _xdp_py, next_hops, packet, syscalls, tun, xdp
from gateway.links.link import Link
from gateway.links.tun import TunLink
from gateway.testing.namespaces import Namespace, join, missing
from gateway.wire.batch import Batch

INSIDE, OUTSIDE = 0, 1


@pytest.fixture(params=["compiled", "interpreted"])
def speed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    source = _syscalls_py if request.param == "interpreted" else syscalls
    monkeypatch.setattr(tun, "Tun", source.Tun)
    monkeypatch.setattr(packet, "Packet", source.Packet)
    monkeypatch.setattr(next_hops, "NextHopCache", source.NextHopCache)
    monkeypatch.setattr(xdp, "Xdp", (_xdp_py if request.param == "interpreted" else syscalls).Xdp)
    return str(request.param)


@pytest.fixture
def gateway() -> Iterator[Namespace]:
    if reason := missing():
        pytest.skip(reason)
    with Namespace("links-gateway") as namespace:
        yield namespace


@pytest.fixture
def server(gateway: Namespace) -> Iterator[Namespace]:
    """Joined with the gateway's namespace by eth0: 10.0.0.1 and 10.0.0.2, 2001:db8::1 and ::2."""
    with Namespace("links-server") as namespace:
        join(gateway, "eth0", namespace, "eth0",
             addresses=(["10.0.0.1/24", "2001:db8::1/64"], ["10.0.0.2/24", "2001:db8::2/64"]))
        gateway.run("ping -c1 -W5 10.0.0.2")  # a fresh veth swallows what comes before the kernel has seen its carrier
        yield namespace


@pytest.fixture
def tun_link(gateway: Namespace, speed: str) -> Iterator[TunLink]:
    """Up, with 10.9.0.1/24 on the host's side of it."""
    with gateway.enter():
        link = TunLink("gw-inside", 1500)
    gateway.up("gw-inside")
    gateway.address("gw-inside", "10.9.0.1/24")
    yield link
    link.close()


def read(link: Link, batch: Batch, wanted: Callable[[bytes], bool], seconds: float = 3) -> tuple[bytes, bytes]:
    """(offload, packet) of the first packet that is `wanted`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        select.select([link], [], [], 0.2)
        for index in range(link.read_batch(batch)):
            if wanted(batch.packet(index)):
                return batch.offload(index), batch.packet(index)
    raise AssertionError("no such packet came")


def wire(namespace: Namespace) -> socket.socket:
    """Raw frames on a namespace's eth0."""
    with namespace.enter():
        opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0x0300)
    opened.bind(("eth0", 3))
    opened.settimeout(3)
    return opened


def everything(link: Link, seconds: float = 0.3) -> list[bytes]:
    batch, end, found = Batch(), time.monotonic() + seconds, []
    while time.monotonic() < end:
        link.read_batch(batch)
        found += [batch.packet(index) for index in range(batch.count)]
        time.sleep(0.01)
    return found


class OneHop:
    """Everything is on-link, at one MAC address."""

    listener = None

    def __init__(self, mac: str) -> None:
        self.number = int(mac.replace(":", ""), 16)
        self.probed: list[bytes] = []

    def next_hop(self, destination: bytes) -> bytes | None:
        return destination

    def mac(self, hop: bytes) -> int:
        return self.number

    def probe(self, hop: bytes) -> None:
        self.probed.append(hop)
