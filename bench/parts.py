"""The parts of the benchmark on links: which measurements each takes, on which data paths."""

from __future__ import annotations

from dataclasses import dataclass

from bench import latency, loads, measures, streams
from bench.measures import Measure
from bench.nat64 import Tayga
from bench.paths import (
    DataPath,
    Forwarding,
    Gateway,
    Masquerade,
    Null,
    PacketGateway,
    PacketNull,
    XdpGateway,
    XdpNull,
)
from bench.peers import Pasta, Slirp

Kinds = list[type[DataPath]]


@dataclass(frozen=True)
class Part:
    """title: the section of the results that its figures go to.  says: for the command's help."""

    title: str
    says: str
    measures: list[Measure]
    kinds: Kinds


OURS: Kinds = [Masquerade, Gateway, PacketGateway]
PARTS = {
    "links": Part(
        "on links: pod -- gateway -- server, median (least-most) of the rounds",
        "TCP, small UDP, new flows, connections and latency, beside the kernel and a null forwarder",
        measures.MEASURES,
        [Masquerade, Gateway, Null, PacketGateway, PacketNull, XdpGateway, XdpNull, Forwarding]),
    "peers": Part(
        "beside slirp4netns and pasta, MTU 1500",
        "TCP, small UDP, connections and latency, beside slirp4netns, pasta and a null forwarder",
        [one for one in measures.MEASURES if one.key != "new-udp"],
        [*OURS, PacketNull, Slirp, Pasta]),
    "latency": Part(
        "round trips, idle and at half of the peak rate; core time of the whole machine",
        "p50 to p99.9 and worst, idle, under load, and while reloading and listing; core time a million packets",
        latency.MEASURES, [*OURS, XdpGateway, Slirp, Pasta]),
    "streams": Part(
        "TCP streams; core time of the whole machine",
        "TCP in 1, 4 and 16 streams, out, back and both at once; core time a terabit",
        streams.MEASURES, [*OURS, Forwarding]),
    "sizes": Part(
        "UDP by size, 64 flows", "UDP small, IMIX and 1,472 bytes",
        loads.SIZE_MEASURES, [*OURS, XdpGateway, Forwarding]),
    "flows": Part(
        "small UDP by number of flows, all open before", "small UDP from 1, 1,000, 100,000 and 1,000,000 flows",
        loads.FLOW_MEASURES, [*OURS, XdpGateway]),
    "overload": Part(
        "offered and delivered, small UDP, 1,000 flows", "delivered at several offered rates; RFC 2544's throughput",
        loads.OVERLOAD_MEASURES, [*OURS, XdpGateway, Slirp, Pasta]),
    "nat64": Part(
        "small UDP beside tayga, which translates IPv6 to IPv4 without state (NAT64): other work than the others do",
        "small UDP, beside tayga, which does another translation: NAT64",
        [one for one in measures.MEASURES if one.key in ("udp-1", "udp-1000")], [*OURS, Tayga]),
}
