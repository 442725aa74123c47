"""All workers of a gateway as one pump: for whoever lists, reloads or explains, one or many are the same.

Each has a thread, a queue of either side's link and a translator. They share nothing but their inboxes, into which
each puts what belongs to another (`nat.shares`). A turn here is a turn with all of them: rules are swapped between
two batches of each, and everybody sees them at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from .worker import Worker, new_inbox

if TYPE_CHECKING:
    from ..links.link import Link
    from ..nat.translators import Translators


class Turns:
    """Every worker's turn, for the loop's thread alone. May be nested."""

    def __init__(self, workers: Sequence[Worker]) -> None:
        self.workers = workers

    def __enter__(self) -> None:
        for one in self.workers:
            one.turn.__enter__()

    def __exit__(self, *_: object) -> None:
        for one in reversed(self.workers):
            one.turn.__exit__()


class Workers:
    """One worker for each translator, with the links of its number."""

    def __init__(self, queues: Sequence[tuple[Link, Link]], translators: Translators,
                 failed: Callable[[Exception], None], clock: Callable[[], int] = time.monotonic_ns) -> None:
        self.inboxes = [new_inbox() for _ in translators.all] if len(translators.all) > 1 else []
        self.all = [Worker(links, translator, failed, clock, self.inboxes)
                    for links, translator in zip(queues, translators.all, strict=True)]
        self.turn = Turns(self.all)

    def start(self) -> None:
        for one in self.all:
            one.start()

    def stop(self) -> None:
        """The batches at hand are finished first. What is in an inbox by then is lost, as on any link that closes."""
        for one in reversed(self.all):
            one.stop()
        for inbox in self.inboxes:
            inbox.close()

    def collect_garbage(self) -> None:
        self.all[0].collect_garbage()

    def describe(self) -> list[dict[str, Any]]:
        """Each worker's packets by side, its flows, and what others handed over to it, or could not."""
        found = []
        for number, one in enumerate(self.all):
            inbox = self.inboxes[number] if self.inboxes else None
            found.append({"worker": number, "inside": one.packets[0], "outside": one.packets[1],
                          "flows": one.translator.live, "handed_over": inbox.received if inbox else 0,
                          "inbox_full": inbox.overflowed if inbox else 0})
        return found
