"""`python -m bench.instructions [--write]`: instructions a packet, counted by callgrind.

Time on a busy machine says little; the number of instructions executed is the same each time. The paths below are
run under valgrind, and the counts compared with those in instructions.json, which `--write` replaces.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench import compile
from bench.engine import Engine, chunks, datagrams, segments, tcp_conversation, udp_conversation
from gateway.wire import bits, sides

HERE = Path(__file__).parent
KEPT = HERE / "instructions.json"
TOLERANCE = 0.03  # of a count; a change beyond it belongs into the changelog
OTHER_COMPILER = 0.25  # another compiler counts otherwise: then only what is far off is told
COUNTED = ("*Engine_run*", "*lookups_1look_up*")  # what is counted, with all that it calls
MARK = "*FlowTable_next_expired*"  # called between two paths: callgrind writes down what it has counted
FLOWS = 256


def established(converse: Callable[[Engine, int], tuple[list[bytes], list[bytes]]]) -> tuple[Engine, int]:
    """8 packets of each of FLOWS flows, half of them from outside."""
    engine = Engine()
    out, back = converse(engine, FLOWS)
    mark(engine)
    for _ in range(4):
        engine.through(out, sides.INSIDE)
        engine.through(back, sides.OUTSIDE)
    return engine, 8 * FLOWS


def new(make: Callable[[int], list[bytes]]) -> tuple[Engine, int]:
    engine, packets = Engine(), make(4 * FLOWS)
    mark(engine)
    for some in chunks(packets, 64):
        engine.translate(some, sides.INSIDE)
    return engine, len(packets)


def lookups() -> tuple[Engine, int]:
    from bench.lookups import look_up
    from bench.memory import pool_set, wanted
    from gateway.match.prefixes import Prefixes

    pools = pool_set(1000)
    built = Prefixes([(0, bits.V4_MAPPED | network, 96 + length, number)
                      for number, (network, length) in enumerate(pools)])
    lows, engine = array("Q", (bits.V4_MAPPED | one for one in wanted(pools))), Engine()
    mark(engine)
    look_up(built, memoryview(lows))
    return engine, len(lows)


PATHS: dict[str, Callable[[], tuple[Engine, int]]] = {
    "established UDP": lambda: established(udp_conversation),
    "established TCP": lambda: established(tcp_conversation),
    "new UDP": lambda: new(datagrams),
    "new TCP": lambda: new(segments),
    "lookup, 1000 pools": lookups,
}


def mark(engine: Engine) -> None:
    engine.translator.engine.table.next_expired(0, 0)


def walk() -> None:
    """Under valgrind: every path, with a mark before and after it; prints how many packets each one had."""
    sizes = {}
    for name, path in PATHS.items():
        engine, sizes[name] = path()
        mark(engine)
    print(json.dumps(sizes))


def count() -> dict[str, float]:
    """Instructions a packet, by path."""
    compile.ensure()
    with tempfile.TemporaryDirectory() as folder:
        command = ["valgrind", "--tool=callgrind", "--collect-atstart=no", f"--dump-before={MARK}",
                   *(f"--toggle-collect={one}" for one in COUNTED), f"--callgrind-out-file={folder}/out",
                   sys.executable, "-m", "bench.instructions", "--walk"]
        done = subprocess.run(command, cwd=HERE.parent, check=True, capture_output=True, text=True,
                              env={**os.environ, "PYTHONPATH": str(HERE.parent), "PYTHONHASHSEED": "0"})
        counts = [counted(Path(folder) / f"out.{number}") for number in range(1, 2 * len(PATHS) + 1)]
    sizes = json.loads(done.stdout.splitlines()[-1])
    return {name: round(counts[2 * place + 1] / sizes[name], 1) for place, name in enumerate(PATHS)}


def counted(path: Path) -> int:
    found = re.search(r"^(?:totals|summary): (\d+)", path.read_text(), re.MULTILINE)
    return int(found[1]) if found else 0


def compiler() -> str:
    """What the counts depend on besides the code."""
    import Cython

    gcc = subprocess.run(["gcc", "-dumpfullversion"], capture_output=True, text=True, check=True).stdout.strip()
    return f"{os.uname().machine}, gcc {gcc}, Cython {Cython.__version__}"


def kept() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(KEPT.read_text())
    return found


def changes(counts: dict[str, float]) -> list[str]:
    """What is no longer as it was kept."""
    before = kept()
    allowed = TOLERANCE if before["compiler"] == compiler() else OTHER_COMPILER
    return [f"{name}: {counts.get(name)} instructions, {count} before" for name, count in before["instructions"].items()
            if abs(counts.get(name, 0) / count - 1) > allowed]


def main() -> int:
    if "--walk" in sys.argv:
        walk()
        return 0
    counts = count()
    for name, each in counts.items():
        print(f"{name:<20} {each:8.1f} instructions a packet")
    if "--write" in sys.argv:
        KEPT.write_text(json.dumps({"compiler": compiler(), "instructions": counts}, indent=1) + "\n")
    found = changes(counts)
    for one in found:
        print(one, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
