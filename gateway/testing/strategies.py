"""Hypothesis strategies: flows(), packets(), fragments(), conversations(), resources().

They share one small world, so that what they draw fits together: internal addresses in INTERNAL, remote ones
in REMOTE, egress addresses in EGRESS. What `resources()` draws always has a natOutgoing pool over INTERNAL.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any, NamedTuple

from hypothesis import strategies as st

from gateway.wire import build, ipv4, ipv6, protocol, tcp

INTERNAL = {4: "192.168.0.0/16", 6: "fd00:10:244::/64"}
REMOTE = {4: "203.0.113.0/24", 6: "2001:db8:5::/112"}
EGRESS = {4: ["198.51.100.10", "198.51.100.11"], 6: ["2001:db8:e::10", "2001:db8:e::11"]}
GATEWAY = {4: "192.168.0.1", 6: "fd00:10:244::1"}  # the gateway's own address on the inside, its errors' source
TCP_STEPS = {"open": tcp.SYN, "accept": tcp.SYN | tcp.ACK, "ack": tcp.ACK, "data": tcp.PSH | tcp.ACK,
             "close": tcp.FIN | tcp.ACK, "reset": tcp.RST | tcp.ACK}


class Endpoint(NamedTuple):
    address: str
    port: int  # an ICMP identifier on both ends of an echo


class FlowTuple(NamedTuple):
    """As the internal host sees it. protocol: "tcp", "udp" or "icmp", which is ICMPv6 echo on IPv6."""

    protocol: str
    internal: Endpoint
    remote: Endpoint


@dataclass(frozen=True)
class Step:
    """One packet of a conversation. side: where it comes from. sequence: of the echo too. kind: TCP_STEPS' key,
    "data" for UDP, "request" and "reply" for an echo."""

    side: str
    kind: str
    sequence: int = 0
    acknowledgement: int = 0
    payload: bytes = b""
    ttl: int = 64
    tos: int = 0


@dataclass(frozen=True)
class Conversation:
    flow: FlowTuple
    steps: Sequence[Step]

    def packet(self, step: Step, internal: Endpoint | None = None) -> bytes:
        """The packet of a step; `internal`: the internal end as the sender knows it, translated or not."""
        return packet(self.flow._replace(internal=internal or self.flow.internal), step)


def packet(flow: FlowTuple, step: Step) -> bytes:
    outward = step.side == "inside"
    source, destination = (flow.internal, flow.remote) if outward else (flow.remote, flow.internal)
    if flow.protocol == "icmp":
        identifier = flow.internal.port
        return build.echo(source.address, destination.address, identifier, step.sequence % 65536, step.payload,
                          reply=step.kind == "reply", ttl=step.ttl)
    if flow.protocol == "udp":
        return build.udp_datagram(*source, *destination, step.payload, ttl=step.ttl, tos=step.tos)
    return build.tcp_segment(*source, *destination, step.payload, flags=TCP_STEPS[step.kind],
                             sequence=step.sequence % 2**32, acknowledgement=step.acknowledgement % 2**32,
                             ttl=step.ttl, tos=step.tos)


def addresses(cidr: str) -> st.SearchStrategy[str]:
    """Hosts of a CIDR from its third address on: the first two are the network's and ours. Often neighbours."""
    network = ip_network(cidr)
    hosts = st.integers(2, 4) | st.integers(2, min(network.num_addresses - 2, 0xFFFF))
    return hosts.map(lambda host: str(network[host]))


ports = st.one_of(st.integers(1, 65535), st.sampled_from([1, 22, 53, 80, 1023, 1024, 40000, 65535]))
ttls = st.sampled_from([64, 64, 2, 1, 255]) | st.integers(1, 255)
payloads = st.one_of(st.binary(max_size=64), st.sampled_from([b"", b"\0", b"\xff" * 7, b"\0" * 1400]))


