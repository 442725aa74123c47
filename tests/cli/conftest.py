"""The command line as people and scripts use it: a process, its output and its exit status."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent
RESOURCES = """
apiVersion: gateway/v1
kind: Gateway
metadata: {name: cli-test}
spec:
  inside: {driver: memory}
  outside: {driver: memory}
  addresses: [198.51.100.10, "2001:db8:e::10"]
---
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: default-ipv4-ippool}
spec: {cidr: 192.168.0.0/16, natOutgoing: true}
---
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: no-nat}
spec: {cidr: 10.0.0.0/8, disabled: true}
"""
Done = subprocess.CompletedProcess[str]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """One's own, but with sockets in a folder of the test's."""
    kept = {name: value for name, value in os.environ.items() if name not in ("GATEWAY_SOCKET", "XDG_RUNTIME_DIR")}
    return kept | {"PYTHONPATH": str(ROOT), "RUNTIME_DIRECTORY": str(tmp_path / "sockets"), "COLUMNS": "200"}


@pytest.fixture
def gateway(environment: dict[str, str], tmp_path: Path) -> Callable[..., Done]:
    def run(*words: str, text: str | None = None, **changed: str) -> Done:
        return subprocess.run([sys.executable, "-m", "gateway", *words], input=text, capture_output=True, text=True,
                              timeout=60, env=environment | changed, cwd=tmp_path)
    return run


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "gateway.yaml"
    path.write_text(RESOURCES)
    return str(path)


class Running:
    """`gateway run` as a process; its lines on standard error are kept in a file."""

    def __init__(self, file: str, environment: dict[str, str], folder: Path, *words: str) -> None:
        self.log_path = folder / "log"
        with self.log_path.open("w") as log:
            self.process: subprocess.Popen[Any] = subprocess.Popen(
                [sys.executable, "-m", "gateway", "run", "-f", file, *words], stderr=log, env=environment, cwd=folder)
        self.until("started")

    @property
    def log(self) -> str:
        return self.log_path.read_text()

    def until(self, text: str, seconds: float = 20) -> None:
        deadline = time.monotonic() + seconds
        while text not in self.log:
            assert self.process.poll() is None or text in self.log, self.log
            assert time.monotonic() < deadline, self.log
            time.sleep(0.05)

    def end(self, number: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(20)


@pytest.fixture
def running(file: str, environment: dict[str, str], tmp_path: Path) -> Iterator[Running]:
    """A gateway between two memory links."""
    one = Running(file, environment, tmp_path)
    yield one
    one.end()
