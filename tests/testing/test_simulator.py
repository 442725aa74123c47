"""The simulator itself: its clock, its queues, reloads, and that a seed determines everything."""

import pytest
from hypothesis import given

from gateway.nat import Translator
from gateway.resources import ResourceErrors
from gateway.resources import load as load_resources
from gateway.testing import Simulator, strategies
from gateway.wire import build
from tests.judge import assert_sound, dissect
from tests.seen import seen
from tests.worlds import A4, E4, S4, out, world

DATAGRAM = build.udp_datagram(A4, 40000, S4, 53, b"hello")


def test_a_packet_goes_in_on_one_side_and_out_on_the_other():
    sim = Simulator(world())
    sim.inject("inside", DATAGRAM)
    [emitted] = sim.drain("outside")
    assert seen(emitted)[2:6] == (E4, 40000, S4, 53)
    assert sim.drain("outside") == sim.drain("inside") == []


def test_it_drives_the_translator_that_others_import():
    assert type(Simulator(world())._translator) is Translator


def test_there_are_two_sides():
    sim = Simulator(world())
    for call in (lambda: sim.inject("middle", DATAGRAM), lambda: sim.inject_many("middle", [DATAGRAM]),
                 lambda: sim.drain("middle"), lambda: sim.explain(DATAGRAM, "middle")):
        with pytest.raises(ValueError, match="'middle'"):
            call()


def test_draining_with_offload_headers():
    sim = Simulator(world())
    sim.inject("inside", DATAGRAM)
    assert [(len(header), seen(packet).source) for header, packet in sim.drain("outside", offload=True)] == [(10, E4)]
    with pytest.raises(ValueError, match="10 bytes"):
        sim.inject("inside", DATAGRAM, offload=b"short")


def test_many_packets_at_once_keep_their_order():
    sim = Simulator(world())
    sim.inject_many("inside", [build.udp_datagram(A4, 40000 + number, S4, 53) for number in range(200)])
    assert [seen(emitted).source_port for emitted in sim.drain("outside")] == list(range(40000, 40200))


@pytest.mark.parametrize("pure", [False, True])
def test_one_seed_gives_one_output_and_another_another(pure):
    def drawn(seed):
        sim = Simulator(world(nat={"portPreservation": False}), seed=seed, pure=pure)
        return [out(sim, build.udp_datagram(A4, port, S4, 53)) for port in range(5000, 5010)]

    assert drawn(1) == drawn(1) != drawn(2)


def test_the_clock_is_virtual_and_starts_at_zero():
    sim = Simulator(world())
    assert sim.now == 0
    sim.advance(0.25)
    sim.advance(7440)
    assert sim.now == 7440.25
    with pytest.raises(ValueError, match="back"):
        sim.advance(-1)


def test_advancing_in_one_step_or_in_many_ends_the_same_flows():
    leaps, steps = Simulator(world()), Simulator(world())
    for sim in (leaps, steps):
        for number in range(20):
            sim.inject("inside", build.udp_datagram(A4, 40000 + number, S4, 53))
            sim.inject("inside", build.echo(A4, S4, number))
            sim.advance(7.3)
    leaps.advance(200)
    for _ in range(2000):
        steps.advance(0.1)
    assert [flow.original for flow in leaps.flows()] == [flow.original for flow in steps.flows()] != []


def test_flows_tell_what_the_contract_says():
    sim = Simulator(world())
    out(sim, DATAGRAM)
    [flow] = sim.flows()
    assert (flow.protocol, flow.original, flow.reply) == ("udp", (A4, 40000, S4, 53), (S4, 53, E4, 40000))
    assert (flow.packets, flow.bytes, flow.pool, flow.policy) == (1, len(DATAGRAM), "internal-4", None)
    assert flow.expires_in == pytest.approx(300, abs=0.1) and flow.external == f"{E4}:40000"
    assert sim.end_flow(flow) and sim.flows() == [] and not sim.end_flow(flow)


def test_counters_name_every_verdict_also_those_that_never_happened():
    counted = Simulator(world()).counters()
    assert "accept" in counted and "drop_truncated" in counted and set(counted.values()) == {0}


def test_events_of_a_session():
    sim = Simulator(world())
    out(sim, DATAGRAM)
    [flow] = sim.flows()
    sim.advance(301)
    created, closed = sim.events()
    assert (created["kind"], closed["kind"]) == ("created", "closed")
    for event in (created, closed):
        assert (event["internal"], event["external"]) == (f"{A4}:40000", f"{E4}:40000")
        assert (event["protocol"], event["flow"], event["pool"]) == ("udp", flow.id, "internal-4")
        assert "remote" not in event and event["time"].endswith(("Z", "+00:00"))
    assert sim.events() == []


@pytest.mark.parametrize("wrong", [
    [], world()[1:], [*world(), world()[0]], world(addresses=["198.51.100.999"]), world(nat={"portRange": "9-1"}),
    world(nat={"hairpining": True}), world(strategies.pool("host-bits", "192.168.0.1/16")),
])
def test_wrong_resources_are_refused(wrong):
    with pytest.raises(ResourceErrors) as raised:
        Simulator(wrong)
    assert raised.value.errors


def test_resources_are_whatever_load_takes(tmp_path):
    import json

    file = tmp_path / "gateway.json"
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": world()}))
    text = "\n---\n".join(json.dumps(one) for one in world())
    for source in (file, tmp_path, text, world()):
        assert seen(out(Simulator(source), DATAGRAM)).source == E4


def test_a_reload_keeps_what_a_pool_keeps():
    sim = Simulator(world())
    moved = [{**one, "spec": {**one["spec"], "cidr": "10.99.0.0/16"}} if one["kind"] == "IPPool" else one
             for one in world()]
    with pytest.raises(ResourceErrors, match="CIDR cannot change"):
        sim.apply(moved)
    assert seen(out(sim, DATAGRAM)).source == E4


def test_the_fixture_makes_simulators(simulator):
    assert isinstance(simulator(world(), seed=5), Simulator)


@given(strategies.packets())
def test_packets_are_sound(packet):
    assert_sound([packet])
    assert len(dissect(packet)) == len(packet)


@given(strategies.conversations())
def test_conversations_are_sound_and_begin_inside(conversation):
    assert conversation.steps[0].side == "inside"
    assert_sound([conversation.packet(step) for step in conversation.steps])


@given(strategies.resources())
def test_resources_load(drawn):
    assert load_resources(drawn).gateway.name == "node-a"
