"""ICMP errors of others, matched by the packet they quote (RFC 5508 section 4 and 5, RFC 5927, RFC 4884)."""

import pytest

from gateway.testing import Simulator
from gateway.wire import build, protocol
from tests.judge import assert_sound
from tests.nat.behaviour.talk import (
    ACK,
    PSH,
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
from tests.seen import quoted, seen
from tests.worlds import A4, A6, B4, E4, E6, HOSTS, S4, S6, T4, back, forwarded, out, refused

ROUTER = "192.0.2.99"
ROUTER6 = "2001:db8:99::1"


def error(about: bytes, kind: int = 3, code: int = 3, source: str = ROUTER, to: str = E4, rest: bytes = bytes(4),
          **more: int) -> bytes:
    return build.icmp_message(source, to, kind, code, rest + about, **more)


@pytest.mark.parametrize("code", range(16))
def test_every_unreachable_reaches_the_sender(make: Make, code: int) -> None:
    sim = make()
    question = asked()
    told = back(sim, error(out(sim, question), 3, code))
    assert seen(told)[2:5] == (ROUTER, 0, A4) and seen(told).icmp == (3, code) and quoted(told) == forwarded(question)
    assert_sound([told])


@pytest.mark.parametrize(("kind", "code"), [(4, 0), (11, 0), (11, 1), (12, 0), (12, 1), (12, 2)])
def test_other_errors_reach_the_sender_with_their_fields(make: Make, kind: int, code: int) -> None:
    sim = make()
    told = back(sim, error(out(sim, asked()), kind, code, rest=b"\x14\0\x01\x02"))
    assert seen(told).icmp == (kind, code) and seen(told).payload[4:8] == b"\x14\0\x01\x02"


@pytest.mark.parametrize("side", ["inside", "outside"])
@pytest.mark.parametrize("kind", [5, 9, 10, 1, 2, 6, 7, 15, 16, 17, 18, 19, 30, 31, 37, 40, 42, 255])
def test_redirects_router_discovery_and_unknown_types_never_cross(make: Make, kind: int, side: str) -> None:
    sim = make()
    emitted = out(sim, asked())
    message = error(emitted, kind, 0) if side == "outside" else error(replied(), kind, 0, A4, S4)
    assert refused(sim, message, side).startswith("drop_")


@pytest.mark.parametrize("kind", [1, 2, 3, 4])
def test_icmpv6_errors(make: Make, kind: int) -> None:
    sim = make()
    question = asked(6)
    told = back(sim, error(out(sim, question), kind, 0, ROUTER6, HOSTS[6][2], (1400).to_bytes(4, "big")))
    assert seen(told)[2:5] == (ROUTER6, 0, A6) and quoted(told) == forwarded(question)
    assert seen(told).payload[4:8] == (1400).to_bytes(4, "big")
    assert_sound([told])


@pytest.mark.parametrize("kind", [100, 101, 127, 133, 134, 135, 136, 137, 130, 131, 132, 138, 139, 140, 143, 160, 255])
def test_icmpv6_of_the_link_and_unknown_never_cross(make: Make, kind: int) -> None:
    sim = make()
    out(sim, asked(6))
    for side, source, target in (("inside", A6, S6), ("outside", S6, HOSTS[6][2])):
        assert refused(sim, build.icmp_message(source, target, kind, 0, bytes(20)), side) == "drop_link_scope"


@pytest.mark.parametrize("reach", [8, 9, 11, 12, 16, 18, 19, 20, 24])
def test_eight_bytes_of_transport_are_enough(make: Make, reach: int) -> None:
    sim = established(make())
    segment = sent(PSH | ACK, 1001, 5001, bytes(16))
    told = back(sim, error(out(sim, segment)[: 20 + reach]))
    assert quoted(told) == forwarded(segment)[: 20 + reach]


@pytest.mark.parametrize("reach", range(8))
def test_less_is_not(make: Make, reach: int) -> None:
    sim = make()
    assert refused(sim, error(out(sim, asked())[: 20 + reach]), "outside") == "drop_error_malformed"


def test_inner_options_are_walked(make: Make) -> None:
    sim = make()
    question = build.ip(A4, S4, 17, asked()[20:], options=bytes([7, 7, 4, 0, 0, 0, 0, 1]))
    told = back(sim, error(out(sim, question)[:36]))
    assert quoted(told) == forwarded(question)[:36]


def test_an_echo_request_s_identifier_is_put_back(make: Make) -> None:
    sim = make()
    out(sim, build.echo(B4, S4, 7))
    request = build.echo(A4, S4, 7, 3, b"traceroute -I")
    emitted = out(sim, request)
    assert emitted[24:26] != request[24:26]
    told = back(sim, error(emitted, 11, 0))
    assert quoted(told) == forwarded(request)
    assert_sound([told])


def test_a_pod_complains_about_an_answer(make: Make) -> None:
    """The quote names the external endpoint, as the remote knows it; so does the outer source."""
    sim = make()
    out(sim, asked())
    arrived = back(sim, replied())
    sim.inject("inside", error(arrived, source=A4, to=S4))
    [told] = sim.drain("outside")
    assert seen(told)[2:5] == (E4, 0, S4) and quoted(told)[12:] == replied()[12:]
    assert_sound([told])


def test_a_pod_complains_about_an_echo_reply(make: Make) -> None:
    sim = make()
    out(sim, build.echo(A4, S4, 7))
    arrived = back(sim, build.echo(S4, E4, 7, reply=True))
    told = out(sim, error(arrived, source=A4, to=S4))
    assert seen(told).source == E4 and quoted(told)[20:] == arrived[20:]


def test_a_router_behind_the_gateway_is_hidden(make: Make) -> None:
    sim = make()
    out(sim, asked())
    told = out(sim, error(back(sim, replied()), 11, 0, "10.1.2.3", S4))
    assert seen(told).source == E4 and b"\x0a\x01\x02\x03" not in told


def test_the_outer_source_may_be_the_remote_itself(make: Make) -> None:
    sim = make()
    assert seen(back(sim, error(out(sim, asked()), source=S4))).source == S4


@pytest.mark.parametrize("about", [build.udp_datagram(E4, 40001, S4, 53), build.udp_datagram(E4, 40000, S4, 54),
                                   build.udp_datagram(E4, 40000, T4, 53), build.udp_datagram(A4, 40000, S4, 53),
                                   build.tcp_segment(E4, 40000, S4, 53), build.udp_datagram(S4, 53, E4, 40000)])
def test_a_quote_of_no_flow_is_dropped(make: Make, about: bytes) -> None:
    sim = make()
    out(sim, asked())
    assert refused(sim, error(about), "outside") == "drop_error_unmatched"


def test_errors_about_errors_are_dropped_and_unanswered(make: Make) -> None:
    sim = make()
    inner = error(out(sim, asked()), source=E4, to=S4)
    for kind, code in ((3, 3), (11, 0), (12, 0), (3, 4)):
        assert refused(sim, error(inner, kind, code), "outside") == "drop_error_malformed"
        assert refused(sim, error(inner, kind, code, A4, S4)) == "drop_error_malformed"
    assert sim.drain("inside") == sim.drain("outside") == []


def test_a_broken_outer_or_inner_checksum(make: Make) -> None:
    sim = make()
    emitted = out(sim, asked())
    whole = error(emitted)
    broken = whole[:22] + bytes([whole[22] ^ 1]) + whole[23:]
    assert refused(sim, broken, "outside") == "drop_bad_checksum"
    inner = emitted[:10] + bytes([emitted[10] ^ 1]) + emitted[11:]
    assert refused(sim, error(inner), "outside") == "drop_error_malformed"


def test_a_quoted_transport_checksum_that_was_wrong_stays_wrong(make: Make) -> None:
    """It belongs to somebody else's packet (RFC 5508 REQ-3 asks for the IP header's only)."""
    sim = make()
    emitted = out(sim, asked())
    whole, bad = back(sim, error(emitted)), back(sim, error(changed(emitted, 26, emitted[26] ^ 1)))
    assert quoted(whole)[26:28] != quoted(bad)[26:28]
    assert_sound([bad])


def test_quoted_length_ttl_and_tos_are_as_the_router_saw_them(make: Make) -> None:
    sim = make()
    emitted = changed(out(sim, asked()), 8, 1)
    assert quoted(back(sim, error(emitted)))[8] == 1


def test_extensions_stay(make: Make) -> None:
    """RFC 4884: a length, a quote padded to 128 bytes, and an MPLS label stack behind it."""
    sim = make()
    question = asked(payload=bytes(range(200)))
    stack = b"\x20\x00\x00\x00\x00\x08\x01\x01\x00\x01\x41\x01"
    stack = stack[:2] + build.checksum(stack).to_bytes(2, "big") + stack[4:]
    told = back(sim, error(out(sim, question)[:128] + stack, 11, 0, rest=b"\0\x20\0\0"))
    assert seen(told).payload[4:8] == b"\0\x20\0\0"
    assert quoted(told) == forwarded(question)[:128] + stack
    assert_sound([told])


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("extended", [True, False])
def test_a_quote_too_large_for_the_other_side_is_cut(make: Make, family: int, extended: bool) -> None:
    """RFC 1812 section 4.3.2.3, RFC 4443 section 2.4: as much as fits; extensions behind it (RFC 4884) do not."""
    sim = make(inside=inside(1300))
    question = asked(family, bytes(1200))
    source, egress = (ROUTER, E4) if family == 4 else (ROUTER6, E6)
    rest = (b"\0\x20\0\0" if family == 4 else b"\x10\0\0\0") if extended else bytes(4)
    about = out(sim, question) + bytes(180)
    sim.inject("outside", build.icmp_message(source, egress, *((3, 3) if family == 4 else (1, 4)), rest + about))
    [told] = sim.drain("inside")
    assert len(told) == 1300 and seen(told).payload[4:8] == bytes(4)
    assert quoted(told) == (forwarded(question) + bytes(180))[: len(quoted(told))]
    assert_sound([told])


def test_a_quoted_syn_is_the_one_that_was_sent(make: Make) -> None:
    sim = make()
    about = out(sim, sent(SYN, 90_000))
    for number in (88_000, 24_464, 90_002):
        forged = build.tcp_segment(E4, 40000, S4, 80, flags=SYN, sequence=number)
        assert refused(sim, error(forged[:28]), "outside") == "drop_error_out_of_window"
    assert seen(back(sim, error(about))).icmp == (3, 3)


@pytest.mark.parametrize("sequence", [1001 - 200_000, 1001 + 200_000, 2**31])
def test_a_quoted_number_that_was_never_sent_is_a_forgery(make: Make, sequence: int) -> None:
    """RFC 5927 section 4.1: blind resets and blind lowering of the path MTU."""
    sim = established(make())
    forged = build.tcp_segment(E4, 40000, S4, 80, flags=ACK, sequence=sequence % 2**32)
    for code in (1, 2, 3, 4):
        assert refused(sim, error(forged[:28], 3, code, rest=b"\0\0\x02\x40"), "outside") == "drop_error_out_of_window"


def test_hard_errors_end_no_connection(make: Make) -> None:
    sim = established(make())
    emitted = out(sim, sent(PSH | ACK, 1001, 5001, b"data"))
    for kind, code in ((3, 2), (3, 3), (3, 4), (3, 10), (11, 0)):
        back(sim, error(emitted, kind, code))
    assert sim.flows()[0].state == "established" and sim.flows()[0].packets == 4
    back(sim, answered(PSH | ACK, 5001, 1005, b"alive"))


def test_errors_open_and_refresh_nothing(make: Make) -> None:
    sim = make()
    emitted = out(sim, asked())
    for _ in range(10):
        sim.advance(29.9)
        back(sim, error(emitted))
    sim.advance(2)
    assert refused(sim, error(emitted), "outside") == "drop_error_unmatched"
    assert sim.flows() == []


def test_an_error_about_a_syn(make: Make) -> None:
    sim = make()
    syn = sent(SYN, 1000)
    assert quoted(back(sim, error(out(sim, syn), 3, 1)))[20:28] == syn[20:28]
    back(sim, answered(SYN | ACK, 5000, 1001))


@pytest.mark.parametrize("mtu", [1, 67])
def test_no_path_is_narrower_than_68(make: Make, mtu: int) -> None:
    """RFC 791 section 3.2, RFC 5927 section 7: a forger wants many tiny packets."""
    sim = make()
    told = error(out(sim, asked()), 3, 4, rest=mtu.to_bytes(4, "big"))
    assert refused(sim, told, "outside") == "drop_error_malformed"


@pytest.mark.parametrize("mtu", [0, 68, 576, 1400, 65535])
def test_any_other_path_may_be(make: Make, mtu: int) -> None:
    """0 is what routers from before RFC 1191 say."""
    sim = make()
    told = back(sim, error(out(sim, asked()), 3, 4, rest=mtu.to_bytes(4, "big")))
    assert int.from_bytes(seen(told).payload[6:8], "big") == mtu


def test_no_ipv6_path_is_narrower_than_1280(make: Make) -> None:
    """RFC 8201 section 4: such a message must be discarded; it once made hosts fragment for ever (RFC 8021)."""
    sim = make()
    emitted = out(sim, asked(6))
    for mtu in (0, 68, 1279):
        told = error(emitted, 2, 0, ROUTER6, HOSTS[6][2], mtu.to_bytes(4, "big"))
        assert refused(sim, told, "outside") == "drop_error_malformed"
    back(sim, error(emitted, 2, 0, ROUTER6, HOSTS[6][2], (1280).to_bytes(4, "big")))


def test_a_quoted_first_fragment_is_reverted(make: Make) -> None:
    sim = make()
    whole = asked(payload=bytes(1200))
    first = changed(whole[:620], 2, 620 >> 8, 620 & 255)
    first = changed(first, 4, 0x12, 0x34, 0x20, 0)
    emitted = out(sim, first)
    told = back(sim, error(emitted[:60], 11, 1))
    assert quoted(told)[12:60] == first[12:60]


@pytest.mark.parametrize("number", [protocol.SCTP, protocol.DCCP, protocol.GRE, 50])
def test_errors_about_other_protocols(make: Make, number: int) -> None:
    sim = make()
    packet = build.ip(A4, S4, number, bytes([0x9C, 0x40, 0, 80]) + bytes(range(20)))
    emitted = out(sim, packet)
    told = back(sim, error(emitted[:28]))
    assert quoted(told)[12:24] == packet[12:24]


def inbound_from(sim: Simulator, source: str) -> str:
    return refused(sim, error(out(sim, asked()), source=source), "outside")


def test_errors_from_addresses_that_cannot_be(make: Make) -> None:
    for source, verdict in (("127.0.0.1", "drop_bogon_source"), ("0.0.0.0", "drop_bogon_source"),
                            ("224.0.0.1", "drop_bogon_source"), (B4, "drop_spoofed_source"),
                            (E4, "drop_spoofed_source")):
        assert inbound_from(make(), source) == verdict
