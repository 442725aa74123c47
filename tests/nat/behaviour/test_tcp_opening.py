"""How TCP connections begin, and how somebody else's do not (RFC 5382 REQ-2 and REQ-4, RFC 9293 section 3.5)."""

import pytest

from gateway.wire import build
from tests.nat.behaviour.talk import ACK, FIN, OPEN_TCP, PSH, RST, SYN, Make, answered, established, sent, state
from tests.seen import quoted, seen
from tests.worlds import A4, B4, E4, S4, T4, back, out, refused


def test_three_way_handshake(make: Make) -> None:
    sim = make()
    assert seen(out(sim, sent(SYN, 1000)))[2:4] == (E4, 40000)
    assert state(sim) == "syn-sent"
    assert seen(back(sim, answered(SYN | ACK, 5000, 1001)))[4:6] == (A4, 40000)
    assert state(sim) == "syn-received"
    out(sim, sent(ACK, 1001, 5001))
    assert state(sim) == "established"


def test_simultaneous_open(make: Make) -> None:
    sim = make()
    out(sim, sent(SYN, 1000))
    back(sim, answered(SYN, 5000))
    out(sim, sent(SYN | ACK, 1000, 5001))
    assert state(sim) == "syn-received"
    back(sim, answered(SYN | ACK, 5000, 1001))
    assert state(sim) == "established"  # without another ACK: each SYN is acknowledged
    sim.advance(3600)
    back(sim, answered(PSH | ACK, 5001, 1001, b"both of us called"))
    out(sim, sent(ACK, 1001, 5018))
    assert state(sim) == "established" and len(sim.flows()) == 1


def test_simultaneous_open_whose_inbound_syn_came_first(make: Make) -> None:
    sim = make()
    sim.inject("outside", answered(SYN, 5000))
    assert sim.drain("inside") == []  # it was lost, for the remote
    out(sim, sent(SYN, 1000))
    sim.advance(1)
    back(sim, answered(SYN, 5000))  # sent again
    out(sim, sent(SYN | ACK, 1000, 5001))
    back(sim, answered(ACK, 5001, 1001))
    out(sim, sent(ACK, 1001, 5001))
    assert state(sim) == "established"
    sim.advance(20)
    assert sim.drain("outside") == []  # and nobody was told "port unreachable"


def test_split_handshake(make: Make) -> None:
    """The server answers with ACK, then with a SYN of its own (Beardsley and Qian, 2010)."""
    sim = make()
    out(sim, sent(SYN, 1000))
    back(sim, answered(ACK, 5000, 1001))
    back(sim, answered(SYN, 5000))
    out(sim, sent(SYN | ACK, 1000, 5001))
    back(sim, answered(ACK, 5001, 1001))
    assert state(sim) == "established"
    out(sim, sent(PSH | ACK, 1001, 5001, b"request"))
    assert state(sim) == "established"


def test_a_syn_that_is_not_answered_by_the_pod_opens_nothing_for_long(make: Make) -> None:
    """The other side alone, with its SYN and whatever acknowledges ours, does not make it a connection of hours."""
    sim = make()
    out(sim, sent(SYN, 1000))
    back(sim, answered(SYN, 5000))
    back(sim, answered(SYN | ACK, 5000, 1001))
    back(sim, answered(ACK, 5001, 1001))
    assert state(sim) == "syn-received"


def test_an_ack_in_answer_to_a_syn_carries_nothing_and_keeps_nothing_alive(make: Make) -> None:
    """A half-open peer's, which makes the pod reset it (RFC 9293 section 3.5.1): its numbers are anybody's."""
    sim = make()
    out(sim, sent(SYN, 1000))
    assert refused(sim, answered(PSH | ACK, 123_456, 999_999, b"x"), "outside") == "drop_out_of_window"
    for _ in range(3):
        sim.advance(79)
        back(sim, answered(ACK, 123_456, 999_999))
    sim.advance(10)
    assert refused(sim, answered(ACK, 123_456, 999_999), "outside").startswith("drop_")


def test_a_syn_with_data_and_its_answers(make: Make) -> None:
    """TCP Fast Open (RFC 7413): data in the SYN may be acknowledged or not."""
    for acknowledged in (1001, 1005):
        sim = make()
        out(sim, sent(SYN, 1000, payload=b"data"))
        back(sim, answered(SYN | ACK, 5000, acknowledged, b"early"))
        out(sim, sent(PSH | ACK, acknowledged, 5006, b"more"))
        assert state(sim) == "established"


def test_a_fast_open_syn_repeated_without_its_data(make: Make) -> None:
    sim = make()
    out(sim, sent(SYN, 1000, payload=b"data"))
    sim.advance(1)
    out(sim, sent(SYN, 1000))
    back(sim, answered(SYN | ACK, 5000, 1001))
    out(sim, sent(PSH | ACK, 1001, 5001, b"data"))
    assert state(sim) == "established"


