"""Hostile bytes: every packet gets exactly one verdict, nothing raises, nothing past the end is read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.testing import Simulator
from gateway.testing.strategies import packets
from gateway.wire import build, protocol
from tests.judge import wrong_checksums
from tests.seen import is_error, seen
from tests.worlds import A4, A6, ARRIVALS, B4, E4, E6, HOSTILE, HOSTS, S4, S6, SIDES, out, refused, world


@given(st.lists(ARRIVALS, min_size=10, max_size=40), st.booleans())
def test_every_packet_has_exactly_one_counted_verdict(arrivals, pure):
    sim = Simulator(world(), pure=pure)
    for number, (side, packet) in enumerate(arrivals, 1):
        sim.inject(side, packet)
        assert sum(sim.counters().values()) == number


@given(st.lists(st.tuples(ARRIVALS, st.binary(min_size=10, max_size=10)), max_size=20), st.booleans())
def test_offload_headers_that_contradict_their_packet_raise_nothing(arrivals, pure):
    sim = Simulator(world(), pure=pure)
    for (side, packet), header in arrivals:
        sim.inject(side, packet, offload=header)
    assert sum(sim.counters().values()) == len(arrivals)


@given(st.lists(HOSTILE, max_size=130), SIDES)
def test_a_batch_is_judged_packet_by_packet(arrivals, side):
    """In one read or one after another: the same packets come out, and the same is counted.

    But for the port: fragments are judged at a batch's end, when a later packet may have the port they would have got.
    """
    together, singly = Simulator(world()), Simulator(world())
    together.inject_many(side, arrivals)
    for packet in arrivals:
        singly.inject(side, packet)
    assert together.counters() == singly.counters()
    for where in ("inside", "outside"):
        assert sorted(map(len, together.drain(where))) == sorted(map(len, singly.drain(where)))


@given(st.lists(ARRIVALS, max_size=12), st.integers(1, 255))
def test_nothing_past_a_packets_end_is_read(arrivals, filler):
    """What an earlier, longer packet left in the slot makes no difference."""
    clean, dirty = Simulator(world()), Simulator(world())
    for side, packet in arrivals:
        for sim, byte in ((clean, 0), (dirty, filler)):
            start = sim._batch.start[0]
            sim._batch.u8[start : start + 2048] = bytes([byte]) * 2048
            sim.inject(side, packet)
    assert clean.counters() == dirty.counters()
    assert [clean.drain(side, offload=True) for side in ("inside", "outside")] == [
        dirty.drain(side, offload=True) for side in ("inside", "outside")]


@given(packets(), st.data())
def test_every_prefix_of_a_packet_is_dropped_by_a_name(packet, data):
    length = data.draw(st.integers(0, len(packet) - 1))
    side = data.draw(SIDES)
    sim = Simulator(world())
    verdict = refused(sim, packet[:length], side)
    assert verdict in ("drop_truncated", "drop_bad_length", "drop_bad_version"), verdict
    assert sim.drain(side) == []


@given(st.lists(packets(side="inside", mutated=True), max_size=20))
def test_what_leaves_is_well_formed_whatever_arrived(arrivals):
    sim = Simulator(world())
    sim.inject_many("inside", arrivals)
    for emitted in sim.drain("outside"):
        assert seen(emitted).family in (4, 6)
        assert not [wrong for wrong in wrong_checksums(emitted) if wrong.startswith("IP:")] or is_error(emitted)


MALFORMED = {
    "no bytes": b"",
    "one byte": b"\x45",
    "header length below five words": b"\x44" + build.udp_datagram(A4, 1, S4, 2)[1:],
    "header length past the end": b"\x4f" + build.udp_datagram(A4, 1, S4, 2, b"")[1:],
    "version 5": b"\x55" + build.udp_datagram(A4, 1, S4, 2)[1:],
    "total length past the end": build.udp_datagram(A4, 1, S4, 2, b"cut")[:-1],
    "payload length past the end": build.udp_datagram(A6, 1, S6, 2, b"cut")[:-1],
    "tcp data offset below five words": build.ip(A4, S4, protocol.TCP, bytes(12) + b"\x40\x02" + bytes(6)),
    "tcp data offset past the end": build.ip(A4, S4, protocol.TCP, bytes(12) + b"\xf0\x02" + bytes(6)),
    "tcp header cut": build.ip(A4, S4, protocol.TCP, bytes(19)),
    "udp header cut": build.ip(A4, S4, protocol.UDP, bytes(7)),
    "icmp header cut": build.ip(A4, S4, protocol.ICMP, b"\x08\0\0\0\0\0\0"),
    "icmpv6 in ipv4": build.ip(A4, S4, protocol.ICMPV6, b"\x80" + bytes(7)),
    "icmp in ipv6": build.ip(A6, S6, protocol.ICMP, b"\x08" + bytes(7)),
    "extension header past the end": build.ip(A6, S6, protocol.HOP_BY_HOP, bytes([17, 200]) + bytes(20)),
}


@pytest.mark.parametrize("pure", [False, True], ids=["compiled", "interpreted"])
@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_packets_are_dropped_by_a_name_of_their_own(name, pure):
    sim = Simulator(world(), pure=pure)
    assert refused(sim, MALFORMED[name]) in (
        "drop_truncated", "drop_bad_version", "drop_bad_length", "drop_bad_header", "drop_bad_checksum")
    assert sim.drain("inside") == [] and sim.flows() == []


def test_a_wrong_ipv4_header_checksum_is_dropped():
    sent = bytearray(build.udp_datagram(A4, 1, S4, 2))
    sent[10] ^= 1
    assert refused(Simulator(world()), bytes(sent)) == "drop_bad_checksum"


@pytest.mark.parametrize(("source", "destination"), [
    ("127.0.0.1", S4), ("0.0.0.0", S4), ("224.0.0.1", S4), ("255.255.255.255", S4), ("169.254.1.1", S4),
    (A4, "127.0.0.1"), (A4, "0.0.0.0"), (A4, "255.255.255.255"), (A4, "169.254.1.1"), (A4, "224.0.0.251"),
    ("::1", S6), ("::", S6), ("ff02::1", S6), ("fe80::1", S6),
    (A6, "::1"), (A6, "::"), (A6, "ff02::1"), (A6, "fe80::1"), (A6, "ff05::2"),
])
def test_addresses_that_never_cross_do_not(source, destination):
    sim = Simulator(world())
    assert refused(sim, build.udp_datagram(source, 40000, destination, 53)).startswith("drop_")
    assert sim.flows() == []


@pytest.mark.parametrize("source", ["203.0.113.77", "8.8.8.8", E4, "172.16.0.1"])
def test_a_source_that_is_not_behind_the_inside_is_spoofed(source):
    sim = Simulator(world())
    assert refused(sim, build.udp_datagram(source, 40000, S4, 53)).startswith("drop_")
    assert sim.flows() == []


@pytest.mark.parametrize("internal", [A4, A6])
def test_an_internal_source_cannot_come_from_the_outside(internal):
    """RFC 2827: not towards another pod, and not towards the egress address either."""
    family = 4 if internal == A4 else 6
    sim = Simulator(world())
    out(sim, build.udp_datagram(B4, 40000, S4, 53))
    for destination in (HOSTS[family][2], B4 if family == 4 else "fd00:10:244::3"):
        assert refused(sim, build.udp_datagram(internal, 53, destination, 40000), "outside").startswith("drop_")
        assert sim.drain("outside") == []


@pytest.mark.parametrize("family", [4, 6])
def test_a_packet_from_itself_to_itself_is_dropped(family):
    """LAND: the same address and port on both ends, on either side."""
    internal, _, external = HOSTS[family]
    sim = Simulator(world())
    for side, address in (("inside", internal), ("outside", external)):
        assert refused(sim, build.tcp_segment(address, 80, address, 80), side).startswith("drop_")


@pytest.mark.parametrize("external", [E4, E6])
def test_unsolicited_packets_allocate_nothing(external):
    remote = S4 if external == E4 else S6
    sim = Simulator(world())
    for port in range(100):
        sim.inject("outside", build.udp_datagram(remote, 53, external, 40000 + port))
        sim.inject("outside", build.tcp_segment(remote, 80, external, 40000 + port))
    assert sim.drain("inside") == [] and sim.flows() == []


def test_multicast_from_the_outside_never_meets_the_table():
    sim = Simulator(world())
    assert refused(sim, build.udp_datagram(S4, 5000, "232.1.1.1", 5000), "outside").startswith("drop_")


def test_another_pods_segments_do_not_disturb_a_flow():
    """B uses A's port, and even A's address cannot be used from the outside: A's mapping stays what it was."""
    sim = Simulator(world())
    mine = seen(out(sim, build.tcp_segment(A4, 40000, S4, 443, sequence=100)))
    theirs = seen(out(sim, build.tcp_segment(B4, 40000, S4, 443, sequence=999)))
    assert mine[2:4] == (E4, 40000) and theirs.source_port != 40000
    reply = build.tcp_segment(S4, 443, E4, 40000, flags=0x12, sequence=7, acknowledgement=101)
    sim.inject("outside", reply)
    [arrived] = sim.drain("inside")
    assert seen(arrived)[4:6] == (A4, 40000)
