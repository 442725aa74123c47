"""FelixConfiguration of Calico: which ports and address translation uses, and which destinations it leaves alone."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, PlainValidator, model_validator

from ..fields import CidrOrAddressField, FelixPortRangeField, InterfaceFilterField, SelectorField, text, unicast
from ..schema import CALICO, Problem, Resource, Section
from .felix_fields import NO_EFFECT

GLOBAL = "default"
PER_NODE = "node."


def v4_address(value: Any) -> IPv4Address | None:
    """Calico's natOutgoingAddress: empty is not given."""
    if not text(value, 'an IPv4 address such as "198.51.100.10"'):
        return None
    found = unicast(value)
    if not isinstance(found, IPv4Address):
        raise ValueError(f"{found} is IPv6, and this field is for IPv4; put it in the Gateway's spec.addresses")
    return found


class FelixSpec(Section):
    """Every field is None where it is not given, so that a node's own configuration overrides field by field."""

    nat_port_range: FelixPortRangeField | None = None
    nat_outgoing_address: Annotated[IPv4Address | None, PlainValidator(v4_address)] = None
    nat_outgoing_exclusions: Literal["IPPoolsOnly", "IPPoolsAndHostIPs"] | None = None
    external_nodes_cidrs: list[CidrOrAddressField] | None = Field(default=None, alias="externalNodesCIDRs")
    external_nodes_list: list[CidrOrAddressField] | None = None  # the same thing, as Calico's API calls it
    interface_filter: InterfaceFilterField | None = Field(default=None, alias="iptablesNATOutgoingInterfaceFilter")
    node_selector: SelectorField | None = None

    @model_validator(mode="before")
    @classmethod
    def without_the_ineffective(cls, data: Any) -> Any:
        return {key: value for key, value in data.items() if key not in NO_EFFECT} if isinstance(data, dict) else data

    @classmethod
    def suggestions(cls) -> list[str]:
        return sorted(NO_EFFECT.union(cls.field_names()))

    def over(self, other: FelixSpec) -> FelixSpec:
        """This one's fields, and the other's where this one says nothing."""
        given = {name: value for name in type(self).model_fields if (value := getattr(self, name)) is not None}
        return other.model_copy(update=given)


class FelixConfiguration(Resource):
    KIND: ClassVar[str] = "FelixConfiguration"
    VERSIONS: ClassVar[tuple[str, ...]] = CALICO

    spec: FelixSpec = FelixSpec()

    def rank(self, node: str, labels: dict[str, str]) -> int:
        """How closely this one is about a node: 3 its own, 2 selected by labels, 1 for all, 0 not at all."""
        if self.name == GLOBAL:
            return 1
        if self.name.startswith(PER_NODE):
            return 3 * (self.name == PER_NODE + node)
        return 2 * (self.spec.node_selector is not None and self.spec.node_selector.matches(labels))

    def problems(self) -> Iterator[Problem]:
        if self.spec.node_selector is not None and (self.name == GLOBAL or self.name.startswith(PER_NODE)):
            yield Problem(("spec", "nodeSelector"), f"is not possible in {self.name!r}, whose name says which nodes it "
                                                    "is for; remove it, or give the object another name")

    def remarks(self) -> Iterator[Problem]:
        spec = self.document.value.get("spec") or {}
        ineffective = sorted(NO_EFFECT & spec.keys())
        if ineffective:
            yield Problem(("spec",), f"known to Calico, no effect here: {', '.join(ineffective)}")
        if self.name != GLOBAL and not self.name.startswith(PER_NODE) and self.spec.node_selector is None:
            yield Problem(("metadata", "name"), "no effect: not named default or node.<name>, and without nodeSelector")


def effective(all_of_them: list[FelixConfiguration], node: str, labels: dict[str, str]) -> FelixSpec:
    """What holds on a node, field by field: node.<name> before the oldest that selects it before default."""
    chosen: dict[int, FelixConfiguration] = {}
    for one in sorted(all_of_them, key=lambda one: (str(one.metadata.creation_timestamp or ""), one.name)):
        chosen.setdefault(one.rank(node, labels), one)
    result = FelixSpec()
    for rank in (1, 2, 3):
        result = chosen[rank].spec.over(result) if rank in chosen else result
    return result
