"""Attacks that were published, and packets that no stack sends: a verdict each, and nothing gained by them."""

import random

import pytest

from gateway.wire import build
from tests.nat.behaviour.talk import (
    ACK,
    PSH,
    RST,
    SYN,
    Make,
    answered,
    asked,
    changed,
    established,
    inside,
    replied,
    sent,
)
from tests.seen import seen
from tests.worlds import A4, A6, B4, E4, S4, S6, T4, back, out, refused

WHOLE = asked()


@pytest.mark.parametrize(("packet", "verdict"), [
    (b"", "drop_truncated"), (b"\x45", "drop_truncated"), (WHOLE[:19], "drop_truncated"),
    (WHOLE[:-1], "drop_truncated"),
    (changed(WHOLE, 0, 0x44), "drop_bad_version"), (b"\x40" + WHOLE[1:], "drop_bad_version"),
    (changed(WHOLE[:24], 0, 0x4F), "drop_truncated"), (b"\x35" + WHOLE[1:], "drop_bad_version"),
    (b"\x75" + WHOLE[1:], "drop_bad_version"), (b"\x05" + WHOLE[1:], "drop_bad_version"),
    (changed(WHOLE, 2, 0, 19), "drop_bad_length"), (changed(WHOLE, 2, 0, 0), "drop_bad_length"),
    (changed(WHOLE, 2, 0xFF, 0xFF), "drop_truncated"), (changed(WHOLE, 2, 0, 20), "drop_truncated"),
    (WHOLE[:10] + b"\xde\xad" + WHOLE[12:], "drop_bad_checksum"), (asked(6)[:39], "drop_truncated"),
    (asked(6)[:-1], "drop_truncated"),
])
def test_headers_that_lie(make: Make, packet: bytes, verdict: str) -> None:
    for side in ("inside", "outside"):
        assert refused(make(), packet, side) == verdict


@pytest.mark.parametrize("offset", [0, 1, 4, 15])
def test_tcp_headers_that_lie(make: Make, offset: int) -> None:
    packet = sent(SYN, 1000)
    assert refused(make(), changed(packet, 32, offset << 4)) == "drop_bad_header"


@pytest.mark.parametrize("options", [b"\x03\x00\x00\x00", b"\x02\x01\x05\xb4", b"\x02\xff\x05\xb4", b"\x01\x01\x01\x02",
                                     b"\x00\x02\x04\xff", b"\x08\x00\x08\x00", b"\xfe\x28\x01\x01"])
def test_tcp_options_that_lie_are_the_peer_s_affair(make: Make, options: bytes) -> None:
    """Nothing is read past them; the rest of the handshake works."""
    sim = make(inside=inside(1400))
    assert out(sim, sent(SYN, 1000, options=options))[40:44] == options
    back(sim, answered(SYN | ACK, 5000, 1001, options=options))
    out(sim, sent(ACK, 1001, 5001))


@pytest.mark.parametrize("options", [b"\x07\x00\x00\x00", b"\x07\x01\x00\x00", b"\x07\xff\x04\x00", b"\x01\x01\x01\x07",
                                     b"\x44\x05\x05\x00"])
def test_ip_options_that_lie(make: Make, options: bytes) -> None:
    assert refused(make(), build.ip(A4, S4, 17, WHOLE[20:], options=options)) == "drop_bad_header"


@pytest.mark.parametrize("options", [b"\x07\x07\x04\0\0\0\0\x00", b"\x44\x08\x05\0\0\0\0\0", b"\x94\x04\0\0",
                                     b"\x01\x01\0\0", b"\x88\x04\x12\x34", b"\x82\x0b" + bytes(9) + b"\0"])
def test_ip_options_that_do_no_harm_pass_unchanged(make: Make, options: bytes) -> None:
    """Record route, timestamp, router alert, stream identifier, security (RFC 7126)."""
    emitted = out(make(), build.ip(A4, S4, 17, WHOLE[20:], options=options))
    assert emitted[20 : 20 + len(options)] == options


@pytest.mark.parametrize("option", [131, 137])
def test_source_routes_are_refused_even_as_the_last_option(make: Make, option: int) -> None:
    for options in (bytes([option, 7, 4, 203, 0, 113, 9, 0]), bytes([1, option, 3, 4]), bytes([1, 1, 1, option])):
        for side, packet in (("inside", build.ip(A4, S4, 17, WHOLE[20:], options=options)),
                             ("outside", build.ip(S4, E4, 17, replied()[20:], options=options))):
            assert refused(make(), packet, side) == "drop_source_route"


@pytest.mark.parametrize("source", ["0.0.0.0", "0.1.2.3", "127.0.0.1", "127.255.255.255", "224.0.0.1",
                                    "239.255.255.255", "240.0.0.1", "255.255.255.255", "169.254.1.1",
                                    "10.0.0.1", "8.8.8.8", E4])
def test_sources_that_cannot_be_inside(make: Make, source: str) -> None:
    sim = make()
    assert refused(sim, build.udp_datagram(source, 1, S4, 2)) in (
        "drop_bogon_source", "drop_spoofed_source", "drop_link_scope")
    assert sim.flows() == [] and sim.drain("inside") == []


@pytest.mark.parametrize("target", ["0.0.0.0", "127.0.0.1", "224.0.0.251", "232.1.1.1", "255.255.255.255", "240.0.0.1",
                                    "169.254.169.254"])
