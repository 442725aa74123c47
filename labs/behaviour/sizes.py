"""ping with and without DF, a byte below and above what fits: who says so, to whom, with which MTU."""

from __future__ import annotations

from labs.behaviour.family import Family
from labs.behaviour.ground import Ground, ground
from labs.behaviour.report import Report, without
from labs.world import ROUTER, at

MTU, NARROW = 1500, 1400
HEADERS = {4: 28, 6: 48}
brief = without("^---|^rtt|^PING")


def look(report: Report) -> None:
    with ground() as network:
        for version in (4, 6):
            fits(report, network, version, MTU, MTU - HEADERS[version])
        report.say(f"The link between the two routers shrinks to {NARROW} bytes:")
        network.narrow(NARROW)
        for version in (4, 6):
            fits(report, network, version, NARROW, NARROW - HEADERS[version])
            too_big(report, network, version, NARROW - HEADERS[version] + 1)
        report.say("Without DF the router cuts, and the gateway passes the pieces; a pod that cuts by itself too:")
        for size in (NARROW - HEADERS[4] + 1, 4000, 40000):
            in_pieces(report, network, 4, size)
        ping(report, network, 6, 4000)  # the server learns the path's MTU from this one's answer
        in_pieces(report, network, 6, 4000)


def ping(report: Report, network: Ground, version: int, size: int, count: int = 1, options: str = "",
         shown: bool = False) -> str:
    words = ["ping -n -c", str(count), "-i 0.2 -W 1", options, "-s", str(size), network.web.address(version)]
    return report.run(network.pod.namespace, " ".join(filter(None, words)), brief if shown else None)


def fits(report: Report, network: Ground, version: int, mtu: int, size: int) -> None:
    said = ping(report, network, version, size, options="-M do", shown=True)
    report.expect(f"IPv{version}: {size} bytes of data fit {mtu} exactly", f"^{size + 8} bytes from .* 0% packet loss",
                  said)


def too_big(report: Report, network: Ground, version: int, size: int) -> None:
    """The first is refused by the router, in an error that the gateway translates; the second by the pod's kernel."""
    said = ping(report, network, version, size, 2, "-M do", shown=True)
    words = rf"Frag needed and DF set \(mtu = {NARROW}\)" if version == 4 else f"Packet too big: mtu={NARROW}"
    report.expect(f"IPv{version}: of one byte more the router says that it is too big, and the pod is told",
                  rf"From {at(ROUTER, version)} icmp_seq=1 {words}", said)
    report.expect(f"IPv{version}: the pod's kernel believes it, and refuses the next one itself",
                  rf"local error: message too long, mtu[=:] ?{NARROW}", said)


def in_pieces(report: Report, network: Ground, version: int, size: int) -> None:
    options = "-M dont" if version == 4 else ""
    said = ping(report, network, version, size, options=options, shown=True)
    report.expect(f"IPv{version}: {size} bytes of data come back whole", f"^{size + 8} bytes from .* 0% packet loss",
                  said)


FAMILY = Family("sizes", "ping around the MTU", ("ping", "ip"), look)
