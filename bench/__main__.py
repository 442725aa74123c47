"""`python -m bench [all|memory|links|exhaustion]`; scripts/bench sets up what it needs."""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
from pathlib import Path

from bench import compile, links, machine, measures, report
from bench.results import Results


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="examples:\n  scripts/bench\n  scripts/bench links --rounds 5 --seconds 3 --json figures.json\n"
               "  scripts/bench memory")
    parser.add_argument("name", nargs="?", choices=["all", "links", "memory", "exhaustion"], default="all",
                        metavar="NAME",
                        help="links: real traffic through namespaces; memory: the translator alone; "
                             "exhaustion: every port of an address in use; default: the first two")
    parser.add_argument("--rounds", type=int, default=3, help="times that each measurement is taken (3)")
    parser.add_argument("--seconds", type=float, default=2, help="length of one measurement on links (2)")
    keys = ", ".join([*(path.key for path in links.PATHS), *(measure.key for measure in measures.MEASURES)])
    parser.add_argument("--only", metavar="KEYS", type=lambda text: text.split(","), default=[],
                        help=f"of what is measured on links: data paths and measurements, by their keys: {keys}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every value there; - for standard output")
    parser.add_argument("--install", action="store_true", help="install iperf3, nftables and ping (apt-get) if missing")
    return parser.parse_args()


def install() -> None:
    packages = [package for tool, package in links.PACKAGES.items() if not links.have(tool)]
    if packages:
        print("installing", *packages, file=sys.stderr)
        subprocess.run(["apt-get", "install", "-qq", "-y", "--no-install-recommends", *packages], check=True,
                       stdout=subprocess.DEVNULL)


def main() -> int:
    arguments = parse()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # also where a shell started us with it ignored
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was set up is taken down
    if arguments.install:
        install()
    compile.ensure()
    from bench import conntrack, exhaustion, memory

    results = Results(machine.describe())
    try:
        if arguments.name in ("all", "memory"):
            memory.run(results, arguments.rounds, most=100_000 if arguments.name == "all" else 1_000_000)
            conntrack.run(results, min(arguments.rounds, 2))
        if arguments.name == "exhaustion":
            exhaustion.run(results, arguments.rounds)
        if arguments.name in ("all", "links"):
            links.run(results, arguments.rounds, arguments.seconds, arguments.only)
    except KeyboardInterrupt:
        print("\ninterrupted; what was measured until then:", file=sys.stderr)
        results.note("interrupted before the end")
    if str(arguments.json) != "-":
        report.show(results)
    if arguments.json is not None:
        text = json.dumps(results.as_json(), indent=1, ensure_ascii=False)
        print(text) if str(arguments.json) == "-" else arguments.json.write_text(text + "\n")
    return 1 if results.failed else 0


if __name__ == "__main__":
    sys.exit(main())
