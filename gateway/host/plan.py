"""What is asked of the host: plain values, taken from the resources by the runtime."""

from __future__ import annotations

from dataclasses import dataclass

ON_INTERFACES = ("packet", "xdp")  # drivers


class HostError(Exception):
    """The host refused or lacks something: says what, and what to do. Nothing stays changed."""


@dataclass(frozen=True)
class Plan:
    """Addresses and CIDRs are text, either family. Ports are inclusive ranges.

    inside_driver, outside_driver: "tun", "packet", "xdp" or "memory" (nothing is done for a memory side).
    inside_addresses: the gateway's own on the inside, with prefix length; given to that interface if it lacks them.
    inside_cidrs: what comes from there is captured (tun) or withheld from the host's own forwarding (packet).
    captured_interfaces: also what comes in there is captured, whatever its source.
    egress_addresses: those the host owns itself are shared with it, port by port; the others become the gateway's.
    """

    name: str
    inside_interface: str
    outside_interface: str
    inside_driver: str = "tun"
    outside_driver: str = "packet"
    inside_mtu: int = 1500
    inside_addresses: tuple[str, ...] = ()
    inside_cidrs: tuple[str, ...] = ()
    captured_interfaces: tuple[str, ...] = ()
    egress_addresses: tuple[str, ...] = ()
    port_range: tuple[int, int] = (1024, 65535)

    @property
    def inside_there(self) -> bool:
        """Whether the inside is an interface of the host's, not one of the gateway's making."""
        return self.inside_driver in ON_INTERFACES

    @property
    def outside_there(self) -> bool:
        return self.outside_driver in ON_INTERFACES
