"""
   pod-a  192.168.1.2, fd00:192::2 ────┐  br0
                                       │  192.168.1.1, fd00:192::1
   pod-b  192.168.1.3, fd00:192::3 ────┤  ┌─────┐ ┌─────────┐ ┌──────┐            web
                                       ├──┤ br0 ├─┤ gateway ├─┤ eth0 ├── router ── 203.0.113.10
   pod-c  192.168.2.2, fd00:192:2::2 ─┐│  └─────┘ └─────────┘ └──────┘            2001:db8:113::10
                              rack ───┴┘     leaves as 198.51.100.10
                         192.168.1.254             and 2001:db8:e::10
                         fd00:192::fe
"""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType

from gateway.testing.namespaces import Namespace, join
from labs import clients
from labs.lab import Lab
from labs.nat_outgoing import tell_protocols, tell_same_port, tell_throughput
from labs.story import Story
from labs.world import EGRESS, ROUTER, Addresses, Host, World, at, subnetted

RESOURCES = """
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: default-ipv4-ippool}
spec: {cidr: 192.168.0.0/16, natOutgoing: true}
---
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: default-ipv6-ippool}
spec: {cidr: "fd00:192::/32", natOutgoing: true}
---
apiVersion: gateway/v1
kind: Gateway
metadata: {name: node-a}
spec:
  inside: {driver: packet, interface: br0}
  outside: {driver: packet, interface: eth0}
  addresses: [198.51.100.10, "2001:db8:e::10"]
"""
BRIDGE, RACK, RACKED = (("192.168.1.1", "fd00:192::1"), ("192.168.1.254", "fd00:192::fe"),
                        ("192.168.2.1", "fd00:192:2::1"))
PODS: dict[str, Addresses] = {"pod-a": ("192.168.1.2", "fd00:192::2"), "pod-b": ("192.168.1.3", "fd00:192::3"),
                              "pod-c": ("192.168.2.2", "fd00:192:2::2")}
SERVERS = {"web": ("203.0.113.10", "2001:db8:113::10")}


class BridgedWorld(World):
    """Pods on one bridge of the node; pod-c behind `rack`, a router among them."""

    def __enter__(self) -> BridgedWorld:
        with ExitStack() as stack:
            self.rack = stack.enter_context(Namespace("rack"))
            super().__enter__()
            self._leave_rack = stack.pop_all().close
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, trace)
        self._leave_rack()

    def _connect(self) -> None:
        self.node.bridge("br0")
        self.node.address("br0", *subnetted(BRIDGE))
        self._plug(self.rack, "rack", RACK)
        for name in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
            self.rack.sysctl(f"net/{name}", 1)
        for name in ("ipv4/icmp_ratelimit", "ipv6/icmp/ratelimit"):
            self.rack.sysctl(f"net/{name}", 0)
        for via, network in zip(RACK, ("192.168.2.0/24", "fd00:192:2::/64"), strict=True):
            self.node.route(network, via=via)
        super()._connect()

    def _attach_pod(self, pod: Host) -> None:
        if pod.addresses[0].startswith("192.168.2."):
            join(pod.namespace, "eth0", self.rack, pod.name, addresses=(subnetted(pod.addresses), subnetted(RACKED)))
            for address in RACKED:
                pod.namespace.route("default", via=address)
        else:
            self._plug(pod.namespace, pod.name, pod.addresses)

    def _plug(self, namespace: Namespace, port: str, addresses: Addresses) -> None:
        join(namespace, "eth0", self.node, port, addresses=(subnetted(addresses), []))
        self.node.kernel.link("set", index=self.node.index(port), master=self.node.index("br0"))
        for address in BRIDGE:
            namespace.route("default", via=address)


def tell(story: Story) -> None:
    for version in (4, 6):
        story.chapter(f"IPv{version}: every pod leaves as {at(EGRESS, version)}, and gets its answers back")
        tell_protocols(story, version)
        tell_same_port(story, version)
        tell_behind_a_router(story, version)
        tell_route(story, version)
    story.chapter("What is meant for the node itself, the node answers, once")
    tell_node(story)
    tell_throughput(story)


def tell_behind_a_router(story: Story, version: int) -> None:
    pod, web = story["pod-c"], story["web"]
    talk = story.converse("TCP, from behind a router", pod, web, version,
                          lambda where, address: clients.fetch(where, address, 40000))
    story.expect_translated(talk, at(EGRESS, version))


def tell_route(story: Story, version: int) -> None:
    pod, web = story["pod-c"], story["web"]
    hops = clients.trace(pod.namespace, web.address(version))
    story.line("\n", ("traceroute", "cyan"), ": ", " → ".join(hops))
    expected = [at(RACKED, version), at(BRIDGE, version), at(ROUTER, version), web.address(version)]
    story.check("the way is the rack, the gateway, the router and web", hops == expected, f"not {expected}")


def tell_node(story: Story) -> None:
    pod = story["pod-a"].namespace
    for address in BRIDGE:
        said = str(pod.run(["ping", "-n", "-c2", "-i0.2", "-W2", address], check=False).stdout)
        story.line("\n", ("ping", "cyan"), ": ", said.strip().splitlines()[-2] if said else "no answer")
        story.check("every echo has one answer", " 2 received, 0% packet loss" in said, said)


LAB = Lab(
    "bridge", "pods on a bridge, which the gateway reads and writes itself, by packet sockets on both sides",
    __doc__ or "", RESOURCES, lambda: BridgedWorld(PODS, SERVERS), tell,
)
