"""`python -m bench [NAME ...]`; scripts/bench sets up what it needs."""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
from pathlib import Path

from bench import compile, links, machine, report
from bench.parts import PARTS
from bench.results import Results

SAYS = {
    "all": "memory and links, in some ten minutes (the default)",
    "full": "everything below, in an hour or so",
    "memory": "the translator alone, up to a million flows",
    "exhaustion": "every port of an address in use",
    **{name: part.says for name, part in PARTS.items()},
}
WHOLE = ["memory", *PARTS, "exhaustion"]


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="names:\n" + "".join(f"  {name:<12}{text}\n" for name, text in SAYS.items()) +
               "examples:\n  scripts/bench\n  scripts/bench links --rounds 5 --seconds 3 --json figures.json\n"
               "  scripts/bench memory peers")
    parser.add_argument("names", nargs="*", metavar="NAME", help="what to measure; names are listed below")
    parser.add_argument("--rounds", type=int, default=3, help="times that each measurement is taken (3)")
    parser.add_argument("--seconds", type=float, default=2, help="length of one measurement on links (2)")
    keys = ", ".join(dict.fromkeys([*(kind.key for part in PARTS.values() for kind in part.kinds),
                                    *(measure.key for part in PARTS.values() for measure in part.measures)]))
    parser.add_argument("--only", metavar="KEYS", type=lambda text: text.split(","), default=[],
                        help=f"of what is measured on links: data paths and measurements, by their keys: {keys}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every value there; - for standard output")
    parser.add_argument("--install", action="store_true",
                        help=f"install what is missing of {', '.join(links.PACKAGES)} (apt-get)")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(SAYS):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(SAYS)}")
    return arguments


def chosen(names: list[str]) -> list[str]:
    """The parts that names mean, each once, in the order of `WHOLE`."""
    wanted = {"memory", "links"} if not names or "all" in names else set(names)
    return WHOLE if "full" in names else [name for name in WHOLE if name in wanted]


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

    names = chosen(arguments.names)
    results = Results(machine.describe())
    try:
        for name in names:
            if name == "memory":
                memory.run(results, arguments.rounds, most=1_000_000 if arguments.names else 100_000)
                conntrack.run(results, min(arguments.rounds, 2))
            elif name == "exhaustion":
                exhaustion.run(results, arguments.rounds)
            else:
                links.run(results, arguments.rounds, arguments.seconds, arguments.only, PARTS[name])
    except KeyboardInterrupt:
        print("\ninterrupted; what was measured until then:", file=sys.stderr)
        results.note("interrupted before the end")
    results.machine["load after"] = machine.load()
    if str(arguments.json) != "-":
        report.show(results)
    if arguments.json is not None:
        text = json.dumps(results.as_json(), indent=1, ensure_ascii=False)
        print(text) if str(arguments.json) == "-" else arguments.json.write_text(text + "\n")
    return 1 if results.failed else 0


if __name__ == "__main__":
    sys.exit(main())
