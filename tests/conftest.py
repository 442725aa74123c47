"""Profiles of hypothesis: the default takes seconds, HYPOTHESIS_PROFILE=ci and =long search further.

And who runs what, where two processes share the suite (scripts/test): a file at a time, in the order of ORDER.
"""

import os
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from gateway.testing.plugin import simulator  # noqa: F401  a fixture, also where the package is not installed

CALM = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]}
settings.register_profile("default", max_examples=60, stateful_step_count=40, **CALM)
settings.register_profile("ci", max_examples=200, stateful_step_count=60, derandomize=True, **CALM)
settings.register_profile("long", max_examples=5000, stateful_step_count=100, **CALM)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

# The longest first; beside the benchmarks' loads, which take all the time that there is, what only reckons; what waits
# for packets comes after both. Folders that are not named follow.
ORDER = ("bench", "nat", "match", "resources", "wire", "fuzz", "runtime", "labs", "cli")
# One process has all of these: loads would spoil each other's figures, labs count the labs that are left behind.
TOGETHER = ("bench", "labs")


def folder(nodeid: str) -> str:
    return nodeid.split("/")[1]


def place(item: pytest.Item) -> int:
    name = folder(item.nodeid)
    return ORDER.index(name) if name in ORDER else len(ORDER)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):  # one of several processes
        items.sort(key=place)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            name = folder(nodeid)
            return name if name in TOGETHER else nodeid.split("::")[0]

    return ByFile(config, log)
