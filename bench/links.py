"""Measurements on links: all data paths stand at once, and each measurement takes them in turn, in rounds."""

from __future__ import annotations

import os
import shutil
from collections.abc import Container
from contextlib import ExitStack

from bench.measures import COSTS, Actor, Measure
from bench.parts import PARTS, Part
from bench.paths import DataPath, NotWorking
from bench.report import say
from bench.results import Results
from gateway.testing.namespaces import missing

PACKAGES = {"iperf3": "iperf3", "nft": "nftables", "ping": "iputils-ping", "slirp4netns": "slirp4netns",
            "pasta": "passt", "tayga": "tayga"}


def have(tool: str) -> bool:
    os.environ["PATH"] += ":/usr/sbin:/sbin" if "/usr/sbin" not in os.environ["PATH"] else ""
    return shutil.which(tool) is not None


def lacks(tool: str) -> str:
    """Why something cannot be measured, or "" if this tool is here."""
    return "" if have(tool) else f"{tool} is missing (package {PACKAGES[tool]})"


def run(results: Results, rounds: int, seconds: float, only: Container[str] = (), part: Part = PARTS["links"]) -> None:
    """only: keys of data paths and of measurements; of either, all if none is among them."""
    if reason := missing() or lacks("ping"):
        return results.note(f"nothing was measured on links: {reason}")
    with ExitStack() as stack:
        kinds = [kind for kind in part.kinds if kind.key in only] or part.kinds
        measures = [measure for measure in part.measures if measure.key in only] or part.measures
        paths = [path for kind in kinds if (path := start(stack, kind, results)) is not None]
        for turn in range(rounds):
            for measure in measures:
                take(results, part.title, measure, paths, seconds, f"round {turn + 1} of {rounds}")
    if results.sections.get(part.title):
        results.note("every figure on links: the server saw the sources it should, translated except without NAT")


def start(stack: ExitStack, kind: type[DataPath], results: Results) -> DataPath | None:
    if reason := lacks(kind.tool):
        results.note(f"{kind.name} was left out: {reason}")
        return None
    try:
        return stack.enter_context(kind())
    except NotWorking as error:
        results.fail(f"{kind.name} was left out: {error}")
        return None


def take(results: Results, title: str, measure: Measure, paths: list[DataPath], seconds: float, turn: str) -> None:
    if measure.tool is not None and (reason := lacks(measure.tool)):
        return results.note(f"{measure.key} was left out: {reason}")
    for path in list(paths):
        say(f"{turn}: {measure.key}, {path.name}")
        try:
            for row, value in measure.take(path, seconds).items():
                unit = measure.figures[row]
                results.add(title, row, unit, path.name, value, unit in COSTS)
        except Exception as error:  # one failed figure must not cost the others; what went wrong is printed
            results.fail(f"{measure.key}, {path.name}: {type(error).__name__}: {error}")
            for actor in list(Actor.all):
                actor.end()
            leave_if_ended(results, paths, path)


def leave_if_ended(results: Results, paths: list[DataPath], path: DataPath) -> None:
    try:
        path.check()
    except NotWorking as error:
        results.fail(str(error))
        paths.remove(path)
    say("")
