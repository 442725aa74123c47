"""UDP in other sizes, from more flows, and in overload: what is delivered of what is offered.

RFC 2544: throughput (26.1) is the highest rate without loss, found by halving the interval; the loss rate (26.3) is
shown by what is delivered at rates that stay the same for every data path. RFC 9693 asks for such figures with many
flows open: here every one of them has been opened before the first packet counts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import field
from bench.measures import SMALL, UDP, Blast, Figures, Measure, check_sources
from bench.paths import DataPath, Masquerade

IMIX = (SMALL,) * 7 + (548,) * 4 + (1472,)  # 60, 590 and 1,514 bytes of frame, 7 to 4 to 1
SIZES = {"small": (SMALL,), "IMIX": IMIX, "1472 bytes": (1472,)}
FLOWS = {1: (1, 1), 1_000: (10, 100), 100_000: (100, 1_000), 1_000_000: (64, 15_625)}  # sources x ports
OFFERED = (100, 200, 400, 800)  # thousands of packets a second
TRIAL = 0.4  # seconds of one trial for the throughput
TRIALS = 7
LOSS = 0.001  # no loss at all is what RFC 2544 asks for; on a shared machine one late wake-up would decide
OPENING = 30  # seconds at most
OPENING_RATE = 120_000  # flows a second
CONNECTIONS = Path("/proc/sys/net/netfilter/nf_conntrack_max")


def verify(path: DataPath, load: Blast) -> None:
    """What the server sees of this load, before it is measured."""
    actor = load.by(path)
    sampler = path.field.listen()
    actor.go()
    seen = sampler.sources(UDP, 0.5)
    actor.report()
    check_sources(path, seen)


def delivered(path: DataPath, load: Blast) -> tuple[float, float]:
    """Packets a second offered and delivered, from the first to the last."""
    actor = load.by(path)
    first = path.field.received()
    actor.go()
    sent: int = actor.report()["sent"]
    time.sleep(0.05)  # queues run empty
    return sent / load.seconds, (path.field.received() - first) / load.seconds


def middle(path: DataPath, load: Blast) -> float:
    """Packets a second delivered within the run, when it has warmed up; the load is to last half a second longer."""
    actor = load.by(path)
    actor.go()
    time.sleep(0.3)
    began, first = time.perf_counter(), path.field.received()
    time.sleep(load.seconds - 0.5)
    ended, last = time.perf_counter(), path.field.received()
    actor.report()
    return (last - first) / (ended - began)


def sized(name: str) -> Callable[[DataPath, float], Figures]:
    payloads = SIZES[name]
    # A sender's 64 slots take the sizes in turn: 64 sources, each always in the same size.
    load = Blast(64, 1, payloads=payloads)

    def take(path: DataPath, seconds: float) -> Figures:
        verify(path, load.lasting(0.05))
        rate = middle(path, load.lasting(seconds + 0.5))
        octets = sum(payloads[slot % len(payloads)] + 28 for slot in range(64)) / 64
        return {f"udp {name}": rate / 1e3, f"udp {name}, bits of IP": rate * octets * 8 / 1e9}

    return take


def many(flows: int) -> Callable[[DataPath, float], Figures]:
    sources, ports = FLOWS[flows]
    load = Blast(sources, ports, sink=field.SINK_MANY)

    def take(path: DataPath, seconds: float) -> Figures:
        with room_for(path, flows):
            path.fresh()
            verify(path, load.lasting(0.05))
            open_all(path, load)
            rate = middle(path, load.lasting(seconds + 0.5))
            path.fresh()
        return {f"udp, {flows} flows": rate / 1e3}

    return take


def open_all(path: DataPath, load: Blast) -> None:
    """A pass over all flows, at a rate that should lose few to full queues; those it lost are opened by the warm-up."""
    rate = delivered(path, load.lasting(OPENING, rate=OPENING_RATE, once=True))[1]
    if rate * OPENING < load.flows * 0.9:
        raise RuntimeError(f"{rate * OPENING:.0f} of {load.flows} flows were opened")


@contextmanager
def room_for(path: DataPath, flows: int) -> Iterator[None]:
    """The kernel's own NAT may hold as many flows as are measured: a setting of the whole machine, put back after."""
    given = CONNECTIONS.read_text() if isinstance(path, Masquerade) else ""
    if not given or int(given) > 2 * flows:
        yield
        return
    CONNECTIONS.write_text(str(2 * flows))
    try:
        yield
    finally:
        CONNECTIONS.write_text(given)


def offered(path: DataPath, seconds: float) -> Figures:
    """Delivered at each of the same offered rates, in thousands of packets a second, and at all that can be sent.

    A sender that others keep from its core offers less than it should: what got lost on the way is told apart.
    """
    figures = {}
    for rate in OFFERED:
        sent, got = delivered(path, Blast(10, 100, seconds, rate=rate * 1e3))
        figures |= {f"delivered of {rate}": got / 1e3, f"loss rate of {rate}": 100 * max(sent - got, 0) / sent}
    most, got = delivered(path, Blast(10, 100, seconds))
    return figures | {"delivered of all": got / 1e3, "all that was offered": most / 1e3}


def throughput(path: DataPath, seconds: float) -> Figures:
    """The highest rate offered that lost less than one packet in a thousand."""
    verify(path, Blast(10, 100, 0.05))
    low, high = 0.0, delivered(path, Blast(10, 100, TRIAL))[0]
    for _ in range(TRIALS):
        rate = (low + high) / 2
        sent, got = delivered(path, Blast(10, 100, TRIAL, rate=rate, burst=16))
        low, high = (sent, high) if got >= sent * (1 - LOSS) else (low, rate)
    return {"throughput": low / 1e3}


SIZE_MEASURES = [Measure(f"size-{name.split()[0].lower()}", sized(name),
                         {f"udp {name}": "kpps", f"udp {name}, bits of IP": "Gb/s"}) for name in SIZES]
FLOW_MEASURES = [Measure(f"flows-{flows}", many(flows),
                         {f"udp, {flows} flows": "kpps"}) for flows in FLOWS]
OVERLOAD_MEASURES = [
    Measure("throughput", throughput, {"throughput": "kpps"}),
    Measure("offered", offered,
            {name: unit for rate in OFFERED for name, unit in ((f"delivered of {rate}", "kpps"),
                                                               (f"loss rate of {rate}", "%"))}
            | {"delivered of all": "kpps", "all that was offered": "kpps"}),
]
