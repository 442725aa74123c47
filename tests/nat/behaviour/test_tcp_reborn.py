"""Both ends, or one of them, have forgotten a connection that the gateway still holds for two hours (RFC 9293)."""

import pytest

from gateway.testing import Simulator
from tests.nat.behaviour.talk import ACK, FIN, PSH, RST, SYN, Make, answered, established, sent, state
from tests.worlds import back, out, refused

SCALED = bytes([3, 3, 9, 1])


def anew(sim: Simulator, sequence: int = 900_000_000) -> None:
    """The host begins again on the same port, and the remote knows of nothing either."""
    out(sim, sent(SYN, sequence, options=SCALED))
    back(sim, answered(SYN | ACK, 77, sequence + 1, options=SCALED))
    out(sim, sent(ACK, sequence + 1, 78))


@pytest.mark.parametrize("half", [False, True])
def test_both_begin_anew_on_the_same_ports(make: Make, half: bool) -> None:
    sim = established(make())
    if half:
        back(sim, answered(FIN | ACK, 5001, 1001))
    anew(sim)
    for step in range(20):
        out(sim, sent(PSH | ACK, 900_000_001 + 1000 * step, 78 + 1000 * step, bytes(1000)))
        back(sim, answered(PSH | ACK, 78 + 1000 * step, 900_001_001 + 1000 * step, bytes(1000)))
    assert state(sim) == "established" and len(sim.flows()) == 1
    sim.advance(7000)
    back(sim, answered(ACK, 20_078, 900_020_001))
    assert refused(sim, answered(RST, 20_077), "outside") == "drop_out_of_window"


def test_the_new_connection_ends_like_any_other(make: Make) -> None:
    sim = established(make())
    anew(sim)
    out(sim, sent(FIN | ACK, 900_000_001, 78))
    assert state(sim) == "fin-wait"
    back(sim, answered(FIN | ACK, 78, 900_000_002))
    assert state(sim) == "closing"


def test_a_remote_that_remembers_is_reset_first(make: Make) -> None:
    sim = established(make())
    out(sim, sent(SYN, 900_000_000))
    back(sim, answered(ACK, 5001, 1001))
    out(sim, sent(RST, 1001))
    out(sim, sent(SYN, 900_000_000))
    back(sim, answered(SYN | ACK, 77, 900_000_001))
    out(sim, sent(ACK, 900_000_001, 78))
    assert state(sim) == "established"


def test_an_old_syn_that_was_delayed_disturbs_nothing(make: Make) -> None:
    sim = established(make())
    out(sim, sent(SYN, 1000))
    sim.advance(7000)
    back(sim, answered(PSH | ACK, 5001, 1001, b"alive"))
    out(sim, sent(PSH | ACK, 1001, 5006, b"so am I"))


def test_nobody_outside_can_pretend_to_begin_anew(make: Make) -> None:
    sim = established(make())
    for packet in (answered(SYN, 7_000_000), answered(SYN | ACK, 77, 900_000_001), answered(ACK, 78, 900_000_001)):
        assert refused(sim, packet, "outside") == "drop_out_of_window"
    assert refused(sim, sent(PSH | ACK, 900_000_001, 78, b"x")) == "drop_out_of_window"
    back(sim, answered(PSH | ACK, 5001, 1001, b"alive"))


def test_what_a_host_asks_for_anew_only_it_can_take_up(make: Make) -> None:
    """Its SYN has passed: what comes from outside then is believed no more than before."""
    sim = established(make())
    out(sim, sent(SYN, 900_000_000))
    for acknowledged in (900_000_001, 1001):
        assert refused(sim, answered(PSH | ACK, 7_000_000, acknowledged, b"forged"), "outside") == "drop_out_of_window"
    back(sim, answered(PSH | ACK, 5001, 1001, b"alive"))
    assert state(sim) == "established"
