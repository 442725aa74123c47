"""The Gateway's settings as the packet path reads them: addresses as words, names as numbers."""

from __future__ import annotations

from collections.abc import Mapping

from ..match.settings import Clamp, Limits, Midstream, Ports, Scope, Settings, SideSettings, Timeouts
from ..wire.address import words
from .clashes import LEAST_MTU_V6
from .fields import Address, PortPair
from .kinds import gateway
from .resources import Resources

SCOPES = {"EndpointIndependent": Scope.ENDPOINT_INDEPENDENT, "AddressDependent": Scope.ADDRESS_DEPENDENT,
          "AddressAndPortDependent": Scope.ADDRESS_AND_PORT_DEPENDENT}
MIDSTREAM = {"Drop": Midstream.DROP, "Reset": Midstream.RESET, "Adopt": Midstream.ADOPT}
MTU_MAX = 65_535
CLAMP = {"Auto": int(Clamp.AUTO), "Off": int(Clamp.OFF)}


def settings(resources: Resources, inside: list[Address], outside: list[Address], egress: list[Address],
             shared: set[Address], listening: Mapping[str, frozenset[int]], carried: tuple[int, int]) -> Settings:
    spec, nat = resources.gateway.spec, resources.gateway.spec.nat
    least = LEAST_MTU_V6 if any(one.version == 6 for one in egress) else 0
    return Settings(
        inside=SideSettings(min(spec.inside.mtu, max(carried[0], least)), tuple(words(one) for one in inside)),
        outside=SideSettings(min(spec.outside.mtu, max(carried[1], least)), tuple(words(one) for one in outside)),
        egress4=tuple(words(one) for one in egress if one.version == 4),
        egress6=tuple(words(one) for one in egress if one.version == 6),
        shared=frozenset(words(one) for one in shared),
        tcp_ports=ports(resources.nat_ports, listening.get("tcp", frozenset())),
        udp_ports=ports(resources.nat_ports, listening.get("udp", frozenset())),
        icmp_ports=ports(nat.given_range, frozenset()),
        tcp_mapping=SCOPES[nat.mapping.tcp], udp_mapping=SCOPES[nat.mapping.udp],
        tcp_filtering=SCOPES[nat.filtering.tcp], udp_filtering=SCOPES[nat.filtering.udp],
        port_preservation=nat.port_preservation,
        hairpinning=nat.hairpinning,
        reject_exhausted=nat.on_exhaustion == "Reject",
        midstream=MIDSTREAM[nat.midstream],
        mss_clamp=CLAMP[nat.mss_clamping] if isinstance(nat.mss_clamping, str) else nat.mss_clamping,
        inbound_refresh=nat.inbound_refresh,
        outside_filtered=filtered(resources.felix.interface_filter or "", resources.gateway.interfaces[1]),
        records_remote=spec.records.remote,
        timeouts=timeouts(spec.timeouts),
        limits=Limits(**spec.limits.model_dump()),
    )


def ports(given: PortPair | None, listening: frozenset[int]) -> Ports:
    """Port 0 is never allocated."""
    if not given:
        return Ports(excluded=listening)
    return Ports(max(given[0], 1), given[1], classes=False, excluded=listening)


def timeouts(given: gateway.Timeouts) -> Timeouts:
    return Timeouts(
        tcp_established=given.tcp_established,
        tcp_opening=given.tcp_opening or given.tcp_transitory,
        tcp_closing=given.tcp_closing or given.tcp_transitory,
        tcp_inbound_syn=given.tcp_inbound_syn,
        udp=given.udp, icmp=given.icmp, other=given.other, fragment=given.fragment,
    )


def filtered(wanted: str, interface: str) -> bool:
    """Whether Calico would not translate on this interface. + stands for any end of a name, as in iptables.

    An outside without a name (memory) is never filtered out: what is in doubt is translated.
    """
    if not wanted or not interface:
        return False
    return not interface.startswith(wanted[:-1]) if wanted.endswith("+") else interface != wanted
