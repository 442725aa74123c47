"""The packet path executes the instructions that are kept on record, whatever else the machine is doing."""

from __future__ import annotations

import shutil

import pytest

pytest.importorskip("Cython")

from bench import engine, instructions

pytestmark = [
    pytest.mark.skipif(shutil.which("valgrind") is None, reason="valgrind is not installed"),
    pytest.mark.skipif(not engine.is_compiled(), reason="the gateway is not compiled here"),
]


def test_no_path_has_changed_unseen() -> None:
    counts = instructions.count()
    assert set(counts) == set(instructions.PATHS) and all(counts.values())
    assert instructions.changes(counts) == []  # if meant: scripts/bench instructions --write, and the changelog


def test_a_change_is_told() -> None:
    kept = instructions.kept()["instructions"]
    assert instructions.changes(kept) == []
    slower = {**kept, "new TCP": kept["new TCP"] * 1.5}
    assert [one.split(":")[0] for one in instructions.changes(slower)] == ["new TCP"]
