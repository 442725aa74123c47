"""A packet socket on one end of a veth: offload headers, filter, next hops, errors."""

import select
import socket
import time
from collections.abc import Iterator

import pytest
from scapy.all import ARP, ICMP, IP, UDP, Dot1Q, Ether, ICMPv6EchoRequest, IPv6, Raw

from gateway.links import packet
from gateway.links.link import LinkError
from gateway.links.packet import PacketLink
from gateway.testing.namespaces import Namespace
from gateway.wire.batch import Batch

from .conftest import OUTSIDE, OneHop, everything, read, wire

NO_OFFLOAD = bytes(10)


@pytest.fixture
def link(gateway: Namespace, server: Namespace, speed: str) -> Iterator[PacketLink]:
    with gateway.enter():
        opened = PacketLink("eth0", OneHop(server.mac("eth0")))
    yield opened
    opened.close()


def test_what_a_neighbour_sends_is_read_with_its_offload_header(link: PacketLink, server: Namespace) -> None:
    with server.enter(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"question", ("10.0.0.1", 53))
    offload, packet = read(link, Batch(), lambda packet: b"question" in packet)
    assert packet[0] == 0x45
    assert offload[0] == 1 and int.from_bytes(offload[6:8], "little") == 20, "counted from the IP header"


def test_what_is_sent_arrives_with_both_macs_and_its_checksum_finished(
    link: PacketLink, gateway: Namespace, server: Namespace,
) -> None:
    seen = wire(server)
    right = bytes(IP(src="198.51.100.1", dst="10.0.0.2") / UDP(sport=9, dport=9) / Raw(b"finish me"))
    # The folded sum of the pseudo-header stands where the checksum will be, as the kernel leaves it.
    total = sum(int.from_bytes(right[at : at + 2], "big") for at in range(12, 20, 2)) + 17 + len(right) - 20
    pseudo = (total & 0xFFFF) + (total >> 16)
    partial = right[:26] + pseudo.to_bytes(2, "big") + right[28:]
    batch = Batch()
    batch.append(partial, bytes([1, 0, 0, 0, 0, 0, 20, 0, 6, 0]))
    batch.append(bytes(IPv6(src="2001:db8:1::1", dst="2001:db8::2") / ICMPv6EchoRequest(data=b"six")))
    batch.out[0] = batch.out[1] = OUTSIDE
    assert link.write_batch(batch, OUTSIDE) == 2
    # The kernels report their multicast groups on the same wire, when they like.
    ours = (frame for frame in iter(lambda: seen.recv(2000), None) if frame.endswith((b"finish me", b"six")))
    frames = [Ether(next(ours)) for _ in range(2)]
    assert [(frame.src, frame.dst, frame.type) for frame in frames] == [
        (gateway.mac("eth0"), server.mac("eth0"), 0x0800), (gateway.mac("eth0"), server.mac("eth0"), 0x86DD)]
    assert frames[0][Raw].load == b"finish me"
    seen.close()


def test_a_superpacket_is_received_by_the_stack_of_the_neighbour(link: PacketLink, server: Namespace) -> None:
    """UDP segmentation: one frame of three datagrams."""
    with server.enter():
        receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind(("10.0.0.2", 7))
    receiver.settimeout(3)
    receiver_wants = [b"a" * 1000, b"b" * 1000, b"c" * 500]
    whole = bytearray(bytes(IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=9, dport=7) / Raw(b"".join(receiver_wants))))
    total = sum(int.from_bytes(whole[at : at + 2], "big") for at in range(12, 20, 2)) + 17 + len(whole) - 20
    whole[26:28] = ((total & 0xFFFF) + (total >> 16)).to_bytes(2, "big")
    offload = bytes([1, 5, 0, 0]) + (1000).to_bytes(2, "little") + bytes([20, 0, 6, 0])
    assert link.write(bytes(whole), offload[:2] + (28).to_bytes(2, "little") + offload[4:])
    assert [receiver.recv(2000) for _ in range(3)] == receiver_wants
    receiver.close()


