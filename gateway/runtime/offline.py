"""`explain` without a running gateway: a translator of the resources' own, without links and without flows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..nat.translators import Translators
from ..nat.verdict import NAMES, Verdict
from ..resources.build import build
from .reload import read

MASQUERADE = "no egress address is written: a gateway that runs has its outside interface's, not known offline"


def explain(sources: Sequence[str], packet: bytes, side: int) -> dict[str, Any]:
    """What would become of a first packet. Raises ResourceErrors."""
    resources = read(sources)
    answer: dict[str, Any] = Translators(build(resources), 0).explain(packet, side, 0)
    if answer["verdict"] == NAMES[Verdict.DROP_NO_EGRESS_ADDRESS] and not resources.gateway.spec.addresses:
        answer["steps"].insert(-1, {"stage": "host", "says": MASQUERADE})
    return answer