@st.composite
def flows(draw: st.DrawFn, *, family: int | None = None, protocol: str | None = None) -> FlowTuple:
    """A flow from an internal host to a remote one."""
    family = family or draw(st.sampled_from([4, 6]))
    protocol = protocol or draw(st.sampled_from(["tcp", "udp", "icmp"]))
    internal = Endpoint(draw(addresses(INTERNAL[family])), draw(ports))
    port = internal.port if protocol == "icmp" else draw(ports)
    return FlowTuple(protocol, internal, Endpoint(draw(addresses(REMOTE[family])), port))


@st.composite
def packets(draw: st.DrawFn, *, family: int | None = None, protocol: str | None = None, side: str | None = None,
            mutated: bool = False) -> bytes:
    """One packet of some flow, from `side` or either; from outside often to an egress address.

    mutated: some bytes changed, cut off or added.
    """
    flow = draw(flows(family=family, protocol=protocol))
    side = side or draw(st.sampled_from(["inside", "outside"]))
    if side == "outside" and draw(st.booleans()):
        egress = EGRESS[4 if "." in flow.internal.address else 6][0]
        flow = flow._replace(internal=flow.internal._replace(address=egress))
    kinds = {"tcp": sorted(TCP_STEPS), "udp": ["data"], "icmp": ["request", "reply"]}[flow.protocol]
    step = Step(side, draw(st.sampled_from(kinds)), draw(st.integers(0, 2**32 - 1)), draw(st.integers(0, 2**32 - 1)),
                draw(payloads), draw(ttls), draw(st.integers(0, 255)))
    made = packet(flow, step)
    return draw(_mutations(made)) if mutated else made


@st.composite
def _mutations(draw: st.DrawFn, made: bytes) -> bytes:
    changed = bytearray(made)
    for where, what in draw(st.lists(st.tuples(st.integers(0, len(made) - 1), st.integers(0, 255)), max_size=4)):
        changed[where] = what
    cut = draw(st.integers(0, len(changed)) | st.just(len(changed)))
    return bytes(changed[:cut]) + draw(st.binary(max_size=8) | st.just(b""))


