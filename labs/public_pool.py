"""
   pod-public               node-a
   192.0.2.20    ──┐                                            web
   2001:db8:b::20  │    ┌─────┐ ┌─────────┐ ┌──────┐            203.0.113.10
                   ├────┤ TUN ├─┤ gateway ├─┤ eth0 ├── router ── 2001:db8:113::10
   pod-private     │    └─────┘ └─────────┘ └──────┘     │
   192.168.1.2   ──┘       leaves as 198.51.100.10       └ routes 192.0.2.0/24 and
   fd00:192::2                   and 2001:db8:e::10        2001:db8:b::/64 to node-a
"""

from __future__ import annotations

from labs import clients
from labs.lab import Lab
from labs.story import Story
from labs.world import EGRESS, World, at

RESOURCES = """
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: public-ipv4-ippool}
spec: {cidr: 192.0.2.0/24, natOutgoing: false}
---
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: public-ipv6-ippool}
spec: {cidr: "2001:db8:b::/64", natOutgoing: false}
---
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: private-ipv4-ippool}
spec: {cidr: 192.168.0.0/16, natOutgoing: true}
---
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: private-ipv6-ippool}
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
PODS = {"pod-public": ("192.0.2.20", "2001:db8:b::20"), "pod-private": ("192.168.1.2", "fd00:192::2")}
SERVERS = {"web": ("203.0.113.10", "2001:db8:113::10")}
ROUTED = ["192.0.2.0/24", "2001:db8:b::/64"]


def tell(story: Story) -> None:
    for version in (4, 6):
        egress = at(EGRESS, version)
        story.chapter(f"IPv{version}: the public pod is itself, out and in; the private one leaves as {egress}")
        tell_outward(story, version)
        tell_inward(story, version)


def tell_outward(story: Story, version: int) -> None:
    public, private, web, egress = story["pod-public"], story["pod-private"], story["web"], at(EGRESS, version)
    for name, talk in (("TCP", lambda where, address: clients.fetch(where, address, 40000)),
                       ("UDP", lambda where, address: clients.datagram(where, address, 40001))):
        story.expect_untouched(story.converse(f"{name} from the public pod", public, web, version, talk))
        story.expect_translated(story.converse(f"{name} from the private pod", private, web, version, talk), egress)


def tell_inward(story: Story, version: int) -> None:
    """The world may begin a conversation with a public address; a translated pod has none to be called by."""
    public, web = story["pod-public"], story["web"]
    for name, talk in (("TCP from the world", lambda where, address: clients.fetch(where, address, 40000)),
                       ("ping from the world", clients.ping)):
        story.expect_untouched(story.converse(name, web, public, version, talk))
    reached = clients.reachable(web.namespace, at(EGRESS, version))
    story.check("nobody reaches the private pod by calling the egress address", not reached)


LAB = Lab(
    "public-pool", "a pool of routed public addresses is left alone, beside a private one that is translated",
    __doc__ or "", RESOURCES, lambda: World(PODS, SERVERS, ROUTED), tell,
)
