"""Nodes, Calico's and Kubernetes': their addresses are left untranslated with IPPoolsAndHostIPs, and their labels
say what "this node" is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar

from pydantic import Field, PlainValidator

from ..fields import Address, plain, text
from ..schema import CALICO, Problem, Resource, Section

ANNOTATIONS = ("projectcalico.org/IPv4Address", "projectcalico.org/IPv6Address")


def host_address(value: Any) -> Address | None:
    """10.0.0.1 or 10.0.0.1/24; empty is not given."""
    written = text(value, 'an address such as "10.0.0.1/24"')
    return plain(written.partition("/")[0]) if written else None


HostAddress = Annotated[Address | None, PlainValidator(host_address)]


class BGP(Section):
    ipv4_address: HostAddress = Field(default=None, alias="ipv4Address")
    ipv6_address: HostAddress = Field(default=None, alias="ipv6Address")
    as_number: Any = None
    ipv4_ipip_tunnel_addr: Any = Field(default=None, alias="ipv4IPIPTunnelAddr")
    route_reflector_cluster_id: Any = Field(default=None, alias="routeReflectorClusterID")


class NodeAddress(Section):
    address: HostAddress
    type: str = ""


class CalicoNodeSpec(Section):
    bgp: BGP = BGP()
    addresses: list[NodeAddress] = []
    ipv4_vxlan_tunnel_addr: Any = Field(default=None, alias="ipv4VXLANTunnelAddr")
    ipv6_vxlan_tunnel_addr: Any = Field(default=None, alias="ipv6VXLANTunnelAddr")
    vxlan_tunnel_mac_addr: Any = Field(default=None, alias="vxlanTunnelMACAddr")
    vxlan_tunnel_mac_addr_v6: Any = Field(default=None, alias="vxlanTunnelMACAddrV6")
    orch_refs: Any = None
    wireguard: Any = None


class KubernetesNodeSpec(Section):
    pod_cidr: Any = Field(default=None, alias="podCIDR")
    pod_cidrs: Any = Field(default=None, alias="podCIDRs")
    provider_id: Any = Field(default=None, alias="providerID")
    unschedulable: Any = None
    taints: Any = None
    config_source: Any = None
    external_id: Any = Field(default=None, alias="externalID")


class Node(Resource):
    """Either of the two."""

    KIND: ClassVar[str] = "Node"

    @property
    def addresses(self) -> frozenset[Address]:
        return frozenset(found for found in self.every_address() if found)

    def every_address(self) -> Iterator[Address | None]:
        raise NotImplementedError


class CalicoNode(Node):
    VERSIONS: ClassVar[tuple[str, ...]] = CALICO

    spec: CalicoNodeSpec = CalicoNodeSpec()

    def every_address(self) -> Iterator[Address | None]:
        yield from (self.spec.bgp.ipv4_address, self.spec.bgp.ipv6_address)
        yield from (one.address for one in self.spec.addresses)


class KubernetesNode(Node):
    VERSIONS: ClassVar[tuple[str, ...]] = ("v1",)

    spec: KubernetesNodeSpec = KubernetesNodeSpec()

    def problems(self) -> Iterator[Problem]:
        for index, written in self.internal():
            try:
                host_address(written)
            except ValueError as error:
                yield Problem(("status", "addresses", index, "address"), str(error))
        for name in ANNOTATIONS:
            try:
                host_address(self.metadata.annotations.get(name, ""))
            except ValueError as error:
                yield Problem(("metadata", "annotations", name), str(error))

    def internal(self) -> Iterator[tuple[int, str]]:
        """InternalIP addresses in the status. What else stands there is the cluster's own business."""
        listed = self.status.get("addresses") if isinstance(self.status, dict) else None
        for index, one in enumerate(listed if isinstance(listed, list) else ()):
            if isinstance(one, dict) and one.get("type") == "InternalIP":
                yield index, one.get("address", "")

    def every_address(self) -> Iterator[Address | None]:
        """With Calico on Kubernetes, the address that Calico found is in an annotation."""
        yield from (host_address(written) for _, written in self.internal())
        yield from (host_address(self.metadata.annotations.get(name, "")) for name in ANNOTATIONS)
