"""An established connection: what belongs to it passes, what was guessed does not (RFC 5961, RFC 7323, RFC 5382)."""

import pytest

from gateway.testing import Simulator
from gateway.wire import build
from tests.judge import assert_sound
from tests.nat.behaviour.talk import ACK, FIN, PSH, RST, SYN, URG, Make, answered, established, sent, state
from tests.worlds import A4, B4, S4, back, out, refused

SACK_PERMITTED = bytes([4, 2, 1, 1])


def scale(shift: int) -> bytes:
    return bytes([3, 3, shift, 1])


def sacks(first: int, last: int) -> bytes:
    return bytes([1, 1, 5, 10]) + first.to_bytes(4, "big") + last.to_bytes(4, "big")


def tell(sim: Simulator, payload: bytes = b"alive") -> None:
    """Both sides still hear each other where they left off."""
    out(sim, sent(PSH | ACK, 1001, 5001, payload))
    back(sim, answered(PSH | ACK, 5001, 1001, payload))


def test_data_both_ways_and_out_of_order(make: Make) -> None:
    sim = established(make())
    for sequence in (2461, 1001, 3921, 2461):
        out(sim, sent(ACK, sequence, 5001, bytes(1460)))
    back(sim, answered(ACK, 5001, 2461, options=sacks(3921, 5381)))
    back(sim, answered(ACK, 5001, 5381, b"all here"))
    assert state(sim) == "established"


def test_numbers_wrap(make: Make) -> None:
    sim = make()
    out(sim, sent(SYN, 2**32 - 2))
    back(sim, answered(SYN | ACK, 2**32 - 1, 2**32 - 1))
    out(sim, sent(ACK, 2**32 - 1, 0))
    mine, theirs = 2**32 - 1, 0
    for _ in range(5):
        out(sim, sent(PSH | ACK, mine, theirs, bytes(1000)))
        mine += 1000
        back(sim, answered(PSH | ACK, theirs, mine, bytes(1400)))
        theirs += 1400
    out(sim, sent(FIN | ACK, mine, theirs))
    back(sim, answered(FIN | ACK, theirs, mine + 1))
    assert state(sim) == "closing"


@pytest.mark.parametrize("shift", [0, 7, 14, 15, 255])
def test_a_scaled_window_is_that_large_and_14_is_the_largest_scale(make: Make, shift: int) -> None:
    sim = established(make(), options=scale(shift))
    out(sim, sent(ACK, 1001, 5001, window=65535))
    reach = 65535 << min(shift, 14)
    back(sim, answered(ACK, 5001 + reach - 1000, 1001, bytes(1000)))


def test_a_scale_that_only_one_side_offers_counts_for_nothing(make: Make) -> None:
    sim = make()
    out(sim, sent(SYN, 1000, options=scale(14)))
    back(sim, answered(SYN | ACK, 5000, 1001))
    out(sim, sent(ACK, 1001, 5001, window=1000))
    assert refused(sim, answered(ACK, 5001 + 1_000_000, 1001, b"x"), "outside") == "drop_out_of_window"
    back(sim, answered(ACK, 5001, 1001, b"x"))


@pytest.mark.parametrize("payload", [b"", b"\0"])
def test_keepalives_of_both_kinds(make: Make, payload: bytes) -> None:
    """With and without a byte, one before the next sequence number (RFC 1122 section 4.2.3.6)."""
    sim = established(make())
    for _ in range(3):
        sim.advance(7200)
        out(sim, sent(ACK, 1000, 5001, payload))
        back(sim, answered(ACK, 5001, 1001))
        sim.advance(7200)
        back(sim, answered(ACK, 5000, 1001, payload))
        out(sim, sent(ACK, 1001, 5001))
    tell(sim)


def test_a_closed_window_is_probed(make: Make) -> None:
    sim = established(make())
    back(sim, answered(ACK, 5001, 1001, window=0))
    for wait in (1, 30, 60, 60):
        sim.advance(wait)
        out(sim, sent(ACK, 1001, 5001, b"p"))
        back(sim, answered(ACK, 5001, 1001, window=0))
    back(sim, answered(ACK, 5001, 1002, window=64240))
    out(sim, sent(PSH | ACK, 1002, 5001, bytes(1460)))


def test_urgent_data_and_unknown_options_stay_as_they_are(make: Make) -> None:
    sim = established(make())
    options = bytes([8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 253, 6, 1, 2, 3, 4])  # timestamps, and an experiment
    packet = bytearray(sent(PSH | ACK | URG, 1001, 5001, b"now!", options=options))
    packet[38:40] = b"\x00\x04"  # the urgent pointer, and what it adds to the checksum
    total = int.from_bytes(packet[36:38], "big") - 4
    packet[36:38] = (total if total > 0 else total + 0xFFFF).to_bytes(2, "big")
    emitted = out(sim, bytes(packet))
    assert emitted[40:] == bytes(packet[40:]) and emitted[38:40] == b"\x00\x04"
    assert_sound([emitted])