@st.composite
def fragments(draw: st.DrawFn, *, family: int | None = None, side: str | None = None) -> list[bytes]:
    """A packet cut into IP fragments, in order; identifications are few, so that datagrams collide."""
    whole = draw(packets(family=family, side=side))
    head = ipv4.HEADER if whole[0] >> 4 == 4 else ipv6.HEADER
    return fragment(whole, draw(st.integers(1, 1 + (len(whole) - head) // 8)) * 8, draw(st.integers(0, 3)))


def fragment(whole: bytes, size: int, identification: int) -> list[bytes]:
    """A packet without options or extension headers in fragments of `size` bytes, a multiple of 8, of its payload."""
    family = whole[0] >> 4
    head, upper = (ipv4.HEADER, whole[9]) if family == 4 else (ipv6.HEADER, whole[6])
    width = 4 if family == 4 else 16  # of an address; both lie at the end of the header
    source, destination = whole[head - 2 * width : head - width], whole[head - width : head]
    ends = str(ip_address(source)), str(ip_address(destination))
    parts = []
    for at in range(0, len(whole) - head, size):
        part, more = whole[head + at : head + at + size], head + at + size < len(whole)
        if family == 4:
            parts.append(build.ip(*ends, upper, part, identification=identification, fragment=at >> 3 | more << 13))
        else:
            header = bytes([upper, 0]) + (at | more).to_bytes(2, "big") + identification.to_bytes(4, "big")
            parts.append(build.ip(*ends, protocol.FRAGMENT, header + part))
    return parts


@st.composite
def conversations(draw: st.DrawFn, *, family: int | None = None, protocol: str | None = None) -> Conversation:
    """What two well-behaved hosts say to each other: an internal host begins."""
    flow = draw(flows(family=family, protocol=protocol))
    if flow.protocol == "tcp":
        return Conversation(flow, draw(_tcp_steps()))
    said = draw(st.lists(st.tuples(st.sampled_from(["inside", "outside"]), payloads), max_size=6))
    if flow.protocol == "udp":
        return Conversation(flow, [Step(side, "data", payload=payload) for side, payload in [("inside", b"?"), *said]])
    echoes = [(number, payload) for number, (_, payload) in enumerate([("inside", b"ping"), *said])]
    return Conversation(flow, [Step(side, kind, number, payload=payload) for number, payload in echoes
                               for side, kind in (("inside", "request"), ("outside", "reply"))])


@st.composite
def _tcp_steps(draw: st.DrawFn) -> list[Step]:
    """Handshake, data both ways, and one of the ways to end; sequence numbers may wrap."""
    beginning = st.integers(0, 2**32 - 1) | st.sampled_from([0, 2**32 - 1, 2**32 - 2])
    following = {"inside": draw(beginning), "outside": draw(beginning)}
    steps: list[Step] = []

    def say(side: str, kind: str, payload: bytes = b"") -> None:
        other = "outside" if side == "inside" else "inside"
        steps.append(Step(side, kind, following[side], 0 if kind == "open" else following[other], payload))
        following[side] += len(payload) + (kind in ("open", "accept", "close"))

    for side, kind in (("inside", "open"), ("outside", "accept"), ("inside", "ack")):
        say(side, kind)
    for side, payload in draw(st.lists(st.tuples(st.sampled_from(["inside", "outside"]), payloads), max_size=6)):
        say(side, "data", payload)
    for side, kind in draw(st.sampled_from(_TCP_ENDS)):
        say(side, kind)
    return steps


_TCP_ENDS: list[list[tuple[str, str]]] = [
    [],
    [("inside", "close"), ("outside", "ack"), ("outside", "close"), ("inside", "ack")],
    [("outside", "close"), ("inside", "close"), ("outside", "ack")],
    [("inside", "close"), ("outside", "data"), ("inside", "ack"), ("outside", "close"), ("inside", "ack")],
    [("inside", "reset")],
    [("outside", "reset")],
]


@st.composite
def resources(draw: st.DrawFn) -> list[dict[str, Any]]:
    """A valid set: one Gateway, a natOutgoing pool a family over INTERNAL, perhaps further pools."""
    scopes = st.sampled_from(["EndpointIndependent", "AddressDependent", "AddressAndPortDependent"])
    lowest = draw(st.sampled_from([1024, 20000, 40000]))
    nat = {"portRange": f"{lowest}-{draw(st.integers(lowest, 65535))}", "portPreservation": draw(st.booleans()),
           "mapping": {"tcp": draw(scopes), "udp": draw(scopes)},
           "onExhaustion": draw(st.sampled_from(["Reject", "Drop"]))}
    egress = [*EGRESS[4][: draw(st.integers(1, 2))], *EGRESS[6][: draw(st.integers(1, 2))]]
    pools = [pool("internal-4", INTERNAL[4]), pool("internal-6", INTERNAL[6])]
    others = [pool("no-nat", "10.0.0.0/8", natOutgoing=False, disabled=True),
              pool("public", "203.0.112.0/24", natOutgoing=False)]
    few = st.sampled_from([0, 0, 3])
    limits = {"flows": draw(st.sampled_from([4, 64, 4096])), "flowsPerSource": draw(few), "portsPerSource": draw(few)}
    pools += draw(st.lists(st.sampled_from(others), unique_by=id))
    return [gateway(addresses=egress, nat=nat, limits=limits), *pools]


def gateway(**spec: Any) -> dict[str, Any]:
    """A Gateway on memory links; `spec` replaces whole fields."""
    inside = {"driver": "memory", "addresses": [f"{GATEWAY[4]}/16", f"{GATEWAY[6]}/64"]}
    outside = {"driver": "memory", "addresses": ["198.51.100.1/24", "2001:db8:e::1/64"]}
    return {"apiVersion": "gateway/v1", "kind": "Gateway", "metadata": {"name": "node-a"},
            "spec": {"inside": inside, "outside": outside, "addresses": [EGRESS[4][0], EGRESS[6][0]], **spec}}


def pool(name: str, cidr: str, **spec: Any) -> dict[str, Any]:
    """An IPPool with natOutgoing, unless `spec` says otherwise."""
    return {"apiVersion": "projectcalico.org/v3", "kind": "IPPool", "metadata": {"name": name},
            "spec": {"cidr": cidr, "natOutgoing": True, **spec}}
