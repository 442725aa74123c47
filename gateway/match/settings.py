"""What the operator set, as the packet path reads it: addresses as words, times in nanoseconds.

Every default here is the default of the Gateway resource (`docs/behaviour.md` gives the sources).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

SECOND = 1_000_000_000
Address = tuple[int, int]  # (high, low), see wire.address


def port_block(port: int) -> int:
    """The block that an external port is in when ports are dealt out among workers, see `nat.shares`."""
    return port >> 4 if port < 1024 else port >> 6


class Scope(IntEnum):
    """How far a mapping or a filter looks at the remote endpoint (RFC 4787 sections 4.1 and 5)."""

    ENDPOINT_INDEPENDENT = 0
    ADDRESS_DEPENDENT = 1
    ADDRESS_AND_PORT_DEPENDENT = 2


class Midstream(IntEnum):
    """TCP without a flow and without SYN."""

    DROP = 0
    RESET = 1
    ADOPT = 2


class Clamp(IntEnum):
    """MSS clamping; any number above AUTO is the MSS itself."""

    OFF = 0
    AUTO = 1


@dataclass(frozen=True)
class Ports:
    """External ports of one protocol. `classes`: a well-known port stays below 1024, others in the range."""

    lowest: int = 1024
    highest: int = 65535
    classes: bool = True  # false when the operator gave the range: then it holds for every port
    excluded: frozenset[int] = frozenset()  # what the gateway's host listens on


@dataclass(frozen=True)
class Timeouts:
    tcp_established: int = 7440 * SECOND
    tcp_opening: int = 240 * SECOND
    tcp_closing: int = 240 * SECOND
    tcp_inbound_syn: int = 6 * SECOND
    udp: int = 300 * SECOND
    icmp: int = 60 * SECOND
    other: int = 600 * SECOND
    fragment: int = 15 * SECOND


@dataclass(frozen=True)
class Limits:
    flows: int = 262_144  # read once, at start
    flows_per_source: int = 0
    ports_per_source: int = 0
    new_flows_per_second_per_source: int = 0
    fragments_held: int = 1024
    icmp_errors_per_second: int = 1000


@dataclass(frozen=True)
class SideSettings:
    mtu: int = 1500
    addresses: tuple[Address, ...] = ()  # the gateway's own there: errors come from them, ping is answered


@dataclass(frozen=True)
class Settings:
    inside: SideSettings = SideSettings()
    outside: SideSettings = SideSettings()
    egress4: tuple[Address, ...] = ()
    egress6: tuple[Address, ...] = ()
    shared: frozenset[Address] = frozenset()  # egress addresses that the host has as well
    tcp_ports: Ports = Ports()
    udp_ports: Ports = Ports()
    icmp_ports: Ports = Ports()  # identifiers
    tcp_mapping: Scope = Scope.ADDRESS_AND_PORT_DEPENDENT
    udp_mapping: Scope = Scope.ENDPOINT_INDEPENDENT
    tcp_filtering: Scope = Scope.ADDRESS_AND_PORT_DEPENDENT
    udp_filtering: Scope = Scope.ADDRESS_AND_PORT_DEPENDENT
    port_preservation: bool = True
    hairpinning: bool = True
    reject_exhausted: bool = True
    midstream: Midstream = Midstream.DROP
    mss_clamp: int = Clamp.AUTO
    inbound_refresh: bool = False
    outside_filtered: bool = False  # FelixConfiguration.iptablesNATOutgoingInterfaceFilter excludes the outside
    records_remote: bool = False  # whether events name remote endpoints (RFC 6888 section 4 would rather not)
    timeouts: Timeouts = field(default_factory=Timeouts)
    limits: Limits = field(default_factory=Limits)