@pytest.mark.parametrize(("first", "second"), [(b"GET", b""), (b"", b"GET"), (b"GET", b"GET"), (b"", b"")])
def test_a_fast_open_syn_is_answered_whichever_came_through(make: Make, first: bytes, second: bytes) -> None:
    for covered in {len(first), len(second)}:
        sim = make()
        out(sim, sent(SYN, 1000, payload=first))
        sim.advance(1)
        out(sim, sent(SYN, 1000, payload=second))
        back(sim, answered(SYN | ACK, 5000, 1001 + covered))
        out(sim, sent(PSH | ACK, 1001 + covered, 5001, b"GET"))
        assert state(sim) == "established"


def test_a_fast_open_syn_that_crosses_its_answer(make: Make) -> None:
    sim = make()
    out(sim, sent(SYN, 1000, payload=b"GET"))
    back(sim, answered(SYN | ACK, 5000, 1004))
    out(sim, sent(SYN, 1000))
    assert state(sim) == "syn-received"
    out(sim, sent(ACK, 1004, 5001))
    back(sim, answered(PSH | ACK, 5001, 1004, b"page"))
    assert state(sim) == "established"


def test_a_reset_acknowledges_a_syn_with_its_data(make: Make) -> None:
    sim = make()
    out(sim, sent(SYN, 1000, payload=b"data"))
    back(sim, answered(RST | ACK, 0, 1005))
    assert state(sim) == "reset"


def test_a_syn_again_with_another_number_is_a_new_attempt(make: Make) -> None:
    sim = make()
    out(sim, sent(SYN, 1000))
    out(sim, sent(SYN, 77_000))
    assert refused(sim, answered(SYN | ACK, 5000, 1001), "outside") == "drop_out_of_window"
    back(sim, answered(SYN | ACK, 5000, 77_001))
    out(sim, sent(ACK, 77_001, 5001))
    assert state(sim) == "established" and len(sim.flows()) == 1


def test_syns_sent_again_keep_the_port_and_put_off_the_end(make: Make) -> None:
    sim = make()
    first = seen(out(sim, sent(SYN, 1000))).source_port
    for wait in (1, 2, 4, 8, 16, 32, 64, 128):
        sim.advance(wait)
        assert seen(out(sim, sent(SYN, 1000))).source_port == first
    back(sim, answered(SYN | ACK, 5000, 1001))


def test_a_syn_ack_again(make: Make) -> None:
    sim = make()
    out(sim, sent(SYN, 1000))
    back(sim, answered(SYN | ACK, 5000, 1001))
    back(sim, answered(SYN | ACK, 5000, 1001))
    out(sim, sent(ACK, 1001, 5001))
    sim.advance(300)
    out(sim, sent(PSH | ACK, 1001, 5001, b"data"))
    assert state(sim) == "established"


def test_a_syn_ack_again_after_the_lost_acknowledgement(make: Make) -> None:
    sim = established(make())
    back(sim, answered(SYN | ACK, 5000, 1001))
    out(sim, sent(ACK, 1001, 5001))
    assert state(sim) == "established"


@pytest.mark.parametrize("acknowledged", [1000, 1002, 999, 2**31, 0])
def test_a_syn_ack_of_something_else_changes_nothing(make: Make, acknowledged: int) -> None:
    """Blind, or of an old connection: the handshake goes on as if it had not come."""
    sim = make()
    out(sim, sent(SYN, 1000))
    sim.inject("outside", answered(SYN | ACK, 9_000_000, acknowledged))
    sim.drain("inside")
    back(sim, answered(SYN | ACK, 5000, 1001))
    out(sim, sent(ACK, 1001, 5001))
    back(sim, answered(PSH | ACK, 5001, 1001, b"hello"))
    assert state(sim) == "established"


def test_a_wrong_reset_does_not_end_an_attempt(make: Make) -> None:
    sim = make()
    out(sim, sent(SYN, 1000))
    for reset in (answered(RST | ACK, 0, 1000), answered(RST | ACK, 0, 1002), answered(RST, 0), answered(RST, 1001)):
        assert refused(sim, reset, "outside") == "drop_out_of_window"
    assert state(sim) == "syn-sent"
    back(sim, answered(SYN | ACK, 5000, 1001))


def test_a_right_reset_ends_an_attempt(make: Make) -> None:
    sim = make()
    out(sim, sent(SYN, 1000))
    back(sim, answered(RST | ACK, 0, 1001))
    assert state(sim) == "reset"
    sim.advance(241)
    assert sim.flows() == []


def test_an_attempt_without_answer_ends_after_four_minutes(make: Make) -> None:
    sim = make()
    out(sim, sent(SYN, 1000))
    sim.advance(239)
    back(sim, answered(SYN | ACK, 5000, 1001))
    sim.advance(241)
    assert refused(sim, answered(SYN | ACK, 5000, 1001), "outside") == "drop_unsolicited"


