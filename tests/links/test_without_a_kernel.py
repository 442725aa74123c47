"""The memory link, the wrappers, and both speeds of the batched calls on the same bytes."""

import io
import socket
import struct

import pytest
from scapy.all import ICMP, IP, TCP, UDP, ICMPv6EchoRequest, IPv6, Raw, rdpcap

from gateway.links import _syscalls_py, syscalls
from gateway.links.capture import CapturedLink, Pcapng
from gateway.links.faults import Faults, FaultyLink
from gateway.links.memory import MemoryLink
from gateway.wire.batch import Batch

PING = bytes(IP(src="192.168.1.2", dst="10.0.0.2") / ICMP(id=7))
OFFLOAD = bytes(range(10))


def test_what_is_injected_is_read_and_what_is_written_is_drained() -> None:
    link, batch = MemoryLink(), Batch()
    link.inject(PING, OFFLOAD)
    assert link.read_batch(batch) == 1 and batch.packet(0) == PING and batch.offload(0) == OFFLOAD
    batch.out[0] = 1
    assert (link.write_batch(batch, 0), link.write_batch(batch, 1)) == (0, 1)
    assert link.drain() == [(OFFLOAD, PING)] and link.drain() == []


def test_more_than_a_batch_is_read_in_turns() -> None:
    link, batch = MemoryLink(), Batch(4)
    for _ in range(6):
        link.inject(PING)
    assert [link.read_batch(batch) for _ in range(3)] == [4, 2, 0]


def test_a_full_memory_link_counts() -> None:
    link = MemoryLink(room=1)
    assert [link.write(PING, OFFLOAD) for _ in range(2)] == [True, False]
    assert link.dropped == 1


def test_a_capture_is_read_by_others() -> None:
    file = io.BytesIO()
    memory = MemoryLink("inside")
    link = CapturedLink(memory, Pcapng(file), comment=lambda batch, index: "accept", clock=lambda: 10**18)
    memory.inject(PING)
    batch = Batch()
    link.read_batch(batch)
    batch.out[0] = 1
    link.write_batch(batch, 1)
    written = file.getvalue()
    packets = rdpcap(io.BytesIO(written))
    assert [bytes(packet) for packet in packets] == [PING, PING]
    assert packets[1].time == 10**9
    assert b"accept" in written


def test_faults_are_the_same_for_the_same_seed_and_lose_nothing_unnamed() -> None:
    def run(seed: int) -> list[bytes]:
        memory = MemoryLink()
        link = FaultyLink(memory, Faults(drop=0.2, duplicate=0.2, reorder=0.2, corrupt=0.2), seed)
        for number in range(200):
            memory.inject(b"%4d" % number)
        batch, found = Batch(16), []
        for _ in range(60):
            link.read_batch(batch)
            found += [batch.packet(index) for index in range(batch.count)]
        assert len(found) + link.statistics().reasons["fault_drop"] >= 200
        return found

    assert run(1) == run(1) != run(2)


class Pair:
    """A Packet and a Tun over datagram socket pairs: what the kernel would get, byte for byte."""

    def __init__(self, module: object) -> None:
        self.ours, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        for one in (self.ours, self.theirs):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
            one.setblocking(False)
        self.cache = module.NextHopCache()  # type: ignore[attr-defined]
        self.packet = module.Packet(self.ours.fileno(), self.ours.fileno(), b"\x02\0\0\0\0\x01", self.cache)  # type: ignore[attr-defined]
        self.tun = module.Tun(self.ours.fileno())  # type: ignore[attr-defined]

    def sent(self) -> list[bytes]:
        found = []
        while True:
            try:
                found.append(self.theirs.recv(1 << 17))
            except BlockingIOError:
                return found

    def close(self) -> None:
        for one in (self.packet, self.ours, self.theirs):
            one.close()


@pytest.fixture
def pairs() -> object:
    both = Pair(syscalls), Pair(_syscalls_py)
    yield both
    for pair in both:
        pair.close()


def partial(start: int, offset: int, kind: int = 0, size: int = 0) -> bytes:
    return struct.pack("<BBHHHH", 1, kind, 0, size, start, offset)


FOUR, SIX = {"src": "192.168.1.2", "dst": "10.0.0.2"}, {"src": "fd00::2", "dst": "2001:db8::2"}
FRAMES = [
    (bytes(IP(**FOUR) / UDP() / Raw(b"x")), bytes(10)),
    (bytes(IP(**FOUR) / TCP(options=[("MSS", 1460)]) / Raw(bytes(20000))), partial(20, 16, 1, 1448)),
    (bytes(IPv6(**SIX) / TCP() / Raw(bytes(9000))), partial(40, 16, 4, 1428)),
    (bytes(IPv6(**SIX) / UDP() / Raw(bytes(9000))), partial(40, 6, 5, 1428)),
    (bytes(IP(**FOUR) / TCP() / Raw(bytes(4000))), struct.pack("<BBHHHH", 0, 1, 9, 1448, 0, 0)),
    (bytes(IP(**FOUR) / UDP()), partial(20, 6)),
    (bytes(IP(**FOUR) / UDP())[:21], partial(65535, 6)),
    (bytes(IPv6(**SIX) / ICMPv6EchoRequest()), partial(40, 2)),
    (b"\x45" + bytes(19), partial(20, 16, 1, 100)),
]


