"""Every lab, as a newcomer runs it: all checks hold and nothing stays behind, however it ends."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gateway.testing.namespaces import FOLDER, missing
from labs import all_labs

pytestmark = pytest.mark.skipif(missing() is not None, reason=str(missing()))
ROOT = Path(__file__).parents[2]
LABS = [lab.name for lab in all_labs()]
PATIENCE = 60


def start(*words: str, **environment: str) -> subprocess.Popen[str]:
    # in a session of its own, so that what it starts can be told from what others run; it hears Ctrl-C although these
    # tests may run in the background, where a shell has it ignored
    return subprocess.Popen(
        [sys.executable, "-m", "gateway", "lab", *words], cwd=ROOT, text=True, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def namespaces() -> set[Path]:
    """The router is in every lab and in nothing else."""
    return set(FOLDER.glob("gw-router-*"))


def gateways() -> set[str]:
    """Processes that run a lab's gateway, by the folder of its files."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            lines.append(path.read_bytes().replace(b"\0", b" ").decode())
    return {found[0] for line in lines if (found := re.search(r"/gateway-lab-\w+/", line))}


def until(condition: object, patience: float = PATIENCE) -> None:
    deadline = time.monotonic() + patience
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.05)


@pytest.mark.parametrize("name", LABS)
def test_all_checks_hold(name: str) -> None:
    before = namespaces(), gateways()
    lab = start(name)
    said, _ = lab.communicate(timeout=PATIENCE)
    assert lab.returncode == 0, said
    assert re.search(rf"{name}: all \d+ checks hold", said) and "FAILED" not in said
    assert (namespaces(), gateways()) == before


def test_interpreted_code_passes_too() -> None:
    lab = start("nat-outgoing", GATEWAY_PURE="1")
    said, _ = lab.communicate(timeout=PATIENCE)
    assert lab.returncode == 0, said


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_a_lab_that_is_interrupted_leaves_nothing(end: signal.Signals) -> None:
    before = namespaces(), gateways()
    lab = start("pool-switch")
    until(lambda: gateways() > before[1])
    lab.send_signal(end)
    lab.communicate(timeout=PATIENCE)
    assert lab.returncode != 0
    assert (namespaces(), gateways()) == before


def test_a_kept_lab_stays_until_it_is_told_to_go() -> None:
    before = namespaces(), gateways()
    lab = start("nat-outgoing", "--keep")
    said, _ = lab.communicate(timeout=PATIENCE)
    assert lab.returncode == 0, said
    process = int(re.search(r"^ *kill (\d+)$", said, re.MULTILINE)[1])  # type: ignore[index]
    try:
        into_pod = re.search(r"^ *pod-a +(nsenter .*)$", said, re.MULTILINE)[1]  # type: ignore[index]
        answer = subprocess.run([*into_pod.split(), "ping", "-c1", "-W2", "203.0.113.10"], check=False)
        assert answer.returncode == 0
    finally:
        os.kill(process, signal.SIGTERM)
    until(lambda: (namespaces(), gateways()) == before)
