"""A worker with something to do on a core that others want comes first there (SCHED_RR), unless it needs all of it."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.runtime import _worker_py, worker

from .test_worker import DYING, Line, run


def may_be_urgent() -> bool:
    """Whether this process may; a child asks, so that this one stays as it is."""
    asks = "import os; os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))"
    return subprocess.run([sys.executable, "-c", asks], stderr=subprocess.DEVNULL).returncode == 0


pytestmark = [
    pytest.mark.skipif(worker.Rounds is _worker_py.Rounds, reason="an interpreted worker is never urgent"),
    pytest.mark.skipif(not may_be_urgent(), reason="a real-time policy needs the capability SYS_NICE"),
]
CORE = {max(os.sched_getaffinity(0))}


class Story:
    """A worker on one core; every packet that it is sent takes it `each` seconds of that core."""

    def __init__(self, thread: worker.Worker, inside: Line) -> None:
        self.thread, self.inside, self.each = thread, inside, 0.0
        self.id = thread.thread.native_id
        os.sched_setaffinity(self.id, CORE)
        os.sched_setaffinity(0, os.sched_getaffinity(0) - CORE or CORE)  # who sends
        thread.translator.answer = self.answer

    def answer(self, verdict: object, *_: object) -> object:
        """Nothing is sent: nobody would read it."""
        end = time.thread_time() + self.each
        while time.thread_time() < end:
            pass
        return verdict

    @property
    def urgent(self) -> bool:
        return os.sched_getscheduler(self.id) == os.SCHED_RR

    def sends(self, burst: int, each: float, gap: float, until: Callable[[], bool], seconds: float = 10) -> bool:
        """Bursts of packets that take `each`, a gap between them, until something is so; whether it came to be."""
        self.each, end = each, time.monotonic() + seconds
        while not until() and time.monotonic() < end:
            with contextlib.suppress(TimeoutError):
                for _ in range(burst):
                    self.inside.inject(DYING)
            time.sleep(gap)
        return until()


@pytest.fixture
def busy() -> Iterator[None]:
    """Three others who always want the worker's core."""
    def there() -> None:
        os.sched_setaffinity(0, CORE)
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"], preexec_fn=there) for _ in range(3)]
    yield
    for other in others:
        other.kill()
        other.wait()


def told(story: Callable[[Story], None]) -> None:
    """In a thread that ends with it, and so does where that thread may run."""
    run(lambda thread, inside, _: story(Story(thread, inside)))


@pytest.mark.parametrize(("burst", "each", "gap"), [(8, 0.004, 0), (8, 0, 0.05), (1, 0.002, 0.004)],
                         ids=["needs all of it", "has little to do", "is woken for each packet"])
def test_who_waits_for_its_core_is_urgent_until_it(busy: None, burst: int, each: float, gap: float) -> None:
    def story(one: Story) -> None:
        assert not one.urgent
        assert one.sends(8, 0.0003, 0.004, lambda: one.urgent)
        assert one.sends(burst, each, gap, lambda: not one.urgent, 5)
    told(story)


def test_a_worker_that_has_its_core_stays_ordinary() -> None:
    """Other tests may want that core as well: half a second counts in which it worked and seldom waited."""
    found: list[bool] = []

    def story(one: Story) -> None:
        times = Path(f"/proc/self/task/{one.id}/schedstat")
        urgent = one.sends(8, 0.0003, 0.004, lambda: one.urgent, 0.5)
        ran, waited, _ = map(int, times.read_text().split())
        if ran > 0.1e9 and waited < 0.005e9:  # it takes 9 ms close together
            found.append(urgent)

    deadline = time.monotonic() + 60
    while not found and time.monotonic() < deadline:
        told(story)
    assert found == [False]


def test_a_worker_that_may_not_stays_ordinary_and_works(busy: None) -> None:
    """SCHED_RR refused: the limit of the child's user, and no capability."""
    done = subprocess.run([sys.executable, "-c", REFUSED], capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["False", "True"], done.stderr


REFUSED = """
import ctypes, os
from tests.runtime import test_urgency
prctl = ctypes.CDLL(None).prctl
assert prctl(24, 23, 0, 0, 0) == 0  # PR_CAPBSET_DROP, CAP_SYS_NICE
if os.getuid() == 0:
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
def story(one):
    print(one.sends(8, 0.0003, 0.004, lambda: one.urgent, 2))
    print(one.sends(1, 0, 0.001, lambda: one.thread.packets[0] > 50))
test_urgency.told(story)
"""
