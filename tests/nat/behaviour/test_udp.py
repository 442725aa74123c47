"""UDP: its timers to the second, and lengths and checksums of every kind (RFC 4787 REQ-5, REQ-6, RFC 768)."""

import pytest

from gateway.wire import build
from tests.judge import assert_sound
from tests.nat.behaviour.talk import Make, asked, changed, replied
from tests.seen import seen
from tests.worlds import A4, E4, S4, back, out, refused


@pytest.mark.parametrize("idle", [119, 121, 239, 299, 300])
def test_a_mapping_survives(make: Make, idle: int) -> None:
    sim = make()
    out(sim, asked())
    sim.advance(idle)
    back(sim, replied())


def test_a_mapping_ends_after_five_minutes_with_and_without_answers(make: Make) -> None:
    for answers in (0, 1, 3):
        sim = make()
        out(sim, asked())
        for _ in range(answers):
            back(sim, replied())
        sim.advance(300.1)
        assert refused(sim, replied(), "outside") == "drop_unsolicited"
        assert sim.flows() == []


def test_outbound_refreshes_and_inbound_alone_does_not(make: Make) -> None:
    sim = make()
    out(sim, asked())
    sim.advance(200)
    out(sim, asked())
    sim.advance(200)
    back(sim, replied())
    sim.advance(101)
    assert refused(sim, replied(), "outside") == "drop_unsolicited"


def test_inbound_refreshes_where_configured(make: Make) -> None:
    sim = make(nat={"inboundRefresh": True})
    out(sim, asked())
    for _ in range(5):
        sim.advance(250)
        back(sim, replied())


def test_a_mapping_lives_as_long_as_its_latest_flow(make: Make) -> None:
    """REQ-6: the timer is the mapping's; any outbound packet of it refreshes it."""
    sim = make(nat={"filtering": {"udp": "EndpointIndependent"}})
    out(sim, asked())
    sim.advance(250)
    out(sim, asked(remote_port=54))
    sim.advance(250)
    assert seen(back(sim, replied())).destination == A4
    assert seen(out(sim, asked())).source_port == 40000


def test_the_operator_s_timer(make: Make) -> None:
    sim = make(timeouts={"udp": "10m"})
    out(sim, asked())
    sim.advance(599)
    back(sim, replied())
    sim.advance(2)
    assert refused(sim, replied(), "outside") == "drop_unsolicited"


@pytest.mark.parametrize("length", [0, 7, 17, 0xFFFF])
def test_a_length_that_cannot_be_is_dropped(make: Make, length: int) -> None:
    sim = make()
    packet = changed(build.udp_datagram(A4, 40000, S4, 53, bytes(8)), 24, length >> 8, length & 255)
    assert refused(sim, packet) == "drop_bad_length"
    out(sim, asked())
    packet = changed(build.udp_datagram(S4, 53, E4, 40000, bytes(8)), 24, length >> 8, length & 255)
    assert refused(sim, packet, "outside") == "drop_bad_length"


def test_bytes_behind_the_datagram_travel_along(make: Make) -> None:
    """What follows within the IP packet (RFC 9868 uses it) is not touched, nor summed up."""
    whole = build.udp_datagram(A4, 40000, S4, 53, b"1234")
    trailed = build.ip(A4, S4, 17, whole[20:] + b"OPTIONS!")
    emitted = out(make(), trailed)
    assert emitted[20 + 12 :] == b"OPTIONS!"
    assert emitted[26:28] == build.udp_datagram(E4, 40000, S4, 53, b"1234")[26:28]


@pytest.mark.parametrize("family", [4, 6])
def test_an_empty_datagram(make: Make, family: int) -> None:
    sim = make()
    assert len(seen(out(sim, asked(family, b""))).payload) == 8
    assert len(seen(back(sim, replied(family, b""))).payload) == 8


def test_no_checksum_stays_no_checksum_both_ways(make: Make) -> None:
    sim = make()
    out(sim, asked(port=40000))
    silent = changed(asked(), 26, 0, 0)
    assert out(sim, silent)[26:28] == b"\0\0"
    assert back(sim, changed(replied(), 26, 0, 0))[26:28] == b"\0\0"


def test_a_sum_of_zero_is_sent_as_all_ones(make: Make) -> None:
    """For a payload that makes the translated checksum come out as 0."""
    def checksum(word: int) -> bytes:
        whole = build.udp_datagram(E4, 40000, S4, 53, word.to_bytes(2, "big"))
        return whole[26:28]

    [word] = [word for word in range(65536) if checksum(word) == b"\xff\xff"][:1]
    emitted = out(make(), asked(payload=word.to_bytes(2, "big")))
    assert emitted[26:28] == b"\xff\xff"
    assert_sound([emitted])


@pytest.mark.parametrize("tos", [0x00, 0x01, 0x02, 0x03, 0xB8, 0xFF])
def test_dscp_and_ecn_are_the_hosts_own(make: Make, tos: int) -> None:
    sim = make()
    assert out(sim, build.udp_datagram(A4, 40000, S4, 53, tos=tos))[1] == tos
    assert back(sim, build.udp_datagram(S4, 53, E4, 40000, tos=tos ^ 0xFF))[1] == tos ^ 0xFF


@pytest.mark.parametrize("payload", [b"PORT 192,168,1,2,156,64\r\n", b"INVITE sip:a@192.168.1.2:5060 SIP/2.0\r\n",
                                     b"REGISTER sip:192.168.1.2 SIP/2.0\r\nContact: <sip:192.168.1.2:9999>\r\n"])
@pytest.mark.parametrize("port", [21, 69, 1720, 5060, 1723, 554])
def test_no_payload_is_read_for_addresses(make: Make, payload: bytes, port: int) -> None:
    """No application-level gateway: nothing is rewritten, nothing is opened (NAT slipstreaming)."""
    sim = make()
    assert out(sim, asked(payload=payload, remote_port=port))[28:] == payload
    assert len(sim.flows()) == 1
    assert refused(sim, build.udp_datagram(S4, port, E4, 9999), "outside") == "drop_unsolicited"


def test_reply_ttl_falls_by_one(make: Make) -> None:
    sim = make()
    assert out(sim, build.udp_datagram(A4, 40000, S4, 53, ttl=64))[8] == 63
    assert back(sim, build.udp_datagram(S4, 53, E4, 40000, ttl=57))[8] == 56
