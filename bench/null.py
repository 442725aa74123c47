"""`python -m bench.null -f PATH`: `gateway run`, link for link the same, with PassOn in the translator's place."""

from __future__ import annotations

import sys

from bench.pass_on import PassOn
from gateway.runtime import gateway as room

if __name__ == "__main__":
    setattr(room, "Translator", lambda ruleset, seed: PassOn())  # noqa: B010, it is not of the same type
    sys.argv = ["gateway", "run", *sys.argv[1:]]
    from gateway.cli import main

    main()