@pytest.mark.parametrize("sequence", [5001 - 200_000, 5001 + 200_000, 2**31 + 5001, 2**32 - 1_000_000])
def test_data_out_of_the_window_is_dropped_and_changes_nothing(make: Make, sequence: int) -> None:
    sim = established(make())
    assert refused(sim, answered(PSH | ACK, sequence, 1001, b"forged"), "outside") == "drop_out_of_window"
    assert refused(sim, answered(PSH | ACK, 5001, 900_000, b"forged"), "outside") == "drop_out_of_window"
    tell(sim)


def test_an_acknowledgement_of_what_was_never_sent_is_dropped(make: Make) -> None:
    """RFC 5961 section 5."""
    sim = established(make())
    assert refused(sim, answered(ACK, 5001, 1002), "outside") == "drop_out_of_window"
    assert refused(sim, answered(ACK, 5001, 1001 - 10_000_000), "outside") == "drop_out_of_window"
    tell(sim)


@pytest.mark.parametrize("sequence", [5002, 5001 + 30_000, 5000, 5001 - 100_000, 5001 + 64_242, 0, 2**31])
def test_a_reset_from_outside_needs_the_exact_number(make: Make, sequence: int) -> None:
    """RFC 5961 section 3: blind resets, in and out of the window."""
    sim = established(make())
    assert refused(sim, answered(RST, sequence), "outside") == "drop_out_of_window"
    assert state(sim) == "established"
    sim.advance(600)
    tell(sim)


def test_the_exact_reset_passes_and_data_brings_the_flow_back(make: Make) -> None:
    """RFC 7857 section 2: a reset starts a wait of four minutes, data after it was not from a dead peer."""
    sim = established(make())
    back(sim, answered(RST, 5001))
    assert state(sim) == "reset"
    sim.advance(200)
    out(sim, sent(PSH | ACK, 1001, 5001, b"still here"))
    assert state(sim) == "established"
    sim.advance(7000)
    tell(sim)


def test_a_reset_from_inside_for_data_that_was_lost_is_left_to_the_peer(make: Make) -> None:
    """A host without the socket resets at the peer's last acknowledgement, below what was sent since then."""
    sim = established(make())
    out(sim, sent(PSH | ACK, 1001, 5001, bytes(1000)))  # lost behind the gateway
    back(sim, answered(PSH | ACK, 5001, 1001, b"to nobody"))
    out(sim, sent(RST, 1001))
    assert state(sim) == "established"


def test_a_reset_from_inside_that_overtook_its_data_is_left_to_the_peer(make: Make) -> None:
    sim = established(make())
    out(sim, sent(RST, 2001))
    assert state(sim) == "established"


@pytest.mark.parametrize("sequence", [1001 - 200_000, 1001 + 200_000])
def test_a_reset_from_inside_far_out_of_the_window_is_dropped(make: Make, sequence: int) -> None:
    sim = established(make())
    assert refused(sim, sent(RST, sequence)) == "drop_out_of_window"
    tell(sim)


def test_a_forged_syn_or_syn_ack_does_not_end_a_connection(make: Make) -> None:
    """RFC 5961 section 4."""
    sim = established(make(), options=scale(7))
    for flags in (SYN, SYN | ACK):
        for sequence in (5001, 5002, 777_777_777):
            sim.inject("outside", answered(flags, sequence, 1001))
            sim.drain("inside")
    assert state(sim) == "established"
    tell(sim)


@pytest.mark.parametrize("flags", [0, PSH, URG, FIN, FIN | PSH | URG, SYN | FIN, SYN | RST, SYN | FIN | ACK])
def test_flags_that_no_stack_sends_are_dropped_by_name(make: Make, flags: int) -> None:
    sim = established(make())
    assert refused(sim, sent(flags, 1001, 5001)) == "drop_bad_flags"
    assert refused(sim, answered(flags, 5001, 1001), "outside") == "drop_bad_flags"
    tell(sim)


def test_another_host_cannot_take_part(make: Make) -> None:
    """B uses A's port, and A's address is not B's to use from the outside."""
    sim = established(make())
    theirs = out(sim, build.tcp_segment(B4, 40000, S4, 80))
    assert theirs[20:22] != (40000).to_bytes(2, "big")
    for flags in (RST, ACK, RST | ACK):
        forged = build.tcp_segment(B4, 40000, S4, 80, flags=flags, sequence=1001, acknowledgement=5001)
        sim.inject("inside", forged)
        assert all(one[20:22] == theirs[20:22] for one in sim.drain("outside"))
    spoofed = build.tcp_segment(A4, 40000, S4, 80, flags=RST, sequence=1001)
    assert refused(sim, spoofed, "outside") == "drop_spoofed_source"
    tell(sim)


def test_established_lasts_two_hours_and_four_minutes_idle(make: Make) -> None:
    sim = established(make())
    sim.advance(7439)
    back(sim, answered(PSH | ACK, 5001, 1001, b"late"))
    sim.advance(7439)
    out(sim, sent(PSH | ACK, 1001, 5005, b"later"))
    sim.advance(7441)
    assert refused(sim, answered(PSH | ACK, 5005, 1001), "outside") == "drop_unsolicited"
