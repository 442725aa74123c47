"""The pump as a thread: packets pass without the loop, and whoever has the turn has the translator to himself.

A link here is a pair of sockets: the compiled loop reads and writes any descriptor that keeps frames apart.
"""

import asyncio
import ctypes
import errno
import gc
import os
import select
import socket
import struct
import sys
import threading
import time
from pathlib import Path

import pytest

from gateway.links.syscalls import Tun
from gateway.nat.translator import Translator
from gateway.resources import load
from gateway.resources.build import build as rules
from gateway.runtime import _worker_py, worker
from gateway.testing.strategies import fragment
from gateway.wire import build
from tests.seen import seen

from .conftest import RESOURCES

OFFLOAD = bytes(10)
ASKED = build.udp_datagram("192.168.1.2", 40000, "203.0.113.7", 53, b"?")
DYING = build.udp_datagram("192.168.1.2", 40001, "203.0.113.7", 53, b"?", ttl=1)


class Line:
    """A link whose other end is the test's."""

    def __init__(self, name: str) -> None:
        self.name, self.mtu = name, 1500
        self.end, self.far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.far.settimeout(5)
        self.calls = Tun(self.end.fileno())
        self.read_batch, self.write_batch = self.calls.read, self.calls.write

    @property
    def more(self) -> bool:
        return self.calls.more

    def linger(self, nanoseconds: int) -> bool:
        return False

    def fileno(self) -> int:
        return self.end.fileno()

    def write(self, packet: bytes, offload: bytes) -> bool:
        return self.end.send(offload + packet) > 0

    def close(self) -> None:
        self.end.close()
        self.far.close()

    def inject(self, packet: bytes) -> None:
        self.far.send(OFFLOAD + packet)

    def taken(self, seconds: float = 5) -> bytes | None:
        self.far.settimeout(seconds)
        try:
            return self.far.recv(65536)[10:]
        except TimeoutError:
            return None


def run(story):
    """A story with a started worker between two lines; what it reported as wrong is in `worker.wrong`."""
    async def whole():
        lines, wrong = (Line("in"), Line("out")), []
        translator = Translator(rules(load(RESOURCES)), 1)
        thread = worker.Worker(lines, translator, wrong.append)
        thread.wrong = wrong
        thread.start()
        try:
            await asyncio.to_thread(story, thread, *lines) if not asyncio.iscoroutinefunction(story) else (
                await story(thread, *lines))
        finally:
            thread.stop()
            for line in lines:
                line.close()
    asyncio.run(whole())


@pytest.fixture(params=["compiled", "interpreted"])
def started(request, monkeypatch):
    if request.param == "interpreted":
        monkeypatch.setattr(worker, "Rounds", _worker_py.Rounds)
    return run


def test_packets_pass_while_the_loop_does_something_else(started):
    async def story(thread, inside, outside):
        inside.inject(ASKED)
        out = outside.taken()  # the loop is stuck here
        assert out[12:16] == bytes([198, 51, 100, 10]) and out[20:24] == ASKED[20:24]
        outside.inject(build.udp_datagram("203.0.113.7", 53, "198.51.100.10", 40000, b"!"))
        assert inside.taken()[16:20] == bytes([192, 168, 1, 2])
        with thread.turn:
            assert (list(thread.packets), list(thread.batches)) == ([1, 1], [1, 1])
    started(story)


@pytest.mark.skipif(worker.Rounds is _worker_py.Rounds, reason="interpreted")
def test_packets_pass_while_nobody_else_gets_the_gil(started):
    """A call by PyDLL keeps the GIL: this poll would end without a frame if the worker needed Python."""
    async def story(thread, inside, outside):
        if isinstance(thread.rounds, _worker_py.Rounds):
            return
        inside.inject(ASKED)
        assert outside.taken()
        waited = struct.pack("ihh", outside.far.fileno(), select.POLLIN, 0)
        frame, keeping = OFFLOAD + ASKED, ctypes.PyDLL(None)
        for _ in range(20):
            keeping.send(inside.far.fileno(), frame, len(frame), 0)
            assert keeping.poll(waited, 1, 5000) == 1
            assert outside.taken()
    started(story)


def test_nothing_passes_while_the_turn_is_held_and_everything_after(started):
    def story(thread, inside, outside):
        with thread.turn, thread.turn:
            inside.inject(ASKED)
            assert outside.taken(0.1) is None and thread.translator.live == 0
        assert outside.taken() and thread.translator.live == 1
    started(story)


