"""Round trips while nothing else is under way and at half of the peak rate: p50, p99, p99.9 and the worst.

Latency as in RFC 2544, section 26.2, but there and back, as the two ends see it: small datagrams, one at a time, to an
echo on the server. Both ends run ahead of all other work on their cores, so that what is measured is the way. The
load is small UDP of 1,000 flows at half of what this data path delivered just before; the core time that the whole
machine spends meanwhile is given for a million packets.
"""

from __future__ import annotations

import time
from ipaddress import IPv4Address

from bench import cores, field
from bench.cpu import Busy
from bench.measures import CORE_TIME, Actor, Blast, Figures, Measure, check_sources
from bench.paths import DataPath, Gateway

PORT = 7100
GAP = 0.0002  # between probes; 0.0002 s make 10,000 in two seconds: ten are beyond p99.9
SHARES = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}
SETTLE = 0.3  # seconds of load before the first probe counts


def round_trips(path: DataPath, name: str, seconds: float) -> Figures:
    """Microseconds by row. Raises if the echo was asked from a source that it must not see."""
    answering = Actor(path.field.server, cores.RECEIVER, "echo", PORT, seconds + 0.3)
    asking = Actor(path.field.pod, cores.SENDER, "probe", field.SERVER, PORT, seconds, GAP)
    answering.go()
    asking.go()
    found, seen = asking.report(), answering.report()
    check_sources(path, {str(IPv4Address(seen["source"]))} if seen["answered"] and not seen["others"] else set())
    return shown(name, found["times"], found["lost"])


def shown(name: str, times: list[int], lost: int) -> Figures:
    """times: sorted, in nanoseconds."""
    if not times:
        raise RuntimeError(f"none of {lost} probes came back")
    figures = {f"{name} {row}": times[int(len(times) * share)] / 1e3 for row, share in SHARES.items()}
    return figures | {f"{name} worst": times[-1] / 1e3, f"{name} probes": 100 * lost / (lost + len(times))}


def idle(path: DataPath, seconds: float) -> Figures:
    return round_trips(path, "idle", seconds)


def peak(path: DataPath) -> float:
    """Packets a second delivered of as many as can be offered."""
    sender = Blast(10, 100, 0.6).by(path)
    sender.go()
    time.sleep(0.1)
    began, first = time.perf_counter(), path.field.received()
    time.sleep(0.4)
    ended, last = time.perf_counter(), path.field.received()
    sender.report()
    time.sleep(0.1)  # queues run empty
    if last == first:
        raise RuntimeError("nothing was delivered")
    return (last - first) / (ended - began)


def under_load(path: DataPath, name: str, seconds: float, rate: float) -> Figures:
    """At a rate of so many packets a second."""
    sender = Blast(10, 100, seconds + 2 * SETTLE, rate=rate, burst=16).by(path)
    sender.go()
    time.sleep(SETTLE)
    began, first = time.perf_counter(), path.field.received()
    with Busy() as cores_spent:
        figures = round_trips(path, name, seconds)
    delivered, took = path.field.received() - first, time.perf_counter() - began
    sender.report()
    return figures | {f"{name}: load": delivered / took / 1e3,
                      f"{name}: core time": cores_spent.spent / delivered * 1e6}


def loaded(path: DataPath, seconds: float) -> Figures:
    return under_load(path, "loaded", seconds, peak(path) / 2)


def pestered(path: DataPath, seconds: float) -> Figures:
    """The same, while the gateway lists its flows and reads changed resources again and again. Others have neither."""
    if not isinstance(path, Gateway):
        return {}
    rate = peak(path) / 2
    actor = Actor(path.field.gateway, cores.SENDER, "pester", path.control, path.resources, seconds + 1)
    actor.go()
    figures = under_load(path, "pestered", seconds, rate)
    if actor.report()["done"] == 0:
        raise RuntimeError("the control plane answered nothing")
    return figures


def rows(name: str) -> dict[str, str]:
    return {**{f"{name} {row}": "µs" for row in (*SHARES, "worst")}, f"{name} probes": "% lost"}


def load_rows(name: str) -> dict[str, str]:
    return {**rows(name), f"{name}: load": "kpps", f"{name}: core time": CORE_TIME}


MEASURES = [
    Measure("idle", idle, rows("idle")),
    Measure("loaded", loaded, load_rows("loaded")),
    Measure("pestered", pestered, load_rows("pestered")),
]
