"""The network of every lab: pods on a node, the node's uplink to a router, servers behind the router.

Pods are attached as Calico attaches them: an address without a subnet, the default route to 169.254.1.1 and
fe80::1 on the node's end of the veth, and one route a pod on the node. The router knows the uplink's subnet
and the servers; it knows the pods' addresses only where a lab says so (`routed`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from ipaddress import ip_interface
from types import TracebackType

from gateway.testing.namespaces import Namespace, join
from labs.servers import Server

NODE = ("198.51.100.2", "2001:db8:e::2")
EGRESS = ("198.51.100.10", "2001:db8:e::10")
ROUTER = ("198.51.100.1", "2001:db8:e::1")
GATEWAY = ("172.16.0.1", "2001:db8:16::1")  # on the pods' side: who answers traceroute
PREFIXES = (24, 64)
POD_ROUTER = ("169.254.1.1", "fe80::1")
SCOPE_LINK = 253
Addresses = tuple[str, str]


def at(addresses: Addresses, version: int) -> str:
    return addresses[0] if version == 4 else addresses[1]


@dataclass(frozen=True)
class Host:
    """A pod or a server: its name, its namespace, its IPv4 and IPv6 address."""

    name: str
    namespace: Namespace
    addresses: Addresses

    def address(self, version: int) -> str:
        return at(self.addresses, version)


@dataclass
class World:
    """Made on entering, gone on leaving. `hosts` holds pods and servers by name."""

    pods: Mapping[str, Addresses]
    servers: Mapping[str, Addresses]
    routed: Iterable[str] = ()
    hosts: dict[str, Host] = field(default_factory=dict)

    def __enter__(self) -> World:
        with ExitStack() as stack:
            self.node, self.router = (stack.enter_context(Namespace(name)) for name in ("node-a", "router"))
            for name, addresses in {**self.pods, **self.servers}.items():
                self.hosts[name] = Host(name, stack.enter_context(Namespace(name)), addresses)
            self._connect()
            for host in self.hosts.values():
                stack.callback(Server(host.namespace).close)
            self._leave = stack.pop_all().close
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None,
    ) -> None:
        self._leave()

    @property
    def namespaces(self) -> dict[str, Namespace]:
        hosts = {host.name: host.namespace for host in self.hosts.values()}
        return {"node-a": self.node, "router": self.router, **hosts}

    def _connect(self) -> None:
        for namespace in self.namespaces.values():  # traceroute needs every hop's error, at once
            namespace.sysctl("net/ipv4/icmp_ratelimit", 0)
            namespace.sysctl("net/ipv6/icmp/ratelimit", 0)
        for forwarder in (self.node, self.router):
            forwarder.sysctl("net/ipv4/ip_forward", 1)
            forwarder.sysctl("net/ipv6/conf/all/forwarding", 1)
        join(self.node, "eth0", self.router, "node-a", addresses=(subnetted(NODE), subnetted(ROUTER)))
        for address in ROUTER:
            self.node.route("default", via=address)
        for name in self.pods:
            self._attach_pod(self.hosts[name])
        for name in self.servers:
            self._attach_server(self.hosts[name])
        for network in self.routed:
            self.router.route(network, via=NODE[":" in network])

    def _attach_pod(self, pod: Host) -> None:
        veth = f"cali-{pod.name.removeprefix('pod-')}"
        alone = subnetted(pod.addresses, (32, 128))
        join(pod.namespace, "eth0", self.node, veth, addresses=(alone, [f"{POD_ROUTER[1]}/64"]))
        self.node.kernel.addr("add", index=self.node.index(veth), address=POD_ROUTER[0], prefixlen=32, scope=SCOPE_LINK)
        pod.namespace.kernel.route("add", dst=f"{POD_ROUTER[0]}/32", oif=pod.namespace.index("eth0"), scope=SCOPE_LINK)
        for router in POD_ROUTER:
            pod.namespace.route("default", via=router, interface="eth0")
        for network in alone:
            self.node.route(network, interface=veth)

    def _attach_server(self, server: Host) -> None:
        theirs = subnetted(server.addresses)
        ours = [str(ip_interface(text).network.network_address + 1) for text in theirs]
        join(server.namespace, "eth0", self.router, server.name, addresses=(theirs, subnetted(ours)))
        for address in ours:
            server.namespace.route("default", via=address)


def subnetted(addresses: Sequence[str], lengths: tuple[int, int] = PREFIXES) -> list[str]:
    return [f"{address}/{length}" for address, length in zip(addresses, lengths, strict=True)]
