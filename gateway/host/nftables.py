"""The ingress drop: nftables tables of family netdev, written as netlink messages in one transaction.

The packet socket has its copy of a frame before ingress hooks run; what is dropped here, the host's own stack
never routes a second time, and never answers with a reset or port unreachable. The nft program is not needed.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network

NETLINK_NETFILTER = 12
NFPROTO_NETDEV = 5
SUBSYSTEM = 10 << 8
BEGIN, END = 0x10, 0x11
NEW_TABLE, DELETE_TABLE, NEW_CHAIN, NEW_RULE = SUBSYSTEM, SUBSYSTEM | 2, SUBSYSTEM | 3, SUBSYSTEM | 6
REQUEST, ACKNOWLEDGE, CREATE, APPEND = 0x1, 0x4, 0x400, 0x800
NESTED = 0x8000
LAST = 1000  # priority of the chains: after every other user of the hook
LINK, NETWORK, TRANSPORT = 0, 1, 2  # payload bases
META_PROTOCOL, META_L4PROTO = 1, 16
DROP, ACCEPT = 0, 1

Network = IPv4Network | IPv6Network


@dataclass(frozen=True)
class Rule:
    """Matches, all of which must hold, then a verdict: DROP or ACCEPT."""

    matches: tuple[bytes, ...]
    verdict: int


@dataclass(frozen=True)
class Chain:
    """What happens to frames that come in by `interface`; those no rule decides about are accepted."""

    interface: str
    rules: list[Rule] = field(default_factory=list)


def network(address: Network, source: bool = False) -> tuple[bytes, ...]:
    """The packet's destination (or source) lies in `address`."""
    size, offset = (4, 12 if source else 16) if address.version == 4 else (16, 8 if source else 24)
    masked = [] if address.prefixlen == 8 * size else [_expression("bitwise", _number(1, 1) + _number(2, 1) + _number(
        3, size) + _value(4, address.netmask.packed) + _value(5, bytes(size)))]
    return (*family(address.version), _payload(NETWORK, offset, size), *masked, _equal(address.network_address.packed))


def family(version: int) -> tuple[bytes, ...]:
    return (_expression("meta", _number(1, 1) + _number(2, META_PROTOCOL)),
            _equal(b"\x08\x00" if version == 4 else b"\x86\xdd"))


def protocol(number: int) -> tuple[bytes, ...]:
    return _expression("meta", _number(1, 1) + _number(2, META_L4PROTO)), _equal(bytes([number]))


def destination_port(first: int, last: int) -> tuple[bytes, ...]:
    return _payload(TRANSPORT, 2, 2), _between(first.to_bytes(2, "big"), last.to_bytes(2, "big"))


def neighbour_discovery() -> tuple[bytes, ...]:
    return *family(6), *protocol(58), _payload(TRANSPORT, 0, 1), _between(bytes([133]), bytes([137]))


def tagged(kind: int) -> tuple[bytes, ...]:
    """A VLAN's frame, on its way to the VLAN's own interface."""
    return _payload(LINK, 12, 2), _equal(kind.to_bytes(2, "big"))


def install(table: str, chains: list[Chain]) -> None:
    """Make the table, or replace it by this one, in one transaction. Raises OSError."""
    name = _text(1, table)
    messages = [(NEW_TABLE, CREATE, name), (DELETE_TABLE, 0, name), (NEW_TABLE, CREATE, name)]
    for number, chain in enumerate(chains):
        called = f"ingress-{number}"
        hook = _number(1, 0) + _number(2, LAST) + _text(3, chain.interface)
        messages.append((NEW_CHAIN, CREATE, _text(1, table) + _text(3, called) + _attribute(4 | NESTED, hook)
                         + _number(5, ACCEPT) + _text(7, "filter")))
        for rule in chain.rules:
            parts = (*rule.matches, _expression("counter", b""), _verdict(rule.verdict))
            expressions = b"".join(_attribute(1 | NESTED, part) for part in parts)
            messages.append((NEW_RULE, CREATE | APPEND, _text(1, table) + _text(2, called)
                             + _attribute(4 | NESTED, expressions)))
    _transact(messages)


def remove(table: str) -> None:
    """Delete the table and all in it. Raises OSError, ENOENT if there is none."""
    _transact([(DELETE_TABLE, 0, _text(1, table))])


def _transact(messages: list[tuple[int, int, bytes]]) -> None:
    batch = [_message(BEGIN, 0, 0, b"", resource=10)]
    batch += [_message(kind, flags | ACKNOWLEDGE, number, body)
              for number, (kind, flags, body) in enumerate(messages, 1)]
    batch.append(_message(END, 0, len(messages) + 1, b"", resource=10))
    try:
        opened = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_NETFILTER)
    except OSError as error:
        raise OSError(error.errno, "this kernel has no nf_tables: load the module nf_tables") from None
    with opened:
        opened.settimeout(5)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        opened.bind((0, 0))
        opened.sendto(b"".join(batch), (0, 0))
        _acknowledged(opened, len(messages))


def _acknowledged(opened: socket.socket, count: int) -> None:
    """Read the answers; raise the first error. All messages take effect or none."""
    seen = 0
    while seen < count:
        data, at = opened.recv(1 << 16), 0
        while at < len(data):
            length, kind, _, _, _ = struct.unpack_from("IHHII", data, at)
            if kind == 2:  # NLMSG_ERROR, 0 for "done"
                number = -struct.unpack_from("i", data, at + 16)[0]
                if number:
                    raise OSError(number, _explain(number))
                seen += 1
            at += (length + 3) & ~3


def _explain(number: int) -> str:
    if number in (errno.EOPNOTSUPP, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT):
        return "this kernel's nf_tables has no netdev family (CONFIG_NF_TABLES_NETDEV)"
    return os.strerror(number)


def _message(kind: int, flags: int, sequence: int, body: bytes, resource: int = 0) -> bytes:
    body = struct.pack("!BBH", NFPROTO_NETDEV, 0, resource) + body
    return struct.pack("IHHII", 16 + len(body), kind, flags | REQUEST, sequence, 0) + body


def _attribute(kind: int, data: bytes) -> bytes:
    return struct.pack("HH", 4 + len(data), kind) + data + bytes(-len(data) % 4)


def _text(kind: int, text: str) -> bytes:
    return _attribute(kind, text.encode() + b"\0")


def _number(kind: int, value: int) -> bytes:
    return _attribute(kind, struct.pack("!I", value))


def _value(kind: int, data: bytes) -> bytes:
    return _attribute(kind | NESTED, _attribute(1, data))


def _expression(name: str, data: bytes) -> bytes:
    return _text(1, name) + _attribute(2 | NESTED, data)


def _payload(base: int, offset: int, size: int) -> bytes:
    """Load bytes of the packet into register 1."""
    return _expression("payload", _number(1, 1) + _number(2, base) + _number(3, offset) + _number(4, size))


def _equal(data: bytes) -> bytes:
    return _expression("cmp", _number(1, 1) + _number(2, 0) + _value(3, data))


def _between(first: bytes, last: bytes) -> bytes:
    return _expression("range", _number(1, 1) + _number(2, 0) + _value(3, first) + _value(4, last))


def _verdict(code: int) -> bytes:
    inner = _attribute(2 | NESTED, _number(1, code))
    return _expression("immediate", _number(1, 0) + _attribute(2 | NESTED, inner))
