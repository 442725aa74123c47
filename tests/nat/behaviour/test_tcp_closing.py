"""How connections end, and what may follow the end (RFC 5382 REQ-5, RFC 7857 section 2, RFC 9293 section 3.6)."""

import pytest

from gateway.testing import Simulator
from gateway.wire import build
from tests.nat.behaviour.talk import ACK, FIN, PSH, RST, SYN, Make, answered, established, sent, state
from tests.seen import seen
from tests.worlds import A4, B4, S4, back, out, refused


def closed(sim: Simulator) -> Simulator:
    """Both FINs were sent and acknowledged: 1002 and 5002 come next."""
    established(sim)
    out(sim, sent(FIN | ACK, 1001, 5001))
    back(sim, answered(FIN | ACK, 5001, 1002))
    out(sim, sent(ACK, 1002, 5002))
    return sim


def test_a_reset_that_was_challenged_comes_again_with_the_number_asked_for(make: Make) -> None:
    """RFC 5961 section 3.2: what the server sent last was lost behind the gateway; its RST lies ahead for the pod."""
    sim = established(make())
    back(sim, answered(PSH | ACK, 5001, 1001, bytes(100)))
    back(sim, answered(RST | ACK, 5101, 1001))
    out(sim, sent(ACK, 1001, 5001))
    assert state(sim) == "established"
    for guess in (5000, 5002, 5050):
        assert refused(sim, answered(RST, guess), "outside") == "drop_out_of_window"
    back(sim, answered(RST, 5001))
    assert state(sim) == "reset"


def test_data_after_a_forged_reset_takes_nothing_back(make: Make) -> None:
    """What the server has not acknowledged yet was sent all the same, and is acknowledged later."""
    sim = established(make())
    out(sim, sent(PSH | ACK, 1001, 5001, bytes(100)))
    back(sim, answered(RST, 5001))
    back(sim, answered(PSH | ACK, 5001, 1001, b"x"))
    back(sim, answered(ACK, 5002, 1101))
    assert state(sim) == "established"


def test_data_after_a_reset_that_was_challenged_goes_on(make: Make) -> None:
    """It was a forgery: the server lives, and sends what comes next."""
    sim = established(make())
    back(sim, answered(PSH | ACK, 5001, 1001, bytes(100)))
    back(sim, answered(RST, 5101))
    out(sim, sent(ACK, 1001, 5001))
    back(sim, answered(PSH | ACK, 5001, 1001, bytes(100)))
    back(sim, answered(PSH | ACK, 5101, 1001, b"alive"))
    out(sim, sent(ACK, 1001, 5106))
    assert state(sim) == "established"


def test_half_closed_for_hours(make: Make) -> None:
    sim = established(make())
    out(sim, sent(FIN | ACK, 1001, 5001))
    assert state(sim) == "fin-wait"
    theirs = 5001
    for _ in range(4):
        sim.advance(7000)
        back(sim, answered(PSH | ACK, theirs, 1002, bytes(1000)))
        theirs += 1000
        out(sim, sent(ACK, 1002, theirs))
    back(sim, answered(FIN | ACK, theirs, 1002))
    out(sim, sent(ACK, 1002, theirs + 1))
    assert state(sim) == "closing"


def test_half_closed_by_the_remote(make: Make) -> None:
    sim = established(make())
    back(sim, answered(FIN | ACK, 5001, 1001))
    sim.advance(7000)
    out(sim, sent(PSH | ACK, 1001, 5002, b"more from me"))
    assert state(sim) == "fin-wait"


def test_fins_again_and_crossing(make: Make) -> None:
    sim = established(make())
    out(sim, sent(FIN | ACK, 1001, 5001))
    out(sim, sent(FIN | ACK, 1001, 5001))
    back(sim, answered(FIN | ACK, 5001, 1001))  # sent before it saw ours
    out(sim, sent(ACK, 1002, 5002))
    back(sim, answered(ACK, 5002, 1002))
    back(sim, answered(FIN | ACK, 5001, 1001))
    assert state(sim) == "closing"


def test_data_with_the_fin_and_data_sent_again_behind_it(make: Make) -> None:
    sim = established(make())
    out(sim, sent(FIN | PSH | ACK, 1101, 5001, bytes(100)))
    out(sim, sent(PSH | ACK, 1001, 5001, bytes(100)))  # what was lost before it
    back(sim, answered(ACK, 5001, 1202))
    assert state(sim) == "fin-wait"


