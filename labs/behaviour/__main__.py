"""`python -m labs.behaviour [FAMILY...]`; scripts/behaviour sets up what it needs."""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from labs.behaviour import Family, all_families
from labs.behaviour.family import missing, run
from labs.behaviour.report import Report
from labs.lab import Unable, interruptible, prepare

PAGE = Path(__file__).parents[2] / "docs" / "behaviour.md"
OPENING, CLOSING = "<!-- tools -->", "<!-- /tools -->"
HEADING = """## Seen by real tools

What other people's tools report of a running gateway, between a pod and a server two routers away: TUN inside,
AF_PACKET outside, network namespaces, compiled code. `scripts/behaviour` runs them and checks every claim;
`--write` writes their words here. Banners, rulers and closing statistics are left out; no line is changed.

```
pod ── node-a: TUN, gateway, eth0 ── router ── transit ── web
192.168.1.2         198.51.100.10    .1    192.0.2.2      203.0.113.10
fd00:192::2        2001:db8:e::10    ::1   2001:db8:2::2  2001:db8:113::10
```"""


def parse() -> argparse.Namespace:
    names = [family.name for family in all_families()]
    parser = argparse.ArgumentParser(
        prog="scripts/behaviour", description="Real tools through the real gateway: every claim checked.",
        epilog="exit status: 0 all hold, 1 one does not or a tool is missing, 3 not permitted here. Needs root.")
    parser.add_argument("families", nargs="*", metavar="FAMILY", help=f"some of: {', '.join(names)}; default: all")
    parser.add_argument("--install", action="store_true", help="first install the tools that are missing (apt-get)")
    parser.add_argument("--write", action="store_true", help="write what they say into docs/behaviour.md")
    parser.add_argument("--verbose", action="store_true", help="print what they say")
    arguments = parser.parse_args()
    if unknown := set(arguments.families) - set(names):
        parser.error(f"no such family: {', '.join(sorted(unknown))}")
    if arguments.write and arguments.families:
        parser.error("--write writes all families")
    return arguments


def written(page: str, reports: Iterable[Report]) -> str:
    """`page` with what the tools said in its section; the section is made where there is none."""
    section = "\n\n".join([OPENING, HEADING, *(report.markdown() for report in reports), CLOSING])
    if OPENING not in page:
        return f"{page.rstrip()}\n\n{section}\n"
    return re.sub(f"{OPENING}.*{CLOSING}", lambda _: section, page, flags=re.DOTALL)


def tell(reports: Iterable[Report], verbose: bool) -> int:
    """One line a family, and every claim that failed with what was seen instead; their number."""
    failed = 0
    for report in reports:
        if verbose:
            print(report.markdown(), end="\n\n")
        total, wrong = len(report.checks), len(report.failed)
        print(f"{report.name:<10} {total - wrong} of {total} claims hold, {report.seconds:.0f} s")
        for claim, otherwise in report.failed:
            print(f"  FAILED {claim}\n" + "\n".join(f"      {line}" for line in otherwise.splitlines()))
        failed += len(report.failed)
    return failed


def chosen(names: list[str]) -> list[Family]:
    return [family for family in all_families() if not names or family.name in names]


def main() -> int:
    arguments = parse()
    families = chosen(arguments.families)
    if absent := missing(families):
        print(f"missing: {', '.join(absent)}. scripts/behaviour --install installs them, or: apt-get install",
              " ".join(sorted(set(absent.values()))), file=sys.stderr)
        return 1
    try:
        prepare()
    except Unable as error:
        print(error, file=sys.stderr)
        return 3
    began = time.monotonic()
    try:
        with interruptible():
            reports = run(families)
    except KeyboardInterrupt:
        print("interrupted; everything is taken down", file=sys.stderr)
        return 130
    failed = tell(reports, arguments.verbose)
    print(f"{sum(len(report.checks) for report in reports) - failed} claims hold, {failed} do not, "
          f"in {time.monotonic() - began:.0f} s")
    if arguments.write and not failed:
        PAGE.write_text(written(PAGE.read_text() if PAGE.exists() else "# Behaviour\n", reports))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
