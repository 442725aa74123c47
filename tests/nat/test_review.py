"""What goes wrong in NATs when nobody looks: half-open ends, odd sizes, forged sources, floods of fragments."""

from collections.abc import Callable

import pytest

from gateway.testing import Simulator
from gateway.wire import build, protocol, tcp
from tests.judge import assert_sound
from tests.seen import seen
from tests.worlds import A4, A6, B4, E4, S4, S6, T4, back, out, refused, world

ACK, FIN, RST, SYN = tcp.ACK, tcp.FIN, tcp.RST, tcp.SYN
SMALL_OUTSIDE = {"driver": "memory", "mtu": 1400}
SCALED = bytes([tcp.OPTION_WINDOW_SCALE, 3, 7, tcp.OPTION_NOP])
Make = Callable[..., Simulator]


@pytest.fixture(params=[False, True], ids=["compiled", "interpreted"])
def make(request: pytest.FixtureRequest) -> Make:
    return lambda **spec: Simulator(world(**spec), pure=request.param)


def sent(flags: int, sequence: int, acknowledgement: int = 0, payload: bytes = b"", options: bytes = b"",
         window: int = 64240) -> bytes:
    return build.tcp_segment(A4, 40000, S4, 80, payload, flags=flags, sequence=sequence,
                             acknowledgement=acknowledgement, options=options, window=window)


def answered(flags: int, sequence: int, acknowledgement: int = 0, payload: bytes = b"",
             options: bytes = b"") -> bytes:
    return build.tcp_segment(S4, 80, E4, 40000, payload, flags=flags, sequence=sequence,
                             acknowledgement=acknowledgement, options=options)


def established(sim: Simulator) -> Simulator:
    out(sim, sent(SYN, 1000))
    back(sim, answered(SYN | ACK, 5000, 1001))
    out(sim, sent(ACK, 1001, 5001))
    return sim


def closed(sim: Simulator) -> Simulator:
    established(sim)
    out(sim, sent(FIN | ACK, 1001, 5001))
    back(sim, answered(FIN | ACK, 5001, 1002))
    return sim


# -- TCP


def test_a_host_that_forgot_its_connection_recovers_from_it(make: Make) -> None:
    sim = established(make())
    out(sim, sent(SYN, 900_000_000))  # reborn, far out of the old window
    back(sim, answered(ACK, 5001, 1001))  # the remote's challenge (RFC 5961 section 4.2)
    out(sim, sent(RST, 1001))
    out(sim, sent(SYN, 900_000_000))
    back(sim, answered(SYN | ACK, 77, 900_000_001))
    out(sim, sent(ACK, 900_000_001, 78))
    assert sim.flows()[0].state == "established"


def test_a_syn_in_an_established_flow_changes_nothing(make: Make) -> None:
    sim = established(make())
    out(sim, sent(SYN, 900_000_000))
    assert sim.flows()[0].state == "established"
    back(sim, answered(ACK, 5001, 1001, b"still here"))


def test_a_remote_that_still_holds_an_old_connection_is_reset_by_the_host(make: Make) -> None:
    sim = make()
    out(sim, sent(SYN, 1000))
    back(sim, answered(ACK, 77777, 99999))  # of the old one
    out(sim, sent(RST, 99999))  # RFC 9293 section 3.5.1: its sequence number is that acknowledgement
    assert sim.flows()[0].state == "syn-sent"
    out(sim, sent(SYN, 1000))
    back(sim, answered(SYN | ACK, 5000, 1001))


def test_a_port_is_reused_whatever_the_sequence_number(make: Make) -> None:
    sim = closed(make())
    out(sim, sent(SYN, 500))  # behind the old connection's: the remote has forgotten that one
    back(sim, answered(SYN | ACK, 3_000_000_000, 501))
    out(sim, sent(ACK, 501, 3_000_000_001))
    assert sim.flows()[0].state == "established"