@pytest.mark.parametrize(("idle", "passes"), [(239, True), (241, False)])
def test_four_minutes_for_the_last_acknowledgement(make: Make, idle: int, passes: bool) -> None:
    sim = closed(make())
    sim.advance(idle)
    sim.inject("outside", answered(FIN | ACK, 5001, 1002))
    assert bool(sim.drain("inside")) == passes


def test_timers_are_configured_apart(make: Make) -> None:
    sim = closed(make(timeouts={"tcpClosing": "10m", "tcpOpening": "5m", "tcpEstablished": "3h"}))
    assert 599 < sim.flows()[0].expires_in < 601
    sim = make(timeouts={"tcpClosing": "10m", "tcpOpening": "5m", "tcpEstablished": "3h"})
    out(sim, sent(SYN, 1000))
    assert 299 < sim.flows()[0].expires_in < 301
    assert 10799 < established(make(timeouts={"tcpEstablished": "3h"})).flows()[0].expires_in < 10801


@pytest.mark.parametrize("sequence", [2_000_000, 1002 + 300_000])
def test_a_port_is_reused_in_time_wait(make: Make, sequence: int) -> None:
    """An advanced number, as RFC 9293 section 3.6.1 wants it: the same external port, a new connection."""
    sim = closed(make())
    sim.advance(1)
    assert seen(out(sim, sent(SYN, sequence))).source_port == 40000
    back(sim, answered(SYN | ACK, 9_000_000, sequence + 1))
    out(sim, sent(ACK, sequence + 1, 9_000_001))
    assert state(sim) == "established" and len(sim.flows()) == 1


def test_a_peer_in_time_wait_may_challenge_the_reuse(make: Make) -> None:
    sim = closed(make())
    out(sim, sent(SYN, 2_000_000))
    back(sim, answered(ACK, 5002, 1002))  # it still remembers
    out(sim, sent(RST, 1002))
    out(sim, sent(SYN, 2_000_000))
    back(sim, answered(SYN | ACK, 9, 2_000_001))


def test_the_remote_cannot_begin_anew_on_a_closed_connection(make: Make) -> None:
    sim = closed(make())
    sim.inject("outside", answered(SYN, 77_000_000))
    assert sim.drain("inside") == []
    assert state(sim) == "closing"


def test_another_host_does_not_get_a_port_in_time_wait(make: Make) -> None:
    sim = closed(make())
    assert seen(out(sim, build.tcp_segment(B4, 40000, S4, 80))).source_port != 40000


def test_a_reset_from_either_side_starts_the_short_timer(make: Make) -> None:
    for send, reset in ((out, sent(RST, 1001)), (back, answered(RST | ACK, 5001, 1001))):
        sim = established(make())
        send(sim, reset)
        assert state(sim) == "reset" and 239 < sim.flows()[0].expires_in < 241


def test_a_reset_again_and_nothing_else_keeps_it_reset(make: Make) -> None:
    sim = established(make())
    out(sim, sent(RST, 1001))
    out(sim, sent(RST, 1001))
    assert state(sim) == "reset"
    sim.advance(241)
    assert sim.flows() == []


def test_after_the_end_only_a_syn_begins(make: Make) -> None:
    sim = closed(make())
    sim.advance(241)
    assert refused(sim, sent(PSH | ACK, 1002, 5002, b"too late")) == "drop_not_syn"
    assert refused(sim, sent(FIN | ACK, 1002, 5002)) == "drop_not_syn"
    out(sim, sent(SYN, 1))


def test_reset_or_adopted_midstream_as_configured(make: Make) -> None:
    sim = make(nat={"midstream": "Reset"})
    assert refused(sim, sent(PSH | ACK, 1002, 5002, b"anyone?")) == "reject_not_syn"
    [reset] = sim.drain("inside")
    assert seen(reset)[2:6] == (S4, 80, A4, 40000) and seen(reset).flags & RST
    assert reset[24:28] == (5002).to_bytes(4, "big")
    assert refused(sim, sent(RST, 1002)).startswith("drop_") and sim.drain("inside") == []
    sim = make(nat={"midstream": "Adopt"})
    out(sim, sent(PSH | ACK, 1002, 5002, b"going on"))
    back(sim, answered(PSH | ACK, 5002, 1010, b"so am I"))
    assert state(sim) == "established"


def test_an_ended_flow_is_gone_at_once(make: Make) -> None:
    sim = established(make())
    assert sim.end_flow(sim.flows()[0]) and sim.flows() == []
    assert refused(sim, answered(PSH | ACK, 5001, 1001, b"x"), "outside") == "drop_unsolicited"
