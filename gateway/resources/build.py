"""Resources to the tables that packets are looked up in: one AddressSet for each CIDR they mention, and Settings."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from ipaddress import ip_address, ip_interface, ip_network

from ..match import decision
from ..match.ruleset import AddressSet, Ruleset
from ..wire.address import words
from .fields import Address, Interface, Network
from .kinds.ippool import IPPool
from .reserved import RESERVED
from .resources import Resources
from .tuning import MTU_MAX, settings


def build(resources: Resources, *, shared: Collection[str] = frozenset(), inside: Iterable[str] = (),
          outside: Iterable[str] = (), listening: Mapping[str, frozenset[int]] | None = None,
          carried: tuple[int, int] = (MTU_MAX, MTU_MAX)) -> Ruleset:
    """The rules that resources make. What only the host knows comes beside them, as text:

    shared: egress addresses that the host has as well. inside, outside: addresses that the interfaces have, used where
    the Gateway gives none for that side. listening: ports that the host listens on, by "tcp" and "udp".
    carried: MTUs of the interfaces, by side: less than the Gateway says counts.
    """
    spec = resources.gateway.spec
    inside, outside = tuple(inside), tuple(outside)
    own_inside = own_addresses([one.ip for one in spec.inside.addresses], inside)
    own_outside = own_addresses([one.ip for one in spec.outside.addresses], outside)
    egress = egress_addresses(resources, own_outside)
    held = {ip_address(one) for one in shared}
    return Ruleset(
        [*address_sets(resources), *own_sets(own_inside, own_outside, own_addresses([], (*inside, *outside))),
         *egress_sets(egress, held), *broadcast_sets(spec.outside.addresses or map(ip_interface, outside), egress)],
        settings(resources, own_inside, own_outside, egress, held & set(egress), listening or {}, carried))


def own_addresses(given: list[Address], found: Iterable[str]) -> list[Address]:
    """The gateway's own on one side: those written, else those that the interface has ("10.0.0.1" or "10.0.0.1/16").

    Link-local ones come last: an error from one reaches nobody behind a router.
    """
    return given or sorted((ip_interface(one).ip for one in found), key=lambda one: one.is_link_local)


def egress_addresses(resources: Resources, own_outside: list[Address]) -> list[Address]:
    """What sources are translated to: as written; for a family without any, the outside's own (masquerade)."""
    written = list(resources.gateway.spec.addresses)
    if resources.felix.nat_outgoing_address:
        written = [resources.felix.nat_outgoing_address, *(one for one in written if one.version == 6)]
    covered = {one.version for one in written}
    return written + [one for one in own_outside if one.version not in covered and not one.is_link_local]


def address_sets(resources: Resources) -> Iterator[AddressSet]:
    """What the resources say about addresses."""
    captured = [one for one in resources.gateway.spec.inside.capture if not isinstance(one, str)]
    for pool in counting(resources.pools):
        yield address_set(pool.spec.cidr, pool_flags(pool, inside=not captured), pool.name, pool=True)
    for cidr in captured:
        yield address_set(cidr, decision.INSIDE | decision.REACHABLE, "inside.capture")
    for cidr in resources.gateway.spec.nat.no_translate:
        yield address_set(cidr, decision.NO_TRANSLATE, "nat.noTranslate")
    if resources.felix.nat_outgoing_exclusions == "IPPoolsAndHostIPs":
        yield from host_sets(resources)
    for cidr, flags, name in RESERVED:
        yield address_set(cidr, flags, name)


def counting(pools: Iterable[IPPool]) -> list[IPPool]:
    """One pool for each CIDR: of several, the one whose name comes first."""
    by_cidr: dict[Network, IPPool] = {}
    for pool in sorted(pools, key=lambda pool: pool.name):
        by_cidr.setdefault(pool.spec.cidr, pool)
    return list(by_cidr.values())


def pool_flags(pool: IPPool, inside: bool) -> int:
    """A pool disabled and untranslated is an exclusion: its addresses may be anywhere, so packets for it go outside.

    One for load balancers has no pods at all: it can only be a source, and excludes nothing.
    """
    balancers = pool.uses == {"LoadBalancer"}
    flags = 0 if balancers else decision.POOL
    if pool.spec.nat_outgoing:
        flags |= decision.NAT_SOURCE
    if inside and (pool.spec.nat_outgoing or not balancers):
        flags |= decision.INSIDE
        if not balancers and (pool.spec.nat_outgoing or not pool.spec.disabled):
            flags |= decision.REACHABLE
    return flags


def host_sets(resources: Resources) -> Iterator[AddressSet]:
    for node in resources.nodes:
        for address in sorted(node.addresses, key=lambda one: (one.version, int(one))):
            yield address_set(ip_network(address), decision.NO_TRANSLATE, f"Node/{node.name}")
    felix = resources.felix
    for cidr in dict.fromkeys([*(felix.external_nodes_cidrs or ()), *(felix.external_nodes_list or ())]):
        if cidr.version == 4:
            yield address_set(cidr, decision.NO_TRANSLATE, "externalNodesCIDRs")


def own_sets(inside: list[Address], outside: list[Address], held: list[Address]) -> Iterator[AddressSet]:
    """held: those that an interface has, so that the host answers there; two answers would be one too many."""
    for flag, addresses, name in ((decision.OWN_INSIDE, inside, "inside.addresses"),
                                  (decision.OWN_OUTSIDE, outside, "outside.addresses")):
        for address in addresses:
            yield address_set(ip_network(address), flag | (decision.SHARED if address in held else 0), name)


def egress_sets(egress: list[Address], held: set[Address]) -> Iterator[AddressSet]:
    for address in egress:
        flags = decision.EGRESS | (decision.SHARED if address in held else 0)
        yield address_set(ip_network(address), flags, "egress address")


def broadcast_sets(outside: Iterable[Interface], egress: list[Address]) -> Iterator[AddressSet]:
    """Of the networks that the outside interface is on (RFC 2644). Inside, every address of a block may be a pod's."""
    for network in {one.network for one in outside if one.version == 4 and one.network.prefixlen < 31}:
        if network.broadcast_address not in egress:
            yield address_set(ip_network(network.broadcast_address), decision.BOGON, "directed broadcast")


def address_set(cidr: Network, flags: int, name: str, pool: bool = False) -> AddressSet:
    high, low = words(cidr.network_address)
    return AddressSet(high, low, cidr.prefixlen + (96 if cidr.version == 4 else 0), flags, name, pool)
