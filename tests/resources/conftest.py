"""Ways to say what was written and what came of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gateway.resources import ResourceError, ResourceErrors, load

GATEWAY = """\
apiVersion: gateway/v1
kind: Gateway
metadata: {name: node-a, labels: {rack: r1}}
spec: {outside: {interface: eth0}, addresses: [198.51.100.10]}
"""


@pytest.fixture
def errors_of() -> Callable[[str], list[ResourceError]]:
    """Every mistake in a text, which must have some."""

    def find(text: str) -> list[ResourceError]:
        with pytest.raises(ResourceErrors) as caught:
            load(text)
        return caught.value.errors

    return find


@pytest.fixture
def only_error(errors_of: Callable[[str], list[ResourceError]]) -> Callable[[str], ResourceError]:
    """The one mistake in a text."""

    def find(text: str) -> ResourceError:
        found = errors_of(text)
        assert len(found) == 1, found
        return found[0]

    return find


@pytest.fixture
def pool() -> Callable[..., str]:
    """An IPPool as text, after a Gateway."""

    def write(spec: str, name: str = "p") -> str:
        return f"---\napiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata: {{name: {name}}}\nspec: {spec}\n"

    return write


@pytest.fixture
def gateway_text() -> str:
    return GATEWAY