def test_a_host_may_begin_anew_before_the_handshake_is_over(make: Make) -> None:
    sim = make()
    out(sim, sent(SYN, 1000))
    back(sim, answered(SYN | ACK, 5000, 1001))
    out(sim, sent(SYN, 2_000_000_000))
    back(sim, answered(SYN | ACK, 7_000, 2_000_000_001))
    out(sim, sent(ACK, 2_000_000_001, 7_001))


def test_a_reset_after_both_ends_closed_does_not_bring_the_flow_back(make: Make) -> None:
    sim = closed(make())
    out(sim, sent(RST, 1002))
    back(sim, answered(ACK, 5002, 1002))
    assert sim.flows()[0].expires_in < 241


def test_a_remote_without_memory_may_answer_a_repeated_syn_with_another_number(make: Make) -> None:
    sim = make()
    out(sim, sent(SYN, 1000))
    back(sim, answered(SYN | ACK, 5000, 1001))
    out(sim, sent(SYN, 1000))
    back(sim, answered(SYN | ACK, 3_000_000_000, 1001))
    out(sim, sent(ACK, 1001, 3_000_000_001))
    back(sim, answered(ACK, 3_000_000_001, 1001, b"data"))


def test_a_forged_syn_neither_blocks_the_answer_nor_forgets_the_window_scale(make: Make) -> None:
    sim = make()
    out(sim, sent(SYN, 1000, options=SCALED))
    back(sim, answered(SYN, 9000))  # as in a simultaneous open
    back(sim, answered(SYN | ACK, 700_000_000, 1001, options=SCALED))
    out(sim, sent(ACK, 1001, 700_000_001, window=1000))
    back(sim, answered(ACK, 700_000_001 + 100_000, 1001, b"within 128 times 1000"))


def test_an_adopted_flow_may_acknowledge_what_was_sent_before(make: Make) -> None:
    sim = make(nat={"midstream": "Adopt"})
    out(sim, sent(ACK, 1000, 5000, b"x" * 100))  # sent again: the remote has it, and what came after it
    back(sim, answered(ACK, 5000, 41_000))
    out(sim, sent(ACK, 41_000, 5000, b"y" * 100))


def test_an_adopted_flow_may_go_on_before_the_remote_answers(make: Make) -> None:
    sim = make(nat={"midstream": "Adopt"})
    for number in range(5):
        out(sim, sent(ACK, 1000 + 100 * number, 5000, b"x" * 100))


# -- sizes