@pytest.mark.parametrize("flags", [0, FIN, PSH, FIN | PSH | 0x20, SYN | FIN, SYN | RST, ACK, FIN | ACK, RST, RST | ACK,
                                   SYN | ACK, SYN | FIN | ACK, 0x3F, 0xFF])
def test_only_a_syn_begins_a_connection(make: Make, flags: int) -> None:
    """Null, FIN, Xmas and other scans find nothing and open nothing, from either side."""
    sim = make()
    assert refused(sim, sent(flags, 1000, 1)).startswith("drop_")
    assert refused(sim, answered(flags, 1000, 1), "outside").startswith("drop_")
    assert sim.flows() == [] and sim.drain("inside") == sim.drain("outside") == []


def test_a_syn_with_congestion_bits_is_a_syn(make: Make) -> None:
    sim = make()
    out(sim, sent(SYN | 0xC0, 1000))  # ECE and CWR (RFC 3168)
    back(sim, answered(SYN | ACK | 0x40, 5000, 1001))
    out(sim, sent(ACK, 1001, 5001))
    assert state(sim) == "established"


def test_an_unsolicited_syn_waits_six_seconds_for_an_answer(make: Make) -> None:
    sim = make()
    syn = build.tcp_segment(S4, 5555, E4, 40000)
    assert refused(sim, syn, "outside") == "drop_unsolicited_syn"
    sim.advance(5.9)
    assert sim.drain("outside") == [] and sim.flows() == []
    sim.advance(0.3)
    [error] = sim.drain("outside")
    assert seen(error).icmp == (3, 3) and seen(error)[2:5] == (E4, 0, S4) and quoted(error) == syn


def test_an_unsolicited_syn_sent_again_is_told_once(make: Make) -> None:
    sim = make()
    for pause in (1, 2, 10):
        assert refused(sim, build.tcp_segment(S4, 5555, E4, 40000), "outside") == "drop_unsolicited_syn"
        sim.advance(pause)
    assert len(sim.drain("outside")) == 1
    refused(sim, build.tcp_segment(S4, 5555, E4, 40000), "outside")
    sim.advance(7)
    assert len(sim.drain("outside")) == 1, "the next attempt is another"


def test_no_answer_to_other_unsolicited_segments(make: Make) -> None:
    """A reset would tell a scanner which segment passed, and end somebody's connection (RFC 7857 section 2)."""
    sim = make()
    for flags in (ACK, FIN | ACK, RST, SYN | ACK, 0):
        refused(sim, answered(flags, 5, 5), "outside")
    sim.advance(10)
    assert sim.drain("outside") == sim.drain("inside") == []


def test_a_syn_to_an_open_mapping_is_admitted_or_not_as_configured(make: Make) -> None:
    sim = make(**OPEN_TCP)
    out(sim, sent(SYN, 1000))
    call = build.tcp_segment(T4, 6000, E4, 40000, sequence=9)
    assert seen(back(sim, call))[4:6] == (A4, 40000)
    reply = build.tcp_segment(A4, 40000, T4, 6000, flags=SYN | ACK, sequence=70, acknowledgement=10)
    assert seen(out(sim, reply))[2:4] == (E4, 40000)
    back(sim, build.tcp_segment(T4, 6000, E4, 40000, b"hi", flags=PSH | ACK, sequence=10, acknowledgement=71))
    closed = make(nat={"mapping": {"tcp": "EndpointIndependent"}})
    out(closed, sent(SYN, 1000))
    assert refused(closed, call, "outside") == "drop_unsolicited_syn"


def test_a_filtered_syn_is_told_what_any_other_is_told(make: Make) -> None:
    """RFC 5382 REQ-4; and who compares the two answers does not learn which ports are in use."""
    told = []
    for port in (40000, 40001):
        sim = make(nat={"mapping": {"tcp": "EndpointIndependent"}})
        out(sim, sent(SYN, 1000))
        sim.inject("outside", build.tcp_segment(T4, 6000, E4, port))
        sim.advance(5.9)
        assert sim.drain("outside") == []
        sim.advance(1)
        told.append([seen(one).icmp for one in sim.drain("outside")])
    assert told == [[(3, 3)], [(3, 3)]]


def test_hosts_that_share_a_port_towards_different_remotes_are_told_apart(make: Make) -> None:
    sim = make()
    out(sim, sent(SYN, 1000))
    assert seen(out(sim, build.tcp_segment(B4, 40000, T4, 80))).source_port == 40000
    assert seen(back(sim, answered(SYN | ACK, 5000, 1001))).destination == A4
    theirs = build.tcp_segment(T4, 80, E4, 40000, flags=SYN | ACK, sequence=3, acknowledgement=2)
    assert seen(back(sim, theirs)).destination == B4
