"""The Gateway: every field and default, and every way to get one wrong."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address, ip_interface, ip_network

import pytest

from gateway.nat import bounds
from gateway.resources import ResourceError, load
from gateway.resources.kinds.gateway import MOST_FLOWS

ErrorsOf = Callable[[str], list[ResourceError]]
OnlyError = Callable[[str], ResourceError]
SECOND = 1_000_000_000
WHOLE = """\
apiVersion: gateway/v1
kind: Gateway
metadata:
  name: node-a
  labels: {rack: r1}
spec:
  inside:  {driver: tun,    interface: gw-inside, mtu: 1500, capture: [192.168.0.0/24, cali0], addresses: [10.0.0.1/16]}
  outside: {driver: packet, interface: eth0,      mtu: 1400, nextHop: 198.51.100.1}
  addresses: [198.51.100.10, "2001:db8:e::10"]
  nat:
    portRange: "2000-3000"
    mapping:   {tcp: EndpointIndependent, udp: AddressDependent}
    filtering: {tcp: AddressDependent, udp: EndpointIndependent}
    portPreservation: false
    hairpinning: false
    onExhaustion: Drop
    midstream: Adopt
    mssClamping: 1200
    inboundRefresh: true
    noTranslate: [203.0.113.0/24, 203.0.114.7]
  timeouts:
    tcpEstablished: 3h
    tcpTransitory: 5m
    tcpOpening: 6m
    tcpClosing: 7m30s
    tcpInboundSyn: 6500ms
    udp: 1h30m10s
    icmp: 1.5m
    other: 20m
    fragment: 30s
  limits:
    flows: 1000
    flowsPerSource: 1
    portsPerSource: 2
    newFlowsPerSecondPerSource: 3
    fragmentsHeld: 4
    icmpErrorsPerSecond: 5
