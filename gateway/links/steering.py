"""Which worker's queue the kernel puts a frame into, as classic BPF: the answer is the queue's number.

It says what `nat.shares` says, of most packets: what comes from inside belongs to the owner of its source, what comes
for an egress address to the owner of the port, anything else to the owner of its destination. Of what is less common
(fragments, IPv4 options, IPv6 extension headers, ICMP errors) it says 0: the workers hand it over among themselves, as
they do with everything where there is no such program. Offsets count from the IP header.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address

LOAD_WORD, LOAD_HALF, LOAD_BYTE, TO_X, RETURN, RETURN_A = 0x20, 0x28, 0x30, 0x07, 0x06, 0x16
MULTIPLY, MODULO, XOR, XOR_X, SHIFT_RIGHT, AND = 0x24, 0x94, 0xA4, 0xAC, 0x74, 0x54
JUMP, JUMP_EQUAL, JUMP_AT_LEAST, JUMP_SET = 0x05, 0x15, 0x35, 0x45
CONDITIONAL = (JUMP_EQUAL, JUMP_AT_LEAST, JUMP_SET)
ICMP, TCP, UDP, DCCP, ICMPV6, UDPLITE = 1, 6, 17, 33, 58, 136
ECHO_REPLY, ECHO_REPLY6 = 0, 129
PLAIN, FRAGMENT, FRAGMENTED = 0x45, 6, 0x3FFF  # IPv4: version and length without options; where fragments say so
PROTOCOL, SOURCE, DESTINATION, TRANSPORT = {4: 9, 6: 6}, {4: 12, 6: 8}, {4: 16, 6: 24}, {4: 20, 6: 40}
IDENTIFIER = 4  # of ICMP, from its header
LOW_PORTS, LOW_BLOCK_BITS, BLOCK_BITS, OWNER_SHIFT = 1024, 4, 6, 16  # as in nat.bounds
V4_MAPPED = 0xFFFF
MASK = 0xFFFFFFFF
ADDRESSES_MAX = 200  # egress addresses compared; with more of them every destination counts as one

Line = tuple[int, int, int, int | str]  # code, jump if true, jump if false, operand or, of JUMP, a label
Instruction = tuple[int, int, int, int]
TO_WORKER_0: list[Line | str] = [(RETURN, 0, 0, 0)]


def inside(key: int, workers: int) -> list[Instruction]:
    """For frames from inside.  key: `nat.shares.Share`'s."""
    lines: list[Line | str] = [(LOAD_BYTE, 0, 0, 0), (SHIFT_RIGHT, 0, 0, 4),
                               (JUMP_EQUAL, 0, 1, 4), (JUMP, 0, 0, "v4"), (JUMP_EQUAL, 0, 1, 6), (JUMP, 0, 0, "v6"),
                               *TO_WORKER_0]
    for version in (4, 6):
        lines += [f"v{version}", *_ported(version), *TO_WORKER_0,
                  f"ported{version}", *_by_address(SOURCE[version], version, key, workers)]
    return assemble(lines)


def outside(key: int, workers: int, egress: Iterable[str]) -> list[Instruction]:
    """For frames from outside.  egress: the addresses whose ports are dealt out."""
    addresses = [ip_address(text) for text in egress]
    lines: list[Line | str] = [(LOAD_BYTE, 0, 0, 0), (JUMP_EQUAL, 0, 1, PLAIN), (JUMP, 0, 0, "v4"),
                               (SHIFT_RIGHT, 0, 0, 4), (JUMP_EQUAL, 0, 1, 6), (JUMP, 0, 0, "v6"), *TO_WORKER_0]
    for version in (4, 6):
        lines += [f"v{version}", *_ported(version), *TO_WORKER_0, f"ported{version}",
                  *_is_egress([one for one in addresses if one.version == version], version),
                  *_by_address(DESTINATION[version], version, key, workers),
                  f"egress{version}", *_by_port(version, workers)]
    return assemble(lines)


def _ported(version: int) -> list[Line | str]:
    """Go on at ported4 or ported6 with a protocol whose ports may be replaced."""
    lines: list[Line | str] = [(LOAD_BYTE, 0, 0, PROTOCOL[version])]
    for number in (TCP, UDP, ICMP if version == 4 else ICMPV6, UDPLITE, DCCP):
        lines += [(JUMP_EQUAL, 0, 1, number), (JUMP, 0, 0, f"ported{version}")]
    return lines


def _is_egress(addresses: Sequence[IPv4Address | IPv6Address], version: int) -> list[Line | str]:
    """Go on at egress4 or egress6 if the destination is one of them."""
    if len(addresses) > ADDRESSES_MAX:
        return [(JUMP, 0, 0, f"egress{version}")]
    lines: list[Line | str] = []
    for address in addresses:
        words = struct.unpack(f">{len(address.packed) // 4}I", address.packed)
        for index, word in enumerate(words):
            to_next = 2 * (len(words) - 1 - index) + 1
            lines += [(LOAD_WORD, 0, 0, DESTINATION[version] + 4 * index), (JUMP_EQUAL, 0, to_next, word)]
        lines += [(JUMP, 0, 0, f"egress{version}")]
    return lines


