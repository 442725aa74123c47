"""Checksums: scapy judges what is emitted; what arrived wrong is never repaired."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.testing import Simulator
from gateway.testing.strategies import Endpoint, Step, conversations, flows, packet, payloads
from gateway.wire import build, tcp
from tests.judge import assert_sound, dissect, wrong_checksums
from tests.seen import seen
from tests.worlds import A4, A6, E4, HOSTS, S4, back, between, forwarded, out, world

NEEDS_CHECKSUM = 1


@given(conversations())
def test_every_emitted_checksum_is_right(conversation):
    sim = Simulator(world())
    external = None
    for step in conversation.steps:
        if step.side == "inside":
            emitted = out(sim, conversation.packet(step))
            external = Endpoint(*seen(emitted)[2:4])
        else:
            emitted = back(sim, conversation.packet(step, external))
        assert_sound([emitted])


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("protocol", ["tcp", "udp", "icmp"])
def test_incremental_equals_recomputed_for_every_value_of_the_sum(family, protocol):
    """Payloads that drive the sum through its corners, 0x0000 and 0xFFFF among them, the port kept and changed."""
    internal, remote, external = HOSTS[family]
    sim = Simulator(world(nat={"portPreservation": False}))
    flow = Simulator(world())
    chosen = random.Random(7)
    wanted = [0, 1, 0xFFFE, 0xFFFF, *(chosen.randrange(65536) for _ in range(60))]
    for simulator in (sim, flow):
        for value in wanted:
            payload = value.to_bytes(2, "big")
            step = Step("inside", {"tcp": "open", "udp": "data", "icmp": "request"}[protocol], 1, 0, payload)
            one = packet(between(protocol, internal, remote), step)
            emitted = out(simulator, one)
            there = Endpoint(*seen(emitted)[2:4])
            assert emitted == forwarded(packet(between(protocol, external, remote, there.port), step)), hex(value)


@pytest.mark.parametrize("family", [4, 6])
def test_a_computed_udp_zero_is_sent_as_all_ones(family):
    """RFC 768: zero means "none". The payload is chosen so that the translated datagram sums up to zero."""
    internal, remote, external = HOSTS[family]
    sim = Simulator(world())
    probe = build.udp_datagram(external, 40000, remote, 53, b"\0\0")
    at = 26 if family == 4 else 46
    payload = probe[at : at + 2]
    emitted = out(sim, build.udp_datagram(internal, 40000, remote, 53, payload))
    assert emitted[at : at + 2] == b"\xff\xff"
    assert_sound([emitted])


def test_udp_without_checksum_stays_without_on_ipv4():
    sim = Simulator(world())
    sent = bytearray(build.udp_datagram(A4, 40000, S4, 53, b"no sum"))
    sent[26:28] = bytes(2)
    assert out(sim, bytes(sent))[26:28] == bytes(2)
    reply = bytearray(build.udp_datagram(S4, 53, E4, 40000, b"none either"))
    reply[26:28] = bytes(2)
    assert back(sim, bytes(reply))[26:28] == bytes(2)


def test_udp_without_checksum_is_dropped_on_ipv6():
    sim = Simulator(world())
    sent = bytearray(build.udp_datagram(A6, 40000, HOSTS[6][1], 53, b"no sum"))
    sent[46:48] = bytes(2)
    sim.inject("inside", bytes(sent))
    assert sim.drain("outside") == [] and sim.drain("inside") == []
    assert sim.counters()["drop_no_udp_checksum"] == 1


@given(flows(), payloads, st.integers(1, 0xFFFE))
def test_a_wrong_checksum_stays_wrong_by_as_much(flow, payload, off):
    kind = {"tcp": "open", "udp": "data", "icmp": "request"}[flow.protocol]
    sent = bytearray(packet(flow, Step("inside", kind, 1, 0, payload)))
    at = (20 if sent[0] >> 4 == 4 else 40) + {"tcp": 16, "udp": 6, "icmp": 2}[flow.protocol]
    right = int.from_bytes(sent[at : at + 2], "big")
    wrong = (right + off - 1) % 0xFFFF + 1  # one's complement, and never the "none" of UDP
    sent[at : at + 2] = wrong.to_bytes(2, "big")
    if wrong % 0xFFFF == right % 0xFFFF:
        return
    sim = Simulator(world())
    sim.inject("inside", bytes(sent))
    for emitted in sim.drain("outside"):
        assert wrong_checksums(emitted)
        external = packet(flow._replace(internal=Endpoint(*seen(emitted)[2:4])), Step("inside", kind, 1, 0, payload))
        due, stands = (int.from_bytes(one[at : at + 2], "big") for one in (external, emitted))
        assert (stands - due) % 0xFFFF == (wrong - right) % 0xFFFF


def partial(whole: bytes) -> tuple[bytes, bytes]:
    """As the kernel hands over what its NIC is to finish: the pseudo-header's sum, not complemented, and offload()."""
    sent = bytearray(whole)
    start = 20 if whole[0] >> 4 == 4 else 40
    number, offset = (whole[9] if start == 20 else whole[6]), {6: 16, 17: 6}[whole[9] if start == 20 else whole[6]]
    one = seen(whole)
    pseudo = build.pseudo_header(one.source, one.destination, number, len(one.payload))
    sent[start + offset : start + offset + 2] = (0xFFFF ^ build.checksum(pseudo)).to_bytes(2, "big")
    return bytes(sent), offload(start, offset)


