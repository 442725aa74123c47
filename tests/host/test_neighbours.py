"""The kernel's routes and neighbours, followed; and packets that wait for a neighbour to answer."""

import time
from collections.abc import Callable, Iterator
from ipaddress import ip_address

import pytest
from scapy.all import ICMP, IP, ICMPv6EchoRequest, IPv6

from gateway.host.neighbours import Neighbours
from gateway.links.packet import PacketLink
from gateway.testing.namespaces import Namespace


def packed(text: str) -> bytes:
    return ip_address(text).packed


class Changes:
    def __init__(self) -> None:
        self.seen: list[object] = []

    def routes_changed(self) -> None:
        self.seen.append("routes")

    def neighbour_changed(self, hop: bytes) -> None:
        self.seen.append(str(ip_address(hop)))

    def interface_changed(self) -> None:
        self.seen.append("interface")


@pytest.fixture
def known(host: Namespace) -> Iterator[Neighbours]:
    with host.enter():
        neighbours = Neighbours("eth0")
        neighbours.listener = Changes()
        yield neighbours
        neighbours.close()


def until(known: Neighbours, done: Callable[[], bool], seconds: float = 3) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "nothing changed"
        known.wait(0.1)


def number(mac: str) -> int:
    return int(mac.replace(":", ""), 16)


def test_the_longest_prefix_decides_and_other_interfaces_do_not_count(host: Namespace, known: Neighbours) -> None:
    assert known.next_hop(packed("10.0.0.77")) == packed("10.0.0.77")
    assert known.next_hop(packed("8.8.8.8")) == packed("10.0.0.2")
    assert known.next_hop(packed("2600::1")) == packed("2001:db8::2")
    host.route("8.8.0.0/16", via="10.0.0.5")
    host.kernel.route("add", dst="8.8.8.0/24", gateway="10.0.0.6", priority=50)
    host.kernel.route("add", dst="8.8.8.0/24", gateway="10.0.0.7", priority=40)
    until(known, lambda: known.next_hop(packed("8.8.8.8")) == packed("10.0.0.7"))
    assert known.next_hop(packed("8.8.9.9")) == packed("10.0.0.5")
    assert known.next_hop(packed("192.168.1.2")) == packed("10.0.0.2"), "the route by pod0 is not this interface's"
    host.kernel.route("del", dst="8.8.0.0/16")
    until(known, lambda: known.next_hop(packed("8.8.9.9")) == packed("10.0.0.2"))
    assert "routes" in known.listener.seen  # type: ignore[union-attr]


def test_routes_with_several_paths_are_understood(host: Namespace, known: Neighbours) -> None:
    host.run("ip route add 9.0.0.0/8 nexthop via 10.0.0.8 nexthop via 192.168.1.2")
    until(known, lambda: known.next_hop(packed("9.9.9.9")) == packed("10.0.0.8"))


@pytest.mark.parametrize("address", ["10.0.0.2", "2001:db8::2"])
def test_a_neighbour_is_resolved_followed_and_forgotten(
    host: Namespace, server: Namespace, known: Neighbours, address: str,
) -> None:
    hop, first = packed(address), number(server.mac("eth0"))
    host.run("ip neigh flush dev eth0")
    until(known, lambda: known.mac(hop) == 0)
    known.probe(hop)
    until(known, lambda: known.mac(hop) == first)
    host.run(f"ip neigh replace {address} lladdr 02:00:00:00:00:77 dev eth0")
    until(known, lambda: known.mac(hop) == 0x020000000077)
    host.run(f"ip neigh del {address} dev eth0")
    until(known, lambda: known.mac(hop) == 0)
    assert address in known.listener.seen  # type: ignore[union-attr]


def test_a_packet_waits_for_its_next_hop_and_then_leaves(host: Namespace, server: Namespace, known: Neighbours) -> None:
    link = PacketLink("eth0", known)
    host.run("ip neigh flush dev eth0")
    until(known, lambda: known.mac(packed("10.0.0.2")) == known.mac(packed("2001:db8::2")) == 0)
    six = IPv6(src="2001:db8::1", dst="2600::1") / ICMPv6EchoRequest()
    for packet in (IP(src="10.0.0.1", dst="8.8.8.8") / ICMP(), six):
        assert not link.write(bytes(packet), bytes(10))
    until(known, lambda: link.statistics().sent == 2)
    assert link.dropped == 0
    link.close()


def test_a_neighbour_that_never_answers_costs_only_its_packets(host: Namespace, known: Neighbours) -> None:
    link = PacketLink("eth0", known)
    assert not link.write(bytes(IP(src="10.0.0.1", dst="10.0.0.99") / ICMP()), bytes(10))
    end = time.monotonic() + 5
    while not link.dropped and time.monotonic() < end:
        known.wait(0.1)
        link.tick()
    assert link.statistics().reasons == {"next_hop_silent": 1}
    link.close()


def test_another_mac_address_of_the_interface_is_used_at_once(host: Namespace, known: Neighbours) -> None:
    link = PacketLink("eth0", known)
    host.run("ip link set eth0 address 02:00:00:00:00:55")
    until(known, lambda: link._mac == bytes.fromhex("020000000055"))
    link.close()
