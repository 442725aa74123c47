"""nmap, from a pod outwards and from the outside at the gateway: what is open, what is not, and who gets to know."""

from __future__ import annotations

import re

from labs.behaviour.family import Family
from labs.behaviour.ground import Ground, ground
from labs.behaviour.report import Report, without
from labs.tap import Tap
from labs.world import EGRESS, at

INWARDS = ("-sS -p 22,80,40000", "-sU -p 53,40000", "-sA -p 80,40000")
SCANS = {"-sS -p 22,80": ("tcp", "22"), "-sT -p 22,80": ("tcp", "22"), "-sU -p 9,80": ("udp", "9")}
brief = without("^Starting|^Nmap done|^OS detection|^Network Distance:  *$|No exact OS")


def look(report: Report) -> None:
    with ground() as network:
        with Tap(network.pod.namespace) as tap:
            inwards(report, network)
            _, received = tap.read()
            strangers = [str(packet) for packet in received if ":" not in packet.source or "::113" in packet.source]
        report.check("nothing of it reached the pod", not strangers, strangers)
        for version in (4, 6):
            for options in SCANS:
                outwards(report, network, version, options)
        fingerprint(report, network)


def inwards(report: Report, network: Ground) -> None:
    """All at once: the scanner waits for answers that must not come."""
    report.say("From the outside, where nobody was asked in:")
    place = network.web.namespace
    commands = [scan(version, options, at(EGRESS, version)) for version in (4, 6) for options in INWARDS]
    tools = [report.start(place, command) for command in commands]
    for command, tool in zip(commands, tools, strict=True):
        said = report.finish(place, command, tool, brief)
        states = re.findall(r"^\d+/\w+ +(\S+)", said, re.MULTILINE)
        expected = "open|filtered" if "-sU" in command else "filtered"
        report.check(f"every port is {expected}: silence", bool(states) and set(states) == {expected}, said)


def scan(version: int, options: str, address: str) -> str:
    return f"nmap -n {'-6 ' if version == 6 else ''}-Pn {options} {address}"


def outwards(report: Report, network: Ground, version: int, options: str) -> None:
    protocol, closed = SCANS[options]
    said = report.run(network.pod.namespace, scan(version, options, network.web.address(version)), brief)
    report.expect(f"IPv{version}: the open port is open, the closed one closed",
                  rf"^{closed}/{protocol} +closed.*^80/{protocol} +open ", said)


def fingerprint(report: Report, network: Ground) -> None:
    """Sixteen odd probes and what came back of them: U1 is a UDP probe whose port unreachable quotes it."""
    command = scan(4, "-sS -p 22,80 -O --max-os-tries 1 --traceroute", network.web.address(4))
    said = report.run(network.pod.namespace, command, brief)
    whole = "".join(re.findall(r"^OS:(.*)$", said, re.MULTILINE))
    report.expect("nmap counts five hops", r"Network Distance: 5 hops.*^5 +[\d.]+ ms +203\.0\.113\.10", said)
    for field, what in (("RIPL", "length"), ("RID", "identifier"), ("RIPCK", "header checksum"),
                        ("RUCK", "UDP checksum"), ("RUD", "data")):
        report.check(f"the {what} of the packet quoted in an ICMP error is as it was sent ({field}=G)",
                     f"%{field}=G" in whole, whole)


FAMILY = Family("scans", "nmap", ("nmap",), look)
