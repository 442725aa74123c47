"""The types of single fields: text that the operator wrote, parsed into what the gateway uses.

Every parser raises ValueError with a sentence that says what is wrong and what to write instead.
"""

from __future__ import annotations

import re
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    ip_address,
    ip_interface,
    ip_network,
)
from typing import Annotated, Any

from pydantic import PlainValidator

from .selector import Selector, SelectorError, parse

NANOSECONDS = {"ns": 1, "us": 1_000, "µs": 1_000, "μs": 1_000, "ms": 1_000_000, "s": 1_000_000_000,
               "m": 60_000_000_000, "h": 3_600_000_000_000}
DURATION = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
LONGEST = 2**62  # nanoseconds, 146 years: sums with the clock stay in 63 bits
PORTS = re.compile(r"([0-9]{1,5})(?:[-:]([0-9]{1,5}))?", re.ASCII)
INTERFACE = re.compile(r"[^\s/:%]+")
LONGEST_NAME = 15  # bytes: IFNAMSIZ less the closing zero
FILTER = re.compile(r"[A-Za-z0-9:._+-]{1,15}")
QUOTED = 80  # characters of what was written that a message repeats
NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address
Interface = IPv4Interface | IPv6Interface
PortPair = tuple[int, int]


def text(value: Any, example: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"must be text, not {said(value)}; write {example}")
    return value


def said(value: Any) -> str:
    """A value as people call it."""
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, str):
        return f"the text {shortened(value)!r}"
    return f"the number {value}" if isinstance(value, int | float) else f"a {type(value).__name__}"


def shortened(written: str) -> str:
    """A mistake is a line for people: a certificate pasted into the wrong field is not quoted in full."""
    return written if len(written) <= QUOTED else written[:QUOTED - 1] + "…"


def duration(value: Any) -> int:
    """Go's notation to nanoseconds: "2h4m" is 7,440,000,000,000. Zero and below are refused."""
    written = text(value, "a duration such as 90s, 5m or 2h4m")
    total, end = 0.0, 0
    exact, short = 0, shortened(written)
    for found in DURATION.finditer(written):
        if found.start() != end:
            break
        end = found.end()
        number, unit = found[1], NANOSECONDS[found[2]]
        exact += int(number) * unit if number.isdigit() else 0
        total += 0 if number.isdigit() else float(number) * unit
    if written != "0" and (not written or end != len(written)):
        raise ValueError(f"{short!r} is no duration{signed(written)}; write numbers with units, such as 90s or 2h4m")
    if not (total <= LONGEST and 0 < exact + int(total) <= LONGEST):  # total is infinite for hundreds of digits
        raise ValueError(f"{short!r} must be more than zero and at most 146 years; write for example 5m")
    return exact + int(total)


def signed(written: str) -> str:
    return ": it cannot be negative" if written.startswith("-") else ""


def address(value: Any) -> Address:
    written = text(value, 'an address such as "198.51.100.10"')
    if "/" in written:
        raise ValueError(f"{written!r} must be one address, without /; write {written.partition('/')[0]}")
    return plain(written)


def plain(written: str, example: str = "198.51.100.10") -> Address:
    """One address. No zone (fe80::1%eth0), and no IPv4 in IPv6 clothes: each address has one way of writing."""
    try:
        parsed = ip_address(written)
    except ValueError:
        raise ValueError(f"{shortened(written)!r} is no IPv4 or IPv6 address; write for example {example}") from None
    if isinstance(parsed, IPv6Address) and (parsed.scope_id or parsed.ipv4_mapped):
        instead = parsed.ipv4_mapped or written.partition("%")[0]
        raise ValueError(f"{written!r} must be a plain address; write {instead}")
    return parsed


def unicast(value: Any) -> Address:
    """An address that can stand in a packet beyond one link."""
    found = address(value)
    word = scope(found)
    if word:
        raise ValueError(f"{found} is {word}; give an address that others can answer to, such as 198.51.100.10")
    return found


def scope(found: Address) -> str:
    if found.is_unspecified or (found.version == 4 and int(found) >> 24 == 0):
        return "unspecified"
    if found.is_multicast:
        return "multicast"
    if found.is_loopback:
        return "loopback"
    if found.is_link_local:
        return "link-local"
    return "reserved" if found.version == 4 and int(found) >> 28 == 0xF else ""


def own_address(value: Any) -> Interface:
    """An address with or without the length of its network: 10.0.0.1/16."""
    written = text(value, 'an address such as "10.0.0.1/16"')
    host, _, length = written.partition("/")
    found = unicast_or_link(plain(host))
    if "/" in written and not (length.isascii() and length.isdigit() and int(length) <= found.max_prefixlen):
        raise ValueError(f"{written!r} has no valid prefix length; write for example {host}/{found.max_prefixlen // 2}")
    return ip_interface(written)


