"""traceroute, mtr and tracepath: every router on the way is seen, the gateway among them, by every protocol."""

from __future__ import annotations

import re

from labs.behaviour.family import Family
from labs.behaviour.ground import Ground, ground
from labs.behaviour.report import Report, without
from labs.world import GATEWAY, NODE, ROUTER, at

TRACES = ("", "-T -p 80", "-I")
REPORTS = ("", "--udp", "--tcp -P 80")


def look(report: Report) -> None:
    with ground() as network:
        for version in (4, 6):
            for options in TRACES:
                trace(report, network, version, options)
        for version in (4, 6):
            for options in REPORTS:
                watch(report, network, version, options)
        report.say("tracepath asks by UDP with a growing TTL, and finds out the path's MTU. Between the first "
                   "two and the last two, the link between the routers shrinks to 1400 bytes:")
        for version in (4, 6):
            measure(report, network, version, 1500)
        network.narrow(1400)
        for version in (4, 6):
            measure(report, network, version, 1400)


def way(network: Ground, version: int) -> list[str]:
    """Node, gateway, the two routers, web."""
    transit, web = network.world.hosts["transit"], network.web
    return [at(NODE, version), at(GATEWAY, version), at(ROUTER, version), transit.address(version),
            web.address(version)]


def trace(report: Report, network: Ground, version: int, options: str) -> None:
    words = ["traceroute", "-n", "-q 1", options, network.web.address(version)]
    said = report.run(network.pod.namespace, " ".join(filter(None, words)))
    hops = re.findall(r"^ *\d+ +(\S+)", said, re.MULTILINE)
    protocol = {"": "UDP", "-I": "ICMP"}.get(options, "TCP")
    report.check(f"IPv{version}, {protocol}: the node, the gateway, two routers, the server",
                 hops == way(network, version), said)


def watch(report: Report, network: Ground, version: int, options: str) -> None:
    words = ["mtr -n --report -c 3 -i 0.1 -G 0.5", options, network.web.address(version)]
    said = report.run(network.pod.namespace, " ".join(filter(None, words)), without("^Start:"))
    hops = re.findall(r"\|-- (\S+) +([\d.]+)%", said)
    protocol = {"": "ICMP", "--udp": "UDP"}.get(options, "TCP")
    report.check(f"IPv{version}, {protocol}: every hop answers every probe",
                 hops == [(hop, "0.0") for hop in way(network, version)], said)


def measure(report: Report, network: Ground, version: int, mtu: int) -> None:
    said = report.run(network.pod.namespace, f"tracepath -n {network.web.address(version)}")
    report.expect(f"IPv{version}: the path's MTU is {mtu}, five hops there and five back",
                  rf"Resume: pmtu {mtu} hops 5 back 5", said)
    if mtu < 1500:
        return  # where a probe that was too large is sent again, a hop's line may be missing
    seen = list(dict.fromkeys(re.findall(r"^ *\d+: +([\da-f.:]+) ", said, re.MULTILINE)))
    report.check(f"IPv{version}: every hop answers", seen == way(network, version), said)


FAMILY = Family("routes", "traceroute, mtr, tracepath", ("traceroute", "mtr", "tracepath", "ip"), look)
