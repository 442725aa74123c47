"""What README.md and the tutorial show is what happens: their Python runs, their commands print what they print."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from labs import all_labs

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text()


def blocks(text: str, language: str) -> list[str]:
    found = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [block for name, block in found if name == language]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder but for the README's resources."""
    (tmp_path / "gateway.yaml").write_text(blocks(README, "yaml")[0])
    return tmp_path


def run(folder: Path, *words: str) -> str:
    done = subprocess.run([sys.executable, *words], cwd=folder, env={"PYTHONPATH": str(ROOT)}, capture_output=True,
                          text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("program", blocks(README, "python") + blocks(TUTORIAL, "python"))
def test_python_in_the_documents_runs(folder: Path, program: str) -> None:
    run(folder, "-c", program)


def test_explain_prints_what_the_readme_shows(folder: Path) -> None:
    command = re.search(r"^    gateway (explain -f .*)$", README, re.MULTILINE)
    assert command is not None
    shown = next(block for block in blocks(README, "") if block.startswith("packet "))
    assert run(folder, "-m", "gateway", *command[1].split()) == shown


def test_the_readme_lists_every_lab() -> None:
    for lab in all_labs():
        assert f"| `{lab.name}` | {lab.summary} |" in README


def test_the_demo_shows_the_lab_as_it_is() -> None:
    demo = all_labs()[0]
    assert demo.drawing.rstrip() in README
    assert all(f"    {line}" in README for line in demo.resources.strip().splitlines())
