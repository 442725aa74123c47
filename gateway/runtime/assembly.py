"""From resources to what the host and the links are asked for, and from what the host answers back to rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from itertools import chain
from typing import TYPE_CHECKING, Protocol

from ..match.settings import Settings
from ..nat.translator import hash_key
from ..resources import Resources
from ..resources.build import build, counting, egress_addresses, own_addresses
from ..resources.tuning import MTU_MAX
from ..wire import address

if TYPE_CHECKING:
    from ..host import Attached, Plan
    from ..links.link import Link
    from ..links.steering import Instruction
    from ..match.ruleset import Ruleset
    from ..resources.kinds.gateway import InsideSide, OutsideSide

PORTS = (1024, 65535)
Steering = Sequence["Instruction"]
UPDATABLE = ("inside_cidrs", "captured_interfaces")  # of a Plan, while the gateway runs
PLACES = {"name": ("metadata", "name"), "inside_mtu": ("spec", "inside", "mtu"),  # of the others, in the Gateway
          "inside_addresses": ("spec", "inside", "addresses"), "egress_addresses": ("spec", "addresses"),
          "port_range": ("spec", "nat", "portRange")}


@dataclass(frozen=True)
class HostFacts:
    """What only the host knows, and rules depend on. Addresses with prefix length, as the interfaces have them."""

    inside: tuple[str, ...] = ()
    outside: tuple[str, ...] = ()
    shared: frozenset[str] = frozenset()
    reserved: frozenset[int] = frozenset()  # the kernel's own ports
    listening: Mapping[str, frozenset[int]] = field(default_factory=dict)
    mtus: tuple[int, int] = (MTU_MAX, MTU_MAX)  # of the interfaces, by side

    def rules(self, resources: Resources) -> Ruleset:
        """The rules these resources make on this host. Ports of the host's matter only where it shares addresses."""
        taken = {name: self.reserved | self.listening.get(name, frozenset()) for name in ("tcp", "udp")}
        return build(resources, shared=self.shared, inside=self.inside, outside=self.outside,
                     listening=taken if self.shared else None, carried=self.mtus)

    def attached(self, attached: Attached) -> HostFacts:
        """The same, with what attaching found out."""
        reserved = frozenset(port for low, high in attached.excluded_ports for port in range(low, high + 1))
        return replace(self, shared=attached.shared, reserved=reserved, listening=attached.listening())


def look(resources: Resources) -> HostFacts:
    """The addresses the interfaces have, before anything is changed, and those that a packet inside will be given."""
    if in_memory(resources):
        return HostFacts()
    from ..host.interfaces import interface
    from ..host.plan import ON_INTERFACES

    spec, names = resources.gateway.spec, resources.gateway.interfaces
    drivers = spec.inside.driver, spec.outside.driver
    inside, outside = (interface(name).addresses if driver in ON_INTERFACES else ()
                       for driver, name in zip(drivers, names, strict=True))
    if spec.inside.driver in ON_INTERFACES:
        inside = (*inside, *(str(one) for one in spec.inside.addresses))
    return HostFacts(inside, outside)


def plan_of(resources: Resources, facts: HostFacts) -> Plan:
    """What the host must do for these resources. Without `capture`, what comes from any pool is captured."""
    from ..host import Plan

    spec, (inside, outside) = resources.gateway.spec, resources.gateway.interfaces
    captured = list(spec.inside.capture)
    if not captured or (spec.inside.driver != "tun" and all(isinstance(one, str) for one in captured)):
        captured += [pool.spec.cidr for pool in counting(resources.pools)]
    egress = egress_addresses(resources, own_addresses([one.ip for one in spec.outside.addresses], facts.outside))
    return Plan(
        name=resources.gateway.name, inside_interface=inside, outside_interface=outside,
        inside_driver=spec.inside.driver, outside_driver=spec.outside.driver, inside_mtu=spec.inside.mtu,
        inside_addresses=tuple(str(one) for one in spec.inside.addresses),
        inside_cidrs=tuple(str(one) for one in captured if not isinstance(one, str)),
        captured_interfaces=tuple(one for one in captured if isinstance(one, str) and one != inside),
        egress_addresses=tuple(str(one) for one in egress),
        port_range=resources.nat_ports or PORTS,
    )


