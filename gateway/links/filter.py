"""The socket filter of a packet link, classic BPF: what never reaches the gateway costs it no system call.

Let through: IPv4 and IPv6 frames, untagged, not overheard (promiscuous mode), not sent by this host; given
prefixes, only those whose destination lies in one of them. A VLAN's frames show up on the parent interface with
the tag stripped, so without the test they would pass for the parent's own.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable
from ctypes import addressof, create_string_buffer
from ipaddress import IPv4Network, IPv6Network, ip_network

SO_ATTACH_FILTER = 26
LOAD_WORD, LOAD_HALF, JUMP, JUMP_EQUAL, AND, RETURN = 0x20, 0x28, 0x05, 0x15, 0x54, 0x06
ANCILLARY = 0xFFFFF000
PACKET_TYPE, VLAN_TAG_PRESENT = ANCILLARY + 4, ANCILLARY + 48
PACKET_OTHERHOST, PACKET_OUTGOING = 3, 4
ETHERTYPE, DESTINATION_V4, DESTINATION_V6 = 12, 14 + 16, 14 + 24
PREFIXES_MAX = 256  # beyond this the filter would cost more than it saves: everything is let through
ACCEPT, REJECT = (RETURN, 0, 0, 0xFFFFFFFF), (RETURN, 0, 0, 0)

Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, operand


def attach(to: socket.socket, destinations: Iterable[str] | None = None) -> None:
    """Install the filter; it replaces an older one at once."""
    install(to, socket.SOL_SOCKET, SO_ATTACH_FILTER, build(destinations))


def shut(to: socket.socket) -> None:
    """Let nothing in, until another filter is attached."""
    install(to, socket.SOL_SOCKET, SO_ATTACH_FILTER, [REJECT])


def install(to: socket.socket, level: int, option: int, program: Iterable[Instruction]) -> None:
    """Hand a program to the kernel, as the option that takes it."""
    code = b"".join(struct.pack("HBBI", *instruction) for instruction in program)
    buffer = create_string_buffer(code, len(code))
    to.setsockopt(level, option, struct.pack("HL", len(code) // 8, addressof(buffer)))


def build(destinations: Iterable[str] | None = None) -> list[Instruction]:
    networks = None if destinations is None else [ip_network(text, strict=False) for text in destinations]
    if networks is not None and len(networks) > PREFIXES_MAX:
        networks = None
    four = _family([each for each in networks if each.version == 4]) if networks is not None else [ACCEPT]
    six = _family([each for each in networks if each.version == 6]) if networks is not None else [ACCEPT]
    return [
        (LOAD_WORD, 0, 0, PACKET_TYPE), (JUMP_EQUAL, 0, 1, PACKET_OTHERHOST), REJECT,
        (JUMP_EQUAL, 0, 1, PACKET_OUTGOING), REJECT,
        (LOAD_WORD, 0, 0, VLAN_TAG_PRESENT), (JUMP_EQUAL, 1, 0, 0), REJECT,
        (LOAD_HALF, 0, 0, ETHERTYPE), (JUMP_EQUAL, 0, 1, 0x0800), (JUMP, 0, 0, 3),
        (JUMP_EQUAL, 1, 0, 0x86DD), REJECT, (JUMP, 0, 0, len(four)), *four, *six,
    ]


def _family(networks: list[IPv4Network | IPv6Network]) -> list[Instruction]:
    return [instruction for network in networks for instruction in _prefix(network)] + [REJECT]


def _prefix(network: IPv4Network | IPv6Network) -> list[Instruction]:
    """Accept if the destination lies in `network`, else fall out of the end."""
    words: list[tuple[int, int, int]] = []  # where, mask, value
    count, at = (1, DESTINATION_V4) if network.version == 4 else (4, DESTINATION_V6)
    for index in range(count):
        shift = 32 * (count - 1 - index)
        mask, value = (int(number) >> shift & 0xFFFFFFFF for number in (network.netmask, network.network_address))
        if mask:
            words.append((at + 4 * index, mask, value))
    code: list[Instruction] = []
    for index, (where, mask, value) in enumerate(words):
        to_end = 3 * (len(words) - 1 - index) + 1
        code += [(LOAD_WORD, 0, 0, where), (AND, 0, 0, mask), (JUMP_EQUAL, 0, to_end, value)]
    return [*code, ACCEPT]
