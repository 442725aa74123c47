"""The network that the tools run in: a pod, the gateway, two routers, and a server with two addresses.

    pod ── node-a: TUN, gateway, eth0 ── router ── transit ── web

The link between the two routers is the one that shrinks. The server's second address is what STUN's behaviour
discovery asks for (RFC 5780).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from gateway.testing.namespaces import Namespace, join
from labs.behaviour.report import ENVIRONMENT
from labs.running import RunningGateway
from labs.servers import Server
from labs.world import Host, World, subnetted

POD = ("192.168.1.2", "fd00:192::2")
THIRD = "192.168.1.9"  # another address of the pod's
TRANSIT = ("192.0.2.2", "2001:db8:2::2")
BEYOND = ("203.0.113.1", "2001:db8:113::1")
WEB = ("203.0.113.10", "2001:db8:113::10")
SECOND = ("203.0.113.11", "2001:db8:113::11")
NETWORKS = ("203.0.113.0/24", "2001:db8:113::/64")
RESOURCES = """
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {{name: default-ipv4-ippool}}
spec: {{cidr: 192.168.0.0/16, natOutgoing: true}}
---
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {{name: default-ipv6-ippool}}
spec: {{cidr: "fd00:192::/48", natOutgoing: true}}
---
apiVersion: gateway/v1
kind: Gateway
metadata: {{name: node-a}}
spec:
  inside: {{driver: tun, interface: gw-inside, addresses: [172.16.0.1/32, "2001:db8:16::1/128"]}}
  outside: {{driver: packet, interface: eth0}}
  addresses: [198.51.100.10, "2001:db8:e::10"]
  nat:
    mapping: {{udp: {mapping}}}
    filtering: {{udp: {filtering}}}
"""
ENDPOINT, ADDRESS, PORT = "EndpointIndependent", "AddressDependent", "AddressAndPortDependent"


def resources(mapping: str = ENDPOINT, filtering: str = PORT) -> str:
    """What the gateway is told; without arguments what it does when told nothing."""
    return RESOURCES.format(mapping=mapping, filtering=filtering)


@dataclass(frozen=True)
class Ground:
    world: World
    gateway: RunningGateway
    transit: Namespace
    web: Host

    @property
    def pod(self) -> Host:
        return self.world.hosts["pod"]

    @property
    def router(self) -> Namespace:
        return self.world.router

    def narrow(self, mtu: int) -> None:
        """The link between the routers takes packets of `mtu` bytes from now on, both ways."""
        for namespace, interface in ((self.router, "transit"), (self.transit, "eth0")):
            namespace.run(f"ip link set {interface} mtu {mtu}", env=ENVIRONMENT)


@contextmanager
def ground(told: str | None = None) -> Iterator[Ground]:
    """The network with its gateway running, taken down at the end."""
    with World({"pod": POD}, {"transit": TRANSIT}) as world, Namespace("web") as web:
        transit = world.hosts["transit"].namespace
        _extend(world, transit, web)
        server = Server(web)
        try:
            with RunningGateway(world.node, told or resources()) as gateway:
                yield Ground(world, gateway, transit, Host("web", web, WEB))
        finally:
            server.close()


def _extend(world: World, transit: Namespace, web: Namespace) -> None:
    """What World has for a server is the second router; the server stands behind it. The pod gets a third address."""
    world.hosts["pod"].namespace.address("eth0", f"{THIRD}/32")
    world.node.route(f"{THIRD}/32", interface="cali-pod")
    first, second = subnetted(WEB), subnetted(SECOND)
    ordered = [first[0], second[0], second[1], first[1]]  # it speaks by its oldest IPv4 and its newest IPv6 address
    join(web, "eth0", transit, "web", addresses=(ordered, subnetted(BEYOND)))
    transit.sysctl("net/ipv4/ip_forward", 1)
    transit.sysctl("net/ipv6/conf/all/forwarding", 1)
    web.sysctl("net/ipv4/icmp_ratelimit", 0)
    web.sysctl("net/ipv6/icmp/ratelimit", 0)
    for address, via, network in zip(BEYOND, TRANSIT, NETWORKS, strict=True):
        web.route("default", via=address)
        world.router.route(network, via=via)
