"""ICMP queries: identifiers are mapped like ports (RFC 5508 section 3)."""

import pytest

from gateway.wire import build
from tests.judge import assert_sound
from tests.nat.behaviour.talk import Make
from tests.seen import seen
from tests.worlds import A4, A6, B4, E4, E6, S4, S6, T4, back, out, refused

HOSTS = {4: (A4, S4, E4), 6: (A6, S6, E6)}


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("identifier", [0, 1, 0x1234, 0xFFFF])
def test_echo_there_and_back(make: Make, family: int, identifier: int) -> None:
    sim = make()
    pod, remote, external = HOSTS[family]
    request = out(sim, build.echo(pod, remote, identifier, 1, b"ping"))
    assert seen(request)[2:4] == (external, identifier) and request.endswith(b"ping")
    answer = back(sim, build.echo(remote, external, identifier, 1, b"ping", reply=True))
    assert seen(answer)[4:6] == (pod, identifier) and answer.endswith(b"ping")
    assert_sound([request, answer])


def test_sequence_numbers_share_one_session(make: Make) -> None:
    sim = make()
    for sequence in (0, 1, 65535, 0):
        out(sim, build.echo(A4, S4, 7, sequence))
        assert back(sim, build.echo(S4, E4, 7, sequence, reply=True))[26:28] == sequence.to_bytes(2, "big")
    assert len(sim.flows()) == 1


def test_one_identifier_towards_many_remotes(make: Make) -> None:
    """RFC 5508 REQ-1: the mapping does not depend on the remote."""
    sim = make()
    out(sim, build.echo(B4, S4, 7))
    assert len({seen(out(sim, build.echo(A4, remote, 7))).source_port for remote in (S4, T4, "192.0.2.1")}) == 1


@pytest.mark.parametrize("idle", [29, 31, 59])
def test_a_session_lives_for_a_minute(make: Make, idle: int) -> None:
    sim = make()
    out(sim, build.echo(A4, S4, 7))
    sim.advance(idle)
    back(sim, build.echo(S4, E4, 7, reply=True))


def test_and_not_longer(make: Make) -> None:
    sim = make()
    out(sim, build.echo(A4, S4, 7))
    back(sim, build.echo(S4, E4, 7, reply=True))
    sim.advance(60.1)
    assert refused(sim, build.echo(S4, E4, 7, reply=True), "outside") == "drop_unsolicited"


def test_late_and_repeated_answers_pass(make: Make) -> None:
    sim = make()
    out(sim, build.echo(A4, S4, 7, 1))
    out(sim, build.echo(A4, S4, 7, 2))
    for sequence in (2, 1, 1):
        back(sim, build.echo(S4, E4, 7, sequence, reply=True))


def test_answers_of_another_or_to_another_do_not(make: Make) -> None:
    sim = make()
    out(sim, build.echo(A4, S4, 7))
    assert refused(sim, build.echo(T4, E4, 7, reply=True), "outside") in ("drop_unsolicited", "drop_filtered")
    assert refused(sim, build.echo(S4, E4, 8, reply=True), "outside") == "drop_unsolicited"


def test_a_reply_opens_nothing_from_inside(make: Make) -> None:
    sim = make()
    assert refused(sim, build.echo(A4, S4, 7, reply=True)) == "drop_unsolicited"
    assert sim.flows() == []


def test_a_request_from_the_remote_is_no_answer(make: Make) -> None:
    """The remote pings the external address: the gateway answers, the pod hears nothing."""
    sim = make()
    out(sim, build.echo(A4, S4, 7))
    sim.inject("outside", build.echo(S4, E4, 7, 3))
    assert sim.drain("inside") == []
    assert len(sim.drain("outside")) <= 1


def test_timestamps_are_translated_like_echo(make: Make) -> None:
    sim = make()
    body = (9).to_bytes(2, "big") + (1).to_bytes(2, "big") + bytes(12)
    asked = out(sim, build.icmp_message(A4, S4, 13, 0, body))
    assert seen(asked).source == E4 and asked[28:] == bytes(12)
    answer = back(sim, build.icmp_message(S4, E4, 14, 0, asked[24:26] + body[2:]))
    assert seen(answer)[4:6] == (A4, 9)
    assert_sound([asked, answer])


@pytest.mark.parametrize("kind", [15, 16, 17, 18, 10, 30, 35, 37])
def test_obsolete_queries_are_dropped(make: Make, kind: int) -> None:
    """RFC 6918 deprecates them; nothing of them leaves with an internal address."""
    sim = make()
    assert refused(sim, build.icmp_message(A4, S4, kind, 0, bytes(12))) == "drop_link_scope"


@pytest.mark.parametrize("code", [1, 42, 255])
def test_codes_of_an_echo_are_left_alone(make: Make, code: int) -> None:
    sim = make()
    emitted = out(sim, build.icmp_message(A4, S4, 8, code, b"\0\x07\0\x01"))
    assert emitted[21] == code
    assert_sound([emitted])


def test_extended_echo_is_refused(make: Make) -> None:
    """RFC 8335: it names interfaces and addresses of the inside."""
    assert refused(make(), build.icmp_message(A4, S4, 42, 0, bytes(12))) == "drop_link_scope"
    assert refused(make(), build.icmp_message(A6, S6, 160, 0, bytes(12))) == "drop_link_scope"


def test_icmp_in_the_other_family_is_dropped(make: Make) -> None:
    sim = make()
    assert refused(sim, build.ip(A6, S6, 1, build.echo(A4, S4, 1)[20:])) == "drop_bad_header"
    assert refused(sim, build.ip(A4, S4, 58, build.echo(A6, S6, 1)[40:])) == "drop_bad_header"


def test_a_ping_of_death_s_size_is_just_large(make: Make) -> None:
    """An echo of 65507 bytes goes out in pieces where the other side is narrower."""
    sim = make(inside={"driver": "memory", "mtu": 65535, "addresses": ["192.168.0.1/16"]})
    packet = bytearray(build.echo(A4, S4, 7, 1, bytes(20000)))
    packet[6:8] = b"\0\0"
    packet[10:12] = b"\0\0"
    packet[10:12] = build.checksum(bytes(packet[:20])).to_bytes(2, "big")
    sim.inject("inside", bytes(packet))
    pieces = sim.drain("outside")
    assert len(pieces) == 14 and all(len(one) <= 1500 for one in pieces)
    assert b"".join(one[20:] for one in pieces)[8:] == bytes(20000)
