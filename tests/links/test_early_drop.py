"""What a packet socket has its copy of is dropped at tc ingress: the host sees what no rule takes, and only that."""

import socket
import struct
import time
from collections.abc import Iterator

import pytest
from scapy.all import IP, UDP, Dot1Q, Ether, Raw

from gateway.links import bpf, early_drop
from gateway.links.early_drop import RULES_MAX
from gateway.links.packet import PacketLink
from gateway.testing.namespaces import Namespace

from .conftest import OneHop, everything, wire
from .rules import EVERYTHING, MARK, PAIRS, RULES, packet, pair, wanted

ETH_P_IP, ETH_P_IPV6 = 0x0800, 0x86DD


@pytest.fixture
def link(gateway: Namespace, server: Namespace) -> Iterator[PacketLink]:
    with gateway.enter():
        opened = PacketLink("eth0", OneHop(server.mac("eth0")))
        opened.take(EVERYTHING)
        if opened._drop._attachment < 0:
            opened.close()
            pytest.skip("this kernel, or a missing permission, allows no program at tc ingress")
        yield opened
    opened.close()


class Host:
    """What is left for the host's stack: sockets for one protocol are served after tc ingress."""

    def __init__(self, gateway: Namespace) -> None:
        with gateway.enter():
            self.sockets = [socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(kind))
                            for kind in (ETH_P_IP, ETH_P_IPV6)]
        for one in self.sockets:
            one.setblocking(False)

    def seen(self) -> set[tuple[str, str]]:
        time.sleep(0.2)
        found = set()
        for one in self.sockets:
            while True:
                try:
                    data = one.recv(2000)
                except BlockingIOError:
                    break
                found.add(pair(data) or ("other", "other"))
        return found - {("other", "other")}


def send(server: Namespace, gateway: Namespace, *frames: Ether) -> None:
    sender = wire(server)
    for frame in frames:
        sender.send(bytes(frame))
    sender.close()


def framed(server: Namespace, gateway: Namespace) -> list[Ether]:
    ether = Ether(src=server.mac("eth0"), dst=gateway.mac("eth0"))
    return [ether / packet(*one) for one in PAIRS]


def test_the_host_sees_what_no_rule_takes_and_the_link_sees_all(
    link: PacketLink, gateway: Namespace, server: Namespace,
) -> None:
    link.take(RULES)
    host = Host(gateway)
    send(server, gateway, *framed(server, gateway))
    assert host.seen() == {one for one in PAIRS if not wanted(*one)}
    assert {pair(one) for one in everything(link) if MARK in one} == set(PAIRS)


def test_without_rules_and_after_the_end_nothing_is_dropped(
    link: PacketLink, gateway: Namespace, server: Namespace,
) -> None:
    host = Host(gateway)
    for end in (lambda: link.take([]), link.close):
        link.take(EVERYTHING)
        send(server, gateway, *framed(server, gateway))
        assert host.seen() == set()
        end()
        send(server, gateway, *framed(server, gateway))
        assert host.seen() == set(PAIRS)


def test_a_tagged_frame_and_one_for_another_station_are_not_the_gateways(
    link: PacketLink, gateway: Namespace, server: Namespace,
) -> None:
    gateway.run("ip link set eth0 promisc on")
    host = Host(gateway)
    us, them, inner = gateway.mac("eth0"), server.mac("eth0"), IP(src="10.0.0.2", dst="10.9.9.9") / UDP() / Raw(MARK)
    send(server, gateway, Ether(src=them, dst=us) / Dot1Q(vlan=5) / inner)
    assert host.seen() == {("10.0.0.2", "10.9.9.9")}
    send(server, gateway, Ether(src=them, dst="02:00:00:00:00:99") / inner)
    assert host.seen() == {("10.0.0.2", "10.9.9.9")}


def test_another_mac_address_is_followed(link: PacketLink, gateway: Namespace, server: Namespace) -> None:
    gateway.run("ip link set eth0 address 02:00:00:00:00:77")
    link.interface_changed()
    host = Host(gateway)
    send(server, gateway, *framed(server, gateway))
    assert host.seen() == set()


@pytest.mark.parametrize("refusal", ["kernel", "rules"])
def test_where_it_cannot_be_nothing_is_dropped_and_nothing_fails(
    link: PacketLink, gateway: Namespace, server: Namespace, refusal: str, monkeypatch: pytest.MonkeyPatch,
) -> None:
    rules = [*EVERYTHING, (True, "10.0.0.0/8", True)]
    if refusal == "kernel":
        monkeypatch.setattr(bpf, "PROGRAM_LOAD", 9999)  # a command that no kernel knows: the real call refuses
    else:
        rules = [(False, f"10.{number >> 8}.{number & 255}.0/24", True) for number in range(RULES_MAX)] + EVERYTHING
    link.take(rules)
    host = Host(gateway)
    send(server, gateway, *framed(server, gateway))
    assert host.seen() == set(PAIRS)


def test_the_verifier_takes_as_many_rules_as_there_may_be(link: PacketLink) -> None:
    longest = [(True, f"2001:db8:{number:x}::/128", True) for number in range(RULES_MAX)]
    link.take(longest)
    assert link._drop._attachment >= 0
    assert len(early_drop.build_drop(longest, bytes(6))) // struct.calcsize("BBhi") < 32_767
