"""Gateway, this project's own kind: the two sides, the egress addresses, and how translation behaves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, PlainValidator, model_validator

from ..fields import (
    Address,
    CaptureField,
    CidrOrAddressField,
    Duration,
    InterfaceField,
    OwnAddressField,
    PortPair,
    PortRangeField,
    UnicastField,
    address,
    said,
    unicast_or_link,
)
from ..schema import Problem, Resource, Section

Driver = Literal["tun", "packet", "xdp", "memory"]
ScopeName = Literal["EndpointIndependent", "AddressDependent", "AddressAndPortDependent"]
SECOND = 1_000_000_000
MINUTE = 60 * SECOND
SMALLEST_MSS, LARGEST_MSS = 48, 65_495
MOST_FLOWS = 0xFFFFFF  # nat.bounds.ROW_LIMIT: what an index entry can name

# Shorter than a requirement allows: accepted, since a lab may want to see it happen.
SHORT = {
    "tcp_established": ("tcpEstablished", 7440 * SECOND, "2h4m", "RFC 5382 REQ-5"),
    "tcp_transitory": ("tcpTransitory", 4 * MINUTE, "4m", "RFC 5382 REQ-5"),
    "tcp_opening": ("tcpOpening", 4 * MINUTE, "4m", "RFC 5382 REQ-5"),
    "tcp_closing": ("tcpClosing", 4 * MINUTE, "4m", "RFC 5382 REQ-5"),
    "tcp_inbound_syn": ("tcpInboundSyn", 6 * SECOND, "6s", "RFC 5382 REQ-4"),
    "udp": ("udp", 2 * MINUTE, "2m", "RFC 4787 REQ-5"),
    "icmp": ("icmp", MINUTE, "60s", "RFC 5508 REQ-2"),
}


def mss(value: Any) -> str | int:
    if value in ("Auto", "Off"):
        return str(value)
    if isinstance(value, int) and not isinstance(value, bool) and SMALLEST_MSS <= value <= LARGEST_MSS:
        return value
    raise ValueError(f"must be Auto, Off or a number of bytes from {SMALLEST_MSS} to {LARGEST_MSS}, not {said(value)}; "
                     "write Auto to follow the smaller MTU")


def next_hops(value: Any) -> tuple[Address, ...]:
    """An address, or a list with one for each family."""
    found = tuple(unicast_or_link(address(one)) for one in (value if isinstance(value, list) else [value]))
    if len({one.version for one in found}) != len(found):
        raise ValueError("has two addresses of one family; keep one for IPv4 and one for IPv6")
    return found


class Side(Section):
    TUN_NAME: ClassVar[str]

    interface: InterfaceField | None = None  # None with driver memory only
    mtu: int = Field(default=1500, ge=68, le=65_535)
    addresses: list[OwnAddressField] = []

    @model_validator(mode="before")
    @classmethod
    def with_interface(cls, data: Any) -> Any:
        """A TUN is made here, so that its name may be left out."""
        if isinstance(data, dict) and data.get("driver", cls.model_fields["driver"].default) == "tun":
            return {"interface": cls.TUN_NAME} | {key: value for key, value in data.items() if value is not None}
        return data


class InsideSide(Side):
    TUN_NAME: ClassVar[str] = "gw-inside"

    driver: Driver = "tun"
    capture: list[CaptureField] = []


class OutsideSide(Side):
    TUN_NAME: ClassVar[str] = "gw-outside"

    driver: Driver = "packet"
    next_hop: Annotated[tuple[Address, ...], PlainValidator(next_hops)] = ()


class PerTransport(Section):
    tcp: ScopeName = "AddressAndPortDependent"


class Mapping(PerTransport):
    udp: ScopeName = "EndpointIndependent"


class Filtering(PerTransport):
    udp: ScopeName = "AddressAndPortDependent"


class Nat(Section):
    port_range: PortRangeField = (1024, 65_535)
    mapping: Mapping = Mapping()
    filtering: Filtering = Filtering()
    port_preservation: bool = True
    hairpinning: bool = True
    on_exhaustion: Literal["Reject", "Drop"] = "Reject"
    midstream: Literal["Drop", "Reset", "Adopt"] = "Drop"
    mss_clamping: Annotated[str | int, PlainValidator(mss)] = "Auto"
    inbound_refresh: bool = False
    no_translate: list[CidrOrAddressField] = []

    @property
    def given_range(self) -> PortPair | None:
        """portRange where it was written: only then does it hold for well-known ports too."""
        return self.port_range if "port_range" in self.model_fields_set else None


class Timeouts(Section):
    """Nanoseconds."""

    tcp_established: Duration = 7440 * SECOND
    tcp_transitory: Duration = 4 * MINUTE
    tcp_opening: Duration | None = None
    tcp_closing: Duration | None = None
    tcp_inbound_syn: Duration = 6 * SECOND
    udp: Duration = 5 * MINUTE
    icmp: Duration = MINUTE
    other: Duration = 10 * MINUTE
    fragment: Duration = 15 * SECOND


class Limits(Section):
    flows: int = Field(default=262_144, ge=1, le=MOST_FLOWS)
    flows_per_source: int = Field(default=0, ge=0, le=MOST_FLOWS)
    ports_per_source: int = Field(default=0, ge=0, le=65_536)
    new_flows_per_second_per_source: int = Field(default=0, ge=0, le=1_000_000_000)
    fragments_held: int = Field(default=1024, ge=0, le=1_000_000)
    icmp_errors_per_second: int = Field(default=1000, ge=0, le=1_000_000)


class Records(Section):
    """remote: events name remote endpoints.  file: events are appended there, as JSON lines."""

    remote: bool = False
    file: str | None = Field(default=None, min_length=1)


class GatewaySpec(Section):
    inside: InsideSide = InsideSide()
    outside: OutsideSide = OutsideSide()
    addresses: list[UnicastField] = []
    nat: Nat = Nat()
    timeouts: Timeouts = Timeouts()
    limits: Limits = Limits()
    records: Records = Records()
    workers: int = Field(default=0, ge=0, le=64)  # threads that translate; 0: the event loop does


class Gateway(Resource):
    KIND: ClassVar[str] = "Gateway"
    VERSIONS: ClassVar[tuple[str, ...]] = ("gateway/v1",)

    spec: GatewaySpec = GatewaySpec()

    @property
    def interfaces(self) -> tuple[str, str]:
        """The names of the inside and outside device; empty where there is none."""
        return self.spec.inside.interface or "", self.spec.outside.interface or ""

    def problems(self) -> Iterator[Problem]:
        yield from self.worker_problems()
        yield from self.interface_problems()
        yield from self.address_problems()

    def worker_problems(self) -> Iterator[Problem]:
        for side in ("inside", "outside"):
            if self.spec.workers > 1 and getattr(self.spec, side).driver == "xdp":
                yield Problem(("spec", "workers"), f"{self.spec.workers} cannot share the one queue that driver xdp "
                                                   f"reads {side}; write 1, or use driver packet")
        if self.spec.limits.flows < self.spec.workers:
            yield Problem(("spec", "limits", "flows"), f"{self.spec.limits.flows} flows are not enough for "
                                                       f"{self.spec.workers} workers; write at least one for each")
        # Each has its part; whoever sorts fragments has one for that too.
        for field, name, least in (("fragments_held", "fragmentsHeld", self.spec.workers + 1),
                                   ("icmp_errors_per_second", "icmpErrorsPerSecond", self.spec.workers)):
            if self.spec.workers > 1 and 0 < getattr(self.spec.limits, field) < least:
                yield Problem(("spec", "limits", name), f"is too little for {self.spec.workers} workers, each of which "
                                                        f"has its part; write at least {least}, or 0 for none")

    def interface_problems(self) -> Iterator[Problem]:
        for side, name in zip(("inside", "outside"), self.interfaces, strict=True):
            driver = getattr(self.spec, side).driver
            if not name and driver != "memory":
                yield Problem(("spec", side, "interface"), f"is required with driver {driver}; add the interface's "
                                                           "name, such as eth0")
        driver = self.spec.inside.driver
        if driver in ("packet", "xdp"):
            for index, one in enumerate(self.spec.inside.capture):
                if isinstance(one, str) and one != self.spec.inside.interface:
                    yield Problem(("spec", "inside", "capture", index), f"{one}: with driver {driver} only what comes "
                                  "in by inside.interface can be captured; name the pods' CIDRs, or use driver tun")
        inside, outside = self.interfaces
        if inside and inside == outside:
            yield Problem(("spec", "outside", "interface"), f"{outside} is the inside interface too; name another one")

    def address_problems(self) -> Iterator[Problem]:
        seen: set[Address] = set()
        for index, one in enumerate(self.spec.addresses):
            if one in seen:
                yield Problem(("spec", "addresses", index), f"{one} is here twice; remove one of the two")
            seen.add(one)
        for side in ("inside", "outside"):
            own = [interface.ip for interface in getattr(self.spec, side).addresses]
            for index, one in enumerate(own):
                if one in own[:index]:
                    yield Problem(("spec", side, "addresses", index), f"{one} is here twice; remove one of the two")

    def remarks(self) -> Iterator[Problem]:
        for name, (field, least, written, source) in SHORT.items():
            value = getattr(self.spec.timeouts, name)
            if value is not None and value < least:
                yield Problem(("spec", "timeouts", field), f"is shorter than {written}, the least that {source} allows")
