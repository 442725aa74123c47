"""AF_XDP on one end of a veth: what is taken from the host, checksums left to a card, and what is left afterwards."""

import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from scapy.all import ARP, IP, TCP, UDP, Dot1Q, Ether, ICMPv6EchoRequest, ICMPv6ND_NS, IPv6, IPv6ExtHdrFragment, Raw

from gateway.links.ingress_program import build
from gateway.links.link import LinkError
from gateway.links.xdp import XdpLink
from gateway.links.xdp_socket import ENTRIES, chunk_for
from gateway.testing.namespaces import Namespace
from gateway.wire.batch import Batch

from .conftest import OUTSIDE, OneHop, everything, read, wire
from .rules import EVERYTHING, MARK, PAIRS, RULES, packet, pair, wanted

NO_OFFLOAD = bytes(10)


@pytest.fixture
def link(gateway: Namespace, server: Namespace, speed: str) -> Iterator[XdpLink]:
    try:
        with gateway.enter():
            opened = XdpLink("eth0", OneHop(server.mac("eth0")))
    except LinkError as error:
        pytest.skip(str(error))
    yield opened
    opened.close()


def datagram(sender: Namespace, body: bytes, to: str = "10.0.0.1") -> None:
    with sender.enter(), socket.socket(socket.AF_INET6 if ":" in to else socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.sendto(body, (to, 53))


def answers(asker: Namespace, address: str) -> bool:
    return asker.run(f"ping -c1 -W1 {address}", check=False).returncode == 0


def test_nothing_is_taken_until_it_is_said_what(link: XdpLink, server: Namespace) -> None:
    assert answers(server, "10.0.0.1") and answers(server, "2001:db8::1")
    assert everything(link) == []
    link.take(EVERYTHING)
    assert not answers(server, "10.0.0.1")
    assert [packet[9] for packet in everything(link) if packet[0] == 0x45] == [1]
    link.take([])
    assert answers(server, "10.0.0.1")


def test_the_first_rule_that_matches_decides(link: XdpLink, gateway: Namespace, server: Namespace) -> None:
    link.take(RULES)
    sender, us, them = wire(server), gateway.mac("eth0"), server.mac("eth0")
    for one in PAIRS:
        sender.send(bytes(Ether(src=them, dst=us) / packet(*one)))
    sender.close()
    assert {pair(one) for one in everything(link) if MARK in one} == {one for one in PAIRS if wanted(*one)}


def test_only_whole_ip_packets_for_this_interface_are_taken(
    link: XdpLink, gateway: Namespace, server: Namespace,
) -> None:
    link.take(EVERYTHING)
    us, them = gateway.mac("eth0"), server.mac("eth0")
    inner = IP(src="10.0.0.2", dst="198.51.100.9") / UDP(sport=1, dport=1)
    frames = [Ether(src=them, dst=us) / inner / Raw(b"wanted"),
              Ether(src=them, dst="02:00:00:00:00:99") / inner / Raw(b"overheard"),
              Ether(src=them, dst=us) / Dot1Q(vlan=5) / inner / Raw(b"tagged"),
              Ether(src=them, dst="ff:ff:ff:ff:ff:ff") / ARP(pdst="10.0.0.1"),
              Ether(src=them, dst=us) / IPv6(src="2001:db8::2", dst="2001:db8::1") / ICMPv6ND_NS(tgt="2001:db8::1"),
              Ether(src=them, dst=us) / bytes(inner)[:19], Ether(src=them, dst=us, type=0x86DD) / (b"\x60" + bytes(38)),
              Ether(src=them, dst=us, type=0x88B5) / Raw(b"experimental")]
    sender = wire(server)
    for frame in frames:
        sender.send(bytes(frame))
    sender.close()
    assert [packet[28:] for packet in everything(link)] == [b"wanted"]


@pytest.mark.parametrize("to", ["10.0.0.1", "2001:db8::1"])
def test_a_checksum_that_a_veth_left_unfinished_is_known_as_such(link: XdpLink, server: Namespace, to: str) -> None:
    """XDP says nothing of it; sent on, it is finished."""
    link.take(EVERYTHING)
    datagram(server, b"odd", to)
    offload, packet = read(link, Batch(), lambda packet: b"odd" in packet)
    start = 20 if to == "10.0.0.1" else 40
    assert offload == bytes([1, 0, 0, 0, 0, 0, start, 0, 6, 0])
    batch, seen = Batch(), wire(server)
    batch.append(packet, offload)
    batch.out[0] = OUTSIDE
    assert link.write_batch(batch, OUTSIDE) == 1
    frame = next(frame for frame in iter(lambda: Ether(seen.recv(2000)), None) if b"odd" in bytes(frame))
    seen.close()
    right = Ether(bytes(frame))
    del right[UDP].chksum
    assert frame[UDP].chksum == Ether(bytes(right))[UDP].chksum and frame.src != frame.dst == server.mac("eth0")


def test_what_is_finished_or_in_pieces_is_left_alone(link: XdpLink, gateway: Namespace, server: Namespace) -> None:
    link.take(EVERYTHING)
    ether = Ether(src=server.mac("eth0"), dst=gateway.mac("eth0"))
    four, six = IP(src="10.0.0.2", dst="10.0.0.1"), IPv6(src="2001:db8::2", dst="2001:db8::1")
    frames = [ether / four / UDP() / b"finished", ether / six / TCP() / b"finished",
              ether / four / UDP(chksum=0) / b"none",
              ether / IP(src="10.0.0.2", dst="10.0.0.1", flags="MF") / UDP() / bytes(8),
              ether / six / IPv6ExtHdrFragment(m=1) / UDP() / bytes(8), ether / six / ICMPv6EchoRequest()]
    sender = wire(server)
    for frame in frames:
        sender.send(bytes(frame))
    sender.close()
    batch, found = Batch(), []
    while link.read_batch(batch):
        found += [(batch.offload(index), batch.packet(index)) for index in range(batch.count)]
    assert found == [(NO_OFFLOAD, bytes(frame)[14:]) for frame in frames]


def test_a_superpacket_goes_by_the_packet_socket(link: XdpLink, server: Namespace) -> None:
    with server.enter():
        receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind(("10.0.0.2", 7))
    receiver.settimeout(3)
    bodies = [b"a" * 1000, b"b" * 1000, b"c" * 500]
    whole = bytearray(bytes(IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=9, dport=7) / Raw(b"".join(bodies))))
    total = sum(int.from_bytes(whole[at : at + 2], "big") for at in range(12, 20, 2)) + 17 + len(whole) - 20
    whole[26:28] = ((total & 0xFFFF) + (total >> 16)).to_bytes(2, "big")
    batch = Batch()
    batch.append(bytes(whole), bytes([1, 5, 28, 0]) + (1000).to_bytes(2, "little") + bytes([20, 0, 6, 0]))
    batch.append(bytes(IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=9, dport=7) / Raw(b"after")), NO_OFFLOAD)
    batch.out[0] = batch.out[1] = OUTSIDE
    assert link.write_batch(batch, OUTSIDE) == 2
    assert [receiver.recv(2000) for _ in range(4)] == [*bodies, b"after"]
    receiver.close()


