"""`python -m bench.null -f PATH`: `gateway run`, link for link the same, with PassOn in the translator's place."""

from __future__ import annotations

import sys

from gateway.runtime import gateway as room

from bench.pass_on import PassOn

if __name__ == "__main__":
    room.Translator = lambda ruleset, seed: PassOn()  # type: ignore[assignment,misc]
    sys.argv = ["gateway", "run", *sys.argv[1:]]
    from gateway.cli import main

    main()
