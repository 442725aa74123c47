"""What the kernel is told about queues is what the workers say themselves: the programs are run here."""

import operator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.links import steering
from gateway.match.settings import port_block
from gateway.nat import bounds
from gateway.nat.options import Options
from gateway.nat.shares import PORTED, Share
from gateway.nat.translator import hash_key
from gateway.nat.translators import Translators
from gateway.resources import load
from gateway.resources.build import build as rules
from gateway.testing.strategies import gateway, packets, pool
from gateway.wire import build, sides
from gateway.wire.batch import Batch
from tests.worlds import E4, E6, S4, S6

SEED = b"steering"
RULES = rules(load([gateway(workers=3, limits={"flows": 4096}), pool("four", "192.168.0.0/16"),
                    pool("six", "fd00:10:244::/64")]))
ARITHMETIC = {steering.MULTIPLY: operator.mul, steering.MODULO: operator.mod, steering.XOR: operator.xor,
              steering.XOR_X: operator.xor, steering.SHIFT_RIGHT: operator.rshift}
EGRESS = [E4, E6, "198.51.100.11", "2001:db8:e::11"]


def run(program, packet):
    """Classic BPF, as far as it is used here. A load past the end ends it with 0, as in the kernel."""
    a = x = at = 0
    sizes = {steering.LOAD_BYTE: 1, steering.LOAD_HALF: 2, steering.LOAD_WORD: 4}
    while True:
        code, yes, no, operand = program[at]
        at += 1
        if code in sizes:
            if operand + sizes[code] > len(packet):
                return 0
            a = int.from_bytes(packet[operand : operand + sizes[code]], "big")
        elif code == steering.JUMP:
            at += operand
        elif code in steering.CONDITIONAL:
            holds = {steering.JUMP_EQUAL: a == operand, steering.JUMP_AT_LEAST: a >= operand,
                     steering.JUMP_SET: a & operand != 0}[code]
            at += yes if holds else no
        elif code == steering.RETURN:
            return operand
        elif code == steering.RETURN_A:
            return a
        elif code == steering.TO_X:
            x = a
        else:
            a = ARITHMETIC[code](a, x if code == steering.XOR_X else operand) & 0xFFFFFFFF


def programs(workers):
    key = hash_key(SEED)
    return steering.inside(key, workers), steering.outside(key, workers, EGRESS)


def owner(side, packet, translators):
    """Whose it is, asked at some of the workers."""
    found, batch = set(), Batch(1)
    for one in (translators[0], translators[1], translators[-1]):
        batch.clear()
        batch.append(packet)
        one.translate(batch, side, 0)
        addressee = one.engine.addressee(0)
        found.add(addressee if addressee >= 0 else one.share.number)
    [agreed] = found
    return agreed


@pytest.mark.parametrize("workers", [2, 3, 64])
def test_plain_packets_come_to_their_owner(workers):
    inside, outside = programs(workers)
    translators = Translators(RULES, SEED, workers).all
    for number in range(2, 40):
        for pod, remote, external in ((f"192.168.1.{number}", S4, E4), (f"fd00:10:244::{number:x}", S6, E6)):
            port = number * 1601 % 65536
            for packet in (build.udp_datagram(pod, port, remote, 53), build.tcp_segment(pod, port, remote, 80),
                           build.echo(pod, remote, port)):
                assert run(inside, packet) == owner(sides.INSIDE, packet, translators)
            for packet in (build.udp_datagram(remote, 53, external, port),
                           build.tcp_segment(remote, 80, external, port, flags=0x12),
                           build.echo(remote, external, port, reply=True), build.udp_datagram(remote, 53, pod, port)):
                assert run(outside, packet) == owner(sides.OUTSIDE, packet, translators)


@given(packets(mutated=True) | st.binary(max_size=80), st.sampled_from([2, 5, 64]))
@settings(max_examples=50)
def test_whatever_comes_has_a_queue(packet, workers):
    for program in programs(workers):
        assert 0 <= run(program, packet) < workers


def test_many_addresses_still_make_a_program():
    """Jumps reach; beyond some hundreds every destination counts as one of ours."""
    for count in (150, 3000):
        egress = [f"198.51.{number >> 8}.{number & 255}" for number in range(count)]
        program = steering.outside(5, 3, [*egress, E6])
        assert len(program) < 4096
        for address in (egress[0], egress[-1]):
            assert run(program, build.udp_datagram(S4, 53, address, 64)) == 64 // 16 % 3
            assert len(steering.extended(program)) % 8 == 0


def test_both_say_what_a_block_is():
    assert (steering.LOW_PORTS, steering.LOW_BLOCK_BITS, steering.BLOCK_BITS, steering.OWNER_SHIFT) == (
        bounds.LOW_PORTS, bounds.LOW_BLOCK_BITS, bounds.BLOCK_BITS, bounds.OWNER_SHIFT)
    share = Share(0, 64)
    assert all(share.port_owner(port) == port_block(port) % 64 for port in range(65536))
    options = Options()
    options.use(RULES)
    assert [number for number in range(256) if options.rewritable[number]] == sorted(PORTED)
