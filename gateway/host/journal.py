"""What was changed in the kernel, on disk before it is changed, so that it can be undone whatever happens.

One file per gateway and network namespace, one JSON object a line, synced. Its owner holds a lock on it as long
as it lives: a journal that nobody holds is a dead gateway's, and whoever starts next in that namespace undoes it.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from .plan import HostError

SO_NETNS_COOKIE = 71  # Linux 5.14: never reused while the machine is up, unlike the inode
Undo = Callable[[dict[str, Any]], None]


def directory() -> Path:
    """Where journals lie: a place that does not outlive the machine's uptime."""
    given = os.environ.get("RUNTIME_DIRECTORY", "").split(":")[0]
    if given:
        return Path(given)
    if os.access("/run", os.W_OK):
        return Path("/run/gateway")
    return Path(os.environ.get("XDG_RUNTIME_DIR") or "/tmp") / "gateway"


def namespace() -> str:
    """This network namespace's name for life: boot, inode and, where the kernel has one, cookie."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    cookie = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket, suppress(OSError):
        cookie = struct.unpack("Q", any_socket.getsockopt(socket.SOL_SOCKET, SO_NETNS_COOKIE, 8))[0]
    return f"{boot[:8]}-{os.stat('/proc/thread-self/ns/net').st_ino}-{cookie}"


class Journal:
    """A gateway's own journal, locked. `record` before a change, `forget` if the change turned out not to be ours."""

    def __init__(self, file: TextIO, path: Path) -> None:
        self._file, self.path = file, path
        self._entries: dict[int, dict[str, Any]] = {}
        self._next = 0

    @classmethod
    def open(cls, gateway: str, undo: Undo, folder: Path | None = None) -> Journal:
        """Start a journal, after undoing those of dead gateways of this namespace by `undo`, last change first."""
        folder = folder or directory()
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise HostError(f"cannot make {folder}, where changes to the kernel are recorded: {error.strerror}; "
                            "set RUNTIME_DIRECTORY to a folder this user can write") from None
        here = namespace()
        own = folder / f"{here}-{gateway}.journal"
        for path in sorted(folder.glob(f"{here}-*.journal")):
            clean_up(path, undo, living_is_error=path == own)
        file = _lock(own)
        if file is None:
            raise HostError(_running(own))
        journal = cls(file, own)
        journal._append({"gateway": gateway, "process": os.getpid()})
        return journal

    def record(self, kind: str, **fields: Any) -> int:
        """Write down what is about to be changed; returns a number for `forget`."""
        self._next += 1
        self._entries[self._next] = {"number": self._next, "kind": kind, **fields}
        self._append(self._entries[self._next])
        return self._next

    def forget(self, number: int) -> None:
        """The change was not made, or had been made by somebody else before: it is not ours to undo."""
        self._entries.pop(number, None)
        self._append({"forget": number})

    def entry(self, number: int) -> dict[str, Any] | None:
        """A recorded change, unless it was forgotten."""
        return self._entries.get(number)

    def undo(self, undo: Undo) -> list[str]:
        """Undo everything and remove the journal. Returns what could not be undone, a sentence each."""
        if self._file.closed:
            return []
        failures = _undo_all(self.path, undo)
        self.path.unlink(missing_ok=True)
        self._file.close()
        return failures

    def _append(self, entry: dict[str, Any]) -> None:
        self._file.write(json.dumps(entry) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())


def clean_up(path: Path, undo: Undo, living_is_error: bool = False) -> bool:
    """Undo and remove the journal at `path` if its owner is dead. Returns whether it was."""
    file = _lock(path)
    if file is None:
        if living_is_error:
            raise HostError(_running(path))
        return False
    with file:
        _undo_all(path, undo)
        path.unlink(missing_ok=True)
    return True


def _lock(path: Path) -> TextIO | None:
    """The journal opened for appending and locked, or None while its owner lives."""
    while True:
        file = open(path, "a")  # noqa: SIM115 - held open: that is the lock
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return None
        with suppress(FileNotFoundError):  # another start may have cleaned up and removed it meanwhile
            if os.stat(path).st_ino == os.fstat(file.fileno()).st_ino:
                return file
        file.close()


def _undo_all(path: Path, undo: Undo) -> list[str]:
    failures = []
    for entry in reversed(_pending(path)):
        try:
            undo(entry)
        except Exception as error:  # one change that cannot be undone must not keep the others
            failures.append(f"{entry['kind']} was not undone ({error}): {json.dumps(entry)}")
    return failures


def _pending(path: Path) -> list[dict[str, Any]]:
    """The recorded changes that count, oldest first. A last line cut off by a crash was never acted upon."""
    entries: dict[int, dict[str, Any]] = {}
    for line in path.read_text().splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if "forget" in entry:
            entries.pop(entry["forget"], None)
        elif "kind" in entry:
            entries[entry["number"]] = entry
    return list(entries.values())


def _running(path: Path) -> str:
    with suppress(OSError, ValueError, KeyError, IndexError):
        first = json.loads(path.read_text().splitlines()[0])
        return (f"gateway {first['gateway']} already runs in this network namespace (process {first['process']}): "
                "stop it first, or give this one another name")
    return f"another gateway holds {path}"
