"""The parts of the benchmark on links: which measurements each takes, on which data paths."""

from __future__ import annotations

from dataclasses import dataclass

from bench import latency, measures
from bench.measures import Measure
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
        "TCP, small UDP, connections and latency, beside slirp4netns and pasta",
        [one for one in measures.MEASURES if one.key != "new-udp"],
        [*OURS, Slirp, Pasta]),
    "latency": Part(
        "round trips, idle and at half of the peak rate; core time of the whole machine",
        "p50 to p99.9 and worst, idle, under load, and while reloading and listing; core time a million packets",
        latency.MEASURES, [*OURS, XdpGateway, Slirp, Pasta]),
}
