"""Protocols other than TCP, UDP and ICMP: by address where that is unambiguous (RFC 3022 section 4.3)."""

import pytest

from gateway.wire import build
from tests.nat.behaviour.talk import Make
from tests.seen import seen
from tests.worlds import A4, A6, B4, E4, E6, S4, S6, T4, back, out, refused

PORTLESS = [4, 41, 47, 50, 51, 89, 94, 103, 112, 115, 253, 255]


@pytest.mark.parametrize("number", PORTLESS)
def test_by_address(make: Make, number: int) -> None:
    sim = make()
    body = bytes(range(40))
    emitted = out(sim, build.ip(A4, S4, number, body))
    assert seen(emitted).source == E4 and emitted[20:] == body
    answer = back(sim, build.ip(S4, E4, number, body[::-1]))
    assert seen(answer).destination == A4 and answer[20:] == body[::-1]


@pytest.mark.parametrize("number", PORTLESS)
def test_a_second_host_is_refused_towards_the_same_remote_only(make: Make, number: int) -> None:
    sim = make()
    out(sim, build.ip(A4, S4, number, bytes(40)))
    assert refused(sim, build.ip(B4, S4, number, bytes(40))) == "drop_untranslatable"
    out(sim, build.ip(B4, T4, number, bytes(40)))
    sim.advance(601)
    out(sim, build.ip(B4, S4, number, bytes(40)))


def test_unsolicited_ones_are_dropped(make: Make) -> None:
    sim = make()
    out(sim, build.ip(A4, S4, 47, bytes(8)))
    assert refused(sim, build.ip(T4, E4, 47, bytes(8)), "outside") == "drop_unsolicited"
    assert refused(sim, build.ip(S4, E4, 50, bytes(8)), "outside") == "drop_unsolicited"


def test_ten_minutes(make: Make) -> None:
    sim = make()
    out(sim, build.ip(A4, S4, 47, bytes(8)))
    sim.advance(599)
    back(sim, build.ip(S4, E4, 47, bytes(8)))
    sim.advance(2)
    assert refused(sim, build.ip(S4, E4, 47, bytes(8)), "outside") == "drop_unsolicited"


def test_an_empty_payload(make: Make) -> None:
    assert len(out(make(), build.ip(A4, S4, 47, b""))) == 20
    assert len(out(make(), build.ip(A6, S6, 59, b""))) == 40


def test_sctp_keeps_its_ports_and_its_checksum(make: Make) -> None:
    """CRC-32c has no pseudo-header: what is not touched stays right."""
    sim = make()
    chunk = bytes([0x9C, 0x40, 0, 80]) + bytes(4) + b"\x12\x34\x56\x78" + bytes(20)
    emitted = out(sim, build.ip(A4, S4, 132, chunk))
    assert seen(emitted).source == E4 and emitted[20:] == chunk
    assert refused(sim, build.ip(B4, S4, 132, chunk)) == "drop_untranslatable"
    out(sim, build.ip(B4, S4, 132, b"\x9c\x41" + chunk[2:]))
    back(sim, build.ip(S4, E4, 132, chunk[2:4] + chunk[:2] + chunk[4:]))


@pytest.mark.parametrize("number", [33, 136])
def test_dccp_and_udp_lite_have_ports(make: Make, number: int) -> None:
    sim = make()
    body = bytes([0x9C, 0x40, 0, 80, 0, 24]) + bytes(18)
    out(sim, build.ip(A4, S4, number, body))
    other = out(sim, build.ip(B4, S4, number, body))
    assert other[20:22] != b"\x9c\x40" and seen(other).source == E4
    assert seen(back(sim, build.ip(S4, E4, number, b"\0\x50" + other[20:22] + body[4:]))).destination == B4


@pytest.mark.parametrize("number", [33, 132, 136])
def test_short_ones_are_dropped(make: Make, number: int) -> None:
    for size in (0, 4, 7):
        assert refused(make(), build.ip(A4, S4, number, bytes(size))) == "drop_truncated"


def test_ipv6_by_address(make: Make) -> None:
    sim = make()
    for number in (4, 41, 47, 50):
        assert seen(out(sim, build.ip(A6, S6, number, bytes(20)))).source == E6
        assert seen(back(sim, build.ip(S6, E6, number, bytes(20)))).destination == A6


def test_the_protocol_is_named_in_flows(make: Make) -> None:
    sim = make()
    for number in (47, 132, 253):
        out(sim, build.ip(A4, S4, number, bytes(20)))
    assert {flow.protocol for flow in sim.flows()} >= {"sctp", "253"}
