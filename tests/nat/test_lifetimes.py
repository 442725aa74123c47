"""How long flows live: RFC 4787 REQ-5 and 6, RFC 5382 REQ-5, RFC 5508 REQ-1, RFC 7857 section 2."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.testing import Simulator
from gateway.testing.strategies import Endpoint, FlowTuple, Step, packet
from gateway.wire import build
from tests.seen import seen
from tests.worlds import A4, E4, FIRST, HOSTS, S4, back, between, out, refused, world

ENDS = FlowTuple("tcp", Endpoint(A4, 40000), Endpoint(S4, 80))


def tell(sim: Simulator, side: str, kind: str, sequence: int, acknowledgement: int, payload: bytes = b"") -> bytes:
    """One segment of the connection between ENDS; it must pass."""
    ends = ENDS if side == "inside" else ENDS._replace(internal=Endpoint(E4, 40000))
    return (out if side == "inside" else back)(sim, packet(ends, Step(side, kind, sequence, acknowledgement, payload)))


def connected(**spec) -> Simulator:
    sim = Simulator(world(**spec))
    tell(sim, "inside", "open", 100, 0)
    tell(sim, "outside", "accept", 500, 101)
    tell(sim, "inside", "ack", 101, 501)
    return sim


def datagram(side: str) -> bytes:
    return build.udp_datagram(A4, 40000, S4, 53) if side == "inside" else build.udp_datagram(S4, 53, E4, 40000)


@given(st.floats(0, 0.1), st.sampled_from([("udp", 300), ("icmp", 60), ("tcp", 240)]))
def test_no_timer_runs_out_early_or_more_than_a_little_late(begun, timer):
    """Whatever moment a flow begins at, between two ticks of the table's clock."""
    protocol, lifetime = timer
    sim = Simulator(world())
    sim.advance(begun)
    out(sim, packet(between(protocol, A4, S4), Step("inside", FIRST[protocol], 1)))
    sim.advance(lifetime - 0.0005)
    assert len(sim.flows()) == 1
    sim.advance(0.05)
    assert sim.flows() == []


@pytest.mark.parametrize("idle", [119.0, 299.0])
def test_a_udp_mapping_survives_five_minutes_idle(idle):
    sim = Simulator(world())
    out(sim, datagram("inside"))
    sim.advance(idle)
    back(sim, datagram("outside"))


def test_a_udp_mapping_ends_after_five_minutes():
    sim = Simulator(world())
    out(sim, datagram("inside"))
    sim.advance(300.2)
    assert refused(sim, datagram("outside"), "outside").startswith("drop_")
    assert sim.flows() == []


def test_udp_is_refreshed_by_outbound_and_not_by_inbound():
    sim = Simulator(world())
    out(sim, datagram("inside"))
    for _ in range(3):
        sim.advance(200)
        out(sim, datagram("inside"))
    sim.advance(200)
    back(sim, datagram("outside"))
    sim.advance(101)
    assert refused(sim, datagram("outside"), "outside").startswith("drop_")


def test_inbound_refreshes_where_the_operator_says_so():
    sim = Simulator(world(nat={"inboundRefresh": True}))
    out(sim, datagram("inside"))
    for _ in range(3):
        sim.advance(200)
        back(sim, datagram("outside"))


@pytest.mark.parametrize("family", [4, 6])
def test_an_echo_session_lives_for_a_minute(family):
    internal, remote, external = HOSTS[family]
    sim = Simulator(world())
    out(sim, build.echo(internal, remote, 7))
    sim.advance(59)
    back(sim, build.echo(remote, external, 7, reply=True))
    sim.advance(61.2)
    assert refused(sim, build.echo(remote, external, 7, reply=True), "outside").startswith("drop_")


def test_an_established_connection_survives_two_hours_and_four_minutes_idle():
    sim = connected()
    sim.advance(7439)
    tell(sim, "outside", "data", 501, 101, b"still here")
    sim.advance(7439)
    tell(sim, "inside", "data", 101, 511, b"so am I")
    sim.advance(7440.3)
    assert sim.flows() == []


