"""What the host has: interfaces, their MTU and addresses, as text."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_interface

from pyroute2 import IPRoute

from .plan import HostError


@dataclass(frozen=True)
class Interface:
    """addresses: with prefix length, "10.0.0.1/24". mac: "" for a device without one."""

    name: str
    index: int
    mtu: int
    mac: str
    up: bool
    addresses: tuple[str, ...]


def names() -> list[str]:
    with IPRoute() as kernel:
        return sorted(link.get("ifname") for link in kernel.get_links())


def interface(name: str) -> Interface:
    """Raises HostError, naming the interfaces there are."""
    with IPRoute() as kernel:
        for link in kernel.get_links():
            if link.get("ifname") == name:
                return Interface(name, link["index"], link.get("mtu"), link.get("address") or "",
                                 bool(link["flags"] & 1), _addresses(kernel, link["index"]))
    raise HostError(f"there is no interface {name!r} in this network namespace; there are: {', '.join(names())}")


def addresses() -> frozenset[str]:
    """Every address the host answers for itself, without prefix lengths."""
    with IPRoute() as kernel:
        return frozenset(str(ip_interface(text).ip) for text in _addresses(kernel, None))


def _addresses(kernel: IPRoute, index: int | None) -> tuple[str, ...]:
    found = []
    for message in kernel.get_addr():
        if index is None or message["index"] == index:
            own = message.get("local") or message.get("address")  # on a point-to-point link `address` is the peer's
            found.append(f"{own}/{message['prefixlen']}")
    return tuple(found)
