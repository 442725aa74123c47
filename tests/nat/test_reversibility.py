"""NAT is reversible: whoever speaks through it cannot tell, but for the TTL and the address others see."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.testing import Simulator
from gateway.testing.strategies import Conversation, Endpoint, conversations, flows, payloads, resources
from gateway.wire import build, tcp
from tests.seen import seen
from tests.worlds import A4, B4, HOSTS, S4, back, forwarded, mirrored, out, world


def spoken_through(sim: Simulator, conversation: Conversation) -> Endpoint:
    """Both ends say their steps; each packet arrives as if there were no NAT. Returns the external end."""
    external = None
    for step in conversation.steps:
        sent = conversation.packet(step, external if step.side == "outside" else None)
        if step.side == "outside":
            assert back(sim, sent) == forwarded(conversation.packet(step))
            continue
        emitted = out(sim, sent)
        assert external in (None, seen(emitted)[2:4]), "the external end changed within a conversation"
        external = Endpoint(*seen(emitted)[2:4])
        assert emitted == forwarded(conversation.packet(step, external))
    assert external is not None
    return external


@given(conversations(), st.booleans())
def test_a_conversation_is_what_it_would_have_been_without_nat(conversation, pure):
    external = spoken_through(Simulator(world(), pure=pure), conversation)
    assert external.address in [host[2] for host in HOSTS.values()]


@given(conversations(), resources(), st.integers(0, 2**32))
def test_conversations_are_reversible_under_any_resources(conversation, drawn, seed):
    spoken_through(Simulator(drawn, seed=seed), conversation)


SPOKEN = st.lists(conversations(), min_size=2, max_size=6, unique_by=lambda one: one.flow)


@given(SPOKEN, st.randoms(use_true_random=False))
def test_conversations_do_not_disturb_each_other(spoken, order):
    """The steps of several conversations, interleaved at random, each still reversed to its own pod."""
    sim = Simulator(world(nat={"portRange": "40000-40063"}))
    external: dict[int, Endpoint] = {}
    turns = [index for index, one in enumerate(spoken) for _ in one.steps]
    order.shuffle(turns)
    waiting = [iter(one.steps) for one in spoken]
    for index in turns:
        step, talk = next(waiting[index]), spoken[index]
        if step.side == "inside":
            emitted = out(sim, talk.packet(step))
            external.setdefault(index, Endpoint(*seen(emitted)[2:4]))
            assert emitted == forwarded(talk.packet(step, external[index]))
        else:
            assert back(sim, talk.packet(step, external[index])) == forwarded(talk.packet(step))


@given(flows(protocol="udp"), payloads, st.integers(0, 255), st.integers(0, 65535))
def test_translating_and_reversing_is_the_identity(flow, payload, tos, wrong):
    """Also of what is wrong: a checksum that does not hold when it arrives does not hold, by as much, at the end."""
    sent = bytearray(build.udp_datagram(*flow.internal, *flow.remote, payload, tos=tos))
    at = 26 if sent[0] >> 4 == 4 else 46
    sent[at : at + 2] = (wrong or 1).to_bytes(2, "big")
    sim = Simulator(world())
    returned = back(sim, mirrored(out(sim, bytes(sent))))
    assert mirrored(returned) == forwarded(forwarded(bytes(sent)))


@given(flows(protocol="tcp"), payloads, st.binary(max_size=10).map(lambda raw: b"\x01" * 4 * (len(raw) % 5)))
def test_a_syn_reversed_is_the_syn(flow, payload, options):
    """Two hosts that open at the same time (RFC 9293 section 3.5) send each other the reverse of one SYN."""
    sent = build.tcp_segment(*flow.internal, *flow.remote, payload, flags=tcp.SYN, sequence=77, options=options)
    sim = Simulator(world())
    assert mirrored(back(sim, mirrored(out(sim, sent)))) == forwarded(forwarded(sent))


@pytest.mark.parametrize("family", [4, 6])
def test_traffic_from_both_ends_at_once_keeps_the_source_port(family):
    internal, remote, external = HOSTS[family]
    sim = Simulator(world())
    for _ in range(3):
        assert seen(out(sim, build.udp_datagram(internal, 5000, remote, 5000)))[2:4] == (external, 5000)
        assert seen(back(sim, build.udp_datagram(remote, 5000, external, 5000)))[4:6] == (internal, 5000)


def test_two_hosts_with_the_same_port_are_told_apart():
    sim = Simulator(world())
    first = seen(out(sim, build.udp_datagram(A4, 40000, S4, 53)))
    second = seen(out(sim, build.udp_datagram(B4, 40000, S4, 53)))
    assert first.source_port == 40000 != second.source_port
    for internal, theirs in ((A4, first), (B4, second)):
        reply = seen(back(sim, build.udp_datagram(S4, 53, theirs.source, theirs.source_port)))
        assert reply[4:6] == (internal, 40000)
