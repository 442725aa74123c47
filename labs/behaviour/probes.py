"""hping3: single packets with flags, fragments and messages that no kernel sends by itself."""

from __future__ import annotations

from labs.behaviour.family import Family
from labs.behaviour.ground import Ground, ground
from labs.behaviour.report import Report, counters, without
from labs.world import EGRESS, GATEWAY, ROUTER

WEB = "203.0.113.10"
UNASKED = {"-A": 5001, "-F": 5002, "-SF": 5003, "-F -P -U": 5004, "-X": 5005, "-Y": 5006}  # flags, source port
KNOCK = f"hping3 -n -c 2 -i 7 -S -s 6000 -p 45678 {EGRESS[0]}"  # the second SYN only makes it wait for the first's end
brief = without("^---|^round-trip|^HPING|^ICMP timestamp RTT")


def look(report: Report) -> None:
    with ground() as network:
        knock = report.start(network.web.namespace, KNOCK)  # takes its seven seconds in the meantime
        open_and_flagged(report, network)
        for flags, port in UNASKED.items():
            unasked(report, network, flags, port)
        said = report.finish(network.web.namespace, KNOCK, knock, brief)
        report.check("an unsolicited SYN is met with silence for 6 s, then refused (RFC 5382 REQ-4)",
                     said.count("ICMP Port Unreachable") == said.count(f"from ip={EGRESS[0]}") == 1, said)
        messages(report, network)
        pieces(report, network)


def probe(report: Report, network: Ground, options: str) -> str:
    return report.run(network.pod.namespace, f"hping3 -n -i u50000 {options} {WEB}", brief)


def open_and_flagged(report: Report, network: Ground) -> None:
    said = probe(report, network, "-c 3 -S -p 80")
    report.check("each SYN is answered, four hops away", said.count("ttl=60") == said.count("flags=SA") == 3, said)
    said = probe(report, network, "-c 1 -S -s 5000 -p 443")
    report.expect("a closed port's RST comes back", "flags=RA", said)
    said = probe(report, network, "-c 1 -S -X -Y -s 5010 -p 80")
    report.expect("a SYN that offers ECN opens a flow, and the answer's ECE comes back", "flags=SAX", said)
    said = probe(report, network, "-c 7 --traceroute -S -s 5020 -p 80")
    hops = [GATEWAY[0], ROUTER[0], network.world.hosts["transit"].address(4)]
    report.expect("by growing TTL: gateway, routers, and an open port at the end",
                  ".*".join(rf"hop={number} TTL 0 during transit from ip={hop}" for number, hop in enumerate(hops, 2))
                  + ".*flags=SA", said)


def unasked(report: Report, network: Ground, flags: str, port: int) -> None:
    """`midstream: Drop`: TCP without a flow and without a clean SYN opens none."""
    before = counters(network.gateway)
    said = probe(report, network, f"-c 2 {flags} -s {port} -p 80")
    report.expect("nobody answers", "2 packets transmitted, 0 packets received", said)
    report.expect_counted("both were dropped for not beginning with a SYN alone (`drop_not_syn`)", network.gateway,
                          before, drop_not_syn=2, accept=0)


def messages(report: Report, network: Ground) -> None:
    said = probe(report, network, "-c 1 --icmp-ts")
    report.expect("an ICMP timestamp request is answered like an echo", "ICMP timestamp: Originate=", said)
    said = probe(report, network, "-c 1 -2 -p 9")
    report.expect("a closed UDP port's error comes back", f"ICMP Port Unreachable from ip={WEB}", said)


def pieces(report: Report, network: Ground) -> None:
    said = probe(report, network, "-c 1 -2 -f -d 60 -p 80")
    report.expect("a UDP datagram in pieces of 16 bytes is answered", "1 packets received", said)
    before = counters(network.gateway)
    said = probe(report, network, "-c 1 -S -f -d 40 -s 5050 -p 80")
    report.expect("a SYN whose first piece does not hold the whole TCP header is not", "0 packets received", said)
    report.expect_counted("it was dropped for hiding its flags (`drop_tiny_fragment`, RFC 1858)", network.gateway,
                          before, drop_tiny_fragment=1, accept=0)
    said = probe(report, network, "-c 1 -S -f -m 24 -d 40 -s 5040 -p 80")
    report.expect("one whose first piece holds it is answered", "flags=SA", said)


FAMILY = Family("probes", "hping3", ("hping3",), look)
