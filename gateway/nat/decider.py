"""May this packet begin a flow, and is that flow translated? Decided from addresses and the first packet alone.

`Opener` asks before it opens a flow; `explain` asks the same and opens none.
"""

from __future__ import annotations

from ..match import decision
from ..match.ruleset import Ruleset
from ..wire import bits, icmp, protocol, sides, tcp
from ..wire.packet import Packet
from . import bounds
from .options import Options
from .shares import Share
from .verdict import Verdict


class Decider:
    """After `decide` accepted: `leaves` is the side the flow goes to, `translated` whether its source is
    replaced, `through_mapping` whether its destination is an external endpoint that somebody inside may own.
    source_flags, destination_flags: bits of match.decision.  pool: number of the pool that names the flow.
    owner: after HAND_OVER, the worker that the packet belongs to, or bounds.SORTING.  handed: it was handed over
    already, and is judged here whosever it is.
    """

    def __init__(self, packet: Packet, options: Options, share: Share) -> None:
        self.packet, self.options, self.share = packet, options, share
        self.owner = 0
        self.handed = False

    def use(self, ruleset: Ruleset) -> None:
        self.ruleset = ruleset

    def decide(self, side: int) -> int:
        """The verdict on a new flow of the parsed self.packet."""
        source = self.ruleset.prefixes.lookup(self.packet.source_high, self.packet.source_low)
        destination = self.ruleset.prefixes.lookup(self.packet.destination_high, self.packet.destination_low)
        self.source_flags = self.ruleset.class_flags[source]
        self.destination_flags = self.ruleset.class_flags[destination]
        self.pool = self.options.pool_of_class[source if side == sides.INSIDE else destination]
        self.leaves = sides.OUTSIDE if side == sides.INSIDE else sides.INSIDE
        self.translated = False
        self.through_mapping = False
        if self.share.count > 1 and self.is_anothers(side):
            return Verdict.HAND_OVER
        verdict = self.judge_scope(side) if side != sides.ACROSS else Verdict.ACCEPT  # it was judged over there
        if verdict == Verdict.ACCEPT:
            verdict = self.judge_inside() if side == sides.INSIDE else self.judge_outside()
        if verdict == Verdict.ACCEPT:
            verdict = self.judge_first_packet()
        return verdict

    def is_anothers(self, side: int) -> bool:
        """Whether another worker has to judge the packet, `owner`. Which one answers a ping for the gateway is all one.

        Asked before anything else. A reload may move a host that others inside see through an egress address: what
        belongs to its connections then goes on to the port's owner, who asks nobody.
        """
        if self.destination_flags & decision.EGRESS and self.is_echo_request():
            return False
        port = self.packet.ports & bits.M16
        self.owner = self.share.number if self.handed else self.owner_of(
            side, self.packet.protocol, self.packet.source_high, self.packet.source_low, self.packet.destination_high,
            self.packet.destination_low, self.source_flags, self.destination_flags, port)
        if (self.owner == self.share.number and side == sides.INSIDE and self.destination_flags & decision.EGRESS
                and self.packet.protocol == protocol.TCP and not self.is_syn()):
            self.owner = self.share.port_owner(port)  # can begin nothing here: a reload may have moved the host
        return self.owner != self.share.number

    def owner_of(self, side: int, number: int, source_high: int, source_low: int, destination_high: int,
                 destination_low: int, source: int, destination: int, port: int) -> int:
        """The worker that owns what a packet of protocol `number` between these addresses belongs to.

        source, destination: bits of match.decision.  port: the destination's, -1 if the packet does not say, as a
        later fragment; then perhaps bounds.SORTING. Two hosts inside have one owner, whoever speaks, and one that
        is in no pool (`is_bare`) has none of its own: others' addresses are replaced towards it, its own never.
        """
        if self.share.ported[number] == 0:
            return 0
        to_egress = destination & decision.EGRESS != 0
        if to_egress and (side != sides.INSIDE or self.is_bare(source)):
            return bounds.SORTING if port < 0 else self.share.port_owner(port)
        by_destination = side != sides.INSIDE
        if not by_destination and not to_egress and destination & decision.REACHABLE:
            by_destination = destination_high < source_high or (
                destination_high == source_high and destination_low < source_low)
            if self.is_bare(source) != self.is_bare(destination):
                by_destination = self.is_bare(source)
        if by_destination:
            return self.share.address_owner(destination_high, destination_low)
        return self.share.address_owner(source_high, source_low)

    def is_bare(self, flags: int) -> bool:
        """Of somebody inside whom others inside see through an egress address: in no pool, and not excluded."""
        return flags & (decision.REACHABLE | decision.POOL | decision.NO_TRANSLATE) == decision.REACHABLE

    def judge_scope(self, side: int) -> int:
        """Addresses that never cross, whoever sends them (RFC 6890, 2827, 4291)."""
        source, destination = self.source_flags, self.destination_flags
        if source & (decision.BOGON | decision.MULTICAST):
            return Verdict.DROP_BOGON_SOURCE
        if (self.packet.source_low == self.packet.destination_low
                and self.packet.source_high == self.packet.destination_high):
            return Verdict.DROP_LAND
        if destination & decision.MULTICAST:
            return Verdict.DROP_MULTICAST
        if destination & decision.BOGON:
            return Verdict.DROP_BOGON_DESTINATION
        if (source | destination) & decision.LINK_SCOPE:
            return Verdict.DROP_LINK_SCOPE
        if side == sides.INSIDE and not source & decision.INSIDE:
            return Verdict.DROP_SPOOFED_SOURCE
        if side == sides.OUTSIDE and source & (decision.REACHABLE | decision.OWN):
            return Verdict.DROP_SPOOFED_SOURCE
        return Verdict.ACCEPT

    def judge_inside(self) -> int:
        source, destination = self.source_flags, self.destination_flags
        if destination & decision.EGRESS:
            return self.judge_hairpin(destination)
        if destination & (decision.OWN_INSIDE | decision.OWN_OUTSIDE):
            return self.judge_own(destination)
        self.translated = self.ruleset.translated(source, destination)
        if destination & decision.REACHABLE:
            self.leaves = sides.INSIDE
        elif self.options.outside_filtered:
            self.translated = False
        if not self.translated and source & decision.LOCAL_SCOPE and not destination & decision.LOCAL_SCOPE:
            return Verdict.DROP_LINK_SCOPE  # unique local addresses mean nothing out there (RFC 4193 section 4.3)
        return Verdict.ACCEPT

    def judge_hairpin(self, destination: int) -> int:
        """From inside to an external address (RFC 4787 REQ-9)."""
        if self.is_echo_request():
            return self.judge_own(destination)
        queried = self.packet.protocol == protocol.ICMP  # its identifier is both hosts' (RFC 5508 REQ-7 asks no NAPT)
        if queried or not self.options.hairpinning or self.options.mapping[self.packet.protocol] > 1:
            own = destination & (decision.OWN_INSIDE | decision.OWN_OUTSIDE | decision.SHARED)
            return self.judge_own(destination) if own else Verdict.DROP_UNSOLICITED
        self.translated = True
        self.through_mapping = self.share.owns(self.packet.ports & bits.M16)
        self.leaves = sides.INSIDE if self.through_mapping else sides.ACROSS
        return Verdict.ACCEPT

    def judge_outside(self) -> int:
        source, destination = self.source_flags, self.destination_flags
        if destination & decision.EGRESS:
            if self.is_echo_request():
                return self.judge_own(destination)
            if self.options.mapping[self.packet.protocol] <= 1:
                self.through_mapping = True
                return Verdict.ACCEPT
            return self.unsolicited()
        if destination & decision.OWN_OUTSIDE:
            return self.judge_own(destination)
        if destination & decision.OWN_INSIDE or not destination & decision.REACHABLE:
            return Verdict.DROP_NOT_OURS
        if self.ruleset.translated(destination, source):
            return Verdict.DROP_UNSOLICITED  # an address that this remote must not even know of
        return Verdict.ACCEPT

    def unsolicited(self) -> int:
        """Nobody inside asked for this packet to an egress address. A SYN may yet be asked for (RFC 5382 REQ-4)."""
        if self.destination_flags & decision.SHARED:
            return Verdict.LEAVE_TO_HOST
        return Verdict.DROP_UNSOLICITED_SYN if self.is_syn() else Verdict.DROP_UNSOLICITED

    def is_syn(self) -> bool:
        flags = tcp.SYN | tcp.ACK | tcp.RST | tcp.FIN
        return self.packet.protocol == protocol.TCP and self.packet.tcp_flags & flags == tcp.SYN

    def judge_own(self, flags: int) -> int:
        """To the gateway itself: the host's own stack answers for what it owns, the gateway for the rest."""
        if flags & decision.SHARED:
            return Verdict.LEAVE_TO_HOST
        return Verdict.ANSWER_ECHO if self.is_echo_request() else Verdict.DROP_NOT_OURS

    def is_echo_request(self) -> bool:
        number = self.packet.protocol
        if number == protocol.ICMP:  # a timestamp request is a query too, and none that the gateway answers
            return self.packet.is_request() and self.packet.load8(self.packet.transport) == icmp.ECHO_REQUEST
        return number == protocol.ICMPV6 and self.packet.is_request()

    def judge_first_packet(self) -> int:
        """Not every packet may begin a flow: a TCP segment with SYN, an ICMP request, anything else."""
        number = self.packet.protocol
        verdict: int = Verdict.ACCEPT
        if number == protocol.TCP and self.packet.tcp_flags & (tcp.SYN | tcp.ACK | tcp.RST | tcp.FIN) != tcp.SYN:
            verdict = self.judge_midstream()
        elif (number == protocol.ICMP or number == protocol.ICMPV6) and not self.packet.is_request():
            verdict = Verdict.DROP_UNSOLICITED
        if verdict != Verdict.ACCEPT and self.destination_flags & decision.SHARED:
            return Verdict.LEAVE_TO_HOST
        return verdict

    def judge_midstream(self) -> int:
        """TCP without a flow and without SYN: by the operator's choice. A RST is never answered, nor adopted."""
        if self.options.midstream == 0 or self.packet.tcp_flags & (tcp.SYN | tcp.RST):
            return Verdict.DROP_NOT_SYN
        if self.options.midstream == 1:
            return Verdict.REJECT_NOT_SYN
        known = self.through_mapping or self.leaves == sides.ACROSS or not self.packet.tcp_flags & tcp.ACK
        return Verdict.DROP_NOT_SYN if known else Verdict.ACCEPT

    def lowest_port(self, port: int) -> int:
        """The first external port that may stand for `port`. Well-known ports stay so (RFC 7857 section 9)."""
        number = self.packet.protocol
        if not self.options.rewritable[number]:
            return port
        if self.options.classes[number] and port < 1024:
            return 0 if number == protocol.ICMP or number == protocol.ICMPV6 else 1
        return self.options.lowest[number]

    def highest_port(self, port: int) -> int:
        """The last of them."""
        number = self.packet.protocol
        if not self.options.rewritable[number]:
            return port
        if self.options.classes[number] and port < 1024:
            return 1023
        return self.options.highest[number] & bits.M16
