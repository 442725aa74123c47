"""Measurements on links: all data paths stand at once, and each measurement takes them in turn, in rounds."""

from __future__ import annotations

import os
import shutil
from collections.abc import Container
from contextlib import ExitStack

from bench.measures import MEASURES, Actor, Measure
from bench.paths import (
    DataPath,
    Forwarding,
    Gateway,
    Masquerade,
    NotWorking,
    Null,
    PacketGateway,
    PacketNull,
    XdpGateway,
    XdpNull,
)
from bench.report import say
from bench.results import Results
from gateway.testing.namespaces import missing

TITLE = "on links: pod -- gateway -- server, median (least-most) of the rounds"
PATHS: list[type[DataPath]] = [Masquerade, Gateway, Null, PacketGateway, PacketNull, XdpGateway, XdpNull, Forwarding]
PACKAGES = {"iperf3": "iperf3", "nft": "nftables", "ping": "iputils-ping"}


def have(tool: str) -> bool:
    os.environ["PATH"] += ":/usr/sbin:/sbin" if "/usr/sbin" not in os.environ["PATH"] else ""
    return shutil.which(tool) is not None


def run(results: Results, rounds: int, seconds: float, only: Container[str] = ()) -> None:
    """only: keys of data paths and of measurements; of either, all if none is among them."""
    if reason := missing():
        return results.note(f"nothing was measured on links: {reason}")
    if not have("ping"):
        return results.note(f"nothing was measured on links: ping is missing (package {PACKAGES['ping']})")
    with ExitStack() as stack:
        kinds = [kind for kind in PATHS if kind.key in only] or PATHS
        measures = [measure for measure in MEASURES if measure.key in only] or MEASURES
        paths = [path for kind in kinds if (path := start(stack, kind, results)) is not None]
        for turn in range(rounds):
            for measure in measures:
                take(results, measure, paths, seconds, f"round {turn + 1} of {rounds}")
    if results.sections.get(TITLE):
        results.note("every figure on links: the server saw the sources it should, translated except without NAT")


def start(stack: ExitStack, kind: type[DataPath], results: Results) -> DataPath | None:
    if kind is Masquerade and not have("nft"):
        results.note(f"{kind.name} was left out: nft is missing (package {PACKAGES['nft']})")
        return None
    try:
        return stack.enter_context(kind())
    except NotWorking as error:
        results.fail(f"{kind.name} was left out: {error}")
        return None


def take(results: Results, measure: Measure, paths: list[DataPath], seconds: float, turn: str) -> None:
    if measure.tool is not None and not have(measure.tool):
        return results.note(f"{measure.key} was left out: {measure.tool} is missing (package {PACKAGES[measure.tool]})")
    for path in list(paths):
        say(f"{turn}: {measure.key}, {path.name}")
        try:
            for row, value in measure.take(path, seconds).items():
                results.add(TITLE, row, measure.figures[row], path.name, value, measure.fewer_is_better)
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