def test_a_connection_that_never_opened_ends_after_four_minutes():
    sim = Simulator(world())
    tell(sim, "inside", "open", 100, 0)
    sim.advance(239)
    assert len(sim.flows()) == 1
    sim.advance(1.2)
    assert sim.flows() == []


@pytest.mark.parametrize("first", ["inside", "outside"])
def test_one_fin_keeps_the_established_timer_and_both_start_the_short_one(first):
    sim = connected()
    second = "outside" if first == "inside" else "inside"
    numbers = {"inside": (101, 501), "outside": (501, 101)}
    tell(sim, first, "close", *numbers[first])
    sim.advance(7000)
    tell(sim, second, "data", *numbers[second], b"half-closed")
    sequence, acknowledged = numbers[second]
    tell(sim, second, "close", sequence + 11, acknowledged + 1)
    sim.advance(239)
    assert len(sim.flows()) == 1
    tell(sim, first, "ack", numbers[first][0] + 1, numbers[first][1] + 12)
    sim.advance(240.2)
    assert sim.flows() == []


@pytest.mark.parametrize("side", ["inside", "outside"])
def test_a_reset_is_passed_on_and_starts_a_wait_of_four_minutes(side):
    sim = connected()
    tell(sim, side, "reset", *{"inside": (101, 501), "outside": (501, 101)}[side])
    sim.advance(239)
    assert len(sim.flows()) == 1
    sim.advance(1.2)
    assert sim.flows() == []


@pytest.mark.parametrize("kind", ["ack", "data", "close", "reset", "accept"])
def test_tcp_without_a_flow_and_without_syn_is_dropped_and_opens_nothing(kind):
    sim = Simulator(world())
    verdict = refused(sim, packet(ENDS, Step("inside", kind, 9, 9, b"")))
    assert verdict == "drop_not_syn" and sim.flows() == [] and sim.drain("inside") == []


def test_retransmitted_handshake_segments_pass():
    sim = Simulator(world())
    for _ in range(3):
        tell(sim, "inside", "open", 100, 0)
    for _ in range(3):
        tell(sim, "outside", "accept", 500, 101)
    tell(sim, "inside", "ack", 101, 501)
    sim.advance(241)
    tell(sim, "inside", "data", 101, 501, b"established")
    assert len(sim.flows()) == 1


def test_an_error_neither_opens_nor_refreshes_nor_ends_a_flow():
    """RFC 4787 REQ-12, RFC 5508 REQ-8."""
    sim = Simulator(world())
    sent = out(sim, datagram("inside"))
    sim.advance(299)
    error = build.icmp_message("203.0.113.99", E4, 3, 3, bytes(4) + sent)
    assert seen(back(sim, error)).icmp == (3, 3)
    assert len(sim.flows()) == 1
    sim.advance(1.3)
    assert sim.flows() == []
    assert refused(sim, error, "outside") == "drop_error_unmatched" and sim.flows() == []


def test_timeouts_are_the_operators():
    spec = {"udp": "121s", "icmp": "30s", "tcpEstablished": "1h", "tcpTransitory": "10s", "tcpClosing": "20s"}
    sim = Simulator(world(timeouts=spec))
    out(sim, datagram("inside"))
    out(sim, build.echo(A4, S4, 7))
    tell(sim, "inside", "open", 100, 0)
    left = {flow.protocol: flow.expires_in for flow in sim.flows()}
    assert left == pytest.approx({"udp": 121, "icmp": 30, "tcp": 10}, abs=0.1)
    sim = connected(timeouts=spec)
    assert sim.flows()[0].expires_in == pytest.approx(3600, abs=0.1)
    tell(sim, "inside", "reset", 101, 501)
    assert sim.flows()[0].expires_in == pytest.approx(20, abs=0.1)


def test_expiry_is_right_across_years():
    """The table counts time in 32 bits: no flow ends early or lives on when they wrap (after 2.2 years)."""
    sim = Simulator(world())
    wrap = 2**32 * 2**24 / 1e9
    for idle in (wrap / 2 - 100, wrap / 2 - 100, wrap / 2):
        sim.advance(idle)
        out(sim, datagram("inside"))
        sim.advance(299)
        back(sim, datagram("outside"))
        sim.advance(1.2)
        assert sim.flows() == []
