"""
                            node-a                              ┌─ web
   pod-a                ┌─────┐ ┌─────────┐ ┌──────┐            │  203.0.113.10, 2001:db8:113::10
   192.168.1.2   ───────┤ TUN ├─┤ gateway ├─┤ eth0 ├── router ──┤
   fd00:192::2          └─────┘ └─────────┘ └──────┘            │  10.1.2.3, fd10:1:2::3
                           leaves as 198.51.100.10              └─ office
                                 and 2001:db8:e::10                10/8 knows the way back to the pods
                           but to 10/8 and fd10::/16 as itself
"""

from __future__ import annotations

from labs import clients
from labs.lab import Lab
from labs.story import Story
from labs.world import EGRESS, World, at

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
# Disabled: no pod gets an address from it. Yet it is a pool, and pools are not translated towards.
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: no-nat-10.0.0.0-8}
spec: {cidr: 10.0.0.0/8, disabled: true}
---
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: no-nat-fd10}
spec: {cidr: "fd10::/16", disabled: true}
---
apiVersion: gateway/v1
kind: Gateway
metadata: {name: node-a}
spec:
  inside: {driver: tun, interface: gw-inside, addresses: [172.16.0.1/32, "2001:db8:16::1/128"]}
  outside: {driver: packet, interface: eth0}
  addresses: [198.51.100.10, "2001:db8:e::10"]
"""
PODS = {"pod-a": ("192.168.1.2", "fd00:192::2")}
SERVERS = {"web": ("203.0.113.10", "2001:db8:113::10"), "office": ("10.1.2.3", "fd10:1:2::3")}
ROUTED = ["192.168.0.0/16", "fd00:192::/48"]


def tell(story: Story) -> None:
    for version in (4, 6):
        story.chapter(f"IPv{version}: to the world as {at(EGRESS, version)}, to the office as itself")
        tell_pair(story, version, "TCP", lambda where, address: clients.fetch(where, address, 40000))
        tell_pair(story, version, "UDP", lambda where, address: clients.datagram(where, address, 40001))
        tell_pair(story, version, "ping", clients.ping)


def tell_pair(story: Story, version: int, name: str, talk: clients.Talk) -> None:
    """The same client, the same port: only the destination's pool decides."""
    pod, web, office = story["pod-a"], story["web"], story["office"]
    story.expect_translated(story.converse(f"{name} to web", pod, web, version, talk), at(EGRESS, version))
    story.expect_untouched(story.converse(f"{name} to office", pod, office, version, talk))


LAB = Lab(
    "no-nat-ranges", "a disabled pool marks destinations that see the pods' own addresses",
    __doc__ or "", RESOURCES, lambda: World(PODS, SERVERS, ROUTED), tell,
)
