"""Fragments: of every protocol, in every order, both ways; and those that attack (RFC 1858, 3128, 5722, 8200)."""

from itertools import permutations

import pytest
from scapy.layers.inet import IP, defragment

from gateway.testing import Simulator
from gateway.testing.strategies import fragment
from gateway.wire import build
from tests.judge import assert_sound
from tests.nat.behaviour.talk import OPEN_UDP, RST, Make, asked, changed, inside, outside, replied, sent
from tests.seen import seen
from tests.worlds import A4, B4, E4, S4, T4, back, out, refused


def through(sim: Simulator, side: str, packets: list[bytes], to: str | None = None) -> list[bytes]:
    for packet in packets:
        sim.inject(side, packet)
    return sim.drain(to or ("outside" if side == "inside" else "inside"))


def whole(packets: list[bytes]) -> bytes:
    """IPv4 fragments put together by scapy."""
    [packet] = defragment([IP(one) for one in sorted(packets, key=lambda one: (one[6] & 31, one[7]))])
    return bytes(packet)


def part(source: str, target: str, upper: int, offset: int, body: bytes, more: bool, identification: int = 77) -> bytes:
    """An IPv4 fragment; offset in bytes."""
    return build.ip(source, target, upper, body, identification=identification,
                    fragment=(0x2000 if more else 0) | offset // 8)


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_udp_out_and_back_in_every_order(make: Make, order: tuple[int, ...]) -> None:
    sim = make()
    pieces = fragment(asked(payload=bytes(range(250)) * 4), 400, 7)
    emitted = through(sim, "inside", [pieces[index] for index in order])
    assert len(emitted) == 3 and {seen(one).source for one in emitted} == {E4}
    assert_sound([whole(emitted)])
    pieces = fragment(replied(payload=bytes(range(250)) * 4), 400, 8)
    emitted = through(sim, "outside", [pieces[index] for index in order])
    assert {seen(one).destination for one in emitted} == {A4}
    assert_sound([whole(emitted)])


@pytest.mark.parametrize("packet", [build.tcp_segment(A4, 40000, S4, 80, bytes(800)),
                                    build.echo(A4, S4, 7, 1, bytes(800)),
                                    build.ip(A4, S4, 47, bytes(800)), build.ip(A4, S4, 50, bytes(800)),
                                    build.ip(A4, S4, 132, bytes([0, 9, 0, 80]) + bytes(800))])
def test_every_protocol_last_fragment_first(make: Make, packet: bytes) -> None:
    sim = make()
    emitted = through(sim, "inside", fragment(packet, 400, 7)[::-1])
    assert len(emitted) == len(fragment(packet, 400, 7))
    together = whole(emitted)
    assert seen(together).source == E4 and together[40:] == packet[40:]


def test_ipv6_in_reverse(make: Make) -> None:
    sim = make()
    emitted = through(sim, "inside", fragment(asked(6, bytes(2000)), 800, 7)[::-1])
    assert [seen(one).source for one in emitted] == ["2001:db8:e::10"] * len(emitted) and len(emitted) >= 3
    assert len({one[44:48] for one in emitted}) == 1


def test_fragments_of_a_hairpin(make: Make) -> None:
    for step in (1, -1):
        sim = make(**OPEN_UDP)
        out(sim, build.udp_datagram(B4, 5000, S4, 53))
        pieces = fragment(build.udp_datagram(A4, 40000, E4, 5000, bytes(1000)), 400, 7)
        emitted = through(sim, "inside", pieces[::step], "inside")
        assert seen(whole(emitted))[2:6] == (E4, 40000, B4, 5000)
        assert_sound([whole(emitted)])


def test_two_hosts_with_one_identification_leave_with_two(make: Make) -> None:
    """RFC 6864: at the remote both come from one address."""
    sim = make()
    pieces = [fragment(build.udp_datagram(pod, 40000, S4, 53, bytes(1000)), 400, 7) for pod in (A4, B4)]
    mixed = [one for pair in zip(*pieces, strict=True) for one in pair]
    emitted = through(sim, "inside", mixed)
    assert len({one[4:6] for one in emitted}) == 2
    assert len({bytes(one) for one in map(bytes, defragment([IP(one) for one in emitted]))}) == 2


def test_a_first_fragment_s_own_ttl_and_the_later_ones(make: Make) -> None:
    sim = make()
    first, *others = fragment(asked(payload=bytes(1000)), 400, 7)
    assert len(through(sim, "inside", [changed(first, 8, 9)] + [changed(one, 8, 1) for one in others])) == 1


def test_a_refused_first_fragment_takes_the_others_with_it(make: Make) -> None:
    sim = make()
    pieces = fragment(build.tcp_segment(A4, 40000, S4, 80, bytes(800), flags=RST), 400, 7)
    assert through(sim, "inside", pieces) == through(sim, "inside", pieces[::-1]) == []
    assert sim.flows() == []


def test_unsolicited_fragments_from_outside(make: Make) -> None:
    sim = make()
    pieces = fragment(replied(payload=bytes(1000)), 400, 7)
    assert through(sim, "outside", pieces) == through(sim, "outside", pieces[::-1]) == []
    sim.advance(16)
    assert sim.drain("outside") == [] and sim.flows() == []


# -- attacks


def test_tiny_first_fragments_of_tcp(make: Make) -> None:
    sim = make()
    body = sent(2, 1000)[20:]
    assert refused(sim, part(A4, S4, 6, 0, body[:8], True)) == "drop_tiny_fragment"
    assert refused(sim, part(A4, S4, 6, 8, body[8:], False)) == "drop_tiny_fragment"
    assert refused(sim, part(A4, S4, 6, 0, body[:16], True, 78)) == "drop_tiny_fragment"


def test_eight_bytes_are_enough_for_udp(make: Make) -> None:
    sim = make()
    body = asked(payload=bytes(32))[20:]
    emitted = through(sim, "inside", [part(A4, S4, 17, 0, body[:8], True), part(A4, S4, 17, 8, body[8:], False)])
    assert len(emitted) == 2
    assert_sound([whole(emitted)])


@pytest.mark.parametrize(("start", "size"), [(24, 24), (40, 8), (32, 40), (0, 80), (16, 8), (32, 24)])
def test_teardrop_and_other_overlaps(make: Make, start: int, size: int) -> None:
    """A datagram whose fragments overlap is refused whole (RFC 5722)."""
    sim = make()
    body = asked(payload=bytes(120))[20:]
    through(sim, "inside", [part(A4, S4, 17, 0, body[:24], True), part(A4, S4, 17, 32, body[32:48], True)])
    assert refused(sim, part(A4, S4, 17, start, bytes(size), True)) == "drop_fragment_overlap"
    assert refused(sim, part(A4, S4, 17, 48, body[48:], False)) == "drop_fragment_refused"


@pytest.mark.parametrize("start", [0, 24])
def test_a_fragment_that_comes_twice_passes_once(make: Make, start: int) -> None:
    """Networks deliver twice; only what overlaps otherwise is an attack (RFC 8200 section 4.5)."""
    sim = make()
    body = asked(payload=bytes(120))[20:]
    pieces = [part(A4, S4, 17, 0, body[:24], True), part(A4, S4, 17, 24, body[24:64], True)]
    emitted = through(sim, "inside", pieces)
    assert refused(sim, pieces[start > 0]) == "drop_fragment_overlap"
    emitted += through(sim, "inside", [part(A4, S4, 17, 64, body[64:], False)])
    assert_sound([whole(emitted)])


def test_the_largest_datagram_in_the_smallest_pieces(make: Make) -> None:
    """65,535 bytes over an MTU of 576; in more pieces than that nobody sends one."""
    sim = make()
    body = bytes(asked(payload=bytes(65_507))[20:])
    pieces = [part(A4, S4, 17, at, body[at : at + 552], at + 552 < len(body)) for at in range(0, len(body), 552)]
    assert len(through(sim, "inside", pieces)) == len(pieces) == 119
    emitted = through(sim, "inside", [part(A4, S4, 17, at, body[at : at + 8], True, 78) for at in range(0, 8 * 129, 8)])
    assert len(emitted) == 128 and sim.counters()["drop_fragment_limit"] == 1


def test_overlaps_among_what_waits(make: Make) -> None:
    sim = make()
    body = asked(payload=bytes(120))[20:]
    pieces = [part(A4, S4, 17, 64, body[64:], False), part(A4, S4, 17, 56, bytes(16), True),
              part(A4, S4, 17, 0, body[:64], True)]
    assert through(sim, "inside", pieces) == []
    assert sim.counters()["hold_fragment"] == 0


def test_ping_of_death(make: Make) -> None:
    """Together they would be more than 65535 bytes, headers included (CVE-1999-0128)."""
    sim = make()
    assert refused(sim, part(A4, S4, 1, 65528, bytes(100), False)) == "drop_bad_length"
    assert refused(sim, part(A4, S4, 1, 65512, bytes(8), False)) == "drop_bad_length"
    sim.inject("inside", part(A4, S4, 1, 65504, bytes(8), False))
    assert sim.counters()["hold_fragment"] == 1


@pytest.mark.parametrize("size", [1, 7, 9])
def test_a_middle_fragment_is_a_multiple_of_eight(make: Make, size: int) -> None:
    assert refused(make(), part(A4, S4, 17, 64, bytes(size), True)) == "drop_bad_length"


def test_bytes_behind_the_last_fragment(make: Make) -> None:
    """Two ends, or something behind the end: no datagram (RFC 8200 section 4.5 forbids both)."""
    sim = make()
    body = asked(payload=bytes(120))[20:]
    through(sim, "inside", [part(A4, S4, 17, 0, body[:64], True), part(A4, S4, 17, 64, body[64:96], False)])
    sim = make()
    through(sim, "inside", [part(A4, S4, 17, 0, body[:32], True), part(A4, S4, 17, 64, body[64:96], False)])
    assert refused(sim, part(A4, S4, 17, 96, bytes(32), True)) == "drop_fragment_overlap"
    sim = make()
    through(sim, "inside", [part(A4, S4, 17, 0, body[:32], True), part(A4, S4, 17, 96, bytes(32), True)])
    assert refused(sim, part(A4, S4, 17, 64, bytes(8), False)) == "drop_fragment_overlap"


def test_rose(make: Make) -> None:
    """The first and the last fragment of many datagrams, never the middle: bounded, and gone in time."""
    sim = make(limits={"fragmentsHeld": 64})
    for number in range(200):
        sim.inject("outside", part(S4, E4, 17, 64800, bytes(32), False, number))
    assert sim.counters()["hold_fragment"] <= 16  # one source's share
    sim.inject("outside", part(T4, E4, 17, 64800, bytes(32), False))
    assert sim.counters()["hold_fragment"] <= 17
    sim.advance(15.2)
    assert sim.counters()["hold_fragment"] == 0 and sim.drain("outside") == []


@pytest.mark.parametrize("datagrams", [300, 20])
def test_a_flood_from_outside_leaves_room_for_those_inside(make: Make, datagrams: int) -> None:
    """One fragment of each datagram, or many."""
    sim = make(limits={"fragmentsHeld": 64})
    for number in range(300):
        place, one = divmod(number, datagrams)
        sim.inject("outside", part(f"203.0.113.{one % 200}", E4, 17, 8 + 8 * place, bytes(8), True, one))
    assert sim.counters()["hold_fragment"] == 48
    assert len(through(sim, "inside", fragment(asked(payload=bytes(1000)), 400, 7)[::-1])) == 3


@pytest.mark.parametrize("wait", [1, 14])
def test_the_rest_may_come_late(make: Make, wait: int) -> None:
    sim = make()
    first, second, third = fragment(asked(payload=bytes(1000)), 400, 7)
    sim.inject("inside", third)
    sim.advance(wait)
    assert len(through(sim, "inside", [second, first])) == 3


def test_but_not_too_late(make: Make) -> None:
    sim = make()
    first, second, _ = fragment(asked(payload=bytes(1000)), 400, 7)
    sim.inject("inside", second)
    sim.advance(15.2)
    assert sim.counters()["drop_fragment_timeout"] == 1
    assert len(through(sim, "inside", [first])) == 1


# -- what is larger than the other side


def test_without_df_it_is_cut_in_order(make: Make) -> None:
    sim = make(outside=outside(1400))
    question = changed(asked(payload=bytes(1472)), 4, 0x12, 0x34, 0, 0)
    emitted = through(sim, "inside", [question])
    assert [len(one) <= 1400 for one in emitted] == [True, True]
    assert [int.from_bytes(one[6:8], "big") for one in emitted] == [0x2000, (len(emitted[0]) - 20) // 8]
    assert len({one[4:6] for one in emitted}) == 1
    assert_sound([whole(emitted)])


def test_the_other_way_as_well(make: Make) -> None:
    sim = make(inside=inside(1300))
    out(sim, asked())
    emitted = through(sim, "outside", [changed(replied(payload=bytes(1472)), 4, 0x12, 0x34, 0, 0)])
    assert len(emitted) == 2 and all(len(one) <= 1300 for one in emitted)
    assert seen(whole(emitted)).destination == A4


def test_atomic_fragments_are_not_mixed_with_others(make: Make) -> None:
    """RFC 6946: whole packets that carry a fragment header, whatever else has the same identification."""
    sim = make()
    question = asked(6)
    atomic = question[:4] + (len(question) - 32).to_bytes(2, "big") + bytes([44]) + question[7:40]
    atomic += bytes([17, 0, 0, 0, 0, 0, 0, 7]) + question[40:]
    for _ in range(3):
        assert out(sim, atomic)[48:52] == question[40:44]
    assert back(sim, replied(6))