def unicast_or_link(found: Address) -> Address:
    word = scope(found)
    if word not in ("", "link-local"):
        raise ValueError(f"{found} is {word}; give an address of the gateway's own, such as 10.0.0.1/16")
    return found


def cidr(value: Any) -> Network:
    """A strictly masked CIDR."""
    written = text(value, 'a CIDR such as "192.168.0.0/16"')
    host, slash, length = written.partition("/")
    base = plain(host, "192.168.0.0/16")
    if not slash:
        raise ValueError(f"{written!r} is no CIDR: the prefix length is missing; write {host}/{base.max_prefixlen}")
    if not (length.isascii() and length.isdigit() and int(length) <= base.max_prefixlen):
        raise ValueError(f"{written!r} is no CIDR: the length must be a number from 0 to {base.max_prefixlen}; "
                         f"write for example {host}/{base.max_prefixlen - 8}")
    masked = ip_network(f"{host}/{int(length)}", strict=False)
    if masked.network_address != base:
        raise ValueError(f"{written!r} has host bits set below its mask; write {masked}")
    return masked


def cidr_or_address(value: Any) -> Network:
    """A strictly masked CIDR, or one address, which stands for itself alone."""
    written = text(value, 'a CIDR such as "10.0.0.0/8"')
    return cidr(written) if "/" in written else ip_network(plain(written))


def interface(value: Any) -> str:
    written = text(value, "an interface name such as eth0")
    if not INTERFACE.fullmatch(written) or len(written.encode()) > LONGEST_NAME or written in (".", ".."):
        raise ValueError(f"{written!r} is no interface name; write 1 to 15 bytes without spaces, /, : or %")
    return written


def interface_filter(value: Any) -> str:
    written = text(value, "an interface name, with + at the end as a wildcard, such as eth+")
    if written and not FILTER.fullmatch(written):
        raise ValueError(f"{written!r} is no interface name; write at most 15 letters, digits and :._-, "
                         "with + at the end as a wildcard, such as eth+")
    return written


def captured(value: Any) -> Network | str:
    """A CIDR, or the name of an interface."""
    written = text(value, "a CIDR or an interface name")
    looks_like_address = "/" in written or ":" in written or re.fullmatch(r"[0-9.]+", written)
    return cidr_or_address(written) if looks_like_address else interface(written)


def port_range(value: Any) -> PortPair:
    """ "1024-65535" """
    written = text(value, 'a range in quotes, such as "1024-65535"')
    return ports(written, "-")


def felix_port_range(value: Any) -> PortPair:
    """Calico's: "32768:65535", or one port as text or number."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return ports(text(value, 'a range such as "32768:65535"'), ":")


def ports(written: str, sign: str) -> PortPair:
    found = PORTS.fullmatch(written)
    example = f"1024{sign}65535"
    if not found or (found[2] and sign not in written) or (sign == "-" and not found[2]):
        raise ValueError(f"{written!r} is no port range; write the lowest and the highest port, such as {example}")
    low, high = int(found[1]), int(found[2] or found[1])
    if max(low, high) > 65535:
        lowest = low if low <= 65535 else 1024
        raise ValueError(f"{written!r} goes beyond the last port, 65535; write for example {lowest}{sign}65535")
    if low > high:
        raise ValueError(f"{written!r} is turned round: {low} is above {high}; write {high}{sign}{low}")
    if high == 0:
        raise ValueError(f"{written!r} holds no port that can be used; write for example {example}")
    return low, high


def selector(value: Any) -> Selector:
    try:
        return parse(text(value, "a selector such as all() or has(rack)"))
    except SelectorError as error:
        raise ValueError(f"is no selector: {error}; write for example rack == 'r1' && has(zone)") from None


def object_name(value: Any) -> str:
    written = text(value, "a name such as default-ipv4-ippool")
    if not NAME.fullmatch(written) or len(written) > 253:
        raise ValueError(f"{written!r} is no name; write at most 253 lower-case letters, digits, - and ., "
                         "with a letter or digit first and last")
    return written


Duration = Annotated[int, PlainValidator(duration)]
AddressField = Annotated[Address, PlainValidator(address)]
UnicastField = Annotated[Address, PlainValidator(unicast)]
OwnAddressField = Annotated[Interface, PlainValidator(own_address)]
CidrField = Annotated[Network, PlainValidator(cidr)]
CidrOrAddressField = Annotated[Network, PlainValidator(cidr_or_address)]
InterfaceField = Annotated[str, PlainValidator(interface)]
InterfaceFilterField = Annotated[str, PlainValidator(interface_filter)]
CaptureField = Annotated[Network | str, PlainValidator(captured)]
PortRangeField = Annotated[PortPair, PlainValidator(port_range)]
FelixPortRangeField = Annotated[PortPair, PlainValidator(felix_port_range)]
SelectorField = Annotated[Selector, PlainValidator(selector)]
NameField = Annotated[str, PlainValidator(object_name)]
