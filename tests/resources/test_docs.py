"""docs/resources.md says what is so."""

from __future__ import annotations

import re
from pathlib import Path

from gateway.resources import load
from gateway.resources.kinds.felix import FelixSpec
from gateway.resources.kinds.gateway import GatewaySpec
from gateway.resources.schema import Section, section_in

TEXT = (Path(__file__).parents[2] / "docs" / "resources.md").read_text()


def test_the_example_loads_without_notes() -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    assert load(example).notes == ()


def leaves(section: type[Section]) -> set[str]:
    found: set[str] = set()
    for written, name in section.field_names().items():
        inner = section_in(section.model_fields[name].annotation)
        found |= leaves(inner) if inner else {written}
    return found


def test_every_field_is_there() -> None:
    for field in leaves(GatewaySpec) | leaves(FelixSpec):
        assert re.search(rf"[`.]{field}`", TEXT), field
