"""What people may ask explain, and what they are told when it makes no sense."""

import pytest
from scapy.layers.inet import ICMP, IP, TCP
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6

from gateway.runtime.question import Question, QuestionError, endpoint


@pytest.mark.parametrize(("text", "found"), [
    ("192.0.2.1", ("192.0.2.1", None)), ("192.0.2.1:80", ("192.0.2.1", 80)), ("2001:db8::1", ("2001:db8::1", None)),
    ("[2001:db8::1]:80", ("2001:db8::1", 80)), ("[2001:db8::1]", ("2001:db8::1", None)),
])
def test_endpoints(text, found):
    assert endpoint(text) == found


@pytest.mark.parametrize("text", [
    "", "x", "192.0.2.1:", "192.0.2.1:65536", "192.0.2.1:-1", "192.0.2.1:http", "192.0.2.256", "[2001:db8::1",
    "[2001:db8::1]80", "192.0.2.1:8:9", "192.0.2.0/24", "192.0.2.1:\u0663",
])
def test_what_is_no_endpoint_says_so(text):
    with pytest.raises(QuestionError):
        endpoint(text)


def test_a_tcp_question_is_a_syn():
    packet = IP(Question.parse("192.168.1.2:1234", "203.0.113.7:80").packet())
    assert (packet.src, packet[TCP].sport, packet.dst, packet[TCP].dport, str(packet[TCP].flags)) == (
        "192.168.1.2", 1234, "203.0.113.7", 80, "S")


def test_icmp_follows_the_family():
    assert IP(Question.parse("192.168.1.2:9", "203.0.113.7", "icmp").packet())[ICMP].id == 9
    assert IPv6(Question.parse("fd00::2", "2001:db8::7", "icmp").packet())[ICMPv6EchoRequest].id == 1


def test_a_protocol_may_be_a_number():
    assert Question.parse("192.168.1.2", "203.0.113.7", "47").protocol == "gre"
    assert IP(Question.parse("192.168.1.2", "203.0.113.7", "99").packet()).proto == 99


@pytest.mark.parametrize(("ask", "says"), [
    (("192.0.2.1", "2001:db8::1"), "different families"), (("192.0.2.1", "192.0.2.2", "tpc"), "not one of"),
    (("192.0.2.1", "192.0.2.2", "256"), "not one of"), (("192.0.2.1", "192.0.2.2", "tcp", "left"), "side"),
    (("192.0.2.1", "192.0.2.2:5", "icmp"), "no destination port"), (("192.0.2.1:5", "192.0.2.2", "gre"), "no ports"),
    (("192.0.2.1", "192.0.2.2", "icmpv6"), "between IPv4"),
])
def test_nonsense_is_refused_with_a_reason(ask, says):
    with pytest.raises(QuestionError, match=says):
        Question.parse(*ask)
