"""What may not change while the gateway runs: Calico's immutable fields, and what needs a restart here."""

from __future__ import annotations

from collections.abc import Iterator

from .errors import ResourceError, ResourceErrors
from .kinds.ippool import IPPool
from .resources import Resources

RESTART = "restart the gateway to change it, or put the old value back"


def check_update(old: Resources, new: Resources) -> None:
    """Raises ResourceErrors if `new` cannot take the place of `old` in a running gateway."""
    refuse([*gateway_changes(old, new), *changes_of_pools(old, new)])


def check_pools(old: Resources, new: Resources) -> None:
    """The same as far as Calico says so: whatever is fixed by a gateway's own links, memory and threads is left out."""
    refuse([*changes_of_pools(old, new)])


def refuse(errors: list[ResourceError]) -> None:
    if errors:
        raise ResourceErrors(errors)


def changes_of_pools(old: Resources, new: Resources) -> Iterator[ResourceError]:
    before = {pool.name: pool for pool in old.pools}
    for pool in new.pools:
        if pool.name in before:
            yield from pool_changes(before[pool.name], pool)


def gateway_changes(old: Resources, new: Resources) -> Iterator[ResourceError]:
    was, gateway = old.gateway, new.gateway
    for index, side in enumerate(("inside", "outside")):
        if getattr(was.spec, side).driver != getattr(gateway.spec, side).driver:
            yield gateway.error("spec", side, "driver", message=f"was {getattr(was.spec, side).driver}; {RESTART}")
        if was.interfaces[index] != gateway.interfaces[index]:
            name = was.interfaces[index] or "not given"
            yield gateway.error("spec", side, "interface", message=f"was {name}; {RESTART}")
    if was.spec.workers != gateway.spec.workers:
        yield gateway.error("spec", "workers", message=f"was {was.spec.workers}; {RESTART}")
    if was.spec.limits.flows != gateway.spec.limits.flows:
        yield gateway.error("spec", "limits", "flows", message=f"was {was.spec.limits.flows}; {RESTART}")


def pool_changes(old: IPPool, new: IPPool) -> Iterator[ResourceError]:
    if old.spec.cidr != new.spec.cidr:
        yield new.error("spec", "cidr", message=f"was {old.spec.cidr}, and a pool's CIDR cannot change; give the new "
                                                "range to a pool of another name")
    if old.block_size != new.block_size:
        yield new.error("spec", "blockSize", message=f"was {old.block_size}, and a pool's block size cannot change; "
                                                     "put the old one back, or use a pool of another name")
    if "LoadBalancer" in old.uses and new.uses != {"LoadBalancer"}:
        yield new.error("spec", "allowedUses", message="was LoadBalancer, and such a pool cannot get another use; "
                                                       "use a pool of another name")
