"""Addresses that mean something by themselves (RFC 6890), whatever the operator wrote.

Documentation prefixes are not here: labs and examples use them. Neither is RFC 1918 space: it is a legitimate
outside of a lab. ::ffff:0:0/96 cannot be here: it is where IPv4 lives in 128 bits.
"""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network

from ..match.decision import BOGON, LINK_SCOPE, LOCAL_SCOPE, MULTICAST

RESERVED: tuple[tuple[IPv4Network | IPv6Network, int, str], ...] = tuple(
    (ip_network(cidr), flags, name) for cidr, flags, name in (
        ("0.0.0.0/8", BOGON, "this network"),
        ("127.0.0.0/8", BOGON, "loopback"),
        ("240.0.0.0/4", BOGON, "reserved and broadcast"),
        ("::/128", BOGON, "unspecified"),
        ("::1/128", BOGON, "loopback"),
        ("100::/64", BOGON, "discard-only"),
        ("224.0.0.0/4", MULTICAST, "multicast"),
        ("ff00::/8", MULTICAST, "multicast"),
        ("169.254.0.0/16", LINK_SCOPE, "link-local"),
        ("fe80::/10", LINK_SCOPE, "link-local"),
        ("fc00::/7", LOCAL_SCOPE, "unique local"),
    ))
