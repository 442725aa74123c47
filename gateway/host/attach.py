"""The one way in: makes everything a plan asks for, in the order that leaks nothing, and undoes it."""

from __future__ import annotations

from pathlib import Path

from . import egress, inside, interfaces, nftables, ports
from .changes import Changes
from .plan import HostError, Plan

__all__ = ["Attached", "HostError", "Plan", "attach"]


class Attached:
    """What holds while the gateway runs.

    shared: egress addresses that the host owns too.
    excluded_ports: inclusive ranges that translation must not use on shared addresses: the kernel's own.
    notes: what the operator may want to know, a sentence each.
    """

    def __init__(self, plan: Plan, changes: Changes) -> None:
        self.plan, self._changes = plan, changes
        self._capture = inside.Capture(changes)
        self.shared: frozenset[str] = frozenset()
        self.excluded_ports: tuple[tuple[int, int], ...] = ()
        self.notes: tuple[str, ...] = ()
        self._seen: tuple[frozenset[str], frozenset[int]] = (frozenset(), frozenset())

    @property
    def table(self) -> str:
        return f"gateway-{self.plan.name}"

    def listening(self) -> dict[str, frozenset[int]]:
        """Ports bound on the host, {"tcp": ..., "udp": ...}: never to be allocated on shared addresses."""
        return ports.listening()

    def refresh(self) -> dict[str, frozenset[int]]:
        """Read `listening` again, and let those ports and the host's addresses of now through the ingress drop.

        Costs a read of /proc/net and one netlink dump: call it every few seconds.
        """
        bound = ports.listening()
        seen = interfaces.addresses(), bound["tcp"] | bound["udp"]
        if seen != self._seen:
            self._seen = seen
            self._install()
        if self.plan.outside_there and self.plan.inside_driver != "memory":
            egress.answer_still(self._changes, self.plan, set(self.plan.egress_addresses) - self.shared)
        return bound

    def update(self, plan: Plan) -> None:
        """Capture what `plan` says from now on. Its inside_cidrs and captured_interfaces may differ, nothing else."""
        self.plan = plan
        self._install()
        if plan.inside_driver == "tun":
            self._capture.use(plan)
        if plan.outside_there:
            inside.forward(self._changes, plan)  # of a family that was not there before

    def taken(self) -> tuple[list[egress.Taken], list[egress.Taken]]:
        """What the gateway takes, inside and outside, by addresses alone: the first that matches decides."""
        own, _ = self._seen
        return egress.taken_inside(self.plan, own), egress.taken_outside(self.plan, own)

    def undo(self) -> list[str]:
        """Take every change back, in reverse; returns what could not be. Safe to call twice."""
        return self._changes.undo()

    def _install(self) -> None:
        """Replace the table, recorded when it was first made, in one transaction."""
        chains = self._chains(*self._seen)
        if chains:
            try:
                nftables.install(self.table, chains)
            except OSError as error:
                raise HostError(f"cannot replace the nftables table netdev {self.table}: {error.strerror}") from None

    def _chains(self, own: frozenset[str], bound: frozenset[int]) -> list[nftables.Chain]:
        plan, chains = self.plan, []
        taken = [*self.excluded_ports, *((port, port) for port in bound)]
        if plan.outside_there:
            chains.append(egress.outside_chain(plan, own, self.shared, taken))
        if plan.inside_there:
            chains.append(egress.inside_chain(plan, own, self.shared, taken))
        return chains

    def _make(self) -> None:
        """Fail closed at every step: the drop before the capture, the capture before forwarding."""
        plan, changes = self.plan, self._changes
        if plan.inside_there:
            inside.give_addresses(changes, plan)  # before the drop: from then on they count as the host's own
        own, bound = interfaces.addresses(), ports.listening()
        self.shared = frozenset(address for address in plan.egress_addresses if address in own)
        dedicated = [address for address in plan.egress_addresses if address not in own]
        if self.shared and plan.outside_driver == "xdp":
            raise HostError(f"the host has {', '.join(sorted(self.shared))} itself, and driver xdp takes whole "
                            "addresses: give spec.addresses that it has not, or use driver packet outside")
        if self.shared:
            self.excluded_ports = ports.keep_apart(changes, plan.port_range)
        self._seen = own, bound["tcp"] | bound["udp"]
        chains = self._chains(*self._seen)
        if chains:
            changes.table(self.table, chains)
        if plan.inside_driver == "tun":
            inside.open_device(changes, plan)
            self._capture.use(plan)
        if plan.outside_there:
            inside.forward(changes, plan)
            if plan.inside_driver != "memory":  # the kernel answers only for what it would route elsewhere
                egress.answer(changes, plan, dedicated)
                egress.announce(interfaces.interface(plan.outside_interface), dedicated)
        self.notes = tuple(self._remarks())

    def _remarks(self) -> list[str]:
        remarks = [f"{address} is also the host's own: its ports {_listed(self.excluded_ports)} stay with the host"
                   for address in sorted(self.shared) if self.excluded_ports]
        for first, last in ports.without(self.plan.port_range, self.excluded_ports):
            remarks += [f"ports {first}-{last} of {address} are the gateway's" for address in sorted(self.shared)]
        return remarks


def attach(plan: Plan, folder: Path | None = None) -> Attached:
    """Clean up after a killed gateway of this namespace, then make what `plan` asks for.

    Raises HostError, and then nothing is changed. The TUN must exist (TunLink is opened first), and the packet
    socket should be open too, so that nothing is dropped at ingress unseen. `folder`: where the journal lies.
    """
    for driver, name in ((plan.inside_driver, plan.inside_interface), (plan.outside_driver, plan.outside_interface)):
        if driver != "memory":
            interfaces.interface(name)
    for name in plan.captured_interfaces:
        interfaces.interface(name)
    changes = Changes(plan.name, folder)
    attached = Attached(plan, changes)
    try:
        attached._make()
    except Exception:
        changes.undo()
        raise
    return attached


def _listed(found: tuple[tuple[int, int], ...]) -> str:
    return ", ".join(f"{first}-{last}" for first, last in found)
