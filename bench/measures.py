"""What is measured on links, one function a row group: real traffic through one data path, figures out.

Terms: offered load, throughput (delivered) and latency as in RFC 2544; connections and their rate as in RFC 9693.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from bench import cores, field
from bench.paths import DataPath
from gateway.testing.namespaces import Namespace

ROOT = Path(__file__).parent.parent
IPERF_PORT, VISIT_PORT = 5201, 7000
VISITORS = 4
SMALL = 18  # bytes of payload: the smallest Ethernet frame
PINGS = 1000
NEW_FLOWS_SECONDS = 0.3  # the kernel's connection table holds 262,144
ICMP, TCP, UDP = 1, 6, 17
Figures = dict[str, float]
CORE_TIME, TCP_CORE_TIME = "core s a million packets", "core s a terabit"
COSTS = {"µs", "ns a packet", "% lost", CORE_TIME, TCP_CORE_TIME}  # units of which less is better


class Untranslated(RuntimeError):
    """The server saw a source it must not see on this data path: the figure would mean nothing."""


@dataclass(frozen=True)
class Measure:
    """figures: the rows it yields, name and unit.  tool: what must be installed for it."""

    key: str
    take: Callable[[DataPath, float], Figures]
    figures: dict[str, str]
    tool: str | None = None


class Actor:
    """A `bench.actor` process: made ready, then let go. `all` of them can be ended after a failure."""

    all: ClassVar[list[Actor]] = []

    def __init__(self, namespace: Namespace, pinned: set[int], *arguments: object) -> None:
        self.process = namespace.popen([sys.executable, "-m", "bench.actor", *map(str, arguments)], cwd=ROOT, text=True,
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE, preexec_fn=cores.pin(pinned))
        self.all.append(self)
        self._read()

    def _read(self) -> str:
        assert self.process.stdout is not None
        line: str = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"an end of the measurement failed, status {self.process.wait()}")
        return line

    def go(self) -> None:
        self.began = cores.spent(self.process.pid)
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def report(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._read())
        self.spent = cores.spent(self.process.pid) - self.began
        self.end()
        return found

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()
        self.all.remove(self)


def check_sources(path: DataPath, seen: Sequence[str] | set[str]) -> None:
    wrong = [source for source in seen if not path.right(source)]
    if wrong or not seen:
        raise Untranslated(f"{path.name}: the server saw {', '.join(wrong) or 'nothing'}")


def iperf(path: DataPath, seconds: float, *options: str) -> dict[str, Any]:
    """What iperf3 found in the end; rates are as received."""
    server = path.field.server.popen(["iperf3", "-s", "-1", "-J", "-p", str(IPERF_PORT)], text=True,
                                     stdout=subprocess.PIPE, preexec_fn=cores.pin(cores.RECEIVER))
    try:
        length = str(max(1, round(seconds)))
        command = ["iperf3", "-c", field.SERVER, "-p", str(IPERF_PORT), "-J", "-t", length, *options]
        said = run_when_listening(path.field.pod, command)
        accepted = json.loads(server.communicate(timeout=10)[0])
    finally:
        server.kill()
        server.wait()
    check_sources(path, {one["remote_host"].removeprefix("::ffff:") for one in accepted["start"]["connected"]})
    end: dict[str, Any] = said["end"]
    return end


def gigabits(end: dict[str, Any], received: str = "sum_received") -> float:
    return float(end[received]["bits_per_second"]) / 1e9


def run_when_listening(namespace: Namespace, command: list[str]) -> dict[str, Any]:
    for _ in range(30):
        time.sleep(0.1)
        done = namespace.run(command, check=False, timeout=60, preexec_fn=cores.pin(cores.SENDER))
        said: dict[str, Any] = json.loads(done.stdout or "{}")
        if "refused" not in said.get("error", ""):
            break
    if "error" in said:
        raise RuntimeError(f"iperf3: {said['error']}")
    return said


def tcp_out(path: DataPath, seconds: float) -> Figures:
    return {"tcp out": gigabits(iperf(path, seconds))}


def tcp_back(path: DataPath, seconds: float) -> Figures:
    return {"tcp back": gigabits(iperf(path, seconds, "-R"))}


@dataclass(frozen=True)
class Blast:
    """UDP from sources x ports, in payloads of these sizes in turn; rate: packets a second, 0 for as many as possible.
    Where there is more than one size and flows are a multiple of 64, a flow keeps its size."""

    sources: int = 1
    ports: int = 1
    seconds: float = 1
    sink: str = field.SINK
    payloads: tuple[int, ...] = (SMALL,)
    once: bool = False
    rate: float = 0
    burst: int = 64

    @property
    def flows(self) -> int:
        return self.sources * self.ports

    def lasting(self, seconds: float, **changes: Any) -> Blast:
        return replace(self, seconds=seconds, **changes)

    def by(self, path: DataPath) -> Actor:
        """A sender in the pod, made ready."""
        text = {**asdict(self), "interface": "eth0", "mac": path.next_hop(), "source": path.pod,
                "sink": path.reach(self.sink), "sink_port": field.SINK_PORT}
        return Actor(path.field.pod, cores.SENDER, "blast", json.dumps(text))


def verify(path: DataPath, sources: int, ports: int) -> None:
    """A short blast, the server reading along."""
    actor = Blast(sources, ports, 0.05).by(path)
    sampler = path.field.listen()
    actor.go()
    seen = sampler.sources(UDP, 0.5)
    actor.report()
    check_sources(path, seen)


def small_udp(path: DataPath, sources: int, ports: int, seconds: float) -> Figures:
    """Packets a second delivered while as many as possible are offered, after a warm-up."""
    flows = sources * ports
    verify(path, sources, ports)
    actor = Blast(sources, ports, seconds + 0.5).by(path)
    actor.go()
    time.sleep(0.3)
    began, first, before = time.perf_counter(), path.field.received(), path.spent()
    time.sleep(seconds)
    ended, last, after = time.perf_counter(), path.field.received(), path.spent()
    sent = actor.report()["sent"]
    figures = {f"udp {flows}": (last - first) / (ended - began) / 1e3,
               f"udp {flows} offered": sent / (seconds + 0.5) / 1e3,
               f"udp {flows} sender's core": actor.spent / sent}
    if after > before:
        figures[f"udp {flows} gateway's core"] = (after - before) / max(last - first, 1)
    return figures


def udp_one(path: DataPath, seconds: float) -> Figures:
    return small_udp(path, 1, 1, seconds)


def udp_thousand(path: DataPath, seconds: float) -> Figures:
    return small_udp(path, 10, 100, seconds)


def new_udp(path: DataPath, seconds: float) -> Figures:
    """Every packet the first of its flow, from the ports of 64 pods in turn. The rate of those delivered."""
    path.fresh()
    verify(path, 1, 1)
    actor = Blast(64, 64_512, NEW_FLOWS_SECONDS, field.SINK_MANY, once=True).by(path)
    first, began = path.field.received(), time.perf_counter()
    actor.go()
    actor.report()
    elapsed = time.perf_counter() - began
    return {"new udp": (path.field.received() - first) / elapsed / 1e3}


def visits(path: DataPath, seconds: float, ends: set[int]) -> float:
    """Connect, request, close: thousands of complete TCP connections a second, by four at a time.

    ends: the cores of both ends' processes.
    """
    path.fresh()
    ports = range(VISIT_PORT, VISIT_PORT + VISITORS)
    servers = [Actor(path.field.server, ends, "welcome", port, seconds + 0.3) for port in ports]
    actors = [Actor(path.field.pod, ends, "visit", field.SERVICE, field.SERVICES, port, seconds) for port in ports]
    sampler = path.field.listen()
    for actor in [*servers, *actors]:
        actor.go()
    check_sources(path, sampler.sources(TCP, 0.5, 50))
    done = sum(actor.report()["done"] for actor in actors)
    for actor in servers:
        actor.report()
    return float(done / seconds / 1e3)


def connections(path: DataPath, seconds: float) -> Figures:
    """Both ends on the sender's core, as with small UDP."""
    return {"connections": visits(path, seconds, cores.SENDER)}