def _by_address(at: int, version: int, key: int, workers: int) -> list[Line | str]:
    """The owner of the address at an offset."""
    lines: list[Line | str] = [(LOAD_WORD, 0, 0, at)]
    if version == 4:
        lines += [(XOR, 0, 0, V4_MAPPED * key & MASK), (MULTIPLY, 0, 0, key)]
    else:
        lines += [(MULTIPLY, 0, 0, key)]
        for word in (4, 8, 12):
            lines += [(TO_X, 0, 0, 0), (LOAD_WORD, 0, 0, at + word), (XOR_X, 0, 0, 0), (MULTIPLY, 0, 0, key)]
    lines += [(TO_X, 0, 0, 0), (SHIFT_RIGHT, 0, 0, OWNER_SHIFT), (XOR_X, 0, 0, 0), (MULTIPLY, 0, 0, key)]
    return [*lines, (SHIFT_RIGHT, 0, 0, OWNER_SHIFT), (MODULO, 0, 0, workers), (RETURN_A, 0, 0, 0)]


def _by_port(version: int, workers: int) -> list[Line | str]:
    """The owner of the destination port, or of an echo reply's identifier."""
    transport, icmp, reply = TRANSPORT[version], *((ICMP, ECHO_REPLY) if version == 4 else (ICMPV6, ECHO_REPLY6))
    lines: list[Line | str] = []
    if version == 4:
        lines += [(LOAD_HALF, 0, 0, FRAGMENT), (JUMP_SET, 0, 1, FRAGMENTED), *TO_WORKER_0]
    return [*lines, (LOAD_BYTE, 0, 0, PROTOCOL[version]), (JUMP_EQUAL, 0, 5, icmp),
            (LOAD_BYTE, 0, 0, transport), (JUMP_EQUAL, 1, 0, reply), *TO_WORKER_0,
            (LOAD_HALF, 0, 0, transport + IDENTIFIER), (JUMP, 0, 0, f"port{version}"),
            (LOAD_HALF, 0, 0, transport + 2),
            f"port{version}", (JUMP_AT_LEAST, 2, 0, LOW_PORTS),
            (SHIFT_RIGHT, 0, 0, LOW_BLOCK_BITS), (JUMP, 0, 0, f"block{version}"),
            (SHIFT_RIGHT, 0, 0, BLOCK_BITS), f"block{version}", (MODULO, 0, 0, workers), (RETURN_A, 0, 0, 0)]


def assemble(lines: Sequence[Line | str]) -> list[Instruction]:
    """Labels become distances. A conditional jump reaches 255 instructions, an unconditional one all of them."""
    labels: dict[str, int] = {}
    code: list[Line] = []
    for line in lines:
        if isinstance(line, str):
            labels[line] = len(code)
        else:
            code.append(line)
    return [(operation, yes, no, labels[operand] - index - 1 if isinstance(operand, str) else operand)
            for index, (operation, yes, no, operand) in enumerate(code)]


def extended(program: Sequence[Instruction]) -> bytes:
    """The same as eBPF, for a TUN: A is register 0, X register 7. Both load from the packet by the same instruction,
    which ends the program with 0 where the packet is too short.
    """
    starts, at = [], 1
    for operation, _, no, _ in program:
        starts.append(at)
        at += 2 if operation == RETURN or (operation in CONDITIONAL and no) else 1
    code = [_ebpf(0xBF, 6, 1)]
    for index, (operation, yes, no, operand) in enumerate(program):
        if operation in CONDITIONAL:
            code.append(_ebpf(operation + 1, 0, 0, starts[index + 1 + yes] - len(code) - 1, operand))
            if no:
                code.append(_ebpf(JUMP, 0, 0, starts[index + 1 + no] - len(code) - 1))
        elif operation == JUMP:
            code.append(_ebpf(JUMP, 0, 0, starts[index + 1 + operand] - len(code) - 1))
        elif operation == TO_X:
            code.append(_ebpf(0xBC, 7, 0))
        elif operation == XOR_X:
            code.append(_ebpf(XOR_X, 0, 7))
        elif operation in (RETURN, RETURN_A):
            code += ([_ebpf(0xB4, 0, 0, 0, operand)] if operation == RETURN else []) + [_ebpf(0x95)]
        else:
            code.append(_ebpf(operation, 0, 0, 0, operand))
    return b"".join(code)


def _ebpf(operation: int, target: int = 0, source: int = 0, distance: int = 0, operand: int = 0) -> bytes:
    return struct.pack("<BBhI", operation, target | source << 4, distance, operand & MASK)
