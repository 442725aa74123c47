"""What IPv6 has and IPv4 has not: extension headers, scopes, neighbour discovery (RFC 8200, 4291, 4443, 4890, 7045)."""

import pytest

from gateway.wire import build
from tests.judge import assert_sound
from tests.nat.behaviour.talk import ACK, PSH, Make, answered, asked, established, replied, sent
from tests.seen import seen
from tests.worlds import A4, A6, B6, E4, E6, S4, S6, back, out, refused

PAD = bytes([1, 4, 0, 0, 0, 0])  # PadN of six bytes


def chained(packet: bytes, *headers: tuple[int, bytes]) -> bytes:
    """An IPv6 packet with extension headers: (its own number, everything after its next header byte)."""
    number, rest = packet[6], packet[40:]
    for kind, body in reversed(headers):
        number, rest = kind, bytes([number]) + body + rest
    return packet[:4] + len(rest).to_bytes(2, "big") + bytes([number]) + packet[7:40] + rest


HOP, ROUTING, FRAGMENT, DESTINATION = 0, 43, 44, 60


@pytest.mark.parametrize("headers", [
    [(HOP, b"\0" + PAD)], [(DESTINATION, b"\0" + PAD)], [(HOP, b"\0" + PAD), (DESTINATION, b"\0" + PAD)],
    [(DESTINATION, b"\x01" + bytes([1, 12]) + bytes(12))], [(HOP, b"\0\x05\x02\0\0\x01\0")],  # router alert
    [(DESTINATION, b"\0" + PAD), (FRAGMENT, bytes(3) + b"\0\0\0\x07")],
])
def test_extension_headers_are_walked_and_kept(make: Make, headers: list[tuple[int, bytes]]) -> None:
    sim = make()
    packet = chained(asked(6), *headers)
    emitted = out(sim, packet)
    assert seen(emitted).source == E6 and emitted[40 : len(packet) - 16] == packet[40 : len(packet) - 16]
    assert emitted[-16:-14] == packet[-16:-14]
    assert_sound([emitted])
    assert seen(back(sim, replied(6))).destination == A6


def test_hop_by_hop_options_come_first_or_not_at_all(make: Make) -> None:
    """RFC 8200 section 4.1."""
    packet = chained(asked(6), (DESTINATION, b"\0" + PAD), (HOP, b"\0" + PAD))
    assert refused(make(), packet) == "drop_bad_header"


@pytest.mark.parametrize(("headers", "verdict"), [
    ([(ROUTING, b"\0\0\0\0\0\0\0")], "drop_source_route"),
    ([(ROUTING, b"\x02\0\x01\0\0\0\0" + bytes(16))], "drop_source_route"),
    ([(DESTINATION, b"\0" + PAD)] * 9, "drop_extension_limit"),
    ([(DESTINATION, b"\xff" + PAD)], "drop_truncated"),
    ([(FRAGMENT, bytes(7)), (FRAGMENT, bytes(7))], "drop_bad_header"),
])
def test_extension_headers_that_are_refused(make: Make, headers: list[tuple[int, bytes]], verdict: str) -> None:
    sim = make()
    assert refused(sim, chained(asked(6), *headers)) == verdict
    assert sim.drain("inside") == []


def test_eight_extension_headers_pass(make: Make) -> None:
    assert seen(out(make(), chained(asked(6), *[(DESTINATION, b"\0" + PAD)] * 8))).source == E6


def test_a_jumbogram_is_refused(make: Make) -> None:
    """RFC 2675: payload length 0 and an option with the real one; no link here carries it."""
    packet = chained(asked(6), (HOP, b"\0\xc2\x04\0\x01\0\0"))
    assert refused(make(), packet[:4] + b"\0\0" + packet[6:]) == "drop_truncated"


def test_no_next_header_and_unknown_ones_are_translated_by_address(make: Make) -> None:
    for number in (59, 50, 51, 135, 139, 140, 253):
        assert seen(out(make(), build.ip(A6, S6, number, bytes(16)))).source == E6


@pytest.mark.parametrize("source", ["fe80::1", "::", "::1", "ff02::1", "ff05::2", "100::1", "2001:db8:5::9"])
def test_sources_that_never_cross(make: Make, source: str) -> None:
    sim = make()
    assert refused(sim, build.udp_datagram(source, 1, S6, 2)).startswith("drop_")
    assert sim.flows() == [] and sim.drain("inside") == []


@pytest.mark.parametrize("target", ["fe80::1", "::", "::1", "ff02::1", "ff0e::1", "100::1"])
def test_destinations_that_never_cross(make: Make, target: str) -> None:
    sim = make()
    assert refused(sim, build.udp_datagram(A6, 1, target, 2)).startswith("drop_")
    assert sim.flows() == [] and sim.drain("inside") == []