def offload(start: int, offset: int, gso: int = 0, size: int = 0, headers: int = 0) -> bytes:
    fields = (headers, size, start, offset)
    return bytes([NEEDS_CHECKSUM, gso]) + b"".join(field.to_bytes(2, "little") for field in fields)


def completed(header: bytes, emitted: bytes) -> bytes:
    """What a NIC makes of it: the sum from csum_start to the end, put where the header says."""
    assert header[0] & NEEDS_CHECKSUM
    start, offset = int.from_bytes(header[6:8], "little"), int.from_bytes(header[8:10], "little")
    where, done = start + offset, bytearray(emitted)
    total = build.checksum(emitted[start:])
    done[where : where + 2] = (total or 0xFFFF).to_bytes(2, "big") if offset == 6 else total.to_bytes(2, "big")
    return bytes(done)


@given(st.sampled_from([4, 6]), st.sampled_from(["tcp", "udp"]), payloads, st.booleans())
def test_an_unfinished_checksum_is_right_when_the_nic_has_finished_it(family, protocol, payload, preserve):
    internal, remote, _ = HOSTS[family]
    sim = Simulator(world(nat={"portPreservation": preserve}))
    flow = between(protocol, internal, remote)
    sent, header = partial(packet(flow, Step("inside", "open" if protocol == "tcp" else "data", 1, 0, payload)))
    sim.inject("inside", sent, offload=header)
    [(header, emitted)] = sim.drain("outside", offload=True)
    assert_sound([completed(header, emitted)])
    reply = flow._replace(internal=Endpoint(*seen(emitted)[2:4]))
    sent, header = partial(packet(reply, Step("outside", "accept" if protocol == "tcp" else "data", 9, 2, payload)))
    sim.inject("outside", sent, offload=header)
    [(header, emitted)] = sim.drain("inside", offload=True)
    assert_sound([completed(header, emitted)])


@pytest.mark.parametrize("family", [4, 6])
def test_a_superpacket_crosses_whole_with_its_offload_header(family):
    internal, remote, external = HOSTS[family]
    sim = Simulator(world())
    out(sim, build.tcp_segment(internal, 40001, remote, 80, flags=tcp.SYN, sequence=1))
    accepted = {"flags": tcp.SYN | tcp.ACK, "sequence": 5, "acknowledgement": 2}
    back(sim, build.tcp_segment(remote, 80, external, 40001, **accepted))
    following = {"flags": tcp.ACK, "sequence": 2, "acknowledgement": 6}
    out(sim, build.tcp_segment(internal, 40001, remote, 80, **following))
    sent, _ = partial(build.tcp_segment(internal, 40001, remote, 80, b"x" * 40000, **following))
    start = 20 if family == 4 else 40
    header = offload(start, 16, gso=1 if family == 4 else 4, size=1420, headers=start + 20)
    sim.inject("inside", sent, offload=header)
    [(after, emitted)] = sim.drain("outside", offload=True)
    assert after == header and len(emitted) == len(sent)
    assert wrong_checksums(completed(after, emitted)) == []
    assert dissect(emitted).payload.sport == 40001
