"""docs/behaviour.md: every topic has rows, every row has tests, and every test named there exists."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs/behaviour.md").read_text()
TOPICS = ["Always", "Mapping and ports", "Filtering", "UDP, ICMP queries, other protocols", "TCP", "ICMP errors",
          "Fragments", "IPv6", "Hostile traffic", "Records", "Several workers"]
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def rows(topic: str) -> list[list[str]]:
    """The cells of a topic's table, its head left out."""
    section = PAGE.split(f"\n## {topic}\n")[1].split("\n## ")[0].split("<!-- tools -->")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


@cache
def functions_of(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text())
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


@pytest.mark.parametrize("topic", TOPICS)
def test_every_requirement_names_tests_that_exist(topic: str) -> None:
    table = rows(topic)
    assert len(table) >= 3
    for row in table:
        assert len(row) == 4 and row[0] and row[2], row
        named = NAMED.findall(row[3])
        assert named and NAMED.sub("", row[3]).strip() == "", row
        for path, name in named:
            assert name.startswith("test_") and name in functions_of(path), f"{path}::{name}"


def test_nothing_is_promised() -> None:
    assert not re.search(r"\b(planned|todo|not yet)\b", PAGE.split("<!-- tools -->")[0], re.IGNORECASE)


def test_every_case_is_on_the_page() -> None:
    """A behaviour that is tested and not stated is a secret."""
    files = [str(path.relative_to(ROOT)) for path in (ROOT / "tests/nat/behaviour").glob("test_*.py")]
    assert files and all(path in PAGE for path in files)
