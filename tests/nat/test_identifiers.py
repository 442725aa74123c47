"""IPv4 identifiers of what may be fragmented (RFC 6864, RFC 7857 section 10)."""

from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.testing import Simulator
from gateway.testing.strategies import fragment
from gateway.wire import build, icmp, ipv4, protocol
from tests.judge import assert_sound
from tests.seen import quoted, seen
from tests.worlds import A4, A6, B4, B6, E4, E6, S4, S6, T4, back, forwarded, out, world

SPEEDS = pytest.mark.parametrize("pure", [False, True], ids=["compiled", "interpreted"])


def with_flags(packet: bytes, identification: int, flags: int = 0) -> bytes:
    changed = bytearray(packet)
    changed[4:8] = identification.to_bytes(2, "big") + flags.to_bytes(2, "big")
    changed[10:12] = bytes(2)
    changed[10:12] = build.checksum(bytes(changed[:20])).to_bytes(2, "big")
    return bytes(changed)


def datagram(source: str, port: int, target: str, target_port: int, number: int, flags: int = 0) -> bytes:
    return with_flags(build.udp_datagram(source, port, target, target_port, b"in parts, perhaps"), number, flags)


def identifier(packet: bytes) -> int:
    return int.from_bytes(packet[4:6], "big")


@SPEEDS
def test_what_hosts_number_alike_leaves_numbered_apart(pure):
    sim = Simulator(world(), pure=pure)
    used: dict[tuple, set[int]] = defaultdict(set)
    sent = 0
    for number in range(40):
        for host in (A4, B4):
            for remote in (S4, T4):
                emitted = out(sim, datagram(host, 5000 + number % 3, remote, 53, number))
                used[remote].add(identifier(emitted))
                sent += 1
                assert_sound([emitted])
    assert sum(len(numbers) for numbers in used.values()) == sent


@SPEEDS
def test_nobody_counts_others_datagrams_by_his_own(pure):
    """RFC 7739: what one pair of addresses uses says nothing of where another one stands."""
    sim = Simulator(world(), pure=pure)
    starts = {identifier(out(sim, datagram(A4, 5000, f"203.0.113.{last}", 53, 1))) for last in range(1, 60)}
    assert len(starts) > 50 and max(starts) - min(starts) > 10_000
    other = {identifier(out(Simulator(world(), seed=2, pure=pure), datagram(A4, 5000, S4, 53, 1))) for _ in range(1)}
    assert other != {identifier(out(Simulator(world(), seed=3, pure=pure), datagram(A4, 5000, S4, 53, 1)))}


@SPEEDS
def test_an_atomic_datagram_keeps_its_own(pure):
    sim = Simulator(world(), pure=pure)
    assert identifier(out(sim, datagram(A4, 5000, S4, 53, 4711, ipv4.DF))) == 4711


@SPEEDS
def test_whoever_keeps_his_address_keeps_his_identifiers(pure):
    """From outside, and where nothing is translated: each source has numbered its own."""
    sim = Simulator(world(nat={"noTranslate": ["203.0.113.6/32"]}), pure=pure)
    out(sim, datagram(A4, 5000, S4, 53, 1))
    assert identifier(back(sim, datagram(S4, 53, E4, 5000, 4711))) == 4711
    assert identifier(out(sim, datagram(A4, 5000, T4, 53, 4711))) == 4711
    parts = fragment(datagram(S4, 53, E4, 5000, 0), 8, 4711)
    assert {identifier(back(sim, part)) for part in parts} == {4711}


@SPEEDS
def test_two_behind_one_address_are_told_apart_inside_too(pure):
    """A hairpin's receiver sees many hosts as one, as a receiver outside does."""
    sim = Simulator(world(nat={"filtering": {"udp": "EndpointIndependent"}}), pure=pure)
    port = seen(out(sim, datagram("192.168.1.9", 6000, S4, 53, 1))).source_port
    numbers = []
    for host in (A4, B4):
        sim.inject("inside", datagram(host, 5000, E4, port, 7))
        numbers += [identifier(packet) for packet in sim.drain("inside")]
    assert len(set(numbers)) == 2


@SPEEDS
def test_all_fragments_of_a_datagram_have_one_and_no_other_datagram_has_it(pure):
    sim = Simulator(world(), pure=pure)
    used = []
    for number in range(20):
        for host in (A4, B4):
            parts = fragment(build.udp_datagram(host, 5000, S4, 53, bytes(100)), 48, number)
            emitted = [out(sim, part) for part in parts]
            assert len({identifier(part) for part in emitted}) == 1
            used += [identifier(emitted[0]), identifier(out(sim, datagram(host, 5000, S4, 53, number)))]
    assert len(set(used)) == len(used)


