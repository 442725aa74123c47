"""What holds after every packet, whatever arrived: one translator watched while traffic goes through it.

- exactly one verdict is counted for each packet, and nothing raises;
- nothing leaves outside with an internal address in it, nor quotes one, unless it was decided not to translate;
- what is emitted belongs to a live flow, or is the gateway's own;
- checksums that were right are right, and wrong ones stay wrong;
- every row is found by both its tuples, and the table's counts are right.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from ipaddress import ip_address, ip_network
from typing import Any

from gateway import twin
from gateway.resources import load
from gateway.resources.build import build
from gateway.testing import strategies
from gateway.wire import address, ipv4, protocol, sides, vnet
from tests.nat.test_table_machine import assert_index_is_sound
from tests.seen import Seen, is_error, quoted, seen

from .poison import Poison
from .sums import header_is_right, is_fragment, transport_is_right
from .traffic import Arrival, Traffic

SMALL = {"flows": 16, "fragmentsHeld": 32}
NO_NAT = ("10.0.0.0/8", "fd00:9::/64")
BOTH = [*strategies.EGRESS[4], *strategies.EGRESS[6]]
NARROW = {"driver": "memory", "addresses": ["198.51.100.1/24", "2001:db8:e::1/64"], "mtu": 1300}
WORLDS: list[dict[str, Any]] = [
    {"limits": SMALL, "nat": {"portRange": "2000-2003"}},
    {"limits": SMALL | {"flowsPerSource": 5, "portsPerSource": 3}, "addresses": BOTH, "outside": NARROW,
     "nat": {"mapping": {"tcp": "EndpointIndependent"}, "midstream": "Adopt",
             "filtering": {"tcp": "EndpointIndependent", "udp": "EndpointIndependent"}}},
    {"limits": SMALL | {"newFlowsPerSecondPerSource": 4}, "addresses": BOTH,
     "nat": {"mapping": {"tcp": "AddressDependent", "udp": "AddressDependent"}, "midstream": "Reset",
             "filtering": {"tcp": "AddressDependent", "udp": "AddressDependent"}, "portPreservation": False,
             "mssClamping": 600, "inboundRefresh": True, "portRange": "2000-2007"}},
    {"limits": {"flows": 4096}, "addresses": BOTH},
]


@cache
def rules(number: int) -> Any:
    """The built ruleset of one of the worlds."""
    pools = [strategies.pool("a", strategies.INTERNAL[4]), strategies.pool("b", strategies.INTERNAL[6]),
             *(strategies.pool(f"no-nat-{at}", cidr, natOutgoing=False) for at, cidr in enumerate(NO_NAT))]
    return build(load([strategies.gateway(**WORLDS[number]), *pools]))


@cache
def internal(text: str) -> bool:
    return any(ip_address(text) in ip_network(cidr) for cidr in strategies.INTERNAL.values())


@cache
def untranslated(text: str) -> bool:
    return any(ip_address(text) in ip_network(cidr) for cidr in NO_NAT)


def with_ports(told: Seen) -> Seen:
    """SCTP, DCCP and UDP-Lite have them where TCP has them."""
    if told.protocol not in ("33", "132", "136"):
        return told
    ports = (int.from_bytes(told.payload[at : at + 2], "big") for at in (0, 2))
    return told._replace(source_port=next(ports), destination_port=next(ports))


@dataclass
class Outcome:
    """Of one read: a verdict for each packet; (side, offload, packet, which one it was) forwarded; the outbox."""

    verdicts: list[int]
    forwarded: list[tuple[int, bytes, bytes, int]]
    own: list[tuple[int, bytes, bytes]]


class Watched:
    """A translator and its clock. `translate` sends one read through it; `check` judges what came of it."""

    def __init__(self, world: int, seed: int, *, pure: bool) -> None:
        module = twin.interpreted if pure else lambda name: import_module(f"gateway.{name}")
        built = rules(world)
        ruleset = module("match.ruleset").Ruleset(built.sets, built.settings)
        self.translator = module("nat.translator").Translator(ruleset, seed)
        self.batch, self.pure = module("wire.batch").Batch(), pure
        self.row, self.poison = module("nat.row"), Poison(self.batch)
        self.now, self.arrived, self.index = 1_000_000_000, 0, b""

    def translate(self, arrivals: Sequence[Arrival]) -> Outcome:
        """Packets of one side, at most a batch; time passes before the first one only."""
        batch = self.batch
        if arrivals[0].pause:
            self.now += arrivals[0].pause
            self.translator.tick(self.now)
        batch.clear()
        for one in arrivals:
            batch.append(one.packet, one.offload)
        self.poison.lay()
        try:
            self.translator.translate(batch, arrivals[0].side, self.now)
        finally:
            self.poison.lift()
        self.arrived += len(arrivals)
        own = list(self.translator.outbox)
        self.translator.outbox.clear()
        forwarded = [(batch.out[at], batch.offload(at), batch.packet(at), at) for at in range(batch.count)
                     if batch.out[at] != sides.NOWHERE]
        return Outcome(list(batch.verdict[: batch.count]), forwarded, own)

    def check(self, arrivals: Sequence[Arrival], outcome: Outcome) -> None:
        assert sum(self.translator.engine.counters) == self.arrived, "each packet has one verdict"
        for side, _, packet, number in outcome.forwarded:
            self.check_forwarded(side, packet, arrivals[number])
        for side, _, packet in outcome.own:
            self.check_emitted(side, packet)
        if self.pure and self.translator.capacity <= 64 and bytes(self.translator.engine.table.index) != self.index:
            self.check_table()

    def check_forwarded(self, side: int, packet: bytes, arrival: Arrival) -> None:
        self.check_emitted(side, packet)
        if not is_fragment(packet):
            assert any(self.flow_of(side, one) for one in self.carried(packet)), f"no flow has {packet.hex()}"
        if not arrival.offload[vnet.FLAGS] & vnet.NEEDS_CHECKSUM:
            was, now = transport_is_right(arrival.packet), transport_is_right(packet)
            assert was is None or now is None or was == now, f"right before: {was}, after: {now}: {packet.hex()}"

    def carried(self, packet: bytes) -> Iterator[Seen]:
        """The packet as seen; an error as the packet that it answers, turned round."""
        if not is_error(packet):
            yield with_ports(seen(packet))
            return
        about = with_ports(seen(quoted(packet) + bytes(20)))
        yield about._replace(source=about.destination, destination=about.source,
                             source_port=about.destination_port, destination_port=about.source_port)

    def flow_of(self, side: int, told: Seen) -> bool:
        """Whether the answer to this packet, arriving where it leaves, would meet a live flow."""
        number = protocol.ICMPV6 if (told.protocol, told.family) == ("icmp", 6) else self.number(told)
        ports = told.destination_port << 16 | told.source_port
        label = side << self.row.LABEL_SIDE | number << self.row.LABEL_PROTOCOL | ports
        if told.family == 6 and number in (0, 43, 44, 60):
            return True  # what stands behind extension headers is judged by tests/nat
        tick = self.now >> self.row.TICK_SHIFT
        return bool(self.translator.engine.table.find(*address.words(told.destination), *address.words(told.source),
                                                      label, tick & 0xFFFFFFFF))

    def number(self, told: Seen) -> int:
        known = {"tcp": protocol.TCP, "udp": protocol.UDP, "icmp": protocol.ICMP}
        return known[told.protocol] if told.protocol in known else int(told.protocol)

    def check_emitted(self, side: int, packet: bytes) -> None:
        told = seen(packet)
        assert header_is_right(packet), f"IPv4 header checksum of {packet.hex()}"
        if side == sides.INSIDE:
            assert internal(told.destination) or untranslated(told.destination), f"inside goes {packet.hex()}"
            return
        assert not internal(told.destination), f"outside goes {packet.hex()}"
        assert not internal(told.source) or untranslated(told.destination), f"{told.source} leaks"
        if is_error(packet) and len(quoted(packet)) >= ipv4.HEADER * (2 if told.family == 6 else 1):
            about = seen(quoted(packet) + bytes(20))
            assert not internal(about.destination) or untranslated(about.source), f"quoted: {packet.hex()}"

    def check_table(self) -> None:
        """Every row in use by both its tuples; rows in use and free are all that ever were."""
        table, row = self.translator.engine.table, self.row
        self.index = bytes(table.index)
        assert_index_is_sound(table)
        used = [one for one in range(1, table.high_water + 1) if table.r8[one * row.BYTES + row.FLAGS] & row.USED]
        assert table.live == len(used)
        for one in used:
            for direction in (0, 1):
                assert table.seek(one, direction) >= 0, f"row {one} is not found by tuple {direction}"
        free, count = table.free, 0
        while free:
            assert not table.r8[free * row.BYTES + row.FLAGS] & row.USED
            free, count = table.r32[free * row.QUADS + row.FREE], count + 1
        assert len(used) + count == table.high_water


def watch(watched: Watched, traffic: Traffic) -> None:
    """One turn: the next packets, checked one by one, and told back to the traffic."""
    for arrival in traffic.next():
        outcome = watched.translate([arrival])
        watched.check([arrival], outcome)
        for side, _, packet, *_ in (*outcome.forwarded, *outcome.own):
            traffic.emitted(side, packet)