def filled(side: int = 1) -> Batch:
    batch = Batch()
    for packet, offload in FRAMES:
        batch.append(packet, offload)
        batch.out[batch.count - 1] = side
    batch.out[0] = 0
    return batch


def test_both_speeds_write_the_same_to_a_tun(pairs: tuple[Pair, Pair]) -> None:
    assert pairs[0].tun.write(filled(), 1) == pairs[1].tun.write(filled(), 1) == len(FRAMES) - 1
    compiled, interpreted = pairs[0].sent(), pairs[1].sent()
    assert compiled == interpreted
    assert [frame[2:4] for frame in compiled][:4] == [b"\x2c\0", b"\x3c\0", b"\x30\0", b"\x28\0"]


def test_both_speeds_send_the_same_on_ethernet(pairs: tuple[Pair, Pair]) -> None:
    sent = []
    for pair in pairs:
        pair.cache.put(bytes([10, 0, 0, 2]), 1)
        pair.cache.put(socket.inet_pton(socket.AF_INET6, "2001:db8::2"), 2)
        pair.cache.set_mac(1, 0x020000000099)
        batch = filled()
        assert pair.packet.resolve(batch, 1) == [2, 3, 7, 8], "the IPv6 hop has no MAC address yet, the last no route"
        pair.cache.set_mac(2, 0x0200000000AA)
        assert pair.packet.resolve(batch, 1) == [8]
        assert pair.packet.send(batch, 1) == len(FRAMES) - 2
        assert pair.packet.unresolved == 1
        sent.append(pair.sent())
    assert sent[0] == sent[1]
    assert sent[0][0][10:24] == bytes.fromhex("020000000099" "020000000001" "0800")
    assert sent[0][0][2:10] == struct.pack("<HHHH", 44 + 14, 1448, 20 + 14, 16)


def test_both_speeds_read_the_same_from_ethernet(pairs: tuple[Pair, Pair]) -> None:
    ethernet = bytes(12)
    frames = [
        struct.pack("<BBHHHH", 1, 1, 68, 1448, 34, 16) + ethernet + b"\x08\x00" + PING,
        bytes(10) + ethernet + b"\x08\x06" + bytes(28),
        struct.pack("<BBHHHH", 0, 0, 5, 0, 99, 0) + ethernet + b"\x86\xdd" + bytes(40),
        bytes(10) + ethernet + b"\x08\x00",
        bytes(10) + ethernet + b"\x08\x00" + PING,
    ]
    seen = []
    for pair in pairs:
        for frame in frames:
            pair.theirs.send(frame)
        batch = Batch()
        assert pair.packet.read(batch) == batch.count == 3
        seen.append([(batch.offload(index), batch.packet(index)) for index in range(3)])
        assert sorted(batch.start) == sorted(Batch().start)
    assert seen[0] == seen[1]
    assert seen[0][0] == (struct.pack("<BBHHHH", 1, 1, 54, 1448, 20, 16), PING)


def test_large_frames_make_the_next_batch_shorter_and_small_ones_longer(pairs: tuple[Pair, Pair]) -> None:
    for pair in pairs:
        batch, counts = Batch(), []
        for size, number in ((60000, 4), (60000, 4), (60000, 4), (100, 8), (100, 8), (100, 8), (100, 8), (100, 8)):
            for _ in range(number):
                pair.theirs.send(bytes(22) + b"\x08\x00" + bytes(size))
            counts.append(0)
            while counts[-1] < number:
                counts[-1] += pair.packet.read(batch)
        assert counts == [4, 4, 4, 8, 8, 8, 8, 8]


def test_both_speeds_forget_destinations_but_not_hops(pairs: tuple[Pair, Pair]) -> None:
    for pair in pairs:
        pair.cache.put(bytes([10, 0, 0, 2]), 1)
        pair.cache.set_mac(1, 5)
        batch = Batch()
        batch.append(PING)
        batch.out[0] = 1
        assert pair.packet.resolve(batch, 1) is None and batch.neighbour[0] == 5
        assert (pair.cache.used(1), pair.cache.used(1)) == (True, False)
        pair.cache.clear()
        assert pair.packet.resolve(batch, 1) == [0]
        pair.cache.put(bytes([10, 0, 0, 2]), 1)
        assert pair.packet.resolve(batch, 1) is None and batch.neighbour[0] == 5
