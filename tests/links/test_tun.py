"""A TUN device: what the host sends comes out, what is written goes in, superpackets whole."""

import socket

import pytest
from scapy.all import ICMP, IP, TCP, UDP, Raw

from gateway.links.link import LinkError
from gateway.links.tun import QUEUE_LENGTH, TunLink
from gateway.testing.namespaces import Namespace
from gateway.wire.batch import Batch

from .conftest import INSIDE, read

NO_OFFLOAD = bytes(10)


def test_a_datagram_of_the_host_is_read_and_an_answer_reaches_it(gateway: Namespace, tun_link: TunLink) -> None:
    with gateway.enter():
        asker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    asker.settimeout(3)
    asker.sendto(b"question", ("10.9.0.7", 53))
    batch = Batch()
    offload, packet = read(tun_link, batch, lambda packet: b"question" in packet)
    assert offload[0] == 1, "its checksum is left to whoever sends it on"
    asked = IP(packet)
    answer = IP(src="10.9.0.7", dst="10.9.0.1") / UDP(sport=53, dport=asked[UDP].sport) / Raw(b"answer")
    batch.clear()
    batch.append(bytes(answer))
    batch.out[0] = INSIDE
    assert tun_link.write_batch(batch, INSIDE) == 1
    assert asker.recv(100) == b"answer"
    asker.close()


def test_a_frame_for_the_other_side_is_not_written(tun_link: TunLink) -> None:
    batch = Batch()
    batch.append(bytes(IP(src="10.9.0.7", dst="10.9.0.1") / ICMP()))
    batch.out[0] = 1 - INSIDE
    assert tun_link.write_batch(batch, INSIDE) == 0
    assert tun_link.statistics().sent == 0


def test_a_download_comes_as_superpackets_and_arrives_whole(gateway: Namespace, tun_link: TunLink) -> None:
    """The host talks TCP to itself through the TUN: every packet is read, turned round and written back."""
    sent = bytes(range(256)) * 4096
    with gateway.enter():
        listener = socket.create_server(("10.9.0.1", 80))
        asker = socket.socket()
    asker.setblocking(False)
    asker.connect_ex(("10.9.0.7", 80))
    listener.setblocking(False)
    accepted, received, largest, batch = None, b"", 0, Batch()
    while len(received) < len(sent):
        read(tun_link, batch, lambda packet: True)
        largest = max(largest, *(batch.length[index] for index in range(batch.count)))
        for index in range(batch.count):
            turn_round(batch, index)
        tun_link.write_batch(batch, INSIDE)
        if accepted is None:
            try:
                accepted = listener.accept()[0]
            except BlockingIOError:
                continue
            accepted.setblocking(False)
            left = memoryview(sent)
        try:
            left = left[accepted.send(left):] if left else left
            while True:
                received += asker.recv(1 << 20)
        except BlockingIOError:
            continue
    assert received == sent
    assert largest > 3000, "segmentation was left to the receiver"
    for one in (asker, accepted, listener):
        one.close()


def turn_round(batch: Batch, index: int) -> None:
    """10.9.0.1 -> 10.9.0.7 becomes 10.9.0.7 -> 10.9.0.1: swapping addresses changes no checksum. IPv4 only."""
    start = batch.start[index]
    addresses = bytes(batch.slab[start + 12 : start + 20])
    batch.slab[start + 12 : start + 20] = addresses[4:] + addresses[:4]
    batch.out[index] = INSIDE if batch.slab[start] >> 4 == 4 else 2


def test_the_header_length_is_filled_in_where_the_kernel_needs_it(tun_link: TunLink) -> None:
    packet = bytes(IP(src="10.9.0.7", dst="10.9.0.1") / TCP(dport=9, options=[("NOP", None)] * 4) / Raw(bytes(3000)))
    offload = bytes([1, 1, 0, 0]) + (1000).to_bytes(2, "little") + (20).to_bytes(2, "little") + b"\x10\0"
    batch = Batch()
    batch.append(packet, offload)
    batch.out[0] = INSIDE
    assert tun_link.write_batch(batch, INSIDE) == 1
    assert int.from_bytes(batch.offload(0)[2:4], "little") == 20 + 24


def test_what_the_kernel_refuses_is_counted_and_does_not_hold_up_the_rest(tun_link: TunLink) -> None:
    batch = Batch()
    for packet in (b"\x00garbage", bytes(IP(src="10.9.0.7", dst="10.9.0.1") / ICMP())):
        batch.append(packet)
        batch.out[batch.count - 1] = INSIDE
    assert tun_link.write_batch(batch, INSIDE) == 1
    assert tun_link.dropped == 1
    assert tun_link.statistics().reasons == {"send_einval": 1}
    assert not tun_link.write(b"\x00", NO_OFFLOAD)
    assert tun_link.dropped == 2


def test_a_tun_that_nobody_reads_counts_what_its_queue_lost(gateway: Namespace, tun_link: TunLink) -> None:
    with gateway.enter():
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for _ in range(12_000):
        sender.sendto(b"x", ("10.9.0.7", 9))
    sender.close()
    with gateway.enter():
        assert tun_link.statistics().reasons["queue_full"] >= 12_000 - QUEUE_LENGTH


def test_mistakes_say_what_to_do(gateway: Namespace, server: Namespace, tun_link: TunLink) -> None:
    with gateway.enter():
        with pytest.raises(LinkError, match="gw-inside is in use"):
            TunLink("gw-inside")
        with pytest.raises(LinkError, match="interface eth0 already"):
            TunLink("eth0")
        with pytest.raises(LinkError, match="cannot be an interface's name"):
            TunLink("a-name-that-is-too-long")
        with pytest.raises(LinkError, match="MTU of 20"):
            TunLink("small", 20)
        assert "small" not in gateway.run("ip -o link").stdout, "nothing stays behind"


def test_the_host_says_nothing_of_its_own_into_it(gateway: Namespace, tun_link: TunLink) -> None:
    assert "addrgenmode none" in gateway.run("ip -d link show gw-inside").stdout
    assert "fe80" not in gateway.run("ip addr show gw-inside").stdout