def test_too_big_names_the_mtu_of_the_side_this_packet_leaves_on(make: Make) -> None:
    sim = make(outside=SMALL_OUTSIDE)
    sim.inject_many("inside", [build.udp_datagram(A4, 4000, S4, 53, bytes(1450)),
                               build.udp_datagram(A4, 4001, B4, 53)])
    told = [packet for packet in sim.drain("inside") if seen(packet).protocol == "icmp"]
    assert [int.from_bytes(packet[26:28], "big") for packet in told] == [1400]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_fragments_too_large_for_the_other_side_are_cut_again(make: Make, order: tuple[int, ...]) -> None:
    sim = make(outside=SMALL_OUTSIDE)
    datagram = build.udp_datagram(A4, 4000, S4, 53, bytes(range(256)) * 16)[20:]
    parts = [build.ip(A4, S4, protocol.UDP, datagram[at : at + 1480], identification=9,
                      fragment=at // 8 | (0x2000 if at + 1480 < len(datagram) else 0)) for at in range(0, 4104, 1480)]
    for index in order:
        sim.inject("inside", parts[index])
    pieces = sim.drain("outside")
    assert max(len(piece) for piece in pieces) <= 1400 and len({piece[4:6] for piece in pieces}) == 1
    whole = bytearray(len(datagram))
    for piece in pieces:
        at = (int.from_bytes(piece[6:8], "big") & 0x1FFF) * 8
        whole[at : at + len(piece) - 20] = piece[20:]
    assert whole[8:] == datagram[8:] and sum(len(piece) - 20 for piece in pieces) == len(whole)
    assert_sound([build.ip(E4, S4, protocol.UDP, bytes(whole))])


def test_an_ipv6_fragment_too_large_for_the_other_side_is_told(make: Make) -> None:
    sim = make(outside=SMALL_OUTSIDE)
    datagram = build.udp_datagram(A6, 4000, S6, 53, bytes(2000))[40:]
    fragment = bytes([protocol.UDP, 0, 0, 1, 0, 0, 0, 9]) + datagram[:1440]
    assert refused(sim, build.ip(A6, S6, protocol.FRAGMENT, fragment)) == "reject_too_big"
    [told] = sim.drain("inside")
    assert seen(told).icmp == (2, 0) and int.from_bytes(told[44:48], "big") == 1400
    assert_sound([told])


# -- fragments


def part(source: str, identification: int, offset: int = 0) -> bytes:
    payload = build.udp_datagram(source, 4000, S4, 53, bytes(8))[20:]
    return build.ip(source, S4, protocol.UDP, payload, identification=identification, fragment=0x2000 | offset)


def test_one_source_cannot_use_up_the_room_for_datagrams(make: Make) -> None:
    sim = make(limits={"fragmentsHeld": 64})
    for identification in range(64):
        sim.inject("inside", part(A4, identification))
    assert sim.counters()["drop_fragment_limit"] == 48
    sim.drain("outside")
    out(sim, part(B4, 1))


def test_sources_of_fragments_are_forgotten_while_others_come() -> None:
    sim = Simulator(world())
    for number in range(600):
        sim.inject("inside", part(f"192.168.{number // 200}.{number % 200 + 2}", number, 5))
        sim.advance(0.1)
    fragments = sim._translator.fragments
    assert len(fragments.held_by) == len(fragments.known_by) == len(fragments.datagrams) <= 151


def test_a_fragmented_icmp_error_is_no_echo_reply(make: Make) -> None:
    sim = make()
    out(sim, build.echo(A4, S4, 0))
    redirect = build.icmp_message(S4, E4, 5, 1, bytes(28))[20:]
    assert refused(sim, build.ip(S4, E4, protocol.ICMP, redirect, fragment=0x2000), "outside") == "drop_link_scope"


def test_a_second_fragment_header_is_refused(make: Make) -> None:
    datagram = build.udp_datagram(A6, 4000, S6, 53, bytes(20))[40:]
    nested = bytes([protocol.FRAGMENT, 0, 0, 1, 0, 0, 0, 9]) + bytes([protocol.UDP, 0, 0, 0, 0, 0, 0, 9]) + datagram
    assert refused(make(), build.ip(A6, S6, protocol.FRAGMENT, nested)) == "drop_bad_header"


# -- addresses


def test_an_error_to_the_outside_never_comes_from_the_inside_address(make: Make) -> None:
    sim = make(inside={"driver": "memory", "addresses": ["192.168.0.1/16"]}, outside={"driver": "memory"})
    out(sim, build.udp_datagram(A4, 4000, S4, 53))
    refused(sim, build.udp_datagram(S4, 53, E4, 4000, ttl=1), "outside")
    assert [seen(told).source for told in sim.drain("outside")] == [E4]


def test_the_inside_address_is_not_answered_for_on_the_outside(make: Make) -> None:
    sim = make(inside={"driver": "memory", "addresses": ["192.168.0.1/16"]})
    assert refused(sim, build.echo(S4, "192.168.0.1"), "outside") == "drop_not_ours"
    assert sim.drain("outside") == []


def test_a_hairpin_works_through_the_gateways_own_address(make: Make) -> None:
    sim = make(addresses=[], outside={"driver": "memory", "addresses": [E4 + "/24"]},
               nat={"filtering": {"udp": "EndpointIndependent"}})
    out(sim, build.udp_datagram(B4, 5000, S4, 53))
    sim.inject("inside", build.udp_datagram(A4, 4000, E4, 5000))
    [emitted] = sim.drain("inside")
    assert seen(emitted)[:4] == seen(build.udp_datagram(E4, 4000, B4, 5000))[:4]
    assert refused(sim, build.tcp_segment(A4, 4000, E4, 22)) == "drop_not_ours"


@pytest.mark.parametrize(("source", "verdict"), [
    ("127.0.0.1", "drop_bogon_source"), ("224.0.0.1", "drop_bogon_source"), (E4, "drop_spoofed_source"),
    ("192.168.1.9", "drop_spoofed_source"), ("169.254.1.1", "drop_link_scope")])
def test_an_error_from_an_address_that_cannot_be_out_there_is_dropped(make: Make, source: str, verdict: str) -> None:
    sim = make()
    out(sim, build.udp_datagram(A4, 40000, S4, 53))
    quote = bytes(4) + build.udp_datagram(E4, 40000, S4, 53)
    assert refused(sim, build.icmp_message(source, E4, 3, 3, quote), "outside") == verdict
    back(sim, build.icmp_message("10.9.9.9", E4, 11, 0, quote))  # a router's, from a private network


# -- the rest


def test_a_mapping_of_many_ended_flows_and_a_live_one_keeps_its_port(make: Make) -> None:
    sim = make(timeouts={"udp": "120s"})
    for port in range(1, 601):
        out(sim, build.udp_datagram(A4, 4000, S4, port))
    sim._now += 60_000_000_000  # without a tick: nothing is swept
    out(sim, build.udp_datagram(A4, 4000, S4, 300))
    sim._now += 70_000_000_000
    assert seen(out(sim, build.udp_datagram(B4, 4000, S4, 53))).source_port != 4000


def test_two_flows_never_share_a_reply_even_when_ports_are_mapped_otherwise_from_now_on(make: Make) -> None:
    sim = make()
    out(sim, build.tcp_segment(A4, 40000, S4, 80))
    sim.apply(world(nat={"mapping": {"tcp": "EndpointIndependent"}}))
    out(sim, build.tcp_segment(B4, 40000, T4, 80))  # towards this remote, port 40000 is free
    out(sim, build.tcp_segment(B4, 40000, S4, 80))
    replies = [flow.reply for flow in sim.flows()]
    assert len(set(replies)) == len(replies) == 3


def test_a_timer_of_years_is_no_timer_of_nothing(make: Make) -> None:
    sim = make(timeouts={"udp": "20000h"})
    out(sim, build.udp_datagram(A4, 4000, S4, 53))
    assert sim.flows()[0].expires_in > 9000 * 3600


def test_explain_judges_packets_of_live_flows_and_leaves_them_alone(make: Make) -> None:
    sim = established(make())
    before = sim.flows()
    expired = build.tcp_segment(A4, 40000, S4, 80, flags=ACK, sequence=1001, acknowledgement=5001, ttl=1)
    assert sim.explain(expired)["verdict"] == "reject_ttl_exceeded"
    assert sim.explain(sent(ACK, 2_000_000_000, 5001))["verdict"] == "drop_out_of_window"
    assert sim.explain(sent(FIN | ACK, 1001, 5001))["verdict"] == "accept"
    quote = bytes(4) + sent(ACK, 1001, 5001)
    assert sim.explain(build.icmp_message(S4, E4, 3, 3, quote), "outside")["verdict"] == "drop_error_unmatched"
    assert sim.flows() == before


def test_explain_does_not_change_which_port_comes_next(make: Make) -> None:
    asked, unasked = (make(nat={"portPreservation": False}) for _ in range(2))
    packet = build.udp_datagram(A4, 4000, S4, 53)
    asked.explain(packet)
    assert out(asked, packet) == out(unasked, packet)
