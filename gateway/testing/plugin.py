"""pytest: the `simulator` fixture, a maker of Simulators."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .simulator import Simulator


@pytest.fixture
def simulator() -> Callable[..., Simulator]:
    """`simulator(resources, seed=1, pure=False)`: the whole data path without a kernel."""
    from .simulator import Simulator  # not when pytest starts: who does not use it should not load the packet path

    return Simulator
