"""The labs' own ground, without a gateway: clients reach servers by plain forwarding, and taps see it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway.testing.namespaces import missing
from labs import clients
from labs.tap import Packet, Tap
from labs.world import NODE, ROUTER, World, at

pytestmark = pytest.mark.skipif(missing() is not None, reason=str(missing()))
POD, WEB = ("192.168.1.2", "fd00:192::2"), ("203.0.113.10", "2001:db8:113::10")


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with World({"pod-a": POD}, {"web": WEB}, routed=["192.168.0.0/16", "fd00:192::/48"]) as built:
        yield built


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("fetch", [clients.fetch, clients.fetch_plainly])
def test_the_server_tells_who_asks(world: World, version: int, fetch: object) -> None:
    pod = world.hosts["pod-a"].namespace
    said = fetch(pod, at(WEB, version), 40000)  # type: ignore[operator]
    assert said == ("you are 192.168.1.2:40000" if version == 4 else "you are [fd00:192::2]:40000")


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("ping", [clients.ping, clients.ping_plainly])
def test_ping_and_its_stand_in(world: World, version: int, ping: object) -> None:
    assert at(WEB, version) in ping(world.hosts["pod-a"].namespace, at(WEB, version))  # type: ignore[operator]


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("trace", [clients.trace, clients.trace_plainly])
def test_traceroute_and_its_stand_in(world: World, version: int, trace: object) -> None:
    hops = trace(world.hosts["pod-a"].namespace, at(WEB, version))  # type: ignore[operator]
    assert hops == [at(NODE, version), at(ROUTER, version), at(WEB, version)]


@pytest.mark.parametrize("version", [4, 6])
def test_nobody_answers_at_an_address_that_nobody_has(world: World, version: int) -> None:
    nobody = "203.0.113.99" if version == 4 else "2001:db8:113::99"
    assert not clients.reachable(world.hosts["pod-a"].namespace, nobody, 0.3)
    assert clients.reachable(world.hosts["pod-a"].namespace, at(WEB, version))


def test_taps_see_both_directions_on_both_ends(world: World) -> None:
    def told(packets: list[Packet]) -> set[str]:  # other packets may pass too: the last of an earlier connection
        return {str(packet) for packet in packets if 40001 in (packet.source_port, packet.destination_port)}

    pod, web = world.hosts["pod-a"], world.hosts["web"]
    with Tap(pod.namespace) as near, Tap(web.namespace) as far:
        clients.datagram(pod.namespace, WEB[0], 40001)
        sent, received = map(told, near.read())
        answered, seen = map(told, far.read())
    assert sent == seen == {"192.168.1.2:40001 → 203.0.113.10:80"}
    assert answered == received == {"203.0.113.10:80 → 192.168.1.2:40001"}
