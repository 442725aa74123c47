"""Addresses as text and as two 64-bit words in host order, IPv4 mapped into ::ffff:0:0/96."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

from . import bits


def words(address: str | IPv4Address | IPv6Address) -> tuple[int, int]:
    """(high, low) of an address. "192.0.2.1" is (0, 0xffff_c000_0201)."""
    parsed = ip_address(address) if isinstance(address, str) else address
    if parsed.version == 4:
        return 0, bits.V4_MAPPED | int(parsed)
    return int(parsed) >> 64, int(parsed) & bits.M64


def is_v4(high: int, low: int) -> bool:
    return high == 0 and low >> 32 == bits.V4_MAPPED >> 32


@lru_cache(maxsize=4096)  # a listing of flows names the same hosts again and again
def text(high: int, low: int) -> str:
    if is_v4(high, low):
        return f"{low >> 24 & 0xFF}.{low >> 16 & 0xFF}.{low >> 8 & 0xFF}.{low & 0xFF}"
    return str(IPv6Address(high << 64 | low))


def endpoint(high: int, low: int, port: int) -> str:
    """ "192.0.2.1:80", "[2001:db8::1]:80". """
    address = text(high, low)
    return f"{address}:{port}" if is_v4(high, low) else f"[{address}]:{port}"