@SPEEDS
def test_ipv6_fragments_of_two_hosts_are_told_apart(pure):
    sim = Simulator(world(), pure=pure)
    used = [{out(sim, part)[44:48] for part in fragment(build.udp_datagram(host, 5000, S6, 53, bytes(100)), 48, 7)}
            for host in (A6, B6)]
    assert [len(one) for one in used] == [1, 1] and used[0] != used[1]
    parts = fragment(build.udp_datagram(S6, 53, E6, 5000, bytes(100)), 48, 4711)
    assert {int.from_bytes(back(sim, part)[44:48], "big") for part in parts} == {4711}, "its sender's own"


@SPEEDS
@pytest.mark.parametrize(("payload", "size", "segments"), [(2800, 1400, 2), (2801, 1400, 3), (100, 1400, 1)])
def test_a_superpacket_takes_as_many_as_it_has_segments(pure, payload, size, segments):
    sim = Simulator(world(), pure=pure)
    offload = bytes([0, 5]) + (28).to_bytes(2, "little") + size.to_bytes(2, "little") + bytes(4)  # UDP_L4
    sent = with_flags(build.udp_datagram(A4, 5000, S4, 53, bytes(payload)), 1)
    sim.inject("inside", sent, offload=offload)
    [first] = sim.drain("outside")
    following = out(sim, datagram(A4, 5000, S4, 53, 1))
    assert (identifier(following) - identifier(first)) % 65536 == segments
    assert_sound([first, following])


@given(st.lists(st.tuples(st.sampled_from([A4, B4]), st.integers(0, 65535), st.booleans()), min_size=1, max_size=30))
def test_translation_changes_nothing_else_about_it(sent):
    """The identifier is the one freedom: with it put back, what leaves is what would have left with DF."""
    sim, twin = Simulator(world()), Simulator(world(), pure=True)
    for host, number, fixed in sent:
        packet = datagram(host, 5000, S4, 53, number, ipv4.DF if fixed else 0)
        emitted = out(sim, packet)
        assert emitted == out(twin, packet)
        external = seen(emitted).source_port
        expected = datagram(E4, external, S4, 53, number, ipv4.DF if fixed else 0)
        assert with_flags(emitted, number, ipv4.DF if fixed else 0) == forwarded(expected)
        assert_sound([emitted])


@SPEEDS
def test_an_error_quotes_the_identifier_that_its_sender_wrote(pure):
    """traceroute sends its probes without DF."""
    sim = Simulator(world(), pure=pure)
    for number in (5, 6, 60000):
        sent = datagram(A4, 5000 + number % 7, S4, 33434, number)
        emitted = out(sim, sent)
        error = build.icmp_message("192.0.2.99", E4, icmp.TIME_EXCEEDED, 0, bytes(4) + emitted[:28])
        told = back(sim, error)
        assert quoted(told) == forwarded(sent)[:28]
        assert_sound([told])


@SPEEDS
def test_what_the_gateway_says_itself_has_identifiers_of_the_same_kind(pure):
    sim = Simulator(world(), pure=pure)
    used = []
    for number in range(20):
        sim.inject("outside", build.echo(S4, E4, number))
        used += [identifier(packet) for packet in sim.drain("outside")]
        ping = with_flags(build.echo(A4, S4, number), number)
        used.append(identifier(out(sim, ping)))
        hidden = build.ip(A4, S4, protocol.ICMP, build.icmp_message(
            A4, S4, icmp.UNREACHABLE, 3, bytes(4) + quoted_answer(sim))[20:], identification=7, fragment=0)
        used.append(identifier(out(sim, hidden)))
    assert len(used) == 60 == len(set(used))


def quoted_answer(sim: Simulator) -> bytes:
    """A remote's datagram as host A got it."""
    port = seen(out(sim, datagram(A4, 5000, S4, 53, 1, ipv4.DF))).source_port
    return back(sim, datagram(S4, 53, E4, port, 1, ipv4.DF))


@SPEEDS
def test_explaining_takes_none(pure):
    sim, other = Simulator(world(), pure=pure), Simulator(world(), pure=pure)
    sim.explain(datagram(A4, 5000, S4, 53, 1))
    assert out(sim, datagram(A4, 5000, S4, 53, 1)) == out(other, datagram(A4, 5000, S4, 53, 1))
