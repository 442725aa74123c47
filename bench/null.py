"""`python -m bench.null -f PATH`: `gateway run`, link for link the same, but nothing is translated.

Every frame goes out on the other side as it came, not even the TTL changes: what the links alone can do.
"""

from __future__ import annotations

import sys
from typing import Any

from bench.null_rounds import NullRounds
from bench.pass_on import pass_on
from gateway.nat import translator, translators
from gateway.runtime import worker


class PassOn(translator.Translator):
    """On the loop; in a thread NullRounds does the same."""

    def translate(self, batch: Any, side: int, now: int, handed: bool = False) -> None:
        pass_on(batch, side)


if __name__ == "__main__":
    setattr(translators, "Translator", PassOn)  # noqa: B010, for a type checker it is a type
    setattr(worker, "Rounds", NullRounds)  # noqa: B010
    sys.argv = ["gateway", "run", *sys.argv[1:]]
    from gateway.cli import main

    main()
