"""coturn's turnutils_natdiscovery: which mapping and filtering a STUN server sees (RFC 5780), as configured or not.

The server listens on two addresses and two ports. What a remote sees of filtering is the stricter of filtering and
mapping: an external endpoint that belongs to one remote address has nobody behind it for the others.
"""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from labs.behaviour.family import Family
from labs.behaviour.ground import ADDRESS, ENDPOINT, POD, PORT, SECOND, THIRD, WEB, Ground, ground, resources
from labs.behaviour.report import ENVIRONMENT, Report, without
from labs.world import at

SCOPES = [ENDPOINT, ADDRESS, PORT]
WORDS = {ENDPOINT: "Endpoint Independent", ADDRESS: "Address Dependent", PORT: "Address and Port Dependent"}
SERVER = ["turnserver", "-n", "--stun-only", "--no-auth", "--no-cli", "--no-tls", "--no-dtls", "--no-tcp",
          "--log-file", "stdout", "--pidfile", "/dev/null", *(f"-L{address}" for address in (*WEB, *SECOND))]
PATIENCE = 10.0
Seen = dict[tuple[str, str, int], str]
brief = without("^=+$|^-=|^RFC 5780|^No ALG|timeout|^$")


def look(report: Report) -> None:
    rest = Report("", "")
    with ThreadPoolExecutor(len(SCOPES) + 1) as pool:  # a gateway for each mapping: silence takes its seconds
        others = pool.submit(look_closer, rest)
        found = list(pool.map(discover, SCOPES))
    seen: Seen = {key: said for part in found for key, said in part.items()}
    tabulate(report, seen)
    for (mapping, filtering, version), said in seen.items():
        judge(report, mapping, filtering, version, said)
    report.join(rest)
    others.result()


def look_closer(report: Report) -> None:
    """At the gateway as it is by default, and at what else the tool can find out."""
    with ground() as network, stun_server(network):
        show(report, network)
        meet(report, network)
        collide(report, network)


@contextmanager
def stun_server(network: Ground) -> Iterator[None]:
    """coturn in the server's place, once it answers; killed with the namespace at the latest."""
    place = network.web.namespace
    server = place.popen(SERVER, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENVIRONMENT)
    deadline = time.monotonic() + PATIENCE
    while place.run(["ss", "-Hlun", "sport = :3479"], env=ENVIRONMENT).stdout.count(":3479") < len(WEB + SECOND):
        if server.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("turnserver did not start")
        time.sleep(0.05)
    try:
        yield
    finally:
        server.kill()
        server.wait()


def discover(mapping: str) -> Seen:
    """What the tool says of one mapping behaviour with each filtering behaviour, by both families at once."""
    seen: Seen = {}
    with ground(resources(mapping, ENDPOINT)) as network, stun_server(network):
        for filtering in SCOPES:
            network.gateway.apply(resources(mapping, filtering) + f"# {filtering}\n")
            tools = {version: Report("", "").start(network.pod.namespace,
                                                   f"turnutils_natdiscovery -m -f {at(WEB, version)}")
                     for version in (4, 6)}
            for version, tool in tools.items():
                seen[mapping, filtering, version] = tool.communicate(timeout=PATIENCE * 3)[0]
    return seen


def verdicts(said: str) -> tuple[str | None, str | None]:
    """What the tool concluded on mapping and on filtering."""
    found = [re.search(f"^NAT with (.*) {what}!$", said, re.MULTILINE) for what in ("Mapping", "Filtering")]
    return found[0] and found[0][1], found[1] and found[1][1]


def tabulate(report: Report, seen: Seen) -> None:
    report.say("`turnutils_natdiscovery -m -f 203.0.113.10` and the same by IPv6, for every `nat.mapping.udp` and "
               "`nat.filtering.udp`. Filtering cannot be looser than mapping: an external port that belongs to one "
               "remote has nobody behind it for another.")
    lines = ["| configured mapping | filtering | reported mapping | filtering |", "|---|---|---|---|"]
    for mapping in SCOPES:
        for filtering in SCOPES:
            four, six = (verdicts(seen[mapping, filtering, version]) for version in (4, 6))
            says = [str(one) if one == other else f"{one}; IPv6: {other}" for one, other in zip(four, six, strict=True)]
            lines.append(" | ".join(["", mapping, filtering, *says, ""]).strip())
    report.parts.append("\n".join(lines))


def judge(report: Report, mapping: str, filtering: str, version: int, said: str) -> None:
    """Claims of the table above: in the count, not on the page."""
    stricter = max(mapping, filtering, key=SCOPES.index)
    report.check(f"IPv{version}, {mapping} and {filtering}: reported as {WORDS[mapping]} and {WORDS[stricter]}",
                 verdicts(said) == (WORDS[mapping], WORDS[stricter]), said, shown=False)


def show(report: Report, network: Ground) -> None:
    report.say("As the gateway behaves when told nothing, with port preservation:")
    said = report.run(network.pod.namespace, f"turnutils_natdiscovery -m -f {WEB[0]}", brief)
    report.check("endpoint-independent mapping, address and port-dependent filtering",
                 verdicts(said) == (WORDS[ENDPOINT], WORDS[PORT]), said)
    ports = {tuple(pair) for pair in re.findall(r"reflexive addr: 198\.51\.100\.10:(\d+).*?Local addr: +:? *\S+:(\d+)",
                                                said, re.DOTALL)}
    report.check("the external port is the internal one", bool(ports) and all(a == b for a, b in ports), said)


def meet(report: Report, network: Ground) -> None:
    """Hairpin: a second socket of the pod sends to the first one's external address."""
    network.gateway.apply(resources(ENDPOINT, ENDPOINT))
    for version in (4, 6):
        said = report.run(network.pod.namespace, f"turnutils_natdiscovery -H {at(WEB, version)}", brief)
        report.expect(f"IPv{version}: with endpoint-independent filtering, hairpinning works", "successful hairpinning",
                      said)


def collide(report: Report, network: Ground) -> None:
    """Two internal addresses with one source port: the second gets another port outside."""
    said = report.run(network.pod.namespace, f"turnutils_natdiscovery -c -L {POD[0]} -A {THIRD} {WEB[0]}", brief)
    ports = re.findall(r"reflexive addr: \S+:(\d+)", said)
    report.check("collision: one external address, two ports; the first keeps its own",
                 len(ports) == 2 and ports[0] != ports[1] and f"{POD[0]}:{ports[0]}" in said, said)


FAMILY = Family("stun", "turnutils_natdiscovery", ("turnserver", "turnutils_natdiscovery", "ip"), look)
