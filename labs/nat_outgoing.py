"""
   pod-a                    node-a
   192.168.1.2   ──┐                                            web
   fd00:192::2     │    ┌─────┐ ┌─────────┐ ┌──────┐            203.0.113.10
                   ├────┤ TUN ├─┤ gateway ├─┤ eth0 ├── router ── 2001:db8:113::10
   pod-b           │    └─────┘ └─────────┘ └──────┘
   192.168.1.3   ──┘       leaves as 198.51.100.10
   fd00:192::3                   and 2001:db8:e::10
"""

from __future__ import annotations

import contextlib

from labs import clients
from labs.lab import Lab
from labs.story import Story
from labs.world import EGRESS, GATEWAY, ROUTER, World, at

RESOURCES = """
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: default-ipv4-ippool}
spec: {cidr: 192.168.0.0/16, natOutgoing: true}
---
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: default-ipv6-ippool}
spec: {cidr: "fd00:192::/48", natOutgoing: true}
---
apiVersion: gateway/v1
kind: Gateway
metadata: {name: node-a}
spec:
  inside: {driver: tun, interface: gw-inside, addresses: [172.16.0.1/32, "2001:db8:16::1/128"]}
  outside: {driver: packet, interface: eth0}
  addresses: [198.51.100.10, "2001:db8:e::10"]
"""
PODS = {"pod-a": ("192.168.1.2", "fd00:192::2"), "pod-b": ("192.168.1.3", "fd00:192::3")}
SERVERS = {"web": ("203.0.113.10", "2001:db8:113::10")}


def tell(story: Story) -> None:
    for version in (4, 6):
        story.chapter(f"IPv{version}: every pod leaves as {at(EGRESS, version)}, and gets its answers back")
        tell_protocols(story, version)
        tell_same_port(story, version)
        tell_route(story, version)
    tell_throughput(story)


def tell_protocols(story: Story, version: int) -> None:
    pod, web, egress = story["pod-a"], story["web"], at(EGRESS, version)
    ways = {"TCP": lambda where, address: clients.fetch(where, address, 40000),
            "UDP": lambda where, address: clients.datagram(where, address, 40001),
            "ping": clients.ping}
    for name, talk in ways.items():
        story.expect_translated(story.converse(name, pod, web, version, talk), egress)


def tell_same_port(story: Story, version: int) -> None:
    """Two pods may use one source port towards one server; outside, they must not."""
    first, second, web, egress = story["pod-a"], story["pod-b"], story["web"], at(EGRESS, version)
    with contextlib.closing(clients.dial(first.namespace, web.address(version), 40002)) as held:
        before = clients.say(held)
        talk = story.converse("TCP, from a port that pod-a is using too", second, web, version,
                              lambda where, address: clients.fetch(where, address, 40002))
        story.expect_translated(talk, egress)
        story.check("web can tell the two pods apart: the port is another", talk.said != before, f"both are {before}")


def tell_route(story: Story, version: int) -> None:
    pod, web = story["pod-a"], story["web"]
    hops = clients.trace(pod.namespace, web.address(version))
    story.line("\n", ("traceroute", "cyan"), ": ", " → ".join(hops))
    expected = [at(GATEWAY, version), at(ROUTER, version), web.address(version)]
    story.check("after the node come the gateway, the router and web", hops[-3:] == expected, f"not {expected}")


def tell_throughput(story: Story) -> None:
    pod, web = story["pod-a"], story["web"]
    rates = clients.throughput(pod.namespace, web.namespace, web.address(4))
    if rates is not None:
        story.line("\n", ("iperf3", "cyan"), f": one TCP stream, {rates[0]:.1f} Gb/s out, {rates[1]:.1f} Gb/s back")
        story.check("bulk data flows both ways", min(rates) > 0)


LAB = Lab(
    "nat-outgoing", "pods leave with the gateway's address, because their pools say natOutgoing",
    __doc__ or "", RESOURCES, lambda: World(PODS, SERVERS), tell,
)