def test_unique_local_addresses_stay_inside_untranslated(make: Make) -> None:
    sim = make(nat={"noTranslate": ["2001:db8:5::/48"]})
    assert refused(sim, asked(6)) == "drop_link_scope"


@pytest.mark.parametrize(("source", "target"), [
    ("::ffff:203.0.113.5", "::ffff:198.51.100.10"), ("::ffff:203.0.113.5", E6), (S6, "::ffff:198.51.100.10"),
])
def test_ipv4_addresses_in_an_ipv6_header_meet_no_ipv4_flow(make: Make, source: str, target: str) -> None:
    """They are the same 128 bits that IPv4's own addresses are here: a flow is of one family."""
    sim = make()
    out(sim, asked())
    forged = build.udp_datagram(source, 53, target, 40000)
    assert refused(sim, forged, "outside") == "drop_mapped_address"
    forged = build.udp_datagram("::ffff:192.168.1.2", 40000, "::ffff:203.0.113.5", 53)
    assert refused(sim, forged) == "drop_mapped_address"


def test_an_error_quoting_ipv4_addresses_in_an_ipv6_header(make: Make) -> None:
    sim = make()
    out(sim, asked())
    quote = build.udp_datagram("::ffff:198.51.100.10", 40000, "::ffff:203.0.113.5", 53)
    message = build.icmp_message(S6, E6, 1, 4, bytes(4) + quote)
    assert refused(sim, message, "outside") == "drop_error_malformed"


def test_an_error_of_one_family_about_a_packet_of_the_other(make: Make) -> None:
    sim = make()
    about = out(sim, asked())
    assert refused(sim, build.icmp_message(S6, E6, 1, 4, bytes(4) + about), "outside") == "drop_error_malformed"
    about = out(sim, asked(6))
    assert refused(sim, build.icmp_message(S4, E4, 3, 3, bytes(4) + about), "outside") == "drop_error_malformed"


def test_a_quote_with_extension_headers(make: Make) -> None:
    sim = make()
    packet = chained(asked(6), (HOP, b"\0" + PAD), (DESTINATION, b"\0" + PAD))
    told = back(sim, build.icmp_message("2001:db8:9::9", E6, 3, 0, bytes(4) + out(sim, packet)))
    assert seen(told).payload[8 + 8 :] == packet[8:]


@pytest.mark.parametrize("kind", range(133, 138))
def test_neighbour_discovery_stays_on_its_link(make: Make, kind: int) -> None:
    sim = make()
    for hops in (255, 64):
        assert refused(sim, build.icmp_message(A6, S6, kind, 0, bytes(20), ttl=hops)) == "drop_link_scope"
        assert refused(sim, build.icmp_message("fe80::1", "ff02::1", kind, 0, bytes(20), ttl=hops)) == "drop_link_scope"


def test_udp_needs_a_checksum(make: Make) -> None:
    packet = asked(6)
    assert refused(make(), packet[:46] + b"\0\0" + packet[48:]) == "drop_no_udp_checksum"


def test_tcp_both_ways(make: Make) -> None:
    sim = established(make(), family=6)
    out(sim, sent(PSH | ACK, 1001, 5001, b"x", family=6))
    assert_sound([back(sim, answered(PSH | ACK, 5001, 1002, b"y", family=6))])
    assert refused(sim, answered(0x04, 5001 + 100, family=6), "outside") == "drop_out_of_window"


def test_traffic_class_and_flow_label_stay(make: Make) -> None:
    sim = make()
    packet = b"\x6b\x8f\xab\xcd" + asked(6)[4:]
    assert out(sim, packet)[:4] == packet[:4]


def test_hosts_do_not_see_each_other_s_families(make: Make) -> None:
    sim = make()
    ports = [seen(out(sim, build.udp_datagram(pod, 40000, remote, 53))).source_port
             for pod, remote in ((A4, S4), (A6, S6))]
    assert ports == [40000, 40000]
    assert seen(back(sim, replied(6))).destination == A6
    assert seen(out(sim, build.udp_datagram(B6, 40000, S6, 53))).source_port != 40000




def test_a_first_fragment_carries_the_whole_chain(make: Make) -> None:
    """RFC 7112."""
    packet = chained(asked(6), (DESTINATION, b"\x01" + bytes(6)))
    first = chained(packet[:48], (FRAGMENT, b"\0\0\x01\0\0\0\x07"))
    assert refused(make(), first).startswith("drop_")