def test_a_worker_with_much_to_do_lets_others_have_their_turn(started):
    """A mutex that its owner takes again at once would keep everybody else waiting."""
    def story(thread, inside, outside):
        over = threading.Event()

        def flood():
            inside.far.setblocking(False)
            while not over.is_set():
                try:
                    inside.far.send(OFFLOAD + ASKED)
                except BlockingIOError:
                    time.sleep(0)

        def drain():
            while not over.is_set():
                outside.taken(0.05)
        others = [threading.Thread(target=one) for one in (flood, drain)]
        for other in others:
            other.start()
        began, turns = time.monotonic(), 0
        while time.monotonic() < began + 5 and (thread.packets[0] < 1000 or turns < 100):
            with thread.turn:
                assert thread.translator.live <= 1
            turns += 1
            time.sleep(0.001)
        over.set()
        for other in others:
            other.join()
        assert turns >= 100 and thread.packets[0] >= 1000
    started(story)


def test_what_needs_python_is_done_and_sent(started):
    def story(thread, inside, outside):
        inside.inject(DYING)
        error = inside.taken()
        assert (error[9], error[20], error[21]) == (1, 11, 0)  # ICMP, time exceeded in transit
        with thread.turn:
            assert thread.translator.counters()["reject_ttl_exceeded"] == 1 and thread.own_packets == 1
    started(story)


def test_flows_are_listed_and_ended_meanwhile(started):
    def story(thread, inside, outside):
        for port in range(200):
            inside.inject(build.udp_datagram("192.168.1.2", 40000 + port, "203.0.113.7", 53, b"?"))
            assert outside.taken()
        found = list(thread.translator.flows(thread.clock(), thread.copy))
        assert {flow.external for flow in found} == {f"198.51.100.10:{40000 + port}" for port in range(200)}
        with thread.turn:
            assert thread.translator.end_flow(found[0].id)
        assert len(list(thread.translator.flows(thread.clock(), thread.copy))) == 199
    started(story)


def test_flows_whose_time_is_up_are_ended_without_the_loop(started):
    def story(thread, inside, outside):
        short = load(RESOURCES.replace("limits:", "timeouts: {udp: 100ms}\n  limits:"))
        with thread.turn:
            thread.translator.use(rules(short))
        inside.inject(ASKED)
        assert outside.taken() and thread.translator.counters()["accept"] == 1
        deadline = time.monotonic() + 5
        while thread.translator.live and time.monotonic() < deadline:
            time.sleep(0.01)
        assert thread.translator.live == 0
    started(story)


def test_a_bug_costs_a_packet_and_is_reported(started):
    async def story(thread, inside, outside):
        def broken(*_):
            raise ValueError("a bug")
        thread.translator.answer = broken
        with thread.turn:
            for packet in (ASKED, DYING, ASKED):  # one batch
                inside.inject(packet)
        assert outside.taken() and outside.taken()
        while not thread.wrong:
            await asyncio.sleep(0.01)
        assert [str(one) for one in thread.wrong] == ["a bug"]
        with thread.turn:  # given back
            assert thread.translator.counters()["accept"] == 2 and list(thread.packets) == [3, 0]
        inside.inject(ASKED)
        assert outside.taken()
    started(story)


def test_nothing_leaves_untranslated_after_a_bug_in_an_answer_to_pieces(started):
    """What is put together again lies in a batch of its own; whatever happens there, the next frames do not."""
    def story(thread, inside, outside):
        def five(port):
            with thread.turn:  # one batch
                for number in range(5):
                    inside.inject(build.udp_datagram("192.168.1.2", port + number, "203.0.113.7", 53, b"?"))
            return [seen(outside.taken()).source for _ in range(5)]

        def broken():
            raise ValueError("a bug")
        assert set(five(4000)) == {"198.51.100.10"}
        thread.translator.answers.echo = broken
        for piece in fragment(build.echo("192.168.1.2", "198.51.100.10", payload=bytes(1600)), 800, 1):
            inside.inject(piece)
            time.sleep(0.05)
        del thread.translator.answers.echo
        assert set(five(5000)) == {"198.51.100.10"}
    started(story)


def test_a_link_that_fails_for_good_ends_the_thread(started):
    async def story(thread, inside, outside):
        def broken(*_):
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
        thread.translator.answer = broken
        inside.inject(DYING)
        while not thread.wrong:
            await asyncio.sleep(0.01)
        thread.thread.join(5)
        assert not thread.thread.is_alive() and thread.wrong[0].errno == errno.ENODEV
    started(story)


def test_the_end_leaves_nothing(started):
    def held():
        return len(list(Path("/proc/self/fd").iterdir()))
    before = held(), threading.active_count(), sys.getswitchinterval(), gc.isenabled()
    started(lambda thread, inside, outside: None)
    assert (held(), threading.active_count(), sys.getswitchinterval(), gc.isenabled()) == before
