"""What resources say together and must not, and what they say together and may not have meant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..match.settings import port_block
from .errors import ResourceError
from .fields import Network
from .kinds.felix import FelixConfiguration
from .kinds.gateway import Gateway
from .kinds.ippool import IPPool
from .resources import Resources
from .schema import Resource

LEAST_MTU_V6 = 1280  # RFC 8200 section 5


def clashes(objects: Sequence[Resource], origin: str, complete: bool) -> list[ResourceError]:
    """complete: whether every document became an object, so that a missing one is really missing."""
    found = list(duplicates(objects))
    gateways = [one for one in objects if isinstance(one, Gateway)]
    for extra in gateways[1:]:
        line, _ = gateways[0].document.place(("kind",))
        first = f"{gateways[0].document.file}:{line}" if line else gateways[0].document.file
        found.append(extra.error("kind", message=f"a second Gateway; the first is {gateways[0].name} at {first}. "
                                                 "Remove one of the two"))
    if complete and not gateways:
        found.append(ResourceError(origin, 0, 0, "Gateway", "", "", "there is none in this set; add a resource with "
                                   "apiVersion: gateway/v1 and kind: Gateway"))
    if len(gateways) == 1:
        whole = Resources(tuple(objects))
        found += mtu_clashes(whole)
        found += port_clashes(whole)
        found += share_clashes(whole)
    return found


def duplicates(objects: Sequence[Resource]) -> Iterator[ResourceError]:
    first: dict[tuple[type[Resource], str, str], Resource] = {}
    for one in objects:
        key = (type(one), one.metadata.namespace, one.name)
        other = first.setdefault(key, one)
        if other is not one:
            line, _ = other.document.place(("metadata", "name"))
            where = f"{other.document.file}:{line}" if line else other.document.file
            yield one.error("metadata", "name", message=f"the {one.KIND} at {where} has this name too; "
                                                        "rename or remove one of the two")


def mtu_clashes(whole: Resources) -> Iterator[ResourceError]:
    spec = whole.gateway.spec
    own = [interface.version for side in (spec.inside, spec.outside) for interface in side.addresses]
    versions = {pool.spec.cidr.version for pool in whole.pools} | {one.version for one in spec.addresses} | {*own}
    for name, side in (("inside", spec.inside), ("outside", spec.outside)):
        if 6 in versions and side.mtu < LEAST_MTU_V6:
            yield whole.gateway.error("spec", name, "mtu", message=f"{side.mtu} is too small for IPv6, which is used "
                                      f"here; write at least {LEAST_MTU_V6}")


def port_clashes(whole: Resources) -> Iterator[ResourceError]:
    """natPortRange narrows portRange; it cannot lie beside it."""
    wide, narrow = whole.gateway.spec.nat.given_range, whole.felix.nat_port_range
    if wide and narrow and max(wide[0], narrow[0]) > min(wide[1], narrow[1]):
        name, labels = whole.gateway.name, whole.labels
        configurations = sorted(whole.of(FelixConfiguration), key=lambda one: -one.rank(name, labels))
        source = next(one for one in configurations if one.spec.nat_port_range == narrow)
        yield source.error("spec", "natPortRange", message=f"{narrow[0]}:{narrow[1]} has no port in common with "
                           f"portRange {wide[0]}-{wide[1]} of Gateway/{name}; make them overlap")


def share_clashes(whole: Resources) -> Iterator[ResourceError]:
    """Ports are dealt out among workers by blocks; each needs some of whatever range is given."""
    gateway, (lowest, highest) = whole.gateway, whole.nat_ports or (1, 65_535)
    blocks = {port_block(port) for port in (*range(lowest, highest + 1, 16), highest)}
    workers = gateway.spec.workers
    if workers > 1 and len({block % workers for block in blocks}) < workers:
        yield gateway.error("spec", "workers", message=f"the ports {lowest}-{highest} cannot be dealt out among "
                            f"{workers} workers, in blocks of 64; write fewer workers, or give more ports")


def remarks(whole: Resources) -> Iterator[ResourceError]:
    for one in whole.objects:
        for trail, message in one.remarks():
            yield one.error(*trail, message=message)
    yield from overlaps(whole.pools)
    yield from address_remarks(whole)


def overlaps(pools: Sequence[IPPool]) -> Iterator[ResourceError]:
    """Calico's client refuses overlapping pools, its data plane lets all of them count."""
    enclosing: list[IPPool] = []
    for pool in sorted(pools, key=lambda pool: (pool.spec.cidr.version, pool.spec.cidr, pool.name)):
        while enclosing and not within(pool.spec.cidr, enclosing[-1].spec.cidr):
            enclosing.pop()
        if enclosing and enclosing[-1].spec.cidr == pool.spec.cidr:
            yield pool.error("spec", "cidr", message=f"is the CIDR of IPPool/{enclosing[-1].name} too, whose name "
                                                     "comes first: only that one counts")
            continue
        if enclosing:
            yield pool.error("spec", "cidr", message=f"overlaps IPPool/{enclosing[-1].name} "
                             f"({enclosing[-1].spec.cidr}): both count for the addresses they share")
        enclosing.append(pool)


def within(inner: Network, outer: Network) -> bool:
    return (inner.version == outer.version and inner.prefixlen >= outer.prefixlen
            and int(inner.network_address) >> (inner.max_prefixlen - outer.prefixlen)
            == int(outer.network_address) >> (outer.max_prefixlen - outer.prefixlen))


def address_remarks(whole: Resources) -> Iterator[ResourceError]:
    gateway = whole.gateway
    for index, one in enumerate(gateway.spec.addresses):
        for pool in whole.pools:
            if one in pool.spec.cidr and not pool.spec.disabled and "LoadBalancer" not in pool.uses:
                yield gateway.error("spec", "addresses", index, message=f"{one} is in IPPool/{pool.name} "
                                    f"({pool.spec.cidr}), from which pods get addresses; see that none gets this one")
        for cidr in gateway.spec.inside.capture:
            if not isinstance(cidr, str) and one in cidr:
                yield gateway.error("spec", "inside", "capture", message=f"{cidr} holds the egress address {one}, and "
                                    "what is captured counts as inside: name the pods' ranges, or an interface")
    given = {one.version for one in gateway.spec.addresses}
    for version in sorted({pool.spec.cidr.version for pool in whole.pools if pool.spec.nat_outgoing} - given):
        own = any(interface.version == version for interface in gateway.spec.outside.addresses)
        if given and not own and not (version == 4 and whole.felix.nat_outgoing_address):
            yield gateway.error("spec", "addresses", message=f"has no IPv{version} address, and there is an "
                                f"IPv{version} pool with natOutgoing: the outside interface's own is used, if any")
