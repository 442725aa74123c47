"""What a parsed packet is to a translator, and what the types of ICMP and ICMPv6 are to it."""

from __future__ import annotations

from . import icmp

FLOW = 0  # has a tuple of its own
ERROR = 1  # an ICMP error: its tuple is in the packet it quotes
FRAGMENT = 2  # part of a datagram: only the first part has a tuple
LINK = 3  # speaks to its own link (neighbour discovery, redirects): never crosses
REQUEST = 4  # an ICMP query, with an identifier; may begin a flow
ANSWER = 5  # the answer to one


def icmp_meanings() -> bytes:
    """By ICMP type and, from 256 on, ICMPv6 type. Whatever is not named here is LINK."""
    table = bytearray([LINK]) * 512
    for number in (icmp.UNREACHABLE, icmp.SOURCE_QUENCH, icmp.TIME_EXCEEDED, icmp.PARAMETER_PROBLEM):
        table[number] = ERROR
    for number in (icmp.UNREACHABLE6, icmp.PACKET_TOO_BIG6, icmp.TIME_EXCEEDED6, icmp.PARAMETER_PROBLEM6):
        table[256 + number] = ERROR
    table[icmp.ECHO_REQUEST] = table[icmp.TIMESTAMP_REQUEST] = table[256 + icmp.ECHO_REQUEST6] = REQUEST
    table[icmp.ECHO_REPLY] = table[icmp.TIMESTAMP_REPLY] = table[256 + icmp.ECHO_REPLY6] = ANSWER
    return bytes(table)
