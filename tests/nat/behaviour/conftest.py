"""Every case here runs at both speeds: `make(**spec)` is a Simulator of the tests' world, compiled and interpreted."""

import pytest

from gateway.testing import Simulator
from tests.nat.behaviour.talk import Make
from tests.worlds import world


@pytest.fixture(params=[False, True], ids=["compiled", "interpreted"])
def make(request: pytest.FixtureRequest) -> Make:
    return lambda *pools, **spec: Simulator(world(*pools, **spec), pure=request.param)
