"""The null forwarder's translator: every frame goes out on the other side, as it is. What the links alone can do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gateway.wire import sides
from gateway.wire.batch import Batch


class PassOn:
    """Stands where a `nat.translator.Translator` stands. Not even the TTL changes."""

    def __init__(self) -> None:
        self.outbox: list[tuple[int, bytes, bytes]] = []
        self.live = self.capacity = self.memory = 0

    def translate(self, batch: Batch, side: int, now: int) -> None:
        for index in range(batch.count):
            batch.verdict[index] = 0
            batch.out[index] = sides.OUTSIDE if side == sides.INSIDE else sides.INSIDE

    def tick(self, now: int, budget: int = 0) -> int:
        return 0

    def use(self, ruleset: Any) -> None:
        pass

    def counters(self) -> dict[str, int]:
        return {}

    def events(self) -> list[dict[str, Any]]:
        return []

    def flows(self, now: int) -> Iterator[Any]:
        return iter(())