def beyond_update(attached: Attached | None, resources: Resources,
                  facts: HostFacts) -> Iterator[tuple[tuple[str, ...], str]]:
    """What these resources ask of the host that it cannot change while the gateway runs: (where, what it was)."""
    if attached is None:
        return
    old, new = attached.plan, plan_of(resources, facts)
    free = UPDATABLE if attached.shared else (*UPDATABLE, "port_range")  # the host has no ports of other addresses
    for name in (one.name for one in fields(old) if one.name not in free):
        was = getattr(old, name)
        if was != getattr(new, name):
            sign = "-" if name == "port_range" else ", "
            words = sign.join(map(str, was)) or "not given" if isinstance(was, tuple) else was
            if name == "port_range" and resources.felix.nat_port_range:
                words += ", natPortRange counted"
            yield PLACES.get(name, ("spec",)), f"was {words}"


def both(old: Plan, new: Plan) -> Plan:
    """What either asks for: in force while the rules are swapped, so that nothing slips past in between."""
    return replace(new, inside_cidrs=tuple(dict.fromkeys((*old.inside_cidrs, *new.inside_cidrs))),
                   captured_interfaces=tuple(dict.fromkeys((*old.captured_interfaces, *new.captured_interfaces))))


def in_memory(resources: Resources) -> bool:
    """Neither side touches the kernel."""
    spec = resources.gateway.spec
    return spec.inside.driver == spec.outside.driver == "memory"


class Watcher(Protocol):
    """Something else that the loop has to read for a link: what changes among its routes and neighbours."""

    def fileno(self) -> int: ...
    def on_readable(self) -> None: ...
    def close(self) -> None: ...


@dataclass
class Opened:
    """Both sides' links, by side, and what has to be watched for them.

    queues: by worker, both sides' links of its own, of which `links` are the first.  timers: to be called a few times a
    second, each in the turn of the worker with that number.
    """

    sides: list[list[Link]] = field(default_factory=list)
    watchers: list[Watcher] = field(default_factory=list)
    tuns: set[int] = field(default_factory=set)  # descriptors
    timers: list[tuple[int, Callable[[], None]]] = field(default_factory=list)

    @property
    def links(self) -> list[Link]:
        return [side[0] for side in self.sides]

    @property
    def queues(self) -> list[tuple[Link, Link]]:
        inside, outside = self.sides
        return list(zip(inside, outside, strict=True))

    @property
    def descriptors(self) -> list[Link | Watcher]:
        return [*chain.from_iterable(self.sides), *self.watchers]

    @property
    def both(self) -> tuple[Link, Link]:
        return self.queues[0]

    @property
    def mtus(self) -> tuple[int, int]:
        inside, outside = self.both
        return inside.mtu, outside.mtu

    def open(self, side: InsideSide | OutsideSide, name: str, queues: int, steering: Steering) -> None:
        """One side's link, or as many as there are workers."""
        links: list[Link] = []
        self.sides.append(links)
        if side.driver == "memory":
            from ..links.memory import MemoryLink

            links.append(MemoryLink(name or "memory", side.mtu))
        elif side.driver == "tun":
            self.open_tun(name, side.mtu, links, queues, steering)
        else:
            next_hops = [str(one) for one in getattr(side, "next_hop", ())]
            self.open_interface(name, next_hops, links, queues, None if side.driver == "xdp" else steering)

    def open_tun(self, name: str, mtu: int, links: list[Link], queues: int, steering: Steering) -> None:
        from ..links.steering import extended
        from ..links.tun import TunLink

        for number in range(queues):
            link = TunLink(name, mtu, number if queues > 1 else None)
            links.append(link)
            self.tuns.add(link.fileno())
        if queues > 1 and steering:
            with suppress(OSError):  # without the right to load it: by flow, and workers hand over what is another's
                link.steer(extended(steering))

    def open_interface(self, name: str, next_hops: list[str], links: list[Link], queues: int,
                       steering: Steering | None) -> None:
        """steering: None for AF_XDP, which has one queue."""
        from ..host.neighbours import Neighbours
        from ..links.fanout import Fanout
        from ..links.packet import PacketLink
        from ..links.xdp import XdpLink

        neighbours = Neighbours(name)
        self.watchers.append(neighbours)
        if steering is None or queues == 1:
            alone = (XdpLink if steering is None else PacketLink)(name, neighbours, next_hops)
            links.append(alone)
            self.timers.append((0, alone.tick))
            return
        group, opened = Fanout(), []
        for number in range(queues):
            opened.append(PacketLink(name, neighbours, next_hops, group=group, queues=queues))
            links.append(opened[-1])
            self.timers.append((number, opened[-1].tick))
        group.steer(steering)
        for link in opened:
            link.open_up()

    def take(self, attached: Attached) -> None:
        """Tell links on interfaces what is the gateway's, and what the host's. Raises LinkError."""
        from ..links.packet import PacketLink

        for link, rules in zip(self.links, attached.taken(), strict=True):
            if isinstance(link, PacketLink):
                link.take(rules)

    def close(self) -> None:
        for one in self.descriptors:
            one.close()


