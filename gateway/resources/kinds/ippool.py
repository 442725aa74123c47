"""IPPool of Calico: which addresses are pods', and whether they are translated on their way out."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network
from typing import ClassVar, Literal

from pydantic import Field

from ...match.decision import BOGON, MULTICAST
from ..fields import CidrField, SelectorField
from ..reserved import RESERVED
from ..schema import CALICO, Problem, Resource, Section
from ..selector import ALL

Use = Literal["Workload", "Tunnel", "LoadBalancer"]
Encapsulation = Literal["Never", "Always", "CrossSubnet"]
LINK_LOCAL = {4: ip_network("169.254.0.0/16"), 6: ip_network("fe80::/10")}
BLOCK_SIZES = {4: (20, 32, 26), 6: (116, 128, 122)}  # lowest, highest, default
LONGEST_SELECTOR = 1024


class IPPoolSpec(Section):
    cidr: CidrField
    nat_outgoing: bool = False
    disabled: bool = False
    disable_bgp_export: bool = Field(default=False, alias="disableBGPExport")
    block_size: int = 0  # 0: 26 or 122
    node_selector: SelectorField = ALL
    namespace_selector: SelectorField | None = None
    allowed_uses: list[Use] = []
    ipip_mode: Encapsulation = "Never"
    vxlan_mode: Encapsulation = "Never"
    assignment_mode: Literal["Automatic", "Manual"] = "Automatic"


class IPPool(Resource):
    KIND: ClassVar[str] = "IPPool"
    VERSIONS: ClassVar[tuple[str, ...]] = CALICO

    spec: IPPoolSpec

    @property
    def block_size(self) -> int:
        return self.spec.block_size or BLOCK_SIZES[self.spec.cidr.version][2]

    @property
    def uses(self) -> frozenset[Use]:
        return frozenset(self.spec.allowed_uses or ("Workload", "Tunnel"))

    def problems(self) -> Iterator[Problem]:
        yield from self.cidr_problems()
        yield from self.encapsulation_problems()
        yield from self.use_problems()
        yield from self.selector_problems()

    def remarks(self) -> Iterator[Problem]:
        for cidr, flags, name in RESERVED:
            if flags & (BOGON | MULTICAST) and cidr.version == self.spec.cidr.version and cidr.overlaps(self.spec.cidr):
                yield Problem(("spec", "cidr"), f"overlaps {cidr} ({name}): packets from and to there are dropped")

    def cidr_problems(self) -> Iterator[Problem]:
        cidr = self.spec.cidr
        lowest, highest, default = BLOCK_SIZES[cidr.version]
        reserved = LINK_LOCAL[cidr.version]
        if cidr.overlaps(reserved):
            yield Problem(("spec", "cidr"), f"{cidr} overlaps link-local {reserved}; choose another range")
        if not lowest <= self.block_size <= highest:
            yield Problem(("spec", "blockSize"), f"must be {lowest} to {highest} in an IPv{cidr.version} pool, "
                                                 f"not {self.block_size}; write {default} or leave it out")
        elif cidr.prefixlen > self.block_size and not self.spec.disabled:
            yield Problem(("spec", "cidr"), f"{cidr} is smaller than one block of /{self.block_size}; choose a larger "
                                            f"range, or blockSize: {max(cidr.prefixlen, lowest)}, or disabled: true")

    def encapsulation_problems(self) -> Iterator[Problem]:
        ipip, vxlan = self.spec.ipip_mode, self.spec.vxlan_mode
        if ipip != "Never" and vxlan != "Never":
            yield Problem(("spec", "vxlanMode"), f"{vxlan} together with ipipMode {ipip}: a pool has one "
                                                 "encapsulation; set one of the two to Never")
        if ipip != "Never" and self.spec.cidr.version == 6:
            yield Problem(("spec", "ipipMode"), f"{ipip} in an IPv6 pool: IPIP carries IPv4 only; set it to Never")
        if "LoadBalancer" in self.uses and ipip != "Never":
            yield Problem(("spec", "ipipMode"), f"{ipip} in a LoadBalancer pool; set it to Never")
        if "LoadBalancer" in self.uses and vxlan != "Never":
            yield Problem(("spec", "vxlanMode"), f"{vxlan} in a LoadBalancer pool; set it to Never")

    def use_problems(self) -> Iterator[Problem]:
        written = self.spec.allowed_uses
        for index, use in enumerate(written):
            if use in written[:index]:
                yield Problem(("spec", "allowedUses", index), f"{use} is here twice; remove one of the two")
        if "LoadBalancer" in self.uses:
            yield from self.load_balancer_problems()
        if "Tunnel" in written and self.written("namespaceSelector"):
            yield Problem(("spec", "namespaceSelector"), "is not possible in a pool for tunnels, which have no "
                                                         "namespace; remove it, or remove Tunnel from allowedUses")

    def load_balancer_problems(self) -> Iterator[Problem]:
        if self.uses != {"LoadBalancer"}:
            yield Problem(("spec", "allowedUses"), "LoadBalancer allows no other use; move the others to another pool")
        if self.spec.disable_bgp_export:
            yield Problem(("spec", "disableBGPExport"), "is not possible in a LoadBalancer pool; set it to false")
        if self.spec.node_selector != ALL:
            yield Problem(("spec", "nodeSelector"), "must be all() in a LoadBalancer pool; write all() or leave it out")

    def selector_problems(self) -> Iterator[Problem]:
        for name in ("nodeSelector", "namespaceSelector"):
            written = self.written(name)
            if "global(" in written:
                yield Problem(("spec", name), "global() selects nothing here: nodes and namespaces are not global; "
                                              "write all() or name their labels")
            if len(written) > LONGEST_SELECTOR:
                yield Problem(("spec", name), f"has {len(written)} characters; at most {LONGEST_SELECTOR} are "
                                              "possible, write a shorter selector")

    def written(self, selector: str) -> str:
        """A selector as its author wrote it: the rules are about that text."""
        return self.document.value["spec"].get(selector) or ""
