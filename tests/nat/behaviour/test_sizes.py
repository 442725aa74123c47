"""Superpackets and segment sizes: what counts is what will be on the wire (RFC 1191, 4459, 9293)."""

import pytest

from gateway.testing import Simulator
from gateway.wire import build
from tests.judge import assert_sound
from tests.nat.behaviour.talk import ACK, OPEN_UDP, PSH, SYN, Make, answered, established, inside, outside, sent
from tests.seen import quoted, seen
from tests.worlds import A4, B4, E4, S4, back, out

TCP4, TCP6 = 1, 4  # VIRTIO_NET_HDR_GSO_TCPV4 and TCPV6


def unfinished(packet: bytes, size: int) -> tuple[bytes, bytes]:
    """A superpacket as the kernel hands it over: (offload header, packet with the pseudo-header's sum only)."""
    v4 = packet[0] >> 4 == 4
    at = 20 if v4 else 40
    ends = seen(packet)
    pseudo = build.pseudo_header(ends.source, ends.destination, 6, len(packet) - at)
    partial = build.checksum(pseudo) ^ 0xFFFF
    packet = packet[: at + 16] + partial.to_bytes(2, "big") + packet[at + 18 :]
    fields = (at + 20, size, at, 16)
    return bytes([1, TCP4 if v4 else TCP6]) + b"".join(one.to_bytes(2, "little") for one in fields), packet


def inject(sim: Simulator, size: int, family: int, length: int = 20_000) -> bytes:
    offload, packet = unfinished(sent(PSH | ACK, 1001, 5001, bytes(length), family=family), size)
    sim.inject("inside", packet, offload=offload)
    return packet


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("spare", [0, 1])
def test_a_superpacket_is_judged_by_its_segments(make: Make, family: int, spare: int) -> None:
    sim = established(make(outside=outside(1400)), family=family)
    size = 1400 - (40 if family == 4 else 60) + spare
    packet = inject(sim, size, family)
    if spare == 0:
        [(header, emitted)] = sim.drain("outside", offload=True)
        assert len(emitted) == len(packet) and int.from_bytes(header[4:6], "little") == size
        return
    assert sim.drain("outside") == []
    [error] = sim.drain("inside")
    assert int.from_bytes(seen(error).payload[4:8], "big") == 1400
    assert quoted(error)[:20] == packet[:20]
    assert_sound([error])


def test_a_superpacket_at_the_end_of_its_hops_is_told_once(make: Make) -> None:
    sim = established(make())
    packet = build.tcp_segment(A4, 40000, S4, 80, bytes(9000), flags=PSH | ACK, sequence=1001, acknowledgement=5001,
                               ttl=1)
    offload, packet = unfinished(packet, 1400)
    sim.inject("inside", packet, offload=offload)
    [error] = sim.drain("inside")
    assert seen(error).icmp == (11, 0) and len(error) <= 576


def test_an_impossible_offload_header_is_refused(make: Make) -> None:
    sim = make()
    for fields in (b"\x01\0" + bytes(4) + b"\xff\xff\x10\0", b"\x01\0" + bytes(4) + b"\x14\0\xff\xff"):
        sim.inject("inside", sent(SYN, 1000), offload=fields)
    assert sim.drain("outside") == []


def mss(size: int) -> bytes:
    return bytes([2, 4]) + size.to_bytes(2, "big")


@pytest.mark.parametrize(("offered", "agreed"), [(1460, 1360), (1361, 1360), (1360, 1360), (536, 536), (0, 0),
                                                 (65535, 1360)])
def test_segments_fit_the_smaller_side(make: Make, offered: int, agreed: int) -> None:
    """Auto: to the smaller MTU less the headers, in SYN and SYN-ACK, only ever lower."""
    for spec in ({"outside": outside(1400)}, {"inside": inside(1400)}):
        sim = make(**spec)
        asked = out(sim, sent(SYN, 1000, options=mss(offered)))
        given = back(sim, answered(SYN | ACK, 5000, 1001, options=mss(offered)))
        assert asked[42:44] == given[42:44] == agreed.to_bytes(2, "big")
        assert_sound([asked, given])


def test_ipv6_segments_leave_room_for_its_header(make: Make) -> None:
    emitted = out(make(outside=outside(1400)), sent(SYN, 1000, options=mss(1440), family=6))
    assert emitted[62:64] == (1340).to_bytes(2, "big")


@pytest.mark.parametrize(("setting", "agreed"), [("Off", 1460), (1200, 1200), (9000, 1460)])
def test_clamping_as_configured(make: Make, setting: str | int, agreed: int) -> None:
    sim = make(outside=outside(1400), nat={"mssClamping": setting})
    assert out(sim, sent(SYN, 1000, options=mss(1460)))[42:44] == agreed.to_bytes(2, "big")


def test_the_option_is_found_behind_others_at_odd_places(make: Make) -> None:
    sim = make(outside=outside(1400))
    emitted = out(sim, sent(SYN, 1000, options=b"\x01\x03\x03\x07" + b"\x01" + mss(1460) + b"\x01\x04\x02\x01"))
    assert emitted[47:49] == (1360).to_bytes(2, "big")
    assert_sound([emitted])


def test_data_that_looks_like_an_option_is_left_alone(make: Make) -> None:
    sim = established(make(outside=outside(1400)))
    assert out(sim, sent(PSH | ACK, 1001, 5001, mss(1460)))[40:44] == mss(1460)


def test_a_hairpin_has_one_side_s_mtu(make: Make) -> None:
    sim = make(**OPEN_UDP, outside=outside(1300))
    out(sim, build.udp_datagram(B4, 5000, S4, 53))
    sim.inject("inside", build.udp_datagram(A4, 40000, E4, 5000, bytes(1400)))
    assert sim.drain("outside") == [] and len(sim.drain("inside")[0]) == 1428
