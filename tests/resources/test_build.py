"""build(): what resources say becomes flags of addresses, and settings."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.match import decision
from gateway.match.decision import (
    BOGON,
    EGRESS,
    INSIDE,
    LINK_SCOPE,
    LOCAL_SCOPE,
    MULTICAST,
    NAT_SOURCE,
    NO_TRANSLATE,
    OWN_INSIDE,
    OWN_OUTSIDE,
    POOL,
    REACHABLE,
    SHARED,
)
from gateway.match.ruleset import Ruleset
from gateway.match.settings import Clamp, Limits, Midstream, Ports, Scope, Settings, SideSettings
from gateway.resources import load
from gateway.resources.build import build
from gateway.wire.address import words

Pool = Callable[..., str]
SECOND = 1_000_000_000
ORDINARY = POOL | INSIDE | REACHABLE


def gateway(spec: str = "") -> str:
    return ("apiVersion: gateway/v1\nkind: Gateway\nmetadata: {name: node-a}\n"
            f"spec: {{outside: {{interface: eth0}}, {spec}}}\n")


def felix(spec: str) -> str:
    return ("---\napiVersion: projectcalico.org/v3\nkind: FelixConfiguration\nmetadata: {name: default}\n"
            f"spec: {spec}\n")


def flags(rules: Ruleset, address: str) -> int:
    return rules.flags(*words(address))


def translated(rules: Ruleset, source: str, destination: str) -> bool:
    return rules.translated(flags(rules, source), flags(rules, destination))


@pytest.mark.parametrize(("spec", "expected"), [
    ("", ORDINARY),
    (", natOutgoing: true", ORDINARY | NAT_SOURCE),
    (", disabled: true", POOL | INSIDE),
    (", disabled: true, natOutgoing: true", ORDINARY | NAT_SOURCE),
    (", allowedUses: [LoadBalancer]", 0),
    (", allowedUses: [LoadBalancer], natOutgoing: true", INSIDE | NAT_SOURCE),
    (", allowedUses: [Tunnel], natOutgoing: true", ORDINARY | NAT_SOURCE),
    (", nodeSelector: has(nowhere), natOutgoing: true", ORDINARY | NAT_SOURCE),
])
@pytest.mark.parametrize(("cidr", "address", "beside"), [
    ("192.168.0.0/16", "192.168.255.255", "192.169.0.0"), ("'2001:db8::/48'", "2001:db8::1", "2001:db8:1::")])
def test_flags_of_a_pool(pool: Pool, spec: str, expected: int, cidr: str, address: str, beside: str) -> None:
    rules = build(load(gateway() + pool(f"{{cidr: {cidr}{spec}}}")))
    assert flags(rules, address) == expected and flags(rules, beside) == 0


def test_the_rule_of_nat_outgoing(pool: Pool) -> None:
    rules = build(load(gateway() + pool("{cidr: 192.168.0.0/16, natOutgoing: true}", "pods")
                       + pool("{cidr: 10.0.0.0/8, disabled: true}", "no-nat-10.0.0.0-8")
                       + pool("{cidr: 172.16.0.0/16, allowedUses: [LoadBalancer]}", "lb")
                       + pool("{cidr: 'fd00::/48', natOutgoing: true}", "six")))
    assert translated(rules, "192.168.1.2", "203.0.113.1")
    assert not translated(rules, "192.168.1.2", "10.1.2.3")
    assert not translated(rules, "192.168.1.2", "192.168.1.3")
    assert translated(rules, "192.168.1.2", "172.16.0.1")
    assert not translated(rules, "10.1.2.3", "203.0.113.1")
    assert translated(rules, "fd00::1", "2001:db8::1")


def test_overlapping_pools_both_count(pool: Pool) -> None:
    rules = build(load(gateway() + pool("{cidr: 10.0.0.0/8, natOutgoing: true}", "wide")
                       + pool("{cidr: 10.1.0.0/16, disabled: true}", "inner")))
    assert flags(rules, "10.1.0.1") == ORDINARY | NAT_SOURCE
    assert [one.name for one in rules.members(*words("10.1.0.1"))] == ["inner", "wide"]


def test_of_one_cidr_the_first_name_counts(pool: Pool) -> None:
    same = pool("{cidr: 10.0.0.0/8, natOutgoing: true}", "b") + pool("{cidr: 10.0.0.0/8}", "a")
    rules = build(load(gateway() + same))
    assert flags(rules, "10.0.0.1") == ORDINARY
    assert [(one.name, one.pool) for one in rules.members(*words("10.0.0.1"))] == [("a", True)]


def test_capture_says_what_is_inside(pool: Pool) -> None:
    pods = pool("{cidr: 10.0.0.0/8, natOutgoing: true}")
    rules = build(load(gateway("inside: {capture: [10.1.0.0/16, cali0]}") + pods))
    assert flags(rules, "10.1.0.1") == ORDINARY | NAT_SOURCE
    assert flags(rules, "10.2.0.1") == POOL | NAT_SOURCE
    interfaces = build(load(gateway("inside: {capture: [cali0]}") + pods))
    assert flags(interfaces, "10.2.0.1") == ORDINARY | NAT_SOURCE


NODES = """
---
apiVersion: projectcalico.org/v3
kind: Node
metadata: {name: n}
spec: {bgp: {ipv4Address: 203.0.113.1/24, ipv6Address: "2001:db8:113::1/64"}}
"""


def test_host_addresses_are_excluded_when_asked() -> None:
    text = gateway() + NODES
    asked = "{natOutgoingExclusions: IPPoolsAndHostIPs, externalNodesCIDRs: [192.0.2.0/24, 'fd00::/64'], " \
            "externalNodesList: [198.18.0.1, 192.0.2.0/24]}"
    rules = build(load(text + felix(asked)))
    for address in ("203.0.113.1", "2001:db8:113::1", "192.0.2.9", "198.18.0.1"):
        assert flags(rules, address) == NO_TRANSLATE
    assert flags(rules, "203.0.113.2") == 0 and flags(rules, "fd00::1") == LOCAL_SCOPE
    only = build(load(text + felix("{natOutgoingExclusions: IPPoolsOnly, externalNodesCIDRs: [192.0.2.0/24]}")))
    assert flags(only, "203.0.113.1") == 0 == flags(only, "192.0.2.9")


def test_no_translate() -> None:
    rules = build(load(gateway("nat: {noTranslate: [203.0.113.0/24, 2001:db8::1]}")))
    assert flags(rules, "203.0.113.7") == NO_TRANSLATE == flags(rules, "2001:db8::1")


@pytest.mark.parametrize(("address", "expected"), [
    ("0.0.0.0", BOGON), ("127.0.0.1", BOGON), ("240.0.0.1", BOGON), ("255.255.255.255", BOGON),
    ("224.0.0.1", MULTICAST), ("239.255.255.255", MULTICAST), ("169.254.0.1", LINK_SCOPE),
    ("::", BOGON), ("::1", BOGON), ("100::1", BOGON), ("ff02::1", MULTICAST), ("fe80::1", LINK_SCOPE),
    ("fd00::1", LOCAL_SCOPE), ("fc00::1", LOCAL_SCOPE),
    ("10.0.0.1", 0), ("192.168.0.1", 0), ("172.16.0.1", 0), ("192.0.2.1", 0), ("198.51.100.1", 0), ("203.0.113.1", 0),
    ("8.8.8.8", 0), ("223.255.255.255", 0), ("2001:db8::1", 0), ("2600::1", 0), ("::2", 0), ("64:ff9b::1", 0),
])
def test_addresses_that_mean_something_by_themselves(address: str, expected: int) -> None:
    assert flags(build(load(gateway())), address) == expected


def test_egress_and_own_addresses() -> None:
    text = gateway("addresses: [198.51.100.10, '2001:db8:e::10'], inside: {addresses: [10.0.0.1/16, 'fd00::1/64']}")
    rules = build(load(text), shared={"198.51.100.10"}, outside=["198.51.100.2/24", "2001:db8:e::2", "fe80::2/64"])
    assert flags(rules, "198.51.100.10") == EGRESS | SHARED and flags(rules, "2001:db8:e::10") == EGRESS
    assert flags(rules, "10.0.0.1") == OWN_INSIDE and flags(rules, "fd00::1") == OWN_INSIDE | LOCAL_SCOPE
    assert flags(rules, "10.0.0.2") == 0 and flags(rules, "198.51.100.2") == OWN_OUTSIDE | SHARED
    found = rules.settings
    assert found.egress4 == (words("198.51.100.10"),) and found.egress6 == (words("2001:db8:e::10"),)
    assert found.shared == {words("198.51.100.10")}
    assert found.inside.addresses == (words("10.0.0.1"), words("fd00::1"))
    assert found.outside.addresses == (words("198.51.100.2"), words("2001:db8:e::2"), words("fe80::2"))


def test_written_own_addresses_come_before_the_interfaces() -> None:
    rules = build(load(gateway("inside: {addresses: [10.0.0.1]}")), inside=["10.9.9.9/24"])
    assert rules.settings.inside.addresses == (words("10.0.0.1"),)


def test_masquerade_when_a_family_has_no_egress_address() -> None:
    found = ["198.51.100.2/24", "2001:db8::2/64", "fe80::2/64"]
    rules = build(load(gateway("addresses: [198.51.100.10]")), outside=found)
    assert rules.settings.egress4 == (words("198.51.100.10"),) and rules.settings.egress6 == (words("2001:db8::2"),)
    assert flags(rules, "2001:db8::2") == EGRESS | OWN_OUTSIDE | SHARED


def test_nat_outgoing_address_replaces_the_v4_ones() -> None:
    rules = build(load(gateway("addresses: [198.51.100.10, 198.51.100.11, 2001:db8::10]")
                       + felix("{natOutgoingAddress: 203.0.113.9}")))
    assert rules.settings.egress4 == (words("203.0.113.9"),) and rules.settings.egress6 == (words("2001:db8::10"),)
    assert flags(rules, "198.51.100.10") == 0 and flags(rules, "203.0.113.9") == EGRESS


@pytest.mark.parametrize(("nat", "narrow", "transport", "icmp"), [
    ("", "{}", Ports(), Ports()),
    ("nat: {portRange: 1024-65535}", "{}", Ports(classes=False), Ports(classes=False)),
    ("nat: {portRange: 0-9}", "{}", Ports(1, 9, False), Ports(1, 9, False)),
    ("", "{natPortRange: '500:600'}", Ports(500, 600, False), Ports()),
    ("nat: {portRange: 1000-2000}", "{natPortRange: '1500:1600'}", Ports(1500, 1600, False), Ports(1000, 2000, False)),
    ("nat: {portRange: 1000-2000}", "{natPortRange: '1500:9000'}", Ports(1500, 2000, False), Ports(1000, 2000, False)),
    ("nat: {portRange: 1000-2000}", "{natPortRange: 1500}", Ports(1500, 1500, False), Ports(1000, 2000, False)),
])
def test_port_ranges(nat: str, narrow: str, transport: Ports, icmp: Ports) -> None:
    found = build(load(gateway(nat) + felix(narrow))).settings
    assert (found.tcp_ports, found.udp_ports, found.icmp_ports) == (transport, transport, icmp)


def test_ports_the_host_listens_on() -> None:
    found = build(load(gateway()), listening={"tcp": frozenset({8080})}).settings
    assert found.tcp_ports.excluded == {8080} and not found.udp_ports.excluded and not found.icmp_ports.excluded


NOTHING_DEFAULT = """
  inside: {mtu: 1400},
  nat: {mapping: {tcp: EndpointIndependent, udp: AddressDependent},
        filtering: {tcp: AddressDependent, udp: EndpointIndependent},
        portPreservation: false, hairpinning: false, onExhaustion: Drop, midstream: Adopt, mssClamping: 1200,
        inboundRefresh: true},
  timeouts: {tcpTransitory: 5m, tcpOpening: 6m, tcpEstablished: 3h, tcpInboundSyn: 7s, udp: 8m, icmp: 90s, other: 11m,
             fragment: 20s},
  limits: {flows: 6, flowsPerSource: 1, portsPerSource: 2, newFlowsPerSecondPerSource: 3, fragmentsHeld: 4,
           icmpErrorsPerSecond: 5},
  records: {remote: true, file: events.jsonl}
