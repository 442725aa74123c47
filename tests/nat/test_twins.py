"""One source, two speeds: interpreted and compiled agree byte for byte, and in every count."""

from dataclasses import asdict

from hypothesis import given
from hypothesis import strategies as st

from gateway.testing import Simulator
from gateway.testing.strategies import Endpoint, Step, conversations, packet, resources
from gateway.wire import build
from tests.judge import assert_sound
from tests.seen import seen
from tests.worlds import ARRIVALS, FIRST, HOSTS, back, between, out, world

OFFLOADS = st.just(bytes(10)) | st.binary(min_size=10, max_size=10)
REPLY = {"tcp": "accept", "udp": "data", "icmp": "reply"}
TIMES = st.sampled_from([0.0, 0.0, 0.02, 1.0, 61.0, 301.0])


def state(sim: Simulator) -> tuple:
    emitted = [sim.drain(side, offload=True) for side in ("inside", "outside")]
    return emitted, sim.counters(), sorted(str(asdict(flow)) for flow in sim.flows()), sim.events()


@given(resources(), st.lists(st.tuples(ARRIVALS, OFFLOADS, TIMES), max_size=25), st.integers(0, 2**64 - 1))
def test_the_twins_agree_on_anything(drawn, arrivals, seed):
    twins = [Simulator(drawn, seed=seed, pure=pure) for pure in (False, True)]
    for (side, arrived), offload, pause in arrivals:
        assert twins[0].explain(arrived, side) == twins[1].explain(arrived, side)
        for sim in twins:
            sim.inject(side, arrived, offload=offload)
            sim.advance(pause)
        assert state(twins[0]) == state(twins[1])


@given(st.lists(conversations(), min_size=1, max_size=5), st.sampled_from(["40000-40003", "1024-65535"]), st.integers())
def test_the_twins_agree_on_conversations(spoken, ports, seed):
    """Ports run out in the small range; the reloads in between and the ends change it."""
    sets = [world(nat={"portRange": ports}), world(nat={"portRange": "1024-65535"})]
    twins = [Simulator(sets[0], seed=seed % 2**64, pure=pure) for pure in (False, True)]
    for turn, talk in enumerate(spoken):
        external = talk.flow.internal
        for step in talk.steps:
            sent = talk.packet(step, external if step.side == "outside" else None)
            for sim in twins:
                sim.inject(step.side, sent)
            emitted, *rest = state(twins[0])
            assert (emitted, *rest) == state(twins[1])
            if step.side == "inside" and emitted[1]:
                external = Endpoint(*seen(emitted[1][0][1])[2:4])
        for sim in twins:
            sim.apply(sets[turn % 2])
            sim.advance(100 * turn)


def test_the_twins_are_two():
    """Otherwise the tests above compare a thing with itself."""
    modules = [type(Simulator(world(), pure=pure)._translator).__module__ for pure in (False, True)]
    assert modules == ["gateway.nat.translator", "gateway_interpreted.nat.translator"]


CHANGES = st.lists(st.tuples(st.integers(0, 79), st.integers(0, 255)), max_size=3)
KINDS = st.sampled_from([(4, 3), (4, 4), (4, 5), (4, 11), (4, 12), (6, 1), (6, 2), (6, 3), (6, 4), (6, 137)])


@given(KINDS, st.integers(0, 15), st.sampled_from(["tcp", "udp", "icmp"]), st.integers(0, 80), CHANGES, st.booleans())
def test_the_twins_agree_on_errors_about_live_flows_however_mutated(kind, code, protocol, reach, changes, inward):
    """Errors of every type, in either direction, about a real flow; what passes is sound and hides what it must."""
    family, number = kind
    internal, remote, external = HOSTS[family]
    flow = between(protocol, internal, remote)
    twins = [Simulator(world(), seed=1, pure=pure) for pure in (False, True)]
    first = packet(flow, Step("inside", FIRST[protocol], 1, 0, b"quoted bytes"))
    emitted, _ = (out(sim, first) for sim in twins)
    reply = packet(flow._replace(internal=Endpoint(*seen(emitted)[2:4])), Step("outside", REPLY[protocol], 9, 2))
    delivered, _ = (back(sim, reply) for sim in twins)
    quote = bytearray(emitted if inward else delivered)
    for where, what in changes:
        quote[where % len(quote)] = what
    source, target = (remote, external) if inward else (internal, remote)
    sent = build.icmp_message(source, target, number, code, bytes(4) + bytes(quote[: reach + 20]))
    for sim in twins:
        sim.inject("outside" if inward else "inside", sent)
    passed, *rest = state(twins[0])
    assert (passed, *rest) == state(twins[1])
    for _, error in passed[0] + passed[1]:
        assert_sound([error])
        assert seen(error)[4] == (internal if inward else remote) and seen(error)[2] != internal