@pytest.mark.parametrize("side", ["inside", "outside"])
def test_destinations_that_never_cross(make: Make, target: str, side: str) -> None:
    sim = make()
    out(sim, asked())
    packet = build.udp_datagram(A4 if side == "inside" else S4, 40000 if side == "inside" else 53, target, 53)
    assert refused(sim, packet, side) in ("drop_bogon_destination", "drop_multicast", "drop_link_scope")


@pytest.mark.parametrize("packet", [build.tcp_segment(A4, 80, A4, 80), build.udp_datagram(A4, 7, A4, 7),
                                    build.echo(A4, A4), build.udp_datagram(A6, 7, A6, 7)])
def test_land(make: Make, packet: bytes) -> None:
    assert refused(make(), packet) == "drop_land"


@pytest.mark.parametrize("source", [E4, A4, B4, "192.168.0.1"])
def test_land_and_spoofing_from_outside(make: Make, source: str) -> None:
    sim = established(make())
    for flags in (SYN, RST, ACK):
        forged = build.tcp_segment(source, 40000, E4, 40000, flags=flags, sequence=5001, acknowledgement=1001)
        assert refused(sim, forged, "outside") in ("drop_land", "drop_spoofed_source", "drop_not_ours")
    back(sim, answered(PSH | ACK, 5001, 1001, b"alive"))


def test_directed_broadcasts_of_the_outside_are_nobodys(make: Make) -> None:
    """RFC 2644, RFC 1812 section 4.3.2.7: no error, no echo and no packet for all hosts of its network at once."""
    sim = make()
    everybody = "198.51.100.255"
    for packet in (build.echo(everybody, E4), build.tcp_segment(everybody, 5555, E4, 40000)):
        assert refused(sim, packet, "outside") == "drop_bogon_source"
    assert refused(sim, build.udp_datagram(A4, 7, everybody, 7)) == "drop_bogon_destination"
    sim.advance(10)
    assert sim.drain("outside") == sim.drain("inside") == []
    assert seen(out(sim, build.udp_datagram("192.168.255.255", 7, S4, 7))).source == E4, "a pod may have it"


def test_private_destinations_from_outside_reach_nobody(make: Make) -> None:
    """Someone on the outside link sends to a pod's own address (CVE-2020-8558 in spirit)."""
    sim = established(make())
    for packet in (build.udp_datagram(S4, 53, A4, 40000), answered(PSH | ACK, 5001, 1001)[:16] + WHOLE[12:16]
                   + answered(PSH | ACK, 5001, 1001)[20:]):
        assert refused(sim, changed(packet, 8, 64), "outside") == "drop_unsolicited"


def test_a_port_scan_finds_one_flow_only_by_its_full_tuple(make: Make) -> None:
    """Off-path probes (SAD DNS, RFC 5927) see no difference between a used and an unused port."""
    sim = make()
    out(sim, asked())
    for port in (40000, 40001):
        sim.inject("outside", build.udp_datagram(T4, 53, E4, port))
    assert sim.drain("outside") == sim.drain("inside") == []
    sim.advance(10)
    assert sim.drain("outside") == []


def test_a_port_shadow_is_not_possible(make: Make) -> None:
    """CVE-2021-3773: a pod that uses the port under which another is known gets another one."""
    sim = make()
    out(sim, build.udp_datagram(B4, 53, S4, 5353))
    theirs = seen(out(sim, build.udp_datagram(A4, 53, S4, 5353))).source_port
    assert theirs != 53
    assert seen(back(sim, build.udp_datagram(S4, 5353, E4, 53))).destination == B4


def test_redan(make: Make) -> None:
    """Off-path denial of service on NATs: RSTs over every port and many numbers, then the flow is expected gone."""
    sim = established(make())
    draw = random.Random(1)
    for _ in range(2000):
        sim.inject("outside", answered(RST, draw.randrange(2**32)))
        sim.inject("outside", answered(PSH | ACK, draw.randrange(2**32), draw.randrange(2**32)))
        sim.inject("outside", answered(SYN, draw.randrange(2**32)))
    assert len(sim.drain("inside")) < 20  # by chance within the window, and then only data
    assert sim.flows()[0].state == "established" and sim.flows()[0].expires_in > 7000
    back(sim, answered(PSH | ACK, 5001, 1001, b"alive"))


def test_floods_of_unsolicited_packets_allocate_nothing(make: Make) -> None:
    sim = make()
    for number in range(3000):
        sim.inject("outside", build.tcp_segment(S4, 1 + number, E4, 1 + number * 7 % 65535))
    assert sim.flows() == [] and sim.drain("inside") == []
    sim.advance(20)
    assert len(sim.drain("outside")) <= 256


def test_the_same_start_is_the_same_only_with_the_same_seed() -> None:
    from gateway.testing import Simulator
    from tests.worlds import world

    def ports(seed: int) -> list[int]:
        sim = Simulator(world(nat={"portPreservation": False}), seed=seed)
        return [seen(out(sim, asked(port=1024 + port))).source_port for port in range(20)]

    assert ports(1) == ports(1) != ports(2)


def test_ethernet_padding_is_left_behind(make: Make) -> None:
    sim = make()
    short = asked(payload=b"")
    assert len(out(sim, short + bytes(18))) == len(short)
    assert len(back(sim, replied(payload=b"") + b"\xaa" * 18)) == len(replied(payload=b""))
    short = asked(6, b"")
    assert len(out(sim, short + b"\xff" * 9)) == len(short)


def test_a_spoofed_ipv6_source_from_inside(make: Make) -> None:
    assert refused(make(), build.udp_datagram(S6, 1, "2001:db8:5::77", 2)) == "drop_spoofed_source"
