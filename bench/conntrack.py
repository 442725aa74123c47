"""What a flow costs the kernel: nf_conntrack's memory before and after masquerading many UDP flows on this machine.

An entry's own object is in the slab `nf_conntrack`; what may come with it (an extension area, where the rule is
`masquerade` and not `snat` as here) is in general slabs, so all unreclaimable slab memory is compared too. The hash
table is of fixed size and not counted; the gateway's index is.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from bench import field, links
from bench.measures import Blast
from bench.memory import FOOTPRINT
from bench.paths import Masquerade
from bench.report import say
from bench.results import Results
from gateway.testing.namespaces import Namespace, missing

COLUMN = "nf_conntrack"
FLOWS = 200_000  # of one namespace; nf_conntrack_max is 262,144 on most machines
PORTS = 50_000
PAGE = os.sysconf("SC_PAGE_SIZE")


def slab(name: str, table: str) -> int:
    """Bytes of a slab in a text like /proc/slabinfo: its slabs' pages, so that what it leaves unused is counted."""
    for line in table.splitlines():
        words = line.split()
        if words and words[0] == name:
            numbers = words[1:]
            return int(numbers[4]) * PAGE * int(numbers[13])
    raise RuntimeError(f"no slab {name}")


def unreclaimable(table: str) -> int:
    """Bytes of all slabs that cannot be reclaimed, in a text like /proc/meminfo."""
    return next(int(line.split()[1]) * 1024 for line in table.splitlines() if line.startswith("SUnreclaim:"))


def used() -> tuple[int, int]:
    return slab("nf_conntrack", Path("/proc/slabinfo").read_text()), unreclaimable(Path("/proc/meminfo").read_text())


def count(namespace: Namespace) -> int:
    return int(namespace.sysctl("net/netfilter/nf_conntrack_count"))


def measure(flows: int) -> dict[str, float]:
    """Bytes a flow: in slab nf_conntrack, and in all."""
    with Masquerade() as path:
        path.fresh()
        time.sleep(1)  # what earlier flows held is given back only after a while
        before, live = used(), count(path.field.gateway)
        actor = Blast(max(1, flows // PORTS), min(flows, PORTS), 5, field.SINK_MANY, once=True).by(path)
        actor.go()
        actor.report()
        time.sleep(0.1)
        opened = count(path.field.gateway) - live
        after = used()
        if opened < flows * 0.9:
            raise RuntimeError(f"{opened} of {flows} flows were opened")
        return {"entry": (after[0] - before[0]) / opened, "all": (after[1] - before[1]) / opened}


def run(results: Results, rounds: int, flows: int = FLOWS) -> None:
    if (reason := missing()) or not links.have("nft") or not os.access("/proc/slabinfo", os.R_OK):
        return results.note(f"nf_conntrack's memory was left out: {reason or 'it takes nft and /proc/slabinfo'}")
    for _ in range(rounds):
        say("memory of nf_conntrack")
        found = measure(flows)
        results.add(FOOTPRINT, "a UDP flow", "bytes", COLUMN, found["all"], True)
        results.add(FOOTPRINT, "its connection entry alone", "bytes", COLUMN, found["entry"], True)
    return None