def test_only_ip_frames_that_are_meant_for_this_host_are_read(
    link: PacketLink, gateway: Namespace, server: Namespace,
) -> None:
    us, them = gateway.mac("eth0"), server.mac("eth0")
    inner = IP(src="10.0.0.2", dst="198.51.100.9") / UDP(sport=1, dport=1)
    other, broadcast = "02:00:00:00:00:99", "ff:ff:ff:ff:ff:ff"
    frames = [Ether(src=them, dst=us) / inner / Raw(b"wanted"), Ether(src=them, dst=other) / inner / Raw(b"overheard"),
              Ether(src=them, dst=us) / Dot1Q(vlan=5) / inner / Raw(b"tagged"),
              Ether(src=them, dst=broadcast) / ARP(pdst="10.0.0.1"),
              Ether(src=them, dst=us, type=0x88B5) / Raw(b"experimental")]
    sender = wire(server)
    for frame in frames:
        sender.send(bytes(frame))
    sender.close()
    found = [packet for packet in everything(link) if packet[0] >> 4 == 4]
    assert [packet[28:34] for packet in found] == [b"wanted"]


def test_only_the_named_destinations_are_read(link: PacketLink, gateway: Namespace, server: Namespace) -> None:
    link.accept(["198.51.100.10/32", "192.168.0.0/16", "2001:db8:e::/48"])
    everything(link, 0.05)  # what came before the filter did, such as the kernel's own multicast reports
    sender, us, them = wire(server), gateway.mac("eth0"), server.mac("eth0")
    addresses = ["198.51.100.10", "198.51.100.11", "192.168.44.5", "192.169.0.1", "10.0.0.1"]
    for address in addresses:
        sender.send(bytes(Ether(src=them, dst=us) / IP(src="10.0.0.2", dst=address) / ICMP()))
    for address in ("2001:db8:e::10", "2001:db8:f::10", "2001:db8::1"):
        sender.send(bytes(Ether(src=them, dst=us) / IPv6(src="2001:db8::2", dst=address) / ICMPv6EchoRequest()))
    sender.close()
    found = {str((IP if packet[0] >> 4 == 4 else IPv6)(packet).dst) for packet in everything(link)}
    assert found == {"198.51.100.10", "192.168.44.5", "2001:db8:e::10"}


def test_the_hosts_own_packets_are_not_read(link: PacketLink, gateway: Namespace) -> None:
    gateway.run("ping -c1 -W1 10.0.0.2")
    assert [IP(packet)[ICMP].type for packet in everything(link) if packet[9] == 1 and packet[0] >> 4 == 4] == [0]


def test_a_frame_too_long_is_counted_and_the_others_leave(link: PacketLink) -> None:
    batch = Batch()
    for size in (10, 3000, 10):
        batch.append(bytes(IP(src="10.0.0.1", dst="10.0.0.2") / ICMP() / Raw(bytes(size))))
        batch.out[batch.count - 1] = OUTSIDE
    assert link.write_batch(batch, OUTSIDE) == 2
    assert link.statistics().reasons == {"send_emsgsize": 1}


def test_an_interface_that_goes_down_and_up_is_read_again(
    link: PacketLink, gateway: Namespace, server: Namespace,
) -> None:
    gateway.down("eth0")
    everything(link, 0.05)  # the kernel had things to say on a fresh link
    batch = Batch()
    batch.append(bytes(IP(src="10.0.0.1", dst="10.0.0.2") / ICMP()))
    batch.out[0] = OUTSIDE
    assert link.write_batch(batch, OUTSIDE) == 0
    assert link.read_batch(batch) == 0
    gateway.up("eth0")
    with server.enter(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"again", ("10.0.0.1", 53))
    read(link, batch, lambda packet: b"again" in packet)


