"""SCTP's checksum, and what else a kernel leaves to others: DCCP's."""

import pytest

from gateway.testing import Simulator
from gateway.wire import build, protocol
from tests.nat.gate import SPEEDS as INTERPRETED
from tests.seen import is_error, quoted
from tests.worlds import HOSTS, world

SPEEDS = pytest.mark.parametrize("pure", INTERPRETED, ids=["compiled", "interpreted"])


def crc32c(data: bytes) -> int:
    rest = 0xFFFFFFFF
    for byte in data:
        rest ^= byte
        for _ in range(8):
            rest = rest >> 1 ^ (0x82F63B78 if rest & 1 else 0)
    return rest ^ 0xFFFFFFFF


def test_the_oracle_is_right():
    assert crc32c(b"123456789") == 0xE3069283


def init(checksum: bytes) -> bytes:
    return b"\x13\x88\x0b\x59" + bytes(4) + checksum + b"\x01\0\0\x14" + bytes(range(16)) + b"odd"


def offload(start: int, offset: int) -> bytes:
    return bytes([1]) + bytes(5) + start.to_bytes(2, "little") + offset.to_bytes(2, "little")


@SPEEDS
@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("ttl", [64, 1])
def test_a_checksum_left_to_the_kernel_is_finished(pure, family, ttl):
    internal, remote, _ = HOSTS[family]
    sim = Simulator(world(), pure=pure)
    right = init(crc32c(init(bytes(4))).to_bytes(4, "little"))
    sent = build.ip(internal, remote, protocol.SCTP, init(b"junk"), ttl=ttl)
    sim.inject("inside", sent, offload=offload(20 if family == 4 else 40, 8))
    if ttl == 1:
        [error] = sim.drain("inside")
        assert is_error(error) and quoted(error) == build.ip(internal, remote, protocol.SCTP, right, ttl=1)
        return
    [(header, emitted)] = sim.drain("outside", offload=True)
    assert header == bytes(10) and emitted[-len(right) :] == right


@SPEEDS
def test_a_finished_one_stays_as_it_is_even_if_wrong(pure):
    internal, remote, _ = HOSTS[4]
    sim = Simulator(world(), pure=pure)
    sim.inject("inside", build.ip(internal, remote, protocol.SCTP, init(b"junk")))
    [emitted] = sim.drain("outside")
    assert emitted[20:] == init(b"junk")


@SPEEDS
@pytest.mark.parametrize("family", [4, 6])
def test_of_dccp_the_addresses_are_what_is_summed_already(pure, family):
    internal, remote, external = HOSTS[family]
    sim = Simulator(world(), pure=pure)
    segment = b"\x13\x88\0\x50\x04\0\0\0" + bytes(8)
    def unfinished(source: str) -> bytes:
        pseudo = build.checksum(build.pseudo_header(source, remote, protocol.DCCP, len(segment))) ^ 0xFFFF
        return build.ip(source, remote, protocol.DCCP, segment[:6] + pseudo.to_bytes(2, "big") + segment[8:])
    sim.inject("inside", unfinished(internal), offload=offload(20 if family == 4 else 40, 6))
    [(header, emitted)] = sim.drain("outside", offload=True)
    assert header == offload(20 if family == 4 else 40, 6)
    assert emitted[-16:] == unfinished(external)[-16:]


@SPEEDS
def test_an_offload_that_points_behind_the_packet_is_refused(pure):
    internal, remote, _ = HOSTS[4]
    sim = Simulator(world(), pure=pure)
    sim.inject("inside", build.ip(internal, remote, protocol.SCTP, init(b"junk")), offload=offload(20, 4000))
    assert sim.drain("outside") == [] and sim.counters()["drop_bad_header"] == 1
