"""TCP beyond addresses and ports: windows, resets, unsolicited SYNs, midstream segments, port reuse."""

import pytest

from gateway.nat import state
from gateway.nat.tcp import GRID
from gateway.testing import Simulator
from gateway.testing.strategies import Endpoint, Step, packet
from gateway.wire import build
from tests.judge import assert_sound
from tests.nat.test_lifetimes import ENDS, connected, tell
from tests.seen import quoted, seen
from tests.worlds import A4, E4, S4, out, refused, world

FROM_OUTSIDE = ENDS._replace(internal=Endpoint(E4, 40000))


@pytest.mark.parametrize("sequence", [501 - 100000, 501 + 5_000_000, 502, 500])
def test_a_reset_out_of_window_changes_nothing(sequence):
    sim = connected()
    reset = packet(FROM_OUTSIDE, Step("outside", "reset", sequence % 2**32, 101))
    assert refused(sim, reset, "outside") == "drop_out_of_window"
    sim.advance(600)
    tell(sim, "outside", "data", 501, 101, b"alive")


def test_a_reset_in_answer_to_the_syn_needs_its_acknowledgement():
    for acknowledged, passes in ((101, True), (999, False)):
        sim = Simulator(world())
        tell(sim, "inside", "open", 100, 0)
        sim.inject("outside", packet(FROM_OUTSIDE, Step("outside", "reset", 0, acknowledged)))
        assert len(sim.drain("inside")) == passes


def test_an_unsolicited_syn_is_silent_for_six_seconds_and_then_refused_once():
    sim = Simulator(world())
    syn = build.tcp_segment(S4, 5555, E4, 40000)
    sim.inject("outside", syn)
    sim.advance(5.9)
    assert sim.drain("outside") == sim.drain("inside") == []
    sim.advance(4)
    [error] = sim.drain("outside")
    assert seen(error).icmp == (3, 3) and quoted(error) == syn and seen(error)[2] == E4
    assert_sound([error])
    sim.advance(100)
    assert sim.drain("outside") == []


def test_an_unsolicited_syn_met_by_an_outbound_one_is_not_refused():
    sim = Simulator(world())
    sim.inject("outside", build.tcp_segment(S4, 5555, E4, 40000))
    sim.advance(2)
    out(sim, build.tcp_segment(A4, 40000, S4, 5555))
    sim.advance(20)
    assert sim.drain("outside") == []


def test_adopted_and_reset_midstream():
    sent = packet(ENDS, Step("inside", "data", 1000, 2000, b"mid"))
    adopting = Simulator(world(nat={"midstream": "Adopt"}))
    assert seen(out(adopting, sent)).source == E4
    resetting = Simulator(world(nat={"midstream": "Reset"}))
    resetting.inject("inside", sent)
    assert resetting.drain("outside") == []
    [reset] = resetting.drain("inside")
    assert seen(reset).flags & 4 and seen(reset)[2:6] == (S4, 80, A4, 40000)
    assert_sound([reset])


def test_a_port_is_reused_after_the_connection_has_ended():
    sim = connected()
    tell(sim, "inside", "close", 101, 501)
    tell(sim, "outside", "close", 501, 102)
    tell(sim, "inside", "ack", 102, 502)
    tell(sim, "inside", "open", 100_000, 0)
    tell(sim, "outside", "accept", 900_000, 100_001)
    tell(sim, "inside", "ack", 100_001, 900_001)
    sim.advance(3600)
    tell(sim, "outside", "data", 900_001, 100_001, b"again")


def test_what_most_segments_do_is_what_the_grid_says():
    """`Tracker.go_on` leaves the state as it is."""
    assert {row[state.ACK][state.ESTABLISHED] for row in GRID.values()} == {state.ESTABLISHED}