def open_links(resources: Resources, ruleset: Ruleset, seed: bytes) -> Opened:
    """Neither if one cannot be opened. Raises LinkError or HostError. seed: the translators'."""
    spec, (inside, outside) = resources.gateway.spec, resources.gateway.interfaces
    opened, queues = Opened(), queues_of(resources)
    by_source, by_target = steerings(ruleset, seed, queues)
    try:
        opened.open(spec.inside, inside, queues, by_source)
        opened.open(spec.outside, outside, queues, by_target)
    except BaseException:
        opened.close()
        raise
    return opened


def queues_of(resources: Resources) -> int:
    """Of each side: one a worker, where both sides' devices have so many."""
    spec = resources.gateway.spec
    several = {spec.inside.driver, spec.outside.driver} <= {"tun", "packet"}
    return max(spec.workers, 1) if several else 1


def steerings(ruleset: Ruleset, seed: bytes, queues: int) -> tuple[Steering, Steering]:
    """Programs that say which queue a frame from inside, and one from outside, goes to."""
    from ..links import steering

    if queues == 1:
        return (), ()
    key = hash_key(seed)
    return steering.inside(key, queues), steering.outside(key, queues, egress_of(ruleset.settings))


def mtu_notes(resources: Resources, links: tuple[Link, Link]) -> Iterator[str]:
    """What an interface carries counts, where that is less than what the resources say."""
    spec = resources.gateway.spec
    for name, side, link in (("inside", spec.inside, links[0]), ("outside", spec.outside, links[1])):
        if link.mtu < side.mtu:
            yield (f"{link.name} has an MTU of {link.mtu}, less than spec.{name}.mtu, {side.mtu}: that is what "
                   "senders are told")


def port_counts(settings: Settings) -> dict[str, int]:
    """Ports an external address has, by protocol."""
    ranges = {"tcp": settings.tcp_ports, "udp": settings.udp_ports, "icmp": settings.icmp_ports,
              "icmpv6": settings.icmp_ports}
    return {name: one.highest - one.lowest + 1 - sum(one.lowest <= port <= one.highest for port in one.excluded)
            for name, one in ranges.items()}


def egress_of(settings: Settings) -> list[str]:
    """The addresses that sources are translated to, as text."""
    return [address.text(*one) for one in (*settings.egress4, *settings.egress6)]