def anywhere(path: DataPath, seconds: float) -> Figures:
    """Every process where the scheduler puts it."""
    return {"connections, any core": visits(path, seconds, cores.ANY)}


def ping(path: DataPath, seconds: float) -> Figures:
    """Round trips over idle links, in microseconds."""
    sampler = path.field.listen()
    path.field.pod.run(["ping", "-c1", field.SERVER], check=False)
    check_sources(path, sampler.sources(ICMP, 0.5, 1))
    said = path.field.pod.run(["ping", "-i", "0.002", "-c", str(PINGS), field.SERVER], check=False,
                              preexec_fn=cores.pin(cores.SENDER)).stdout
    times = sorted(float(one) * 1e3 for one in re.findall(r"time=([\d.]+) ms", said))
    return {"ping p50": times[len(times) // 2], "ping p99": times[len(times) * 99 // 100]}


def udp_rows(flows: int) -> dict[str, str]:
    return {f"udp {flows}": "kpps", f"udp {flows} offered": "kpps", f"udp {flows} sender's core": "ns a packet",
            f"udp {flows} gateway's core": "ns a packet"}


MEASURES = [
    Measure("tcp-out", tcp_out, {"tcp out": "Gb/s"}, "iperf3"),
    Measure("tcp-back", tcp_back, {"tcp back": "Gb/s"}, "iperf3"),
    Measure("udp-1", udp_one, udp_rows(1)),
    Measure("udp-1000", udp_thousand, udp_rows(1000)),
    Measure("new-udp", new_udp, {"new udp": "thousand/s"}),
    Measure("connections", connections, {"connections": "thousand/s"}),
    Measure("anywhere", anywhere, {"connections, any core": "thousand/s"}),
    Measure("ping", ping, {"ping p50": "µs", "ping p99": "µs"}, "ping"),
]
