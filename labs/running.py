"""The real gateway, `python -m gateway run`, in the node's namespace: started, reloaded, stopped."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from gateway.testing.namespaces import Namespace

PATIENCE = 20.0
ROOT = Path(__file__).parent.parent


class NotRunning(RuntimeError):
    """The gateway did not start, or ended by itself; the text is what it said."""


class RunningGateway:
    """Started on entering, stopped with SIGTERM on leaving, so that it undoes its own changes to the kernel."""

    def __init__(self, node: Namespace, resources: str) -> None:
        self.node = node
        self.folder = tempfile.TemporaryDirectory(prefix="gateway-lab-")
        folder = Path(self.folder.name)
        self.file, self.socket, self._log = folder / "gateway.yaml", folder / "control.sock", folder / "log"
        self.file.write_text(resources)
        self.process: subprocess.Popen[Any] | None = None

    def __enter__(self) -> RunningGateway:
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self.folder.cleanup()

    def start(self) -> None:
        with self._log.open("w") as log:
            self.process = self.node.popen(
                self.command("run", "-f", str(self.file)), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, env=self._environment())
        self._await(self._answers, "did not start")

    def stop(self) -> None:
        """SIGTERM, and a kill when that is not obeyed."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def apply(self, resources: str) -> None:
        """Write the file anew, as an editor does, and return once the gateway runs by it."""
        before = self.generation()
        fresh = self.file.with_suffix(".new")
        fresh.write_text(resources)
        fresh.rename(self.file)
        self._await(lambda: self.generation() > before, "did not reload")

    def ask(self, path: str) -> Any:
        """What the gateway's control API answers to GET `path`."""
        with socket.socket(socket.AF_UNIX) as plain, closing(HTTPConnection("gateway")) as connection:
            plain.settimeout(PATIENCE)
            plain.connect(str(self.socket))
            connection.sock = plain
            connection.request("GET", path)
            return json.loads(connection.getresponse().read())

    def generation(self) -> int:
        """Which rules are in use; a higher number after each reload that was accepted."""
        return int(self.ask("/v1/stats")["rules"]["generation"])

    def log(self) -> str:
        return self._log.read_text().strip() if self._log.exists() else ""

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "gateway", *words, "--socket", str(self.socket)]

    def _answers(self) -> bool:
        try:
            return bool(self.ask("/v1/stats"))
        except (OSError, HTTPException):
            return False

    def _await(self, condition: Callable[[], bool], complaint: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            ended = self.process is None or self.process.poll() is not None
            if ended or time.monotonic() > deadline:
                raise NotRunning(f"the gateway {complaint}: {self.log()}")
            time.sleep(0.05)

    @staticmethod
    def _environment() -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))}
