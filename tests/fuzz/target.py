"""The fuzzer's target: its bytes decide a series of packets, the interpreted twin's coverage guides it (atheris).

    python -m tests.fuzz.target CORPUS [libFuzzer's options, such as -max_total_time=60]
    python -m tests.fuzz.target FILE        runs one input again, and says what arrived
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType

from gateway.twin import TWIN, interpreted

from .choices import Read
from .invariants import WORLDS, Watched
from .traffic import Traffic

PACKETS = 200  # of one input, at most


def one_input(data: bytes, show: bool = False) -> None:
    """The first byte chooses the world and the seed, the others the traffic."""
    if not data:
        return
    watched = Watched(data[0] % len(WORLDS), data[0], pure=True)
    traffic = Traffic(Read(data[1:]))
    while watched.arrived < PACKETS:
        try:
            arrivals = traffic.next()
        except EOFError:
            return
        for arrival in arrivals:
            if show:
                print(f"{'outside' if arrival.side else 'inside'} +{arrival.pause / 1e9}s {arrival.offload.hex()} "
                      f"{arrival.packet.hex()}")
            outcome = watched.translate([arrival])
            watched.check([arrival], outcome)
            for side, _, packet, *_ in (*outcome.forwarded, *outcome.own):
                traffic.emitted(side, packet)


def main() -> None:
    if len(sys.argv) == 2 and Path(sys.argv[1]).is_file():
        one_input(Path(sys.argv[1]).read_bytes(), show=True)
        return
    import atheris

    interpreted("nat.fragments").SLOTS = 16  # each input has a translator of its own: not thousands of hashes for it
    one_input(bytes(range(256)))  # everything that is imported late, is
    for function in functions():
        atheris.instrument_func(function)
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()


def functions() -> Iterator[FunctionType]:
    """Every function and method of the interpreted twin."""
    for name, module in sorted(sys.modules.items()):
        if name.startswith(f"{TWIN}.") and module is not None:
            for value in vars(module).values():
                members = vars(value).values() if isinstance(value, type) else [value]
                yield from (one for one in members if isinstance(one, FunctionType) and one.__module__ == name)


if __name__ == "__main__":
    main()
