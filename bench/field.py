"""Where measurements on links take place: pod -- gateway -- server, three network namespaces joined by veth, routed.

    pod 192.168.1.2 --- pods [gateway] uplink --- 198.51.100.2 server (and 203.0.113.0/28, and two sinks)

The server has no route to the pods, so that what is not translated gets no answer; a data path that does not
translate asks for one (`expose`).
"""

from __future__ import annotations

import socket
import struct
import time
from contextlib import ExitStack
from ipaddress import ip_network
from pathlib import Path
from types import TracebackType

from gateway.host import nftables
from gateway.testing.namespaces import Namespace, join

POD, POD_ROUTER = "192.168.1.2", "192.168.1.1"
POOL = "192.168.0.0/16"
SERVER, UPLINK = "198.51.100.2", "198.51.100.1"
EGRESS = [f"198.51.100.{host}" for host in range(10, 34)]  # ports for 1.5 million flows
SERVICE, SERVICES = "203.0.113.0", 16  # addresses the server answers on
SINK = "203.0.113.129"  # what comes for it is counted on the interface and thrown away
SINK_MANY = "203.0.113.130"  # the same; the kernel's NAT uses all EGRESS addresses towards it
SINK_PORT = 9
ETH_P_ALL, ETH_P_IP = 0x0003, 0x0800


class Field:
    """The namespaces of one data path. Everything goes with them: interfaces, routes, rules, processes."""

    def __init__(self, name: str, joined: bool = True) -> None:
        """joined: whether the pod has its veth; else the data path brings the pod's interface, eth0, itself."""
        self.joined = joined
        self.pod, self.gateway, self.server = (
            Namespace(f"bench-{name}-{part}") for part in ("pod", "gateway", "server"))
        self._stack = ExitStack()

    def __enter__(self) -> Field:
        with ExitStack() as stack:
            for namespace in (self.server, self.pod, self.gateway):  # the gateway's processes end first
                stack.enter_context(namespace)
            self._join()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def _join(self) -> None:
        for namespace in (self.pod, self.server):
            namespace.sysctl("net/ipv6/conf/default/disable_ipv6", 1)  # no chatter
        for name in ("default", "all"):
            self.gateway.sysctl(f"net/ipv4/conf/{name}/rp_filter", 0)
        join(self.gateway, "uplink", self.server, "eth0", addresses=([f"{UPLINK}/24"], [f"{SERVER}/24"]))
        self.gateway.route("default", via=SERVER)
        self.pod.sysctl("net/ipv4/ip_local_port_range", "1024 65535")
        self.pod.sysctl("net/ipv4/tcp_syn_retries", 1)
        if self.joined:
            self._join_pod()
        self._serve()

    def _join_pod(self) -> None:
        join(self.pod, "eth0", self.gateway, "pods", addresses=([f"{POD}/24"], [f"{POD_ROUTER}/24"]))
        self.pod.route("default", via=POD_ROUTER)
        self.gateway.route(POOL, via=POD)
        self.gateway.sysctl("net/ipv4/ip_forward", 1)

    def _serve(self) -> None:
        routes = self.server.kernel
        routes.route("add", dst=f"{SERVICE}/28", type="local", table=255, oif=self.server.index("lo"), scope="host")
        drop(self.server, "eth0", SINK, SINK_MANY)

    def expose(self) -> None:
        """Give the server a route to the pods."""
        self.server.route(POOL, via=UPLINK)

    def received(self) -> int:
        """Packets the server's interface has received."""
        return counters(self.server, "eth0")[1]

    def listen(self) -> Sampler:
        return Sampler(self.server)


def drop(namespace: Namespace, interface: str, *destinations: str) -> None:
    """Throw away what comes for these addresses or networks, before anyone spends time on it."""
    rules = [nftables.Rule(nftables.network(ip_network(one)), nftables.DROP) for one in destinations]
    with namespace.enter():
        nftables.install("bench", [nftables.Chain(interface, rules)])


def counters(namespace: Namespace, interface: str) -> list[int]:
    """An interface's row of /proc/net/dev: received bytes at 0, packets at 1; sent bytes at 8, packets at 9."""
    with namespace.enter():
        lines = Path("/proc/thread-self/net/dev").read_text().splitlines()
    rows = (line.partition(":") for line in lines)
    return next(([int(one) for one in row.split()] for name, _, row in rows if name.strip() == interface), [0] * 16)


class Sampler:
    """Reads source addresses off the server's interface. It slows the interface down: close it before measuring."""

    def __init__(self, namespace: Namespace) -> None:
        with namespace.enter():
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
        self.socket.bind(("eth0", ETH_P_ALL))  # ETH_P_IP would come after the ingress drop

    def sources(self, protocol: int, seconds: float, enough: int = 200) -> set[str]:
        """The sources of up to `enough` packets of an IP protocol that the server received. Closes the sampler."""
        found: list[str] = []
        end = time.monotonic() + seconds
        with self.socket:
            while len(found) < enough and (left := end - time.monotonic()) > 0:
                self.socket.settimeout(left)
                try:
                    packet, where = self.socket.recvfrom(64)
                except TimeoutError:
                    break
                if where[1] == ETH_P_IP and where[2] != socket.PACKET_OUTGOING and packet[9] == protocol:
                    found.append(socket.inet_ntoa(struct.unpack_from("4s", packet, 12)[0]))
        return set(found)