"""


def gateway(spec: str) -> str:
    return f"apiVersion: gateway/v1\nkind: Gateway\nmetadata: {{name: node-a}}\nspec: {spec}\n"


def test_every_field_is_read() -> None:
    spec = load(WHOLE).gateway.spec
    assert spec.inside.capture == [ip_network("192.168.0.0/24"), "cali0"]
    assert spec.inside.addresses == [ip_interface("10.0.0.1/16")]
    assert spec.outside.next_hop == (ip_address("198.51.100.1"),)
    assert [str(one) for one in spec.addresses] == ["198.51.100.10", "2001:db8:e::10"]
    assert spec.nat.port_range == (2000, 3000)
    assert (spec.nat.mapping.tcp, spec.nat.mapping.udp) == ("EndpointIndependent", "AddressDependent")
    assert (spec.nat.filtering.tcp, spec.nat.filtering.udp) == ("AddressDependent", "EndpointIndependent")
    assert not spec.nat.port_preservation and not spec.nat.hairpinning and spec.nat.inbound_refresh
    assert (spec.nat.on_exhaustion, spec.nat.midstream, spec.nat.mss_clamping) == ("Drop", "Adopt", 1200)
    assert spec.nat.no_translate == [ip_network("203.0.113.0/24"), ip_network("203.0.114.7/32")]
    assert spec.timeouts.udp == 5410 * SECOND and spec.timeouts.icmp == 90 * SECOND
    assert spec.timeouts.tcp_closing == 450 * SECOND and spec.timeouts.tcp_inbound_syn == 6_500_000_000
    assert list(spec.limits.model_dump().values()) == [1000, 1, 2, 3, 4, 5]


def test_defaults() -> None:
    found = load(gateway("{outside: {interface: eth0}}")).gateway
    spec = found.spec
    assert found.interfaces == ("gw-inside", "eth0")
    assert (spec.inside.driver, spec.outside.driver, spec.inside.mtu, spec.outside.mtu) == ("tun", "packet", 1500, 1500)
    assert spec.nat.port_range == (1024, 65535) and not spec.nat.given_range
    assert spec.nat.mss_clamping == "Auto" and spec.nat.midstream == "Drop"
    assert (spec.nat.mapping.tcp, spec.nat.mapping.udp) == ("AddressAndPortDependent", "EndpointIndependent")
    assert {spec.nat.filtering.tcp, spec.nat.filtering.udp} == {"AddressAndPortDependent"}
    assert spec.nat.port_preservation and spec.nat.hairpinning and not spec.nat.inbound_refresh
    times = spec.timeouts
    assert [times.tcp_established, times.tcp_transitory, times.tcp_inbound_syn, times.udp, times.icmp, times.other,
            times.fragment] == [seconds * SECOND for seconds in (7440, 240, 6, 300, 60, 600, 15)]
    assert list(spec.limits.model_dump().values()) == [262_144, 0, 0, 0, 1024, 1000]


def test_memory_needs_no_interface() -> None:
    assert load(gateway("{inside: {driver: memory}, outside: {driver: memory}}")).gateway.interfaces == ("", "")


def test_an_empty_value_is_the_default() -> None:
    assert load(gateway("{outside: {interface: eth0, mtu: null}, nat: ~}")).gateway.spec.outside.mtu == 1500


WRONG = [  # what is written below "outside: {interface: eth0}", the field, words of the message
    ("addreses: []", "spec.addreses", "unknown field; did you mean addresses?"),
    ("zones: 2", "spec.zones", "Valid here: addresses, inside, limits, nat, outside, records, timeouts and workers"),
    ("workers: 65", "spec.workers", "must be at most 64, not 65"),
    ("workers: 2, inside: {driver: xdp, interface: pod}", "spec.workers", "the one queue that driver xdp reads inside"),
    ("workers: 3, limits: {flows: 2}", "spec.limits.flows", "2 flows are not enough for 3 workers"),
    ("workers: 4, limits: {fragmentsHeld: 4}", "spec.limits.fragmentsHeld", "is too little for 4 workers"),
    ("workers: 4, limits: {icmpErrorsPerSecond: 3}", "spec.limits.icmpErrorsPerSecond", "write at least 4, or 0"),
    ("workers: 3, nat: {portRange: 40000-40127}", "spec.workers", "40000-40127 cannot be dealt out among 3 workers"),
    ("nat: {portrange: '1-2'}", "spec.nat.portrange", "did you mean portRange?"),
    ("inside: {capture: {a: b}}", "spec.inside.capture", "must be a list, not a mapping"),
    ("inside: {nextHop: 10.0.0.1}", "spec.inside.nextHop", "unknown field"),
    ("inside: {driver: tap}", "spec.inside.driver", "must be one of tun, packet, xdp, memory, exactly as written here"),
    ("inside: {driver: TUN}", "spec.inside.driver", "did you mean tun?"),
    ("inside: {driver: packet}", "spec.inside.interface", "is required with driver packet"),
    ("inside: {driver: xdp}", "spec.inside.interface", "is required with driver xdp"),
    ("inside: {interface: eth0}", "spec.outside.interface", "eth0 is the inside interface too"),
    ("inside: {interface: 'a b'}", "spec.inside.interface", "is no interface name; write 1 to 15 bytes"),
    ("inside: {interface: sixteen-letters-}", "spec.inside.interface", "is no interface name"),
    ("inside: {interface: ëëëëëëëë}", "spec.inside.interface", "is no interface name"),
    ("inside: {interface: 5}", "spec.inside.interface", "must be text, not the number 5"),
    ("inside: {mtu: 67}", "spec.inside.mtu", "must be at least 68, not 67"),
    ("inside: {mtu: 65536}", "spec.inside.mtu", "must be at most 65535, not 65536"),
    ("inside: {mtu: '1500'}", "spec.inside.mtu", "not the text '1500'; write 1500, without quotes"),
    ("inside: {mtu: 1500.5}", "spec.inside.mtu", "must be a whole number"),
    ("inside: {mtu: true}", "spec.inside.mtu", "must be a whole number, not true"),
    ("inside: {mtu: 0x5dc00}", "spec.inside.mtu", "must be at most 65535"),
    ("inside: {addresses: [10.0.0.1/33]}", "spec.inside.addresses[0]", "has no valid prefix length"),
    ("inside: {addresses: [10.0.0.1/255.0.0.0]}", "spec.inside.addresses[0]", "has no valid prefix length"),
    ("inside: {addresses: [224.0.0.1]}", "spec.inside.addresses[0]", "224.0.0.1 is multicast"),
    ("inside: {addresses: [10.0.0.1, 10.0.0.1/8]}", "spec.inside.addresses[1]", "10.0.0.1 is here twice"),
    ("inside: {addresses: 10.0.0.1}", "spec.inside.addresses", "must be a list, not the text '10.0.0.1'"),
    ("inside: {capture: [10.0.0.1/8]}", "spec.inside.capture[0]", "has host bits set below its mask; write 10.0.0.0/8"),
    ("inside: {capture: [10.0.0.300]}", "spec.inside.capture[0]", "is no IPv4 or IPv6 address"),
    ("inside: {capture: ['']}", "spec.inside.capture[0]", "is no interface name"),
    ("inside: {driver: packet, interface: br0, capture: [br0, cali0]}", "spec.inside.capture[1]",
     "cali0: with driver packet only what comes in by inside.interface can be captured"),
    ("addresses: [198.51.100.10/32]", "spec.addresses[0]", "must be one address, without /; write 198.51.100.10"),
    ("addresses: [198.51.100.10, 198.51.100.10]", "spec.addresses[1]", "198.51.100.10 is here twice"),
    ("addresses: ['2001:db8::1', '2001:0db8::0:1']", "spec.addresses[1]", "2001:db8::1 is here twice"),
    ("addresses: [239.0.0.1]", "spec.addresses[0]", "239.0.0.1 is multicast"),
    ("addresses: [127.0.0.1]", "spec.addresses[0]", "127.0.0.1 is loopback"),
    ("addresses: [0.0.0.0]", "spec.addresses[0]", "0.0.0.0 is unspecified"),
    ("addresses: ['::']", "spec.addresses[0]", ":: is unspecified"),
    ("addresses: ['::1']", "spec.addresses[0]", "::1 is loopback"),
    ("addresses: ['ff02::1']", "spec.addresses[0]", "ff02::1 is multicast"),
    ("addresses: ['fe80::1']", "spec.addresses[0]", "fe80::1 is link-local"),
    ("addresses: [255.255.255.255]", "spec.addresses[0]", "255.255.255.255 is reserved"),
    ("addresses: ['::ffff:198.51.100.1']", "spec.addresses[0]", "must be a plain address; write 198.51.100.1"),
    ("addresses: ['2001:db8::1%eth0']", "spec.addresses[0]", "must be a plain address; write 2001:db8::1"),
    ("addresses: [198.51.100.010]", "spec.addresses[0]", "is no IPv4 or IPv6 address"),
    ("addresses: [server.example]", "spec.addresses[0]", "is no IPv4 or IPv6 address"),
    ("addresses: [7]", "spec.addresses[0]", "must be text, not the number 7"),
    ("nat: {portRange: 65535-1024}", "spec.nat.portRange", "is turned round: 65535 is above 1024; write 1024-65535"),
    ("nat: {portRange: 1024-65536}", "spec.nat.portRange", "goes beyond the last port, 65535; write for example"),
    ("nat: {portRange: '1024'}", "spec.nat.portRange", "is no port range"),
    ("nat: {portRange: 1024}", "spec.nat.portRange", "must be text, not the number 1024; write a range in quotes"),
    ("nat: {portRange: '1024:2048'}", "spec.nat.portRange", "is no port range"),
    ("nat: {portRange: 0-0}", "spec.nat.portRange", "holds no port that can be used"),
    ("nat: {portRange: -1-5}", "spec.nat.portRange", "is no port range"),
    ("nat: {mapping: {tcp: endpointIndependent}}", "spec.nat.mapping.tcp", "did you mean EndpointIndependent?"),
    ("nat: {mapping: {sctp: EndpointIndependent}}", "spec.nat.mapping.sctp", "unknown field"),
    ("nat: {mapping: EndpointIndependent}", "spec.nat.mapping", "must be a mapping, not the text"),
    ("nat: {filtering: {udp: None}}", "spec.nat.filtering.udp", "must be one of EndpointIndependent, AddressDependent"),
    ("nat: {portPreservation: 'true'}", "spec.nat.portPreservation", "not the text 'true'; write true, without quotes"),
    ("nat: {hairpinning: yes}", "spec.nat.hairpinning", "write true, without quotes"),
    ("nat: {inboundRefresh: 0}", "spec.nat.inboundRefresh", "must be true or false, not the number 0"),
    ("nat: {onExhaustion: reject}", "spec.nat.onExhaustion", "did you mean Reject?"),
    ("nat: {onExhaustion: true}", "spec.nat.onExhaustion", "must be one of Reject, Drop, not true"),
    ("nat: {midstream: Accept}", "spec.nat.midstream", "must be one of Drop, Reset, Adopt"),
    ("nat: {mssClamping: auto}", "spec.nat.mssClamping", "must be Auto, Off or a number of bytes"),
    ("nat: {mssClamping: 47}", "spec.nat.mssClamping", "from 48 to 65495, not the number 47"),
    ("nat: {mssClamping: true}", "spec.nat.mssClamping", "must be Auto, Off or a number of bytes"),
    ("nat: {noTranslate: [10.0.0.1/8]}", "spec.nat.noTranslate[0]", "write 10.0.0.0/8"),
    ("nat: {noTranslate: ['2001:db8::1/32']}", "spec.nat.noTranslate[0]", "write 2001:db8::/32"),
    ("nat: {noTranslate: [10.0.0.0/33]}", "spec.nat.noTranslate[0]", "the length must be a number from 0 to 32"),
    ("timeouts: {udp: 0s}", "spec.timeouts.udp", "must be more than zero"),
    ("timeouts: {udp: '0'}", "spec.timeouts.udp", "must be more than zero"),
    ("timeouts: {udp: -5m}", "spec.timeouts.udp", "cannot be negative"),
    ("timeouts: {udp: 5}", "spec.timeouts.udp", "must be text, not the number 5; write a duration such as 90s"),
    ("timeouts: {udp: 5 m}", "spec.timeouts.udp", "is no duration"),
    ("timeouts: {udp: 5m3}", "spec.timeouts.udp", "is no duration"),
    ("timeouts: {udp: 1d}", "spec.timeouts.udp", "is no duration"),
    ("timeouts: {udp: ''}", "spec.timeouts.udp", "is no duration"),
    ("timeouts: {udp: 9999999h}", "spec.timeouts.udp", "at most 146 years"),
    ("records: {file: ''}", "spec.records.file", "is empty; write some text, or leave the field out"),
    (f"limits: {{flows: {'9' * 5000}}}", "spec.limits.flows", "is a number of 5000 digits"),
    (f"limits: {{flows: -{'9' * 41}}}", "spec.limits.flows", "is a number of 41 digits"),
    (f"limits: {{flows: {'x' * 5000}}}", "spec.limits.flows", f"not the text '{'x' * 79}…'; write digits only"),
    (f"timeouts: {{udp: {'9' * 400}.5h}}", "spec.timeouts.udp", "at most 146 years"),
    ("timeouts: {tcpEstablish: 5m}", "spec.timeouts.tcpEstablish", "did you mean tcpEstablished?"),
    ("limits: {flows: 0}", "spec.limits.flows", "must be at least 1, not 0"),
    ("limits: {flowsPerSource: -1}", "spec.limits.flowsPerSource", "must be at least 0, not -1"),
    ("limits: {portsPerSource: 70000}", "spec.limits.portsPerSource", "must be at most 65536"),
    ("limits: {newFlowsPerSecondPerSource: -1}", "spec.limits.newFlowsPerSecondPerSource", "must be at least 0"),
    ("limits: {fragmentsHeld: -1}", "spec.limits.fragmentsHeld", "must be at least 0"),
    ("limits: {icmpErrorsPerSecond: 1.5}", "spec.limits.icmpErrorsPerSecond", "must be a whole number"),
]


@pytest.mark.parametrize(("written", "field", "words"), WRONG)
def test_what_is_wrong_is_named(only_error: OnlyError, written: str, field: str, words: str) -> None:
    error = only_error(gateway(f"{{outside: {{interface: eth0}}, {written}}}"))
    assert (error.kind, error.name, error.field) == ("Gateway", "node-a", field)
    assert words in error.message


@pytest.mark.parametrize(("written", "field", "words"), [
    ("{}", "spec.outside.interface", "is required with driver packet; add the interface's name"),
    ("{outside: {interface: e, capture: [c]}}", "spec.outside.capture", "unknown field"),
    ("{outside: {interface: e, nextHop: [10.0.0.1, 10.0.0.2]}}", "spec.outside.nextHop", "two addresses of one family"),
    ("{outside: {interface: e, nextHop: 10.0.0.1/8}}", "spec.outside.nextHop", "must be one address"),
    ("{outside: {interface: e, mtu: 1279}, addresses: ['2001:db8::1']}", "spec.outside.mtu", "write at least 1280"),
    ("{outside: {interface: e}, inside: {mtu: 1000, addresses: ['2001:db8::1/64']}}", "spec.inside.mtu", "for IPv6"),
    ("[]", "spec", "must be a mapping, not a list"),
])
def test_what_is_wrong_outside(only_error: OnlyError, written: str, field: str, words: str) -> None:
    error = only_error(gateway(written))
    assert error.field == field and words in error.message


@pytest.mark.parametrize("written", ["90s", "5m", "2h4m", "1h30m10s", "500ms", "1.5h", ".5s", "1us", "1µs", "100ns"])
def test_durations_of_go(written: str) -> None:
    assert load(gateway(f"{{outside: {{interface: e}}, timeouts: {{other: {written}}}}}"))


@pytest.mark.parametrize(("written", "words"), [
    ("udp: 119s", "spec.timeouts.udp: is shorter than 2m, the least that RFC 4787 REQ-5 allows"),
    ("tcpEstablished: 2h", "spec.timeouts.tcpEstablished: is shorter than 2h4m, the least that RFC 5382 REQ-5 allows"),
    ("tcpClosing: 10s", "spec.timeouts.tcpClosing: is shorter than 4m, the least that RFC 5382 REQ-5 allows"),
    ("icmp: 30s", "spec.timeouts.icmp: is shorter than 60s, the least that RFC 5508 REQ-2 allows"),
])
def test_short_timeouts_get_a_note(written: str, words: str) -> None:
    found = load(gateway(f"{{outside: {{interface: eth0}}, timeouts: {{{written}}}}}"))
    assert len(found.notes) == 1 and found.notes[0].endswith(words)


def test_the_smallest_mtu_for_ipv4_alone() -> None:
    found = load(gateway("{outside: {interface: eth0, mtu: 68}, addresses: [198.51.100.1]}"))
    assert found.gateway.spec.outside.mtu == 68


def test_a_captured_range_that_holds_an_egress_address_gets_a_note() -> None:
    written = "{outside: {interface: eth0}, addresses: [198.51.100.10], inside: {capture: [cali0, 0.0.0.0/0]}}"
    (note,) = load(gateway(written)).notes
    assert "spec.inside.capture: 0.0.0.0/0 holds the egress address 198.51.100.10" in note


def test_notes_on_egress_addresses(gateway_text: str, pool: Callable[..., str]) -> None:
    text = gateway_text + pool("{cidr: 198.51.100.0/24}", "a") + pool("{cidr: 'fd00::/64', natOutgoing: true}", "b")
    inside_pool, family = load(text).notes
    assert "198.51.100.10 is in IPPool/a (198.51.100.0/24), from which pods get addresses" in inside_pool
    assert "has no IPv6 address, and there is an IPv6 pool with natOutgoing" in family


def test_a_table_has_as_many_flows_as_an_index_entry_can_name() -> None:
    assert MOST_FLOWS == bounds.ROW_LIMIT