def test_the_rings_go_round(link: XdpLink, server: Namespace) -> None:
    link.take(EVERYTHING)
    with server.enter():
        both = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    both.bind(("10.0.0.2", 7))
    both.settimeout(3)
    batch = Batch()
    for number in range(2 * ENTRIES // 50 + 2):
        for _ in range(50):
            both.sendto(b"%d" % number, ("10.0.0.1", 7))
        count = 0
        while count < 50:
            count += link.read_batch(batch)
            for index in range(batch.count):
                start = batch.start[index]
                batch.slab[start + 12 : start + 20] = bytes([10, 0, 0, 1, 10, 0, 0, 2])
                batch.out[index] = OUTSIDE
            assert link.write_batch(batch, OUTSIDE) == batch.count
        assert {both.recv(100) for _ in range(50)} == {b"%d" % number}
    both.close()
    assert link.dropped == 0


def segmentation(namespace: Namespace) -> str:
    """"on" or "off", the peer's: XDP on one end of a veth takes it from the other."""
    lines = namespace.run("ethtool -k eth0").stdout.splitlines()
    return next(line.split()[1] for line in lines if line.startswith("tcp-segmentation-offload"))


@pytest.mark.skipif(not shutil.which("ethtool"), reason="ethtool shows what the peer may do")
def test_a_killed_process_leaves_no_program(gateway: Namespace, server: Namespace) -> None:
    script = ("import time; from gateway.links.xdp import XdpLink; from tests.links.conftest import OneHop\n"
              f"link = XdpLink('eth0', OneHop('02:00:00:00:00:01')); link.take({EVERYTHING!r})\n"
              "print('up', flush=True); time.sleep(60)")
    killed = gateway.popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=Path.cwd())
    assert killed.stdout.readline() == "up\n"
    assert not answers(server, "10.0.0.1") and "xdp" in gateway.run("ip link show eth0").stdout
    during = segmentation(server)
    killed.kill()
    killed.wait()
    assert answers(server, "10.0.0.1") and "xdp" not in gateway.run("ip link show eth0").stdout
    assert (during, segmentation(server)) == ("off", "on")


def test_what_has_no_xdp_says_so(gateway: Namespace, server: Namespace) -> None:
    gateway.bridge("br0")
    hop = OneHop("02:00:00:00:00:01")
    with gateway.enter():
        with pytest.raises(LinkError, match=r"br0 cannot have an XDP program.*use driver packet"):
            XdpLink("br0", hop)
        with pytest.raises(LinkError, match="there is no interface 'eth9'"):
            XdpLink("eth9", hop)
        first = XdpLink("eth0", hop)
        with pytest.raises(LinkError, match="somebody else's"):
            XdpLink("eth0", hop)
        first.close()
        gateway.run("ip link set eth0 mtu 9000")
        with pytest.raises(LinkError, match="MTU of 9000"):
            XdpLink("eth0", hop)


def test_chunks_hold_a_frame_and_its_headroom() -> None:
    assert [chunk_for(mtu) for mtu in (68, 1500, 1778, 1779, 3826, 3827)] == [2048, 2048, 2048, 4096, 4096, 0]


def test_a_program_has_no_line_that_cannot_be_reached() -> None:
    """The verifier would refuse it: without rules, and after a rule for everything."""
    mac = bytes(6)
    assert len(build([], mac, 3)) == len(build([(False, "10.0.0.0/8", False)], mac, 3)) == 16
    short = build(EVERYTHING, mac, 3)
    assert len(build([*EVERYTHING, (True, "10.0.0.0/8", True)], mac, 3)) == len(short)
