"""IPPool: Calico's fields, defaults and admission rules."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gateway.resources import ResourceError, ResourceErrors, check_update, load

OnlyError = Callable[[str], ResourceError]
Pool = Callable[..., str]
LONG = "a" * 1025


def test_every_field_is_read(gateway_text: str, pool: Pool) -> None:
    text = pool("{cidr: 192.168.0.0/16, natOutgoing: true, disabled: true, disableBGPExport: true, blockSize: 24, "
                "nodeSelector: has(rack), namespaceSelector: \"a == 'b'\", allowedUses: [Workload], ipipMode: Always, "
                "vxlanMode: Never, assignmentMode: Manual}")
    spec = load(gateway_text + text).pools[0].spec
    assert (str(spec.cidr), spec.nat_outgoing, spec.disabled, spec.disable_bgp_export) == ("192.168.0.0/16", 1, 1, 1)
    assert (str(spec.node_selector), str(spec.namespace_selector)) == ("has(rack)", 'a == "b"')
    assert (spec.ipip_mode, spec.vxlan_mode, spec.assignment_mode) == ("Always", "Never", "Manual")


def test_defaults(gateway_text: str, pool: Pool) -> None:
    four, six = load(gateway_text + pool("{cidr: 10.0.0.0/8}", "a") + pool("{cidr: 'fd00::/48'}", "b")).pools
    assert (four.block_size, six.block_size) == (26, 122)
    assert not four.spec.nat_outgoing and not four.spec.disabled and str(four.spec.node_selector) == "all()"
    assert four.uses == {"Workload", "Tunnel"} and four.spec.assignment_mode == "Automatic"
    assert four.spec.ipip_mode == four.spec.vxlan_mode == "Never"


WRONG = [  # the spec, the field, words of the message
    ("{}", "spec.cidr", "is required; add it"),
    ("{cidr: 192.168.1.0/16}", "spec.cidr", "'192.168.1.0/16' has host bits set below its mask; write 192.168.0.0/16"),
    ("{cidr: 'fd00::1/48'}", "spec.cidr", "write fd00::/48"),
    ("{cidr: 192.168.0.0}", "spec.cidr", "the prefix length is missing; write 192.168.0.0/32"),
    ("{cidr: 192.168.0.0/33}", "spec.cidr", "the length must be a number from 0 to 32"),
    ("{cidr: 192.168.0.0/-1}", "spec.cidr", "the length must be a number from 0 to 32"),
    ("{cidr: 192.168.0.0/255.255.0.0}", "spec.cidr", "the length must be a number from 0 to 32"),
    ("{cidr: 10.0.256.0/24}", "spec.cidr", "is no IPv4 or IPv6 address"),
    ("{cidr: 'fd5f::2::1/32'}", "spec.cidr", "is no IPv4 or IPv6 address"),
    ("{cidr: '::ffff:10.0.0.0/104'}", "spec.cidr", "must be a plain address"),
    ("{cidr: 10}", "spec.cidr", "must be text, not the number 10"),
    ("{cidr: [10.0.0.0/8]}", "spec.cidr", "must be text, not a list"),
    ("{cidr: 169.254.1.0/24}", "spec.cidr", "overlaps link-local 169.254.0.0/16"),
    ("{cidr: 0.0.0.0/0}", "spec.cidr", "overlaps link-local 169.254.0.0/16"),
    ("{cidr: 'fe80::/16'}", "spec.cidr", "overlaps link-local fe80::/10"),
    ("{cidr: 10.0.0.0/8, blockSize: 19}", "spec.blockSize", "must be 20 to 32 in an IPv4 pool, not 19; write 26"),
    ("{cidr: 10.0.0.0/8, blockSize: 33}", "spec.blockSize", "must be 20 to 32"),
    ("{cidr: 'fd00::/48', blockSize: 115}", "spec.blockSize", "must be 116 to 128 in an IPv6 pool, not 115; write 122"),
    ("{cidr: 'fd00::/48', blockSize: 26}", "spec.blockSize", "must be 116 to 128"),
    ("{cidr: 10.0.0.0/8, blockSize: '26'}", "spec.blockSize", "write 26, without quotes"),
    ("{cidr: 10.0.0.0/27}", "spec.cidr", "10.0.0.0/27 is smaller than one block of /26; choose a larger range"),
    ("{cidr: 'fd00::/123'}", "spec.cidr", "is smaller than one block of /122"),
    ("{cidr: 10.0.0.0/8, ipipMode: Always, vxlanMode: Always}", "spec.vxlanMode", "set one of the two to Never"),
    ("{cidr: 10.0.0.0/8, ipipMode: CrossSubnet, vxlanMode: Always}", "spec.vxlanMode", "set one of the two to Never"),
    ("{cidr: 'fd00::/48', ipipMode: CrossSubnet}", "spec.ipipMode", "IPIP carries IPv4 only; set it to Never"),
    ("{cidr: 10.0.0.0/8, ipipMode: always}", "spec.ipipMode", "not 'always'; did you mean Always?"),
    ("{cidr: 10.0.0.0/8, vxlanMode: ''}", "spec.vxlanMode", "must be one of Never, Always, CrossSubnet"),
    ("{cidr: 10.0.0.0/8, assignmentMode: automatic}", "spec.assignmentMode", "did you mean Automatic?"),
    ("{cidr: 10.0.0.0/8, allowedUses: [workload]}", "spec.allowedUses[0]", "did you mean Workload?"),
    ("{cidr: 10.0.0.0/8, allowedUses: Workload}", "spec.allowedUses", "must be a list, not the text 'Workload'"),
    ("{cidr: 10.0.0.0/8, allowedUses: [Tunnel, Tunnel]}", "spec.allowedUses[1]", "Tunnel is here twice"),
    ("{cidr: 10.0.0.0/8, allowedUses: [LoadBalancer, Workload]}", "spec.allowedUses", "allows no other use"),
    ("{cidr: 10.0.0.0/8, allowedUses: [LoadBalancer], ipipMode: Always}", "spec.ipipMode", "Always in a LoadBal"),
    ("{cidr: 10.0.0.0/8, allowedUses: [LoadBalancer], vxlanMode: Always}", "spec.vxlanMode", "in a LoadBalancer pool"),
    ("{cidr: 10.0.0.0/8, allowedUses: [LoadBalancer], disableBGPExport: true}", "spec.disableBGPExport",
     "set it to false"),
    ("{cidr: 10.0.0.0/8, allowedUses: [LoadBalancer], nodeSelector: has(a)}", "spec.nodeSelector", "must be all()"),
    ("{cidr: 10.0.0.0/8, allowedUses: [Tunnel], namespaceSelector: all()}", "spec.namespaceSelector",
     "is not possible in a pool for tunnels"),
    ("{cidr: 10.0.0.0/8, nodeSelector: global()}", "spec.nodeSelector", "global() selects nothing here"),
    ("{cidr: 10.0.0.0/8, namespaceSelector: 'has(a) || global( )'}", "spec.namespaceSelector", "global() selects"),
    (f"{{cidr: 10.0.0.0/8, nodeSelector: has(a)||a=='{LONG}'}}", "spec.nodeSelector", "at most 1024 are possible"),
    ("{cidr: 10.0.0.0/8, nodeSelector: a = b}", "spec.nodeSelector", "a single = means nothing; write =="),
    ("{cidr: 10.0.0.0/8, nodeSelector: true}", "spec.nodeSelector", "must be text, not true"),
    ("{cidr: 10.0.0.0/8, natOutgoing: 'true'}", "spec.natOutgoing", "not the text 'true'; write true, without quotes"),
    ("{cidr: 10.0.0.0/8, natOutgoing: 1}", "spec.natOutgoing", "must be true or false, not the number 1"),
    ("{cidr: 10.0.0.0/8, disabled: No}", "spec.disabled", "write false, without quotes"),
    ("{cidr: 10.0.0.0/8, nat-outgoing: true}", "spec.nat-outgoing", "did you mean natOutgoing?"),
    ("{cidr: 10.0.0.0/8, natoutgoing: true}", "spec.natoutgoing", "did you mean natOutgoing?"),
    ("{cidr: 10.0.0.0/8, ipip: {enabled: true}}", "spec.ipip", "unknown field; did you mean ipipMode?"),
    ("{cdir: 10.0.0.0/8}", "spec.cdir", "did you mean cidr?"),
]


@pytest.mark.parametrize(("written", "field", "words"), WRONG)
def test_what_calico_would_not_admit(only_error: OnlyError, gateway_text: str, pool: Pool, written: str, field: str,
                                     words: str) -> None:
    error = only_error(gateway_text + pool(written))
    assert (error.kind, error.name, error.field) == ("IPPool", "p", field)
    assert words in error.message


@pytest.mark.parametrize("written", [
    "{cidr: 10.0.0.0/27, disabled: true}",
    "{cidr: 10.0.0.0/26}",
    "{cidr: 10.0.0.0/32, blockSize: 32}",
    "{cidr: 10.0.0.0/8, blockSize: 0}",
    "{cidr: 'FD00:0:0::/48'}",
    "{cidr: 10.0.0.0/8, allowedUses: []}",
    "{cidr: 10.0.0.0/8, namespaceSelector: has(a)}",
    "{cidr: 10.0.0.0/8, allowedUses: [Tunnel], namespaceSelector: ''}",
    "{cidr: 10.0.0.0/8, allowedUses: [LoadBalancer], nodeSelector: ' all() '}",
    "{cidr: 'fd00::/48', vxlanMode: CrossSubnet}",
])
def test_what_calico_admits(gateway_text: str, pool: Pool, written: str) -> None:
    assert load(gateway_text + pool(written)).notes == ()


def test_a_pool_where_no_packet_goes_gets_a_note(gateway_text: str, pool: Pool) -> None:
    (note,) = load(gateway_text + pool("{cidr: 240.0.0.0/8}")).notes
    assert "IPPool/p: spec.cidr: overlaps 240.0.0.0/4 (reserved and broadcast): packets from and to there are" in note


def test_several_rules_broken_at_once(errors_of: Callable[[str], list[ResourceError]], gateway_text: str,
                                      pool: Pool) -> None:
    broken = pool("{cidr: 'fe80::/64', blockSize: 20, ipipMode: Always, vxlanMode: Always, nodeSelector: global()}")
    assert sorted(error.field for error in errors_of(gateway_text + broken)) == [
        "spec.blockSize", "spec.cidr", "spec.ipipMode", "spec.nodeSelector", "spec.vxlanMode"]


def test_overlapping_pools_load_with_notes(gateway_text: str, pool: Pool) -> None:
    found = load(gateway_text + pool("{cidr: 10.1.0.0/16}", "inner") + pool("{cidr: 10.0.0.0/8}", "wide")
                 + pool("{cidr: 10.1.0.0/16}", "after") + pool("{cidr: 11.0.0.0/8}", "apart"))
    assert len(found.notes) == 2
    assert "IPPool/after: spec.cidr: overlaps IPPool/wide (10.0.0.0/8): both count" in found.notes[0]
    assert "IPPool/inner: spec.cidr: is the CIDR of IPPool/after too, whose name comes first" in found.notes[1]


@pytest.mark.parametrize(("old", "new", "field"), [
    ("{cidr: 10.0.0.0/8}", "{cidr: 10.0.0.0/9}", "spec.cidr"),
    ("{cidr: 10.0.0.0/8}", "{cidr: 10.0.0.0/8, blockSize: 25}", "spec.blockSize"),
    ("{cidr: 10.0.0.0/8, allowedUses: [LoadBalancer]}", "{cidr: 10.0.0.0/8}", "spec.allowedUses"),
])
def test_what_cannot_change_later(gateway_text: str, pool: Pool, old: str, new: str, field: str) -> None:
    with pytest.raises(ResourceErrors) as caught:
        check_update(load(gateway_text + pool(old)), load(gateway_text + pool(new)))
    (error,) = caught.value.errors
    assert (error.kind, error.name, error.field, error.line) == ("IPPool", "p", field, 9)


def test_what_can_change_later(gateway_text: str, pool: Pool) -> None:
    old = load(gateway_text + pool("{cidr: 10.0.0.0/8, natOutgoing: true}") + pool("{cidr: 'fd00::/48'}", "q"))
    new = load(gateway_text + pool("{cidr: 10.0.0.0/8, blockSize: 26, disabled: true}")
               + pool("{cidr: 11.0.0.0/8}", "r"))
    check_update(old, new)
