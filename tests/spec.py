"""The oracle: traditional NAPT (RFC 3022 section 2.2) with RFC 4787's mapping and Calico's pool rule.

Plain dictionaries over tuples, slow and short. Where a NAT may choose (the external address of a host, a port
when the internal one is taken, what happens near a timer's end) it takes what was emitted, checks that the
choice was legal, and holds the translator to it from then on. UDP and echo map endpoint-independently, TCP per
remote endpoint; everything filters by address and port, the defaults. Packets are `tests.seen.Seen`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network

from .seen import Seen

SYN, ACK, RST, FIN = 2, 16, 4, 1
TIMEOUTS = {"udp": 300.0, "icmp": 60.0, "opening": 240.0, "established": 7440.0, "closing": 240.0}
GRACE = 0.2  # seconds by which a timer may run late: the gateway's own tick and its flow table's


@dataclass(frozen=True)
class Pool:
    cidr: str
    nat: bool = True
    load_balancer_only: bool = False

    def __contains__(self, address: str) -> bool:
        return ip_address(address) in ip_network(self.cidr)  # false for the other family


Key = tuple[str, str, int, str, int]  # protocol, internal address and port, remote ones; an echo's remote port is 0


@dataclass
class Flow:
    """external: what the remote sees as its source; the internal end itself where nothing is translated."""

    key: Key
    external: tuple[str, int]
    sure_until: float = 0.0  # of outbound refreshes
    dead_from: float = 0.0  # the same, but for flows that began outside
    fins: set[str] = field(default_factory=set)
    phase: str = "opening"
    inward: bool = False  # begun by the remote host

    @property
    def outer(self) -> Key:
        return (self.key[0], *self.external, *self.key[3:])


class Spec:
    def __init__(self, pools: list[Pool], egress: list[str], lowest: int = 1024, highest: int = 65535) -> None:
        self.pools, self.egress = pools, egress
        self.lowest, self.highest = lowest, highest
        self.flows: dict[Key, Flow] = {}
        self.homes: dict[str, str] = {}  # internal address -> its external one (RFC 4787 REQ-2, paired)

    def translated(self, source: str, destination: str) -> bool:
        """Calico: the source in any natOutgoing pool, the destination in no pool of the family."""
        return (any(source in pool for pool in self.pools if pool.nat)
                and not any(destination in pool for pool in self.pools if not pool.load_balancer_only))

    def outbound(self, packet: Seen, emitted: Seen | None, now: float) -> None:
        """An internal host sent `packet`; `emitted` is what left on the outside, None for nothing."""
        key = (packet.protocol, packet.source, packet.source_port, packet.destination, self._remote(packet, False))
        flow = self._live(key, now)
        as_before = emitted is not None and flow is not None and emitted[2:4] == flow.external
        if flow is not None and now >= flow.sure_until and not as_before:
            del self.flows[key]  # it may have ended, and so it has
            flow = None
        if flow is None:
            if not self._opens(packet) or self._confined(packet):
                assert emitted is None, f"a packet that opens nothing passed: {packet}"
            elif emitted is None:
                self._explain_refusal(key, now)
            else:
                flow = self.flows[key] = Flow(key, self._legal(key, emitted, now))
        else:
            assert emitted is not None, f"{packet} of live flow {flow} was dropped"
        if flow is not None and emitted is not None:
            assert (emitted.source, emitted.source_port) == flow.external, f"{flow} left as {emitted}"
            assert (emitted.destination, self._remote(emitted, False)) == key[3:], "the destination was changed"
            self._refresh(flow, packet, now, outbound=True)

    def inbound(self, packet: Seen, emitted: Seen | None, now: float) -> None:
        """A remote host sent `packet` to the outside; `emitted` is what reached the inside."""
        external = (packet.destination, packet.destination_port)
        outer = (packet.protocol, *external, packet.source, self._remote(packet, True))
        known = [flow for flow in self.flows.values() if flow.outer == outer and now <= flow.dead_from + GRACE]
        flow = known[0] if known else None
        if emitted is None:
            assert flow is None or now >= flow.sure_until, f"a reply to live flow {flow} was dropped"
            return
        if flow is None and self._reachable(packet):
            flow = self.flows[outer] = Flow(outer, external, inward=True)
        assert flow is not None, f"unsolicited {packet} reached the inside as {emitted}"
        assert (emitted.destination, emitted.destination_port) == flow.key[1:3], f"{flow} reversed to {emitted}"
        assert (emitted.source, self._remote(emitted, True)) == flow.key[3:], "the remote was changed"
        self._refresh(flow, packet, now, outbound=False)

    def end(self, key: Key) -> None:
        del self.flows[key]

    def live(self, now: float) -> tuple[set[Key], set[Key]]:
        """Flows that must be in the table, and those that may be."""
        sure = {key for key, flow in self.flows.items() if now < flow.sure_until}
        return sure, {key for key, flow in self.flows.items() if now <= flow.dead_from + GRACE}

    def _live(self, key: Key, now: float) -> Flow | None:
        flow = self.flows.get(key)
        if flow is not None and now > flow.dead_from + GRACE:
            del self.flows[key]
            return None
        return flow

    def _opens(self, packet: Seen) -> bool:
        if packet.protocol == "tcp":
            return packet.flags & (SYN | ACK | RST | FIN) == SYN
        return packet.protocol == "udp" or packet.icmp in ((8, 0), (128, 0))

    def _remote(self, packet: Seen, inbound: bool) -> int:
        if packet.protocol == "icmp":
            return 0
        return packet.source_port if inbound else packet.destination_port

    def _reachable(self, packet: Seen) -> bool:
        """From outside: an address of a pool, if traffic between the two is not translated."""
        known = any(packet.destination in pool for pool in self.pools)
        return known and not self.translated(packet.destination, packet.source) and self._opens(packet)

    def _confined(self, packet: Seen) -> bool:
        """Unique local addresses do not leave untranslated (RFC 4193 section 4.3)."""
        untranslated = not self.translated(packet.source, packet.destination)
        return untranslated and packet.source[:2] in ("fc", "fd") and packet.destination[:2] not in ("fc", "fd")

    def _legal(self, key: Key, emitted: Seen, now: float) -> tuple[str, int]:
        """The external end that a new flow left with, if a NAT may choose it."""
        _, source, port, remote, _ = key
        external = (emitted.source, emitted.source_port)
        if not self.translated(source, remote):
            assert external == (source, port), f"{key} is not to be translated, and left as {external}"
            return external
        assert external[0] in self.egress, f"{key} left from {external[0]}, which is no egress address"
        assert external[0] == self.homes.setdefault(source, external[0]), f"{source} changed its external address"
        mapped = self._mapping(key, now)
        if mapped is not None:
            assert external == mapped, f"{key} has mapping {mapped}, and left as {external}"
            return external
        assert self.lowest <= external[1] <= self.highest, f"{key} left from port {external[1]}"
        assert external[1] in self._free(key, external[0], now, sure=True), f"{external} of {key} is taken"
        if port in self._free(key, external[0], now, sure=False):
            assert external[1] == port, f"{key}: its own port was free, and it left from {external[1]}"
        return external

    def _mapping(self, key: Key, now: float) -> tuple[str, int] | None:
        if key[0] == "tcp":
            return None
        return next((flow.external for flow in self.flows.values() if flow.key[:3] == key[:3]
                     and flow.external[0] in self.egress and now < flow.sure_until), None)

    def _free(self, key: Key, address: str, now: float, sure: bool) -> set[int]:
        """Ports that are not taken by flows that are surely alive; with sure=False, that are surely free."""
        def holds(flow: Flow) -> bool:
            alive = now < flow.sure_until if sure else now <= flow.dead_from + GRACE
            same = flow.key[0] == key[0] and flow.external[0] == address and alive
            return same and (key[0] != "tcp" or flow.key[3:] == key[3:])
        taken = {flow.external[1] for flow in self.flows.values() if holds(flow)}
        return set(range(self.lowest, self.highest + 1)) - taken

    def _explain_refusal(self, key: Key, now: float) -> None:
        _, source, _, remote, _ = key
        assert self.translated(source, remote), f"untranslated {key} was dropped"
        assert self._mapping(key, now) is None, f"{key} has a mapping, and was dropped"
        family = ip_address(source).version
        any_home = [address for address in self.egress if ip_address(address).version == family]
        homes = [self.homes[source]] if source in self.homes else any_home
        free = [self._free(key, home, now, sure=False) for home in homes]
        assert not all(free), f"{key} refused with {sorted(free[0])[:4]} free"

    def _refresh(self, flow: Flow, packet: Seen, now: float, outbound: bool) -> None:
        if flow.key[0] != "tcp":
            if outbound:  # RFC 4787 REQ-6
                flow.sure_until = flow.dead_from = now + TIMEOUTS[flow.key[0]]
            elif flow.inward and not flow.dead_from:
                flow.dead_from = now + TIMEOUTS[flow.key[0]]
            return
        if packet.flags & FIN:
            flow.fins.add("out" if outbound else "in")
        if packet.flags & RST or len(flow.fins) == 2:
            flow.phase = "closing"
        elif flow.phase == "closing" and packet.flags & SYN:
            flow.phase, flow.fins = "opening", set()
        elif flow.phase == "opening" and outbound and packet.flags & (SYN | ACK) == ACK:
            flow.phase = "established"
        flow.sure_until = flow.dead_from = now + TIMEOUTS[flow.phase]
