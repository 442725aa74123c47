"""The programs that links attach to interfaces, as eBPF instructions: which frames the gateway takes from the host.

Taken are IP packets, untagged, sent to the interface's own MAC address, that a rule says are the gateway's. All else,
ARP and neighbour discovery first, passes. In the driver (XDP) what is taken goes to the link's socket; at tc ingress,
where a packet socket has its copy already, it is dropped.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network

LOAD_8, LOAD_16, LOAD_32, LOAD_IMMEDIATE = 0x71, 0x69, 0x61, 0x18
COPY, SET, ADD, AND_32, CALL, EXIT = 0xBF, 0xB7, 0x07, 0x54, 0x85, 0x95
JUMP, JUMP_ABOVE, JUMP_EQUAL, JUMP_UNEQUAL, JUMP_BELOW_IMMEDIATE, JUMP_ABOVE_IMMEDIATE = (
    0x05, 0x2D, 0x16, 0x56, 0xA6, 0x26)
QUEUE = 16  # of struct xdp_md
TAGGED = 20  # of struct __sk_buff: whether there was a VLAN tag
MAP_BY_FD = 1
REDIRECT_MAP, DROP = 51, 2
NONE, FRAME, END, SCRATCH, CONTEXT = 0, 2, 3, 4, 6  # registers
ETHERTYPE, IPV4, IPV6 = 12, 14 + 20, 14 + 40
NEXT_HEADER, ICMP_TYPE, ICMPV6 = 14 + 6, 14 + 40, 58
SOURCES, DESTINATIONS = {4: 26, 6: 22}, {4: 30, 6: 38}
DISCOVERY = 133, 137

Rule = tuple[bool, str, bool]  # whether the source counts, not the destination; its network; whether it is taken
Line = tuple[int, int, int, str | int, int]  # operation, register, register, label or offset, operand


@dataclass(frozen=True)
class Hook:
    """data, end: where its context has the frame's first byte and the end.  passes: the verdict that lets it pass."""

    data: int
    end: int
    passes: int

    @property
    def let_pass(self) -> list[Line | str]:
        return [(SET, 0, 0, 0, self.passes), (EXIT, 0, 0, 0, 0)]


XDP, TC = Hook(0, 4, 2), Hook(76, 80, -1)


def build(rules: Iterable[Rule], mac: bytes, sockets: int) -> bytes:
    """For XDP: what is taken goes to the socket of its queue. sockets: the map's descriptor."""
    return _build(XDP, rules, mac, [], [
        (LOAD_IMMEDIATE, 1, MAP_BY_FD, 0, sockets), (NONE, 0, 0, 0, 0),
        (LOAD_32, 2, CONTEXT, QUEUE, 0), (SET, 3, 0, 0, XDP.passes), (CALL, 0, 0, 0, REDIRECT_MAP), (EXIT, 0, 0, 0, 0)])


def build_drop(rules: Iterable[Rule], mac: bytes) -> bytes:
    """For tc ingress: what is taken is dropped."""
    return _build(TC, rules, mac, [(LOAD_32, SCRATCH, CONTEXT, TAGGED, 0), (JUMP_UNEQUAL, SCRATCH, 0, "pass", 0)],
                  [(SET, 0, 0, 0, DROP), (EXIT, 0, 0, 0, 0)])