def test_many_small_frames_fill_a_batch_and_all_arrive(link: PacketLink, server: Namespace) -> None:
    with server.enter(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for number in range(1000):
            sender.sendto(b"n%d" % number, ("10.0.0.1", 53))
    batch, found, largest = Batch(), [], 0
    while len(found) < 1000 and link.read_batch(batch):
        largest = max(largest, batch.count)
        found += [batch.packet(index) for index in range(batch.count) if batch.packet(index)[9] == 17]
    assert len({packet[28:] for packet in found}) == 1000
    assert largest == batch.capacity
    assert sorted(batch.start) == sorted(Batch().start), "slots change places, none is lost"


def test_a_missing_interface_is_an_error_that_names_those_there_are(gateway: Namespace, server: Namespace) -> None:
    with gateway.enter(), pytest.raises(LinkError, match=r"no interface 'eth9'.*eth0, lo"):
        PacketLink("eth9", OneHop("02:00:00:00:00:01"))
    with gateway.enter(), pytest.raises(LinkError, match="not an Ethernet interface"):
        PacketLink("lo", OneHop("02:00:00:00:00:01"))


@pytest.fixture
def small_ring(gateway: Namespace, server: Namespace, monkeypatch: pytest.MonkeyPatch) -> Iterator[PacketLink]:
    """Compiled, with a ring of one block, 64 slots."""
    monkeypatch.setattr(packet, "RING_SLOTS", 64)
    with gateway.enter():
        opened = PacketLink("eth0", OneHop(server.mac("eth0")))
    yield opened
    opened.close()


def datagrams(sender: socket.socket, *bodies: bytes, segment: int = 0) -> None:
    sender.setsockopt(socket.SOL_UDP, 103, segment)  # UDP_SEGMENT
    for body in bodies:
        sender.sendto(body, ("10.0.0.1", 53))


def test_a_ring_goes_round_and_keeps_the_order_of_short_and_long_frames(
    small_ring: PacketLink, server: Namespace,
) -> None:
    batch, sizes = Batch(), []
    with server.enter(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for _ in range(20):
            datagrams(sender, b"s" * 10, b"m" * 1400)
            datagrams(sender, b"l" * 20_000, segment=1000)
            datagrams(sender, b"e")
            while small_ring.read_batch(batch):
                sizes += [batch.length[index] - 28 for index in range(batch.count)
                          if batch.packet(index)[9] == 17 and batch.packet(index)[0] == 0x45]
    assert sizes == [10, 1400, 20_000, 1] * 20
    assert small_ring.dropped == 0


def test_long_frames_that_waited_while_the_interface_went_down_are_not_taken_for_later_ones(
    small_ring: PacketLink, gateway: Namespace, server: Namespace,
) -> None:
    """ENETDOWN is told before what is in the socket's queue, where long frames lie."""
    batch = Batch()

    def came() -> list[bytes]:
        found: list[bytes] = []
        while small_ring.read_batch(batch):
            found += [batch.packet(index)[28:29] for index in range(batch.count) if batch.length[index] == 20_028]
        return found

    with server.enter(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        datagrams(sender, b"a" * 20_000, segment=1000)
        gateway.down("eth0")
        assert came() == [b"a"]
        assert not select.select([small_ring], [], [], 0)[0], "nothing is left that would wake us for ever"
        gateway.up("eth0")
        gateway.run("ping -c1 -W5 10.0.0.2")
        for body in (b"b", b"c"):
            datagrams(sender, body * 20_000, segment=1000)
            assert came() == [body]


def test_what_finds_the_ring_full_is_counted(small_ring: PacketLink, server: Namespace) -> None:
    with server.enter(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        datagrams(sender, *[b"one of many"] * 200)
        found = everything(small_ring)
        datagrams(sender, b"after all")
    assert len([one for one in found if b"one of many" in one]) <= 64
    assert small_ring.statistics().reasons["receive_buffer_full"] >= 136
    assert any(b"after all" in one for one in everything(small_ring))


def test_lingering_ends_with_the_first_frame_or_in_time(small_ring: PacketLink, server: Namespace) -> None:
    came = True
    while came:  # the kernel has things to say on a fresh link, too
        everything(small_ring, 0.05)
        began = time.monotonic_ns()
        came = small_ring.linger(200_000)
    assert time.monotonic_ns() - began >= 200_000
    with server.enter(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        datagrams(sender, b"here")
    assert small_ring.linger(1_000_000_000)
