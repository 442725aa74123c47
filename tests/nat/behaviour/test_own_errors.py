"""What the gateway itself says: when, to whom, how often (RFC 1812 section 4.3 and 5.3.1, RFC 5508, RFC 8200)."""

from itertools import pairwise

import pytest

from gateway.wire import build
from tests.judge import assert_sound
from tests.nat.behaviour.talk import (
    ACK,
    INSIDE_GATEWAY,
    OUTSIDE_GATEWAY,
    PSH,
    Make,
    asked,
    changed,
    established,
    inside,
    outside,
    replied,
    sent,
)
from tests.seen import quoted, seen
from tests.worlds import A4, A6, B4, E4, HOSTS, S4, S6, back, out, refused

PROBES = {4: [asked(), build.tcp_segment(A4, 1, S4, 80), build.echo(A4, S4, 7)],
          6: [asked(6), build.tcp_segment(A6, 1, S6, 80), build.echo(A6, S6, 7)]}


def with_ttl(packet: bytes, ttl: int) -> bytes:
    return changed(packet, 8 if packet[0] >> 4 == 4 else 7, ttl)


@pytest.mark.parametrize("ttl", [0, 1])
@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("probe", range(3))
def test_hops_used_up_from_inside(make: Make, family: int, probe: int, ttl: int) -> None:
    sim = make()
    packet = with_ttl(PROBES[family][probe], ttl)
    assert refused(sim, packet) == "reject_ttl_exceeded"
    [error] = sim.drain("inside")
    assert seen(error).icmp == ((11, 0) if family == 4 else (3, 0)) and quoted(error) == packet
    assert seen(error).source == INSIDE_GATEWAY[family] and seen(error).destination == HOSTS[family][0]
    assert_sound([error])
    assert sim.flows() == [] and sim.events() == []


@pytest.mark.parametrize("family", [4, 6])
def test_hops_used_up_from_outside(make: Make, family: int) -> None:
    sim = make()
    out(sim, asked(family))
    packet = with_ttl(replied(family), 1)
    assert refused(sim, packet, "outside") == "reject_ttl_exceeded"
    [error] = sim.drain("outside")
    assert seen(error).source == OUTSIDE_GATEWAY[family] and quoted(error) == packet


def test_the_last_hop_of_what_would_not_pass_anyway_says_nothing(make: Make) -> None:
    sim = make()
    for packet in (with_ttl(replied(), 1), with_ttl(build.tcp_segment(S4, 1, E4, 2), 1)):
        refused(sim, packet, "outside")
    assert sim.drain("outside") == []


def test_two_hops_are_enough_for_one(make: Make) -> None:
    assert out(make(), with_ttl(asked(), 2))[8] == 1


def test_a_long_packet_is_quoted_up_to_576_bytes_and_1280(make: Make) -> None:
    sim = make()
    for family, most in ((4, 576), (6, 1280)):
        sim.inject("inside", with_ttl(asked(family, bytes(1400)), 1))
        [error] = sim.drain("inside")
        assert len(error) == most
        assert_sound([error])


def test_options_are_quoted_too(make: Make) -> None:
    sim = make()
    packet = build.ip(A4, S4, 17, asked()[20:], options=bytes([7, 7, 4, 0, 0, 0, 0, 1]), ttl=1)
    sim.inject("inside", packet)
    assert quoted(sim.drain("inside")[0]) == packet


def fragment(packet: bytes, word: int) -> bytes:
    return changed(packet, 6, word >> 8, word & 255)


@pytest.mark.parametrize("packet", [
    fragment(with_ttl(asked(), 1), 0x0010),  # not the first
    with_ttl(build.icmp_message(A4, S4, 3, 3, bytes(4) + replied()), 1),
    with_ttl(build.udp_datagram(A4, 1, "224.0.0.9", 520), 1),
    with_ttl(build.udp_datagram(A4, 1, "255.255.255.255", 67), 1),
    with_ttl(build.udp_datagram("0.0.0.0", 68, S4, 67), 1),
    with_ttl(build.udp_datagram("127.0.0.1", 68, S4, 67), 1),
    with_ttl(build.udp_datagram("224.0.0.5", 68, S4, 67), 1),
    with_ttl(build.udp_datagram("240.0.0.5", 68, S4, 67), 1),
])
def test_errors_that_are_never_sent(make: Make, packet: bytes) -> None:
    """RFC 1812 section 4.3.2.7."""
    sim = make()
    sim.inject("inside", packet)
    assert sim.drain("inside") == sim.drain("outside") == []


@pytest.mark.parametrize("family", [4, 6])
def test_too_big_from_inside(make: Make, family: int) -> None:
    sim = make(outside=outside(1400))
    packet = asked(family, bytes(1440))
    assert refused(sim, packet) == "reject_too_big"
    [error] = sim.drain("inside")
    assert seen(error).icmp == ((3, 4) if family == 4 else (2, 0)) and packet.startswith(quoted(error))
    assert int.from_bytes(seen(error).payload[4:8], "big") == 1400
    assert seen(error).source == INSIDE_GATEWAY[family]
    assert_sound([error])


