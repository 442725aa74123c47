"""The egress addresses: the neighbours are told where they live, and the host's own stack never sees their packets.

An address the host does not own: a route to it by another device and a proxy entry, which together make the
kernel answer ARP and ND for it. One the host owns is shared: only the gateway's ports of it are taken.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable
from contextlib import suppress
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

from pyroute2.netlink.exceptions import NetlinkError

from . import nftables
from .changes import NTF_PROXY, Changes, index, read_setting
from .interfaces import Interface
from .nftables import ACCEPT, DROP, Chain, Rule
from .plan import HostError, Plan
from .ports import Range, without

TCP, UDP = 6, 17
VLAN_TAGS = (0x8100, 0x88A8)
GROUPS = ("224.0.0.0/4", "255.255.255.255/32", "ff00::/8")
ALL_NODES = "ff02::1"
NO_CHECKSUM = 0


def answer(changes: Changes, plan: Plan, dedicated: Iterable[str]) -> None:
    """Have the kernel answer ARP and ND for the addresses on the outside interface. Needs forwarding to be on."""
    versions = set()
    for text in dedicated:
        versions.add(ip_address(text).version)
        changes.route(plan.inside_interface, **_elsewhere(text))
        changes.proxy(plan.outside_interface, text)
    if 4 in versions:
        changes.setting(f"ipv4/neigh/{plan.outside_interface}/proxy_delay", 0)
    if 6 in versions:
        changes.setting(f"ipv6/neigh/{plan.outside_interface}/proxy_delay", 0)
        # Solicitations sent to the address itself, to confirm it, are looked at by "all" alone before Linux 6.
        for name in ("all", plan.outside_interface):
            if read_setting(f"ipv6/conf/{name}/proxy_ndp") is not None:
                changes.setting(f"ipv6/conf/{name}/proxy_ndp", 1)


def answer_still(changes: Changes, plan: Plan, dedicated: Iterable[str]) -> None:
    """The kernel forgets whom to answer for when an interface goes down; say it again, which is no harm otherwise."""
    with suppress(OSError, HostError):
        outside = index(changes.kernel, plan.outside_interface)
        inside = index(changes.kernel, plan.inside_interface)
        for text in dedicated:
            with suppress(NetlinkError):
                changes.kernel.neigh("add", ifindex=outside, dst=text, flags=NTF_PROXY)
            with suppress(NetlinkError):
                changes.kernel.route("add", oif=inside, **_elsewhere(text))


Taken = tuple[bool, str, bool]  # whether the source counts, not the destination; its network; whether it is taken


def outside_chain(plan: Plan, own: Iterable[str], shared: Iterable[str], taken: Iterable[Range]) -> Chain:
    """What the gateway takes at the outside interface. own: the host's addresses; taken: ports of shared ones that
    are not the gateway's."""
    rules = [Rule(nftables.tagged(kind), ACCEPT) for kind in VLAN_TAGS]
    rules.append(Rule(nftables.neighbour_discovery(), ACCEPT))
    rules += _shared_ports(plan, shared, taken)
    return Chain(plan.outside_interface, [*rules, *map(_rule, taken_outside(plan, own))])


def inside_chain(plan: Plan, own: Iterable[str], shared: Iterable[str], taken: Iterable[Range]) -> Chain:
    """What the gateway takes at a packet inside: all that comes from the pods and is not meant for the host.

    To a shared address it may be meant for another pod (RFC 4787 REQ-9), by the ports as at the outside.
    """
    rules = [Rule(nftables.tagged(kind), ACCEPT) for kind in VLAN_TAGS]
    rules.append(Rule(nftables.neighbour_discovery(), ACCEPT))
    rules += _shared_ports(plan, shared, taken)
    return Chain(plan.inside_interface, [*rules, *map(_rule, taken_inside(plan, own))])


def taken_outside(plan: Plan, own: Iterable[str]) -> list[Taken]:
    """By addresses alone: the dedicated egress addresses, and the pods' but for the host's own among them."""
    pods = [ip_network(cidr, strict=False) for cidr in plan.inside_cidrs]
    return [*((False, address, True) for address in plan.egress_addresses if address not in own),
            *((False, address, False) for address in sorted(own)
              if any(ip_address(address) in network for network in pods)),
            *((False, str(network), True) for network in pods)]


def taken_inside(plan: Plan, own: Iterable[str]) -> list[Taken]:
    """By addresses alone: what pods send, but to the host itself and to groups."""
    return [*((False, cidr, False) for cidr in GROUPS), *((False, address, False) for address in sorted(own)),
            *((True, cidr, True) for cidr in plan.inside_cidrs)]


def _shared_ports(plan: Plan, shared: Iterable[str], taken: Iterable[Range]) -> list[Rule]:
    """Of addresses that the host owns too: the gateway's ports."""
    return [Rule((*nftables.network(_host(address)), *nftables.protocol(number), *nftables.destination_port(*ports)),
                 DROP)
            for address in sorted(shared) for number in (TCP, UDP) for ports in without(plan.port_range, taken)]


def announce(outside: Interface, dedicated: Iterable[str]) -> None:
    """Gratuitous ARP and unsolicited neighbour advertisements: an address that moved here is reached at once."""
    mac = bytes.fromhex(outside.mac.replace(":", ""))
    if len(mac) != 6:
        return
    with suppress(OSError), socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as opened:  # a courtesy, no more
        opened.bind((outside.name, 0))
        for text in dedicated:
            opened.send(_advertisement(text, mac) if ":" in text else _gratuitous(text, mac))


def _gratuitous(address: str, mac: bytes) -> bytes:
    own = ip_address(address).packed
    return (b"\xff" * 6 + mac + b"\x08\x06" + struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1)
            + mac + own + bytes(6) + own)


def _advertisement(address: str, mac: bytes) -> bytes:
    """RFC 4861 4.4, override set, to all nodes."""
    own, everyone = ip_address(address).packed, ip_address(ALL_NODES).packed
    body = struct.pack("!BBHI", 136, 0, NO_CHECKSUM, 0x20000000) + own + b"\x02\x01" + mac
    pseudo = own + everyone + struct.pack("!II", len(body), 58)
    total = sum(struct.unpack(f"!{(len(pseudo) + len(body)) // 2}H", pseudo + body))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    body = body[:2] + struct.pack("!H", ~total & 0xFFFF) + body[4:]
    header = struct.pack("!IHBB", 6 << 28, len(body), 58, 255) + own + everyone
    return b"\x33\x33\x00\x00\x00\x01" + mac + b"\x86\xdd" + header + body


def _elsewhere(address: str) -> dict[str, Any]:
    """The route that makes the kernel answer for an address on another interface than the route's."""
    parsed = ip_address(address)
    return {"family": socket.AF_INET6 if parsed.version == 6 else socket.AF_INET,
            "dst": f"{address}/{parsed.max_prefixlen}"}


def _rule(taken: Taken) -> Rule:
    source, network, drop = taken
    return Rule(nftables.network(ip_network(network, strict=False), source), DROP if drop else ACCEPT)


def _host(address: str) -> IPv4Network | IPv6Network:
    return ip_network(address)
