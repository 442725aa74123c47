"""Profiles of hypothesis: the default takes seconds, HYPOTHESIS_PROFILE=ci and =long search further."""

import os

from hypothesis import HealthCheck, settings

from gateway.testing.plugin import simulator  # noqa: F401  a fixture, also where the package is not installed

CALM = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]}
settings.register_profile("default", max_examples=60, stateful_step_count=40, **CALM)
settings.register_profile("ci", max_examples=200, stateful_step_count=60, derandomize=True, **CALM)
settings.register_profile("long", max_examples=5000, stateful_step_count=100, **CALM)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))
