"""
   pod-a                    node-a                              web
   192.168.1.2          ┌─────┐ ┌─────────┐ ┌──────┐            203.0.113.10
   2001:db8:192::2 ─────┤ TUN ├─┤ gateway ├─┤ eth0 ├── router ── 2001:db8:113::10
                        └─────┘ └─────────┘ └──────┘     │
                           natOutgoing: true             └ routes 192.168.0.0/16 and
                           then false, then true           2001:db8:192::/48 to node-a
"""

from __future__ import annotations

import socket
from contextlib import ExitStack

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
spec: {cidr: "2001:db8:192::/48", natOutgoing: true}
---
apiVersion: gateway/v1
kind: Gateway
metadata: {name: node-a}
spec:
  inside: {driver: tun, interface: gw-inside, addresses: [172.16.0.1/32, "2001:db8:16::1/128"]}
  outside: {driver: packet, interface: eth0}
  addresses: [198.51.100.10, "2001:db8:e::10"]
"""
PODS = {"pod-a": ("192.168.1.2", "2001:db8:192::2")}
SERVERS = {"web": ("203.0.113.10", "2001:db8:113::10")}
ROUTED = ["192.168.0.0/16", "2001:db8:192::/48"]
STEPS = (("first", True), ("second", False), ("third", True))


def tell(story: Story) -> None:
    """Three times: change the pool, open a connection, and speak on every connection opened so far."""
    with ExitStack() as stack:
        opened: list[tuple[str, bool, int, socket.socket]] = []
        for name, translated in STEPS:
            story.chapter(f"natOutgoing: {word(translated)}")
            if opened:
                story.gateway.apply(RESOURCES.replace("natOutgoing: true", f"natOutgoing: {word(translated)}"))
            for version in (4, 6):
                for earlier in (one for one in opened if one[2] == version):
                    tell_connection(story, *earlier)
                connection = clients.dial(story["pod-a"].namespace, story["web"].address(version))
                stack.callback(connection.close)
                opened.append((name, translated, version, connection))
                tell_connection(story, *opened[-1])


def tell_connection(story: Story, name: str, translated: bool, version: int, connection: socket.socket) -> None:
    began = f"IPv{version}, {name} connection, begun under natOutgoing: {word(translated)}"
    talk = story.converse(began, story["pod-a"], story["web"], version, lambda where, address: clients.say(connection))
    if translated:
        story.expect_translated(talk, at(EGRESS, version))
    else:
        story.expect_untouched(talk)


def word(value: bool) -> str:
    return "true" if value else "false"


LAB = Lab(
    "pool-switch", "natOutgoing changes under a running gateway: open connections stay as they began",
    __doc__ or "", RESOURCES, lambda: World(PODS, SERVERS, ROUTED), tell,
)
