"""FelixConfiguration, and the nodes whose addresses it may exclude."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gateway.resources import ResourceError, load
from gateway.resources.kinds.felix_fields import NO_EFFECT

OnlyError = Callable[[str], ResourceError]


def felix(spec: str, name: str = "default", more: str = "") -> str:
    return (f"---\napiVersion: projectcalico.org/v3\nkind: FelixConfiguration\nmetadata: {{name: {name}{more}}}\n"
            f"spec: {spec}\n")


def node(body: str, version: str = "projectcalico.org/v3", name: str = "n") -> str:
    return f"---\napiVersion: {version}\nkind: Node\nmetadata: {{name: {name}}}\n{body}\n"


def test_every_field_with_an_effect(gateway_text: str) -> None:
    found = load(gateway_text + felix(
        "{natPortRange: '32768:65535', natOutgoingAddress: 203.0.113.9, natOutgoingExclusions: IPPoolsAndHostIPs, "
        "externalNodesCIDRs: [203.0.113.0/24], externalNodesList: [192.0.2.7], "
        "iptablesNATOutgoingInterfaceFilter: eth+}")).felix
    assert found.nat_port_range == (32768, 65535) and str(found.nat_outgoing_address) == "203.0.113.9"
    assert found.nat_outgoing_exclusions == "IPPoolsAndHostIPs" and found.interface_filter == "eth+"
    assert [str(one) for one in found.external_nodes_cidrs or ()] == ["203.0.113.0/24"]
    assert [str(one) for one in found.external_nodes_list or ()] == ["192.0.2.7/32"]


def test_nothing_is_given_by_default(gateway_text: str) -> None:
    assert set(load(gateway_text).felix.model_dump().values()) == {None}


@pytest.mark.parametrize(("written", "pair"), [("5000", (5000, 5000)), ("'5000'", (5000, 5000)), ("1:2", (1, 2))])
def test_nat_port_range_is_text_or_a_number(gateway_text: str, written: str, pair: tuple[int, int]) -> None:
    assert load(gateway_text + felix(f"{{natPortRange: {written}}}")).felix.nat_port_range == pair


WRONG = [
    ("{natPortRange: '65535:1024'}", "spec.natPortRange", "is turned round: 65535 is above 1024; write 1024:65535"),
    ("{natPortRange: 1024-2048}", "spec.natPortRange", "is no port range; write the lowest and the highest port"),
    ("{natPortRange: 70000}", "spec.natPortRange", "goes beyond the last port"),
    ("{natPortRange: true}", "spec.natPortRange", "must be text, not true"),
    ("{natPortRange: http}", "spec.natPortRange", "is no port range"),
    ("{natOutgoingAddress: '2001:db8::1'}", "spec.natOutgoingAddress", "is IPv6, and this field is for IPv4"),
    ("{natOutgoingAddress: 127.0.0.1}", "spec.natOutgoingAddress", "is loopback"),
    ("{natOutgoingExclusions: All}", "spec.natOutgoingExclusions", "must be one of IPPoolsOnly, IPPoolsAndHostIPs"),
    ("{externalNodesCIDRs: [10.0.0.1/8]}", "spec.externalNodesCIDRs[0]", "write 10.0.0.0/8"),
    ("{iptablesNATOutgoingInterfaceFilter: 'eth 0'}", "spec.iptablesNATOutgoingInterfaceFilter", "is no interface"),
    ("{natPortRanges: '1:2'}", "spec.natPortRanges", "did you mean natPortRange?"),
    ("{bpfEnable: true}", "spec.bpfEnable", "did you mean bpfEnabled?"),
    ("{somethingElse: true}", "spec.somethingElse", "unknown field; remove it"),
    ("{nodeSelector: all()}", "spec.nodeSelector", "is not possible in 'default'"),
]


@pytest.mark.parametrize(("written", "field", "words"), WRONG)
def test_what_is_wrong_is_named(only_error: OnlyError, gateway_text: str, written: str, field: str, words: str) -> None:
    error = only_error(gateway_text + felix(written))
    assert (error.kind, error.name, error.field) == ("FelixConfiguration", "default", field)
    assert words in error.message


def test_known_fields_without_effect_get_one_note(gateway_text: str) -> None:
    every = "\n".join(f"  {name}: 1" for name in sorted(NO_EFFECT))
    (note,) = load(gateway_text + felix("\n" + every)).notes
    assert "FelixConfiguration/default: spec: known to Calico, no effect here: allowIPIPPackets" in note
    assert len(NO_EFFECT) > 150


def test_a_configuration_for_nobody_gets_a_note(gateway_text: str) -> None:
    (note,) = load(gateway_text + felix("{}", "other")).notes
    assert note.endswith("no effect: not named default or node.<name>, and without nodeSelector")


def test_the_nodes_own_overrides_field_by_field(gateway_text: str) -> None:
    found = load(gateway_text
                 + felix("{natPortRange: '1:2', natOutgoingExclusions: IPPoolsAndHostIPs, natOutgoingAddress: 9.9.9.9}")
                 + felix("{natPortRange: '3:4', natOutgoingExclusions: IPPoolsOnly}", "node.node-a")
                 + felix("{natPortRange: '5:6'}", "node.node-b")).felix
    assert found.nat_port_range == (3, 4) and found.nat_outgoing_exclusions == "IPPoolsOnly"
    assert str(found.nat_outgoing_address) == "9.9.9.9"


def test_the_oldest_that_selects_the_node_comes_between(gateway_text: str) -> None:
    first, second = ", creationTimestamp: 2024-01-01T00:00:00Z", ", creationTimestamp: 2024-02-01T00:00:00Z"
    found = load(gateway_text + felix("{natPortRange: '1:1'}")
                 + felix("{natPortRange: '2:2', nodeSelector: rack == 'r1'}", "a", second)
                 + felix("{natPortRange: '3:3', nodeSelector: has(rack)}", "b", first)
                 + felix("{natPortRange: '4:4', nodeSelector: rack == 'r2'}", "c")).felix
    assert found.nat_port_range == (3, 3)


def test_nat_port_range_cannot_lie_beside_port_range(only_error: OnlyError, gateway_text: str) -> None:
    text = gateway_text.replace("spec: {", "spec: {nat: {portRange: 1024-2000}, ")
    error = only_error(text + felix("{natPortRange: '3000:4000'}"))
    assert error.field == "spec.natPortRange"
    assert "3000:4000 has no port in common with portRange 1024-2000 of Gateway/node-a" in error.message
    assert load(text + felix("{natPortRange: '2000:4000'}"))


def test_addresses_of_a_calico_node(gateway_text: str) -> None:
    body = ("spec: {bgp: {ipv4Address: 10.0.0.1/24, ipv6Address: '2001:db8::1', asNumber: 64512}, "
            "addresses: [{address: 10.0.0.2, type: InternalIP}, {address: 10.0.0.3/24}], "
            "orchRefs: [{nodeName: n, orchestrator: k8s}], ipv4VXLANTunnelAddr: 10.9.9.9}")
    (found,) = load(gateway_text + node(body)).nodes
    assert sorted(str(one) for one in found.addresses) == ["10.0.0.1", "10.0.0.2", "10.0.0.3", "2001:db8::1"]


def test_addresses_of_a_kubernetes_node(gateway_text: str) -> None:
    body = ("spec: {podCIDR: 10.244.0.0/24, taints: []}\nstatus: {addresses: [{type: InternalIP, address: 10.0.0.1}, "
            "{type: ExternalIP, address: 203.0.113.1}, {type: Hostname, address: n}], nodeInfo: {any: thing}}")
    annotations = "{name: n, annotations: {projectcalico.org/IPv4Address: 10.0.0.5/24}}"
    (found,) = load(gateway_text + node(body, "v1").replace("{name: n}", annotations)).nodes
    assert sorted(str(one) for one in found.addresses) == ["10.0.0.1", "10.0.0.5"]


def test_one_node_as_seen_by_both(gateway_text: str) -> None:
    assert len(load(gateway_text + node("", "v1") + node("")).nodes) == 2


@pytest.mark.parametrize(("version", "body", "field"), [
    ("projectcalico.org/v3", "spec: {bgp: {ipv4Address: 10.0.0}}", "spec.bgp.ipv4Address"),
    ("projectcalico.org/v3", "spec: {bgp: {ipv4Addr: 10.0.0.1}}", "spec.bgp.ipv4Addr"),
    ("projectcalico.org/v3", "spec: {addresses: [{type: InternalIP}]}", "spec.addresses[0].address"),
    ("v1", "spec: {podCidr: 10.0.0.0/8}", "spec.podCidr"),
    ("v1", "status: {addresses: [{type: InternalIP, address: here}]}", "status.addresses[0].address"),
])
def test_what_is_wrong_in_a_node(only_error: OnlyError, gateway_text: str, version: str, body: str, field: str) -> None:
    error = only_error(gateway_text + node(body, version))
    assert (error.kind, error.name, error.field) == ("Node", "n", field)


def test_labels_of_this_node(gateway_text: str) -> None:
    labelled = node("", name="node-a").replace("{name: node-a}", "{name: node-a, labels: {zone: z, rack: x}}")
    assert load(gateway_text + labelled).labels == {"zone": "z", "rack": "r1"}
