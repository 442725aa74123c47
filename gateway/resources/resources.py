"""A set of resources that holds together: what load() returns and build() reads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from .fields import PortPair
from .kinds.felix import FelixConfiguration, FelixSpec, effective
from .kinds.gateway import Gateway
from .kinds.ippool import IPPool
from .kinds.node import Node
from .schema import Resource

Kind = TypeVar("Kind", bound=Resource)


@dataclass(frozen=True)
class Resources:
    """objects: in the order they were read. notes: what was accepted, but not as its author may think."""

    objects: tuple[Resource, ...]
    notes: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[Resource]:
        return iter(self.objects)

    def __len__(self) -> int:
        return len(self.objects)

    def of(self, kind: type[Kind]) -> tuple[Kind, ...]:
        """Every object of a kind, by name."""
        return tuple(sorted((one for one in self.objects if isinstance(one, kind)),
                            key=lambda one: (one.metadata.namespace, one.name)))

    @cached_property
    def gateway(self) -> Gateway:
        return self.of(Gateway)[0]

    @cached_property
    def pools(self) -> tuple[IPPool, ...]:
        return self.of(IPPool)

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        return self.of(Node)

    @cached_property
    def labels(self) -> dict[str, str]:
        """This node's: those of the Node of the Gateway's name, and the Gateway's own."""
        nodes = [node.metadata.labels for node in self.nodes if node.name == self.gateway.name]
        return {key: value for labels in (*nodes, self.gateway.metadata.labels) for key, value in labels.items()}

    @cached_property
    def felix(self) -> FelixSpec:
        """What the FelixConfigurations say together about this node."""
        return effective(list(self.of(FelixConfiguration)), self.gateway.name, self.labels)

    @cached_property
    def nat_ports(self) -> PortPair | None:
        """Which ports were given for TCP and UDP: portRange, narrowed by natPortRange; None if neither was."""
        pairs = [pair for pair in (self.gateway.spec.nat.given_range, self.felix.nat_port_range) if pair]
        return (max(pair[0] for pair in pairs), min(pair[1] for pair in pairs)) if pairs else None
