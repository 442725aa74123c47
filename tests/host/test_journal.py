"""Recorded before it is made, undone in reverse, by the owner or by whoever starts next."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from gateway.host.journal import Journal, namespace
from gateway.host.plan import HostError


class Undone(list[int]):
    def __call__(self, entry: dict[str, Any]) -> None:
        self.append(entry["value"])


def test_changes_are_undone_in_reverse_but_for_those_forgotten(tmp_path: Path) -> None:
    undone = Undone()
    journal = Journal.open("one", undone, tmp_path)
    numbers = [journal.record("thing", value=value) for value in (1, 2, 3)]
    journal.forget(numbers[1])
    assert journal.undo(undone) == [] and undone == [3, 1]
    assert journal.undo(undone) == [] and undone == [3, 1], "once"
    assert list(tmp_path.iterdir()) == []


def test_one_that_fails_does_not_keep_the_others(tmp_path: Path) -> None:
    undone = Undone()

    def undo(entry: dict[str, Any]) -> None:
        if entry["value"] == 2:
            raise RuntimeError("stuck")
        undone(entry)

    journal = Journal.open("one", undo, tmp_path)
    for value in (1, 2, 3):
        journal.record("thing", value=value)
    (failure,) = journal.undo(undo)
    assert undone == [3, 1] and "thing was not undone (stuck)" in failure


def test_a_dead_owners_journal_is_undone_by_the_next_of_whatever_name(tmp_path: Path) -> None:
    child = os.fork()
    if child == 0:
        Journal.open("one", Undone(), tmp_path).record("thing", value=7)
        os._exit(0)
    os.waitpid(child, 0)
    path = next(tmp_path.iterdir())
    path.write_text(path.read_text() + '{"number": 2, "kind": "thi')  # died while writing
    undone = Undone()
    journal = Journal.open("two", undone, tmp_path)
    assert undone == [7]
    assert [other.name for other in tmp_path.iterdir()] == [journal.path.name]
    journal.undo(undone)


def test_a_living_owner_keeps_its_journal(tmp_path: Path) -> None:
    undone = Undone()
    first = Journal.open("one", undone, tmp_path)
    first.record("thing", value=1)
    with pytest.raises(HostError, match=f"one already runs in this network namespace .process {os.getpid()}"):
        Journal.open("one", undone, tmp_path)
    Journal.open("two", undone, tmp_path).undo(undone)
    assert undone == []
    first.undo(undone)


def test_another_namespaces_journal_is_left_alone(tmp_path: Path) -> None:
    stranger = tmp_path / "0000-1-2-one.journal"
    stranger.write_text(json.dumps({"number": 1, "kind": "thing", "value": 1}) + "\n")
    undone = Undone()
    Journal.open("one", undone, tmp_path).undo(undone)
    assert undone == [] and stranger.exists() and namespace() not in stranger.name


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(HostError, match="RUNTIME_DIRECTORY"):
        Journal.open("one", Undone(), tmp_path / "file" / "below")
