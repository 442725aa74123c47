"""`explain` without a running gateway: a translator of the resources' own, without links and without flows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..nat.translators import Translators
from ..resources.build import build
from .reload import read


def explain(sources: Sequence[str], packet: bytes, side: int) -> dict[str, Any]:
    """What would become of a first packet. Raises ResourceErrors."""
    answer: dict[str, Any] = Translators(build(read(sources)), 0).explain(packet, side, 0)
    return answer
