"""Workers in threads between lines of the test's: what one reads and another owns leaves by the other."""

import asyncio
import time
from contextlib import contextmanager

import pytest

from gateway.nat.translators import Translators
from gateway.resources import load
from gateway.resources.build import build as rules
from gateway.runtime import _worker_py, worker
from gateway.runtime.workers import Workers
from gateway.wire import build
from tests.seen import seen

from .conftest import RESOURCES
from .test_worker import Line

SEED = 1


@pytest.fixture(params=["compiled", "interpreted"])
def started(request, monkeypatch):
    """Runs a story with started workers, three or as many as it says, and each one's lines."""
    if request.param == "interpreted":
        monkeypatch.setattr(worker, "Rounds", _worker_py.Rounds)
        monkeypatch.setattr(worker, "Inbox", _worker_py.Inbox)

    def run(story, count=3):
        async def whole():
            lines = [(Line(f"in{number}"), Line(f"out{number}")) for number in range(count)]
            wrong = []
            workers = Workers(lines, Translators(rules(load(RESOURCES)), SEED, count), wrong.append)
            workers.start()
            try:
                await asyncio.to_thread(story, workers, lines)
            finally:
                workers.stop()
                for line in (one for both in lines for one in both):
                    line.close()
            assert wrong == []
        asyncio.run(whole())
    return run


def owner(workers, pod):
    share = workers.all[0].translator.share
    return share.address_owner(0, 0xFFFF << 32 | int.from_bytes(bytes(map(int, pod.split(".")))))


def asked(pod, port=40000, size=1):
    return build.udp_datagram(pod, port, "203.0.113.7", 53, bytes(size))


@contextmanager
def stopped(one):
    """One worker stands still."""
    one.rounds.enter()
    try:
        yield
    finally:
        one.rounds.leave()


def test_what_another_owns_leaves_by_it_and_the_answer_comes_back_by_it(started):
    def story(workers, lines):
        owners = set()
        for number in range(2, 26):
            pod = f"192.168.1.{number}"
            whose = owner(workers, pod)
            owners.add(whose)
            for port in (40000, 40001):
                lines[number % 3][0].inject(asked(pod, port))
                out = seen(lines[whose][1].taken())
                assert out.source == "198.51.100.10"
                lines[(number + 1) % 3][1].inject(
                    build.udp_datagram("203.0.113.7", 53, "198.51.100.10", out.source_port, b"!"))
                assert seen(lines[whose][0].taken())[4:6] == (pod, port)
        assert owners == {0, 1, 2}
        with workers.turn:
            shares = workers.describe()
            counted = sum(one.translator.counters()["hand_over"] for one in workers.all)
            assert sum(share["handed_over"] for share in shares) == counted > 0
            assert sum(share["flows"] for share in shares) == 48
    started(story)


def test_an_answer_of_the_gateway_s_own_is_given_by_whoever_owns_what_was_asked(started):
    """It takes Python, in a thread that was handed the packet."""
    def story(workers, lines):
        for number in range(2, 10):
            pod = f"192.168.1.{number}"
            lines[number % 3][0].inject(build.udp_datagram(pod, 40000, "203.0.113.7", 53, b"?", ttl=1))
            error = seen(lines[owner(workers, pod)][0].taken())
            assert (error.icmp, error.destination) == ((11, 0), pod)
    started(story)


def test_order_is_kept_and_nothing_lost(started):
    def story(workers, lines):
        pod = next(pod for pod in (f"192.168.1.{number}" for number in range(2, 50)) if owner(workers, pod) == 1)
        sent = [number.to_bytes(2, "big") for number in range(300)]
        received = []
        for first in range(0, 300, 10):
            for number in sent[first : first + 10]:
                lines[2][0].inject(build.udp_datagram(pod, 40000, "203.0.113.7", 53, number))
            received += [seen(lines[1][1].taken()).payload[8:] for _ in range(10)]
        assert received == sent
    started(story)


def test_a_full_inbox_loses_what_comes_and_counts_it(started):
    def story(workers, lines):
        pod = next(pod for pod in (f"192.168.1.{number}" for number in range(2, 50)) if owner(workers, pod) == 1)
        with stopped(workers.all[1]):
            for _ in range(90):
                lines[0][0].inject(asked(pod, size=60_000))
                time.sleep(0.001)
            until(lambda: workers.inboxes[1].received + workers.inboxes[1].overflowed == 90)
            assert 60 < workers.inboxes[1].received < 75
        until(lambda: workers.all[1].translator.counters()["reject_too_big"] == workers.inboxes[1].received)
        lines[0][0].inject(asked(pod))
        assert lines[1][1].taken(), "and goes on afterwards"
    started(story)


def until(holds, seconds=5):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_nothing_passes_in_a_turn_of_all(started):
    def story(workers, lines):
        with workers.turn, workers.turn:
            for both in lines:
                both[0].inject(asked("192.168.1.2"))
            time.sleep(0.05)
            assert not any(any(one.translator.counters().values()) for one in workers.all)
        whose = owner(workers, "192.168.1.2")
        assert [seen(lines[whose][1].taken()).source_port for _ in lines] != []
    started(story)


def test_workers_end_with_something_in_their_inboxes(started):
    def story(workers, lines):
        workers.inboxes[0].put(0, True, bytes(10), asked("192.168.1.2"))
        for both in lines:
            both[0].inject(asked("192.168.1.2"))
    started(story, count=2)


def test_an_exception_costs_one_batch_of_an_inbox_and_nothing_after_it(started):
    def story(workers, lines):
        one, failures, pod = workers.all[1], [], next(
            pod for pod in (f"192.168.1.{number}" for number in range(2, 99)) if owner(workers, pod) == 1)
        finish = one.translator.finish

        def fail_once(*_):
            one.translator.finish = finish
            raise ZeroDivisionError

        one.failed, one.translator.finish = failures.append, fail_once
        inbox = workers.inboxes[1]
        with stopped(one):
            inbox.put(0, True, bytes(10), build.udp_datagram(pod, 4, "203.0.113.7", 53, b"dying", ttl=1))
            for port in range(5000, 5100):
                assert inbox.put(0, True, bytes(10), asked(pod, port))
        until(lambda: len(failures) == 1 and one.translator.counters()["accept"] == 100)
    started(story)
