"""Random traffic through both twins, and the coverage-guided fuzzer, for a bounded while. scripts/fuzz goes on."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from gateway.wire import build, sides
from tests.judge import wrong_checksums
from tests.seen import seen
from tests.worlds import A4, E4, S4

from . import million
from .choices import Drawn, Read
from .invariants import Outcome, Watched, watch
from .sums import header_is_right, transport_is_right
from .target import one_input
from .traffic import Arrival, Traffic

ROOT = Path(__file__).parents[2]
PACKETS = int(os.environ.get("FUZZ_PACKETS", "40000"))


def test_both_twins_agree_on_random_and_mutated_packets():
    figures = million.run(PACKETS)
    assert figures.packets >= PACKETS
    assert len(figures.verdicts) > 35 and figures.emitted > PACKETS // 5, figures


@pytest.mark.skipif(find_spec("atheris") is None, reason="atheris is not installed: it has no wheel for this machine")
def test_the_fuzzer_breaks_no_invariant(tmp_path):
    """About 20 seconds, the same inputs each time: `-runs`, not a clock, ends it where the machine is quick enough."""
    done = subprocess.run([sys.executable, "-m", "tests.fuzz.target", "-runs=1500", "-max_total_time=45", "-seed=1",
                           "-max_len=1024", "-len_control=0", f"-artifact_prefix={tmp_path}/", tmp_path], cwd=ROOT,
                          capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert len(list(tmp_path.iterdir())) > 20, "coverage guides it: inputs that reach new places are kept"


def test_a_series_follows_from_its_bytes():
    data = Drawn(5).octets(600)
    watched = [Watched(1, 7, pure=True) for _ in range(2)]
    for one in watched:
        traffic = Traffic(Read(data))
        with pytest.raises(EOFError):
            while True:
                watch(one, traffic)
    assert watched[0].arrived > 20
    assert watched[0].translator.counters() == watched[1].translator.counters()


def test_any_bytes_are_an_input():
    for size in (0, 1, 2, 50, 300):
        one_input(Drawn(size).octets(size))


def test_the_quick_judge_of_checksums_says_what_scapy_says():
    """Of packets without options: scapy does not rebuild malformed ones as they are, and follows a source route."""
    traffic, judged = Traffic(Drawn(3)), 0
    while judged < 150:
        for arrival in traffic.next():
            if len(arrival.packet) < 40 or arrival.packet[0] not in (0x45, 0x60):
                continue
            told = seen(arrival.packet)
            if transport_is_right(arrival.packet) is not None and (told.protocol != "tcp" or told.payload[12] == 0x50):
                judged += 1
                right = header_is_right(arrival.packet) and transport_is_right(arrival.packet)
                assert right == (not wrong_checksums(arrival.packet)), arrival.packet.hex()


SENT = build.udp_datagram(A4, 2000, S4, 53, b"question")
LEFT = build.udp_datagram(E4, 2000, S4, 53, b"question", ttl=63)
ERROR = build.icmp_message(E4, S4, 3, 3, bytes(4) + build.udp_datagram(S4, 53, A4, 2000))
WRONG = {
    "an internal source": (sides.OUTSIDE, build.udp_datagram(A4, 2000, S4, 53, b"question", ttl=63)),
    "an internal destination": (sides.OUTSIDE, build.udp_datagram(E4, 2000, A4, 53, b"question", ttl=63)),
    "an internal address in a quote": (sides.OUTSIDE, ERROR),
    "no flow": (sides.OUTSIDE, build.udp_datagram(E4, 2001, S4, 53, b"question", ttl=63)),
    "a stranger inside": (sides.INSIDE, LEFT),
    "a wrong header checksum": (sides.OUTSIDE, LEFT[:10] + b"\0\0" + LEFT[12:]),
    "a wrong transport checksum": (sides.OUTSIDE, LEFT[:-1] + b"!"),
}


@pytest.mark.parametrize("name", [*WRONG, "nothing", "a packet without a verdict", "a row that is not found"])
def test_broken_invariants_are_seen(name):
    """What a broken gateway would have emitted, shown to the judge of a sound one."""
    watched, arrivals = Watched(0, 1, pure=True), [Arrival(sides.INSIDE, 0, SENT)]
    outcome = watched.translate(arrivals)
    assert [packet for _, _, packet, _ in outcome.forwarded] == [LEFT]
    if name == "nothing":
        return watched.check(arrivals, outcome)
    if name == "a packet without a verdict":
        watched.arrived += 1
    elif name == "a row that is not found":
        watched.translator.engine.table.remove(1, 1)
    else:
        side, packet = WRONG[name]
        outcome = Outcome(outcome.verdicts, [(side, bytes(10), packet, 0)], [])
    with pytest.raises(AssertionError):
        watched.check(arrivals, outcome)
