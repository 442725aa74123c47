"""The Settings as the compiled path reads them: numbers in arrays, by protocol number or TCP state."""

from __future__ import annotations

import struct
from typing import Literal

from ..match.ruleset import Ruleset
from ..match.settings import Clamp, Ports, Settings, Timeouts
from ..wire import ipv4, ipv6, protocol, sides, tcp
from . import row, state


def ticks(nanoseconds: int) -> int:
    """A lifetime in ticks: rounded up, and one more since the present is rounded down, so that nothing ends early."""
    return min((nanoseconds >> row.TICK_SHIFT) + 2, row.LIFETIME_MAX)


def numbers(size: int, code: Literal["B", "H", "I", "Q"]) -> memoryview:
    """An array of `size` unsigned numbers, all 0, of 1, 2, 4 or 8 bytes."""
    return memoryview(bytearray(max(size, 1) * struct.calcsize(code))).cast(code)


def segment_limit(settings: Settings, headers: int) -> int:
    """The TCP segment size that SYNs are clamped to; 0 for none."""
    if settings.mss_clamp == Clamp.OFF:
        return 0
    if settings.mss_clamp == Clamp.AUTO:
        return min(settings.inside.mtu, settings.outside.mtu) - headers
    return settings.mss_clamp


class Options:
    """mapping, filtering: match.settings.Scope by protocol.  lowest, highest, classes: external ports by
    protocol.  rewritable: whether its ports may change.  preserves: whether a port that is free is kept.
    lifetime: ticks by protocol; tcp_lifetime: by state.
    segment_limit: MSS that SYNs are clamped to, by family, 0 for none.
    egress: (high, low) of every egress address, IPv4's first.  pools: names, never removed; flows refer to
    them by number across reloads.  pool_of_class: that number for each membership class, 0 for none.
    """

    def __init__(self) -> None:
        self.pools: list[str] = [""]
        self.pool_numbers = {"": 0}
        self.prepared: tuple[Ruleset, memoryview] | None = None
        self.mapping, self.filtering = numbers(256, "B"), numbers(256, "B")
        self.classes, self.rewritable, self.preserves = numbers(256, "B"), numbers(256, "B"), numbers(256, "B")
        self.lowest, self.highest = numbers(256, "I"), numbers(256, "I")
        self.lifetime, self.tcp_lifetime = numbers(256, "I"), numbers(state.STATES, "I")
        self.mtu, self.segment_limit = numbers(sides.ACROSS + 1, "I"), numbers(2, "I")

    def use(self, ruleset: Ruleset) -> None:
        """Take over another ruleset's settings. Not for the packet path: it allocates."""
        settings = ruleset.settings
        self.use_protocols(settings)
        self.use_timeouts(settings.timeouts)
        self.egress_v4, self.egress_v6 = len(settings.egress4), len(settings.egress6)
        words = [word for address in (*settings.egress4, *settings.egress6) for word in address]
        self.egress = numbers(len(words), "Q")
        for index, word in enumerate(words):
            self.egress[index] = word
        self.mtu[sides.INSIDE], self.mtu[sides.OUTSIDE] = settings.inside.mtu, settings.outside.mtu
        self.mtu[sides.ACROSS] = settings.inside.mtu  # where it ends, as any hairpin
        self.hairpinning, self.outside_filtered = settings.hairpinning, settings.outside_filtered
        self.reject_exhausted = settings.reject_exhausted
        self.inbound_refresh, self.midstream = settings.inbound_refresh, settings.midstream
        for v6 in (0, 1):
            self.segment_limit[v6] = segment_limit(settings, (ipv6.HEADER if v6 else ipv4.HEADER) + tcp.HEADER)
        ready, self.prepared = self.prepared, None
        self.pool_of_class = ready[1] if ready and ready[0] is ruleset else self.number_pools(ruleset)

    def use_protocols(self, settings: Settings) -> None:
        for number in range(256):  # what is neither of the below keeps its ports and its remote
            self.mapping[number] = self.filtering[number] = 2
            self.preserves[number] = settings.port_preservation
            self.lowest[number], self.highest[number], self.classes[number] = 0, 65535, 0
        rules = ((protocol.TCP, settings.tcp_mapping, settings.tcp_filtering, settings.tcp_ports),
                 (protocol.UDP, settings.udp_mapping, settings.udp_filtering, settings.udp_ports),
                 (protocol.UDPLITE, settings.udp_mapping, settings.udp_filtering, settings.udp_ports),
                 (protocol.DCCP, settings.tcp_mapping, settings.tcp_filtering, settings.tcp_ports),
                 (protocol.ICMP, 0, 2, settings.icmp_ports),  # RFC 5508 REQ-1a
                 (protocol.ICMPV6, 0, 2, settings.icmp_ports))
        for number, mapping, filtering, ports in rules:
            self.mapping[number], self.filtering[number], self.rewritable[number] = mapping, filtering, 1
            self.use_ports(number, ports)
        if settings.udp_mapping:  # one port kept towards every remote would be an endpoint-independent mapping
            self.preserves[protocol.UDP] = self.preserves[protocol.UDPLITE] = 0

    def use_ports(self, number: int, ports: Ports) -> None:
        self.lowest[number], self.highest[number], self.classes[number] = ports.lowest, ports.highest, ports.classes

    def use_timeouts(self, times: Timeouts) -> None:
        other = ticks(times.other)
        for number in range(256):
            self.lifetime[number] = other
        self.lifetime[protocol.UDP] = self.lifetime[protocol.UDPLITE] = ticks(times.udp)
        self.lifetime[protocol.ICMP] = self.lifetime[protocol.ICMPV6] = ticks(times.icmp)
        opening, established, closing = (ticks(time) for time in (times.tcp_opening, times.tcp_established,
                                                                  times.tcp_closing))
        by_state = {state.NONE: opening, state.SYN_SENT: opening, state.SYN_RECEIVED: opening,
                    state.SYN_ANSWERED: opening, state.ESTABLISHED: established, state.FIN_WAIT: established,
                    state.CLOSING: closing, state.RESET: closing}
        for number, lifetime in by_state.items():
            self.tcp_lifetime[number] = lifetime

    def prepare(self, ruleset: Ruleset) -> None:
        """What `use` needs and takes long with many pools; packets may pass meanwhile."""
        self.prepared = ruleset, self.number_pools(ruleset)

    def number_pools(self, ruleset: Ruleset) -> memoryview:
        found = numbers(len(ruleset.class_pools), "H")
        for index, name in enumerate(ruleset.class_pools):
            number = self.pool_numbers.get(name)
            if number is None:
                number = self.pool_numbers[name] = len(self.pools)
                self.pools.append(name)
            found[index] = number
        return found