def _build(hook: Hook, rules: Iterable[Rule], mac: bytes, first: list[Line], take: list[Line]) -> bytes:
    """The first rule that matches decides; without any, the frame passes."""
    parsed = [(source, ip_network(text, strict=False), taken) for source, text, taken in rules]
    if not any(taken for _, _, taken in parsed):
        return _assemble(hook.let_pass)
    lines: list[Line | str] = [
        (COPY, CONTEXT, 1, 0, 0), *first,
        (LOAD_32, FRAME, CONTEXT, hook.data, 0), (LOAD_32, END, CONTEXT, hook.end, 0), *_needs(14),
        (LOAD_32, SCRATCH, FRAME, 0, 0), (JUMP_UNEQUAL, SCRATCH, 0, "pass", _signed(mac[:4])),
        (LOAD_16, SCRATCH, FRAME, 4, 0), (JUMP_UNEQUAL, SCRATCH, 0, "pass", _signed(mac[4:])),
        (LOAD_16, SCRATCH, FRAME, ETHERTYPE, 0),
        (JUMP_EQUAL, SCRATCH, 0, "v4", _signed(b"\x08\x00")), (JUMP_EQUAL, SCRATCH, 0, "v6", _signed(b"\x86\xdd")),
        (JUMP, 0, 0, "pass", 0),
        "v4", *_needs(IPV4), *_family(parsed, 4),
        "v6", *_needs(IPV6), *_discovery(), *_family(parsed, 6),
        "take", *take,
        "pass", *hook.let_pass,
    ]
    return _assemble(lines)


def _needs(size: int) -> list[Line]:
    """A frame shorter than this passes."""
    return [(COPY, SCRATCH, FRAME, 0, 0), (ADD, SCRATCH, 0, 0, size), (JUMP_ABOVE, SCRATCH, END, "pass", 0)]


def _discovery() -> list[Line | str]:
    """Neighbour discovery by unicast confirms neighbours: the host's, whatever it is about."""
    first, last = DISCOVERY
    return [(LOAD_8, SCRATCH, FRAME, NEXT_HEADER, 0), (JUMP_UNEQUAL, SCRATCH, 0, "rules6", ICMPV6),
            *_needs(ICMP_TYPE + 1), (LOAD_8, SCRATCH, FRAME, ICMP_TYPE, 0),
            (JUMP_BELOW_IMMEDIATE, SCRATCH, 0, "rules6", first), (JUMP_ABOVE_IMMEDIATE, SCRATCH, 0, "rules6", last),
            (JUMP, 0, 0, "pass", 0), "rules6"]


def _family(rules: list[tuple[bool, IPv4Network | IPv6Network, bool]], version: int) -> list[Line | str]:
    """The verifier refuses lines that cannot be reached: none after a rule for everything."""
    lines: list[Line | str] = []
    for number, (source, network, taken) in enumerate(rules):
        if network.version == version:
            unless = f"after-{number}"
            lines += [*_within(network, (SOURCES if source else DESTINATIONS)[version], unless),
                      (JUMP, 0, 0, "take" if taken else "pass", 0), unless]
            if network.prefixlen == 0:
                return lines
    return [*lines, (JUMP, 0, 0, "pass", 0)]


def _within(network: IPv4Network | IPv6Network, at: int, unless: str) -> list[Line]:
    lines: list[Line] = []
    address, mask = network.network_address.packed, network.netmask.packed
    for word in range(0, len(mask), 4):
        if mask[word : word + 4] != bytes(4):
            lines += [(LOAD_32, SCRATCH, FRAME, at + word, 0), (AND_32, SCRATCH, 0, 0, _signed(mask[word : word + 4])),
                      (JUMP_UNEQUAL, SCRATCH, 0, unless, _signed(address[word : word + 4]))]
    return lines


def _assemble(lines: list[Line | str]) -> bytes:
    labels, code = {}, [line for line in lines if not isinstance(line, str)]
    at = 0
    for line in lines:
        if isinstance(line, str):
            labels[line] = at
        else:
            at += 1
    return b"".join(
        struct.pack("BBhi", operation, target | other << 4,
                    labels[offset] - index - 1 if isinstance(offset, str) else offset, operand)
        for index, (operation, target, other, offset, operand) in enumerate(code))


def _signed(data: bytes) -> int:
    """Bytes as the machine loads them, 16 or 32 bits, as an operand that is signed."""
    return int(struct.unpack("=i", data)[0]) if len(data) == 4 else int(struct.unpack("=H", data)[0])
