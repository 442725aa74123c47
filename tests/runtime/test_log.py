"""The operator's lines: one a line, and never flooded by what a stranger can cause."""

import json
import logging

import pytest

from gateway.runtime import log


@pytest.fixture(autouse=True)
def untouched():
    root, ours = logging.getLogger(), log.logger
    before = root.handlers[:], root.level, ours.handlers[:], ours.level, ours.propagate
    yield
    root.handlers[:], root.level, ours.handlers[:], ours.level, ours.propagate = before


def test_an_event_is_one_line_with_its_facts(capsys):
    log.start()
    log.event("reloaded", generation=2, why="a file\nchanged")
    [line] = capsys.readouterr().err.splitlines()
    assert line.endswith(r'info reloaded generation=2 why="a file\nchanged"')


def test_as_json_too(capsys):
    log.start("json")
    log.event("reloaded", logging.WARNING, generation=2)
    line = json.loads(capsys.readouterr().err)
    assert (line["level"], line["event"], line["generation"]) == ("warning", "reloaded", 2)


def test_a_repeated_event_is_counted_not_written(capsys):
    log.start()
    now = 0.0
    limiter = log.Limiter(clock=lambda: now, every=10)
    assert limiter.event("exhausted", pool="a")
    assert not any(limiter.event("exhausted", pool=str(number)) for number in range(500))
    now = 10.0
    assert limiter.event("exhausted", pool="b")
    first, second = capsys.readouterr().err.splitlines()
    assert first.endswith("exhausted pool=a") and second.endswith("exhausted pool=b left_out=500")


def test_the_limiter_itself_is_bounded():
    limiter = log.Limiter(clock=lambda: 0.0)
    for number in range(3 * log.EVENTS_KNOWN):
        limiter.event(f"event{number}", logging.DEBUG)
    assert len(limiter.last) <= log.EVENTS_KNOWN