"""


def test_every_setting() -> None:
    found = build(load(gateway(NOTHING_DEFAULT))).settings
    assert (found.tcp_mapping, found.udp_mapping) == (Scope.ENDPOINT_INDEPENDENT, Scope.ADDRESS_DEPENDENT)
    assert (found.tcp_filtering, found.udp_filtering) == (Scope.ADDRESS_DEPENDENT, Scope.ENDPOINT_INDEPENDENT)
    assert (found.port_preservation, found.hairpinning, found.reject_exhausted, found.inbound_refresh) == (0, 0, 0, 1)
    assert found.midstream == Midstream.ADOPT and found.mss_clamp == 1200 and found.inside == SideSettings(1400)
    times = found.timeouts
    seconds = [one // SECOND for one in (times.tcp_opening, times.tcp_closing, times.tcp_established,
                                         times.tcp_inbound_syn, times.udp, times.icmp, times.other, times.fragment)]
    assert seconds == [360, 300, 10_800, 7, 480, 90, 660, 20]
    assert found.limits == Limits(6, 1, 2, 3, 4, 5) and found.records_remote


@pytest.mark.parametrize(("written", "clamp"), [("Auto", Clamp.AUTO), ("Off", Clamp.OFF), ("536", 536)])
def test_mss_clamping(written: str, clamp: int) -> None:
    assert build(load(gateway(f"nat: {{mssClamping: {written}}}"))).settings.mss_clamp == clamp


def test_defaults_of_the_resource_are_those_of_the_settings() -> None:
    assert build(load(gateway())).settings == Settings()


@pytest.mark.parametrize(("wanted", "filtered"), [("eth0", False), ("eth+", False), ("+", False), ("", False),
                                                  ("eth1", True), ("ens+", True), ("eth0+", False), ("eth", True)])
def test_interface_filter(wanted: str, filtered: bool) -> None:
    text = gateway() + felix(f"{{iptablesNATOutgoingInterfaceFilter: '{wanted}'}}")
    assert build(load(text)).settings.outside_filtered is filtered


def test_the_interface_filter_does_not_concern_memory() -> None:
    text = gateway().replace("interface: eth0", "driver: memory") + felix("{iptablesNATOutgoingInterfaceFilter: eth0}")
    assert not build(load(text)).settings.outside_filtered


cidrs = st.builds(lambda base, length: ip_network(((base << 24) & (0xFFFFFFFF << (32 - length)), length)),
                  st.integers(1, 100), st.integers(8, 26))
pools = st.lists(st.tuples(cidrs, st.booleans(), st.booleans()), min_size=1, max_size=6)
addresses = st.integers(1, 100).flatmap(lambda base: st.integers(base << 24, (base << 24) + 2**24 - 1))


@settings(deadline=None)
@given(pools, addresses, addresses)
def test_translation_agrees_with_calicos_rule_in_words(drawn: list[tuple[object, bool, bool]], source: int,
                                                       destination: int) -> None:
    objects = [{"apiVersion": "projectcalico.org/v3", "kind": "IPPool", "metadata": {"name": f"p{index}"},
                "spec": {"cidr": str(cidr), "natOutgoing": nat, "disabled": disabled}}
               for index, (cidr, nat, disabled) in enumerate(drawn)]
    rules = build(load([*objects, {"apiVersion": "gateway/v1", "kind": "Gateway", "metadata": {"name": "g"},
                                   "spec": {"outside": {"driver": "memory"}}}]))
    first = {str(cidr): nat for cidr, nat, _ in reversed(drawn)}  # of one CIDR, the first name counts

    def within(address: int) -> list[bool]:
        return [nat for cidr, nat in first.items() if address in range(
            int(ip_network(cidr).network_address), int(ip_network(cidr).broadcast_address) + 1)]

    expected = any(within(source)) and not within(destination)
    words_of = [(0, 0xFFFF << 32 | one) for one in (source, destination)]
    assert rules.translated(rules.flags(*words_of[0]), rules.flags(*words_of[1])) == expected
    assert decision.BOGON & rules.flags(*words_of[0]) == 0


@pytest.mark.parametrize(("addresses", "carried", "mtus"), [
    ("198.51.100.10", (65_535, 65_535), (1500, 1500)), ("198.51.100.10", (9000, 1000), (1500, 1000)),
    ("'2001:db8::1'", (1000, 1400), (1280, 1400)),
])
def test_what_an_interface_carries_counts_where_it_is_less(addresses: str, carried: tuple[int, int],
                                                           mtus: tuple[int, int]) -> None:
    """No path is told to be narrower than IPv6 allows (RFC 8200 section 5)."""
    rules = build(load(gateway(f"addresses: [{addresses}]")), carried=carried)
    assert (rules.settings.inside.mtu, rules.settings.outside.mtu) == mtus
