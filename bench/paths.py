"""The data paths that are measured beside each other: each starts in the gateway's namespace of a field of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

from pyroute2 import NFCTSocket

from bench import cores, field
from bench.field import Field

ROOT = Path(__file__).parent.parent
READY = 20  # seconds until a data path must pass a ping
RESOURCES = """\
apiVersion: gateway/v1
kind: Gateway
metadata: {name: %s}
spec:
  inside: {driver: %s, interface: %s, mtu: 1500}
  outside: {driver: %s, interface: uplink, mtu: 1500}
  addresses: [%s]
  limits: {flows: 1048576}
  workers: %d
---
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: default-ipv4-ippool}
spec: {cidr: %s, natOutgoing: true}
"""
MASQUERADE = """\
add table ip bench
add chain ip bench post { type nat hook postrouting priority srcnat; }
add rule ip bench post ip saddr %s ip daddr %s snat to %s-%s
add rule ip bench post ip saddr %s oifname "uplink" masquerade
"""


class NotWorking(RuntimeError):
    """A data path did not come up; the message carries the end of what it printed."""


class DataPath(ABC):
    """name: the column's title.  translates: whether the server must see the gateway's address, or the pod's own."""

    name: str
    key: str
    translates = True
    tool = "ping"  # must be installed
    pod = field.POD

    def __init__(self) -> None:
        self.field = Field(self.key)

    def __enter__(self) -> DataPath:
        self.field.__enter__()
        try:
            if not self.translates:
                self.field.expose()
            self.start()
            self.await_ping()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self.field.__exit__(None, None, None)

    @abstractmethod
    def start(self) -> None: ...

    def stop(self) -> None:  # noqa: B027, the namespace takes everything with it
        pass

    def fresh(self) -> None:  # noqa: B027, no state
        """Forget every flow, so that each measurement of new flows begins alike."""

    def right(self, source: str) -> bool:
        """Whether the server may see this source."""
        if self.translates:
            return source in (field.UPLINK, *field.EGRESS)
        return ip_address(source) in ip_network(field.POOL)

    def await_ping(self) -> None:
        deadline = time.monotonic() + READY
        to = self.reach(field.SERVER)
        while self.field.pod.run(["ping", "-c1", "-W1", to], check=False).returncode or not self.through():
            self.check()
            if time.monotonic() > deadline:
                raise NotWorking(f"{self.name}: no ping got through within {READY} s\n{self.said()}")
            time.sleep(0.1)

    def reach(self, address: str) -> str:
        """What the pod calls an address of the server's."""
        return address

    def next_hop(self) -> str:
        """The MAC address that the pod sends to."""
        return self.field.gateway.mac("pods")

    def spent(self) -> int:
        """Nanoseconds that a process of this data path's own has run."""
        return 0

    def through(self) -> bool:
        """Whether traffic takes this data path, and not the kernel's beside it."""
        return True

    def check(self) -> None:  # noqa: B027
        """Raises NotWorking when the data path has ended by itself."""

    def said(self) -> str:
        return ""


class Forwarding(DataPath):
    """The kernel forwards, nobody translates: what the topology can do."""

    name, key, translates = "kernel, no NAT", "forward", False

    def start(self) -> None:
        pass


class Masquerade(DataPath):
    """What people use today. One address has 64,512 ports: where more flows come, it gets as many as the gateway."""

    name, key, tool = "kernel nftables", "kernel", "nft"

    def start(self) -> None:
        rules = MASQUERADE % (field.POOL, field.SINK_MANY, field.EGRESS[0], field.EGRESS[-1], field.POOL)
        self.field.gateway.run(["nft", "-f", "-"], input=rules)

    def fresh(self) -> None:
        with self.field.gateway.enter():
            tracked = NFCTSocket()
        with tracked:
            tracked.flush()


class UserSpace(DataPath):
    """A process on a core of its own, inside TUN unless `inside` says otherwise, outside AF_PACKET.

    With a worker its packets move in a thread, and the scheduler places that and the loop.
    """

    module: str
    inside, outside, workers = ("tun", "gw-inside"), "packet", 0
    cores = cores.GATEWAY
    process: subprocess.Popen[Any] | None = None

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(prefix="bench-")
        self.log, self.resources, self.control = (
            Path(self.folder.name) / name for name in ("log", "gateway.yaml", "control.sock"))

    def arguments(self) -> list[str]:
        links, addresses = (*self.inside, self.outside), ", ".join(field.EGRESS)
        self.resources.write_text(
            RESOURCES % (self.field.gateway.name, *links, addresses, self.workers, field.POOL))
        return ["-f", str(self.resources), "--socket", str(self.control)]

    def command(self) -> list[str]:
        return [sys.executable, "-m", *self.module.split(), *self.arguments()]

    def start(self) -> None:
        with self.log.open("w") as log:
            self.process = self.field.gateway.popen(
                self.command(), cwd=ROOT, stdout=log, stderr=log,
                env={**os.environ, "PYTHONPATH": str(ROOT), "XDG_RUNTIME_DIR": self.folder.name},
                preexec_fn=cores.pin(self.cores))

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process = None

    def fresh(self) -> None:
        self.stop()
        self.start()
        self.await_ping()

    def through(self) -> bool:
        """Only what the kernel did not forward has a route's way through the gateway: it says when it has begun."""
        return " started " in self.said()

    def spent(self) -> int:
        return cores.spent(self.process.pid) if self.process is not None else 0

    def check(self) -> None:
        if self.process is not None and self.process.poll() is not None:
            raise NotWorking(f"{self.name}: ended with status {self.process.returncode}\n{self.said()}")

    def said(self) -> str:
        return "".join(self.log.read_text().splitlines(keepends=True)[-15:]) if self.log.exists() else ""


class Gateway(UserSpace):
    name, key, module = "this gateway", "gateway", "gateway run"


class Null(UserSpace):
    """The same pump and links around a translator that translates nothing."""

    name, key, module, translates = "null forwarder", "null", "bench.null", False

    def start(self) -> None:
        field.drop(self.field.gateway, "uplink", field.POOL)  # else the kernel would forward what comes back as well
        super().start()

    def fresh(self) -> None:
        pass


class Packet(UserSpace):
    inside, workers, cores = ("packet", "pods"), 1, cores.ANY


class Xdp(UserSpace):
    inside, outside, workers, cores = ("xdp", "pods"), "xdp", 1, cores.ANY


class PacketGateway(Packet, Gateway):
    name, key = "packet both sides", "packet"


class PacketNull(Packet, Null):
    name, key = "null, packet both sides", "packet-null"


class XdpGateway(Xdp, Gateway):
    name, key = "AF_XDP both sides", "xdp"


class XdpNull(Xdp, Null):
    name, key = "null, AF_XDP both sides", "xdp-null"