@pytest.mark.parametrize("family", [4, 6])
def test_too_big_from_outside(make: Make, family: int) -> None:
    sim = make(inside=inside(1400))
    out(sim, asked(family))
    packet = replied(family, bytes(1440))
    assert refused(sim, packet, "outside") == "reject_too_big"
    [error] = sim.drain("outside")
    assert int.from_bytes(seen(error).payload[4:8], "big") == 1400
    assert seen(error).source == OUTSIDE_GATEWAY[family] and packet.startswith(quoted(error))


def test_exactly_as_large_as_the_mtu_passes(make: Make) -> None:
    sim = make(outside=outside(1400))
    assert len(out(sim, asked(payload=bytes(1372)))) == 1400
    assert refused(sim, asked(payload=bytes(1373))) == "reject_too_big"


def test_a_reload_changes_the_mtu_of_live_flows(make: Make) -> None:
    from tests.worlds import world

    sim = make()
    out(sim, asked(payload=bytes(1472)))
    sim.apply(world(outside=outside(1300)))
    assert refused(sim, asked(payload=bytes(1472))) == "reject_too_big"
    assert len(sim.flows()) == 1 and len(sim.drain("inside")) == 1
    sim.apply(world())
    out(sim, asked(payload=bytes(1472)))


def test_echo_to_the_gateway_on_either_side(make: Make) -> None:
    sim = make()
    for side, source, family in (("inside", A4, 4), ("inside", A6, 6), ("outside", S4, 4), ("outside", S6, 6)):
        own = (INSIDE_GATEWAY if side == "inside" else OUTSIDE_GATEWAY)[family]
        sim.inject(side, build.echo(source, own, 5, 9, b"data"))
        [answer] = sim.drain(side)
        assert seen(answer)[2:6] == (own, 5, source, 5) and answer.endswith(b"data")
        assert_sound([answer])
    assert sim.flows() == []


def test_echo_to_the_egress_address_from_both_sides(make: Make) -> None:
    sim = make()
    for side, source in (("inside", A4), ("outside", S4)):
        sim.inject(side, build.echo(source, E4, 5))
        assert seen(sim.drain(side)[0]).source == E4


def test_echo_with_a_wrong_checksum_or_from_nobody_is_not_answered(make: Make) -> None:
    sim = make()
    request = build.echo(A4, INSIDE_GATEWAY[4], 5)
    assert refused(sim, request[:22] + b"\xab\xcd" + request[24:]) == "drop_bad_checksum"
    for source in ("255.255.255.255", "224.0.0.1", "0.0.0.0", "127.0.0.1"):
        refused(sim, build.echo(source, INSIDE_GATEWAY[4], 5))
    assert sim.drain("inside") == []


def test_nothing_else_is_served(make: Make) -> None:
    sim = make()
    for packet in (build.tcp_segment(A4, 1, INSIDE_GATEWAY[4], 22), build.udp_datagram(A4, 1, INSIDE_GATEWAY[4], 53)):
        assert refused(sim, packet) == "drop_not_ours"
    assert refused(sim, build.udp_datagram(S4, 1, OUTSIDE_GATEWAY[4], 53), "outside") == "drop_not_ours"
    assert sim.drain("inside") == sim.drain("outside") == []


def test_a_hundred_errors_have_identifiers_that_nobody_can_count(make: Make) -> None:
    sim = make()
    told = []
    for port in range(100):
        sim.inject("inside", with_ttl(asked(port=1 + port), 1))
        told += sim.drain("inside")
        sim.advance(0.1)
    identifiers = [int.from_bytes(one[4:6], "big") for one in told]
    steps = [(second - first) % 65536 for first, second in pairwise(identifiers)]
    assert len(set(identifiers)) > 90 and len(set(steps)) > 90


def test_errors_are_never_cut_and_answers_may_be(make: Make) -> None:
    """RFC 6864 section 4.1: an identifier without a meaning needs DF."""
    sim = make(nat={"midstream": "Reset"})
    for packet, flags in ((with_ttl(asked(), 1), 0x40), (sent(ACK, 1, 1), 0x40), (build.echo(A4, E4, 7), 0)):
        sim.inject("inside", packet)
        assert [one[6] for one in sim.drain("inside")] == [flags]


def test_errors_are_limited_and_one_host_leaves_room_for_another(make: Make) -> None:
    sim = make(limits={"icmpErrorsPerSecond": 40})
    for port in range(200):
        sim.inject("inside", with_ttl(asked(port=1 + port), 1))
    assert 0 < len(sim.drain("inside")) <= 10
    sim.inject("inside", with_ttl(build.udp_datagram(B4, 1, S4, 53), 1))
    assert len(sim.drain("inside")) == 1


def test_no_errors_at_all_where_the_limit_is_zero(make: Make) -> None:
    sim = make(limits={"icmpErrorsPerSecond": 0})
    assert refused(sim, with_ttl(asked(), 1)) == "reject_ttl_exceeded"
    assert sim.drain("inside") == []


def test_ttl_in_an_established_connection(make: Make) -> None:
    sim = established(make())
    assert refused(sim, with_ttl(sent(PSH | ACK, 1001, 5001, b"probe"), 1)) == "reject_ttl_exceeded"
    assert len(sim.drain("inside")) == 1
    out(sim, sent(PSH | ACK, 1001, 5001, b"data"))
    assert back(sim, build.icmp_message(S4, E4, 11, 0, bytes(4) + build.tcp_segment(
        E4, 40000, S4, 80, flags=PSH | ACK, sequence=1001)[:28]))
