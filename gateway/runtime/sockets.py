"""Where a gateway's control socket lies, how it is claimed, and which ones are alive.

A gateway runs in a network namespace, but the file system is shared: any shell on the node can ask it. The
socket is 0600 in a directory of the user's own; nothing on the network reaches it.
"""

from __future__ import annotations

import os
import socket
import stat
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

SUFFIX = ".sock"
BACKLOG = 16
PATH_MAX = 107  # sun_path of sockaddr_un, without its closing zero


class SocketError(Exception):
    """No socket can be had at that path; the message says why and what to do."""


def folders() -> list[Path]:
    """Where sockets may lie, the preferred first: the system's, the session's, a private one; or systemd's alone."""
    given, session = os.environ.get("RUNTIME_DIRECTORY", "").split(":")[0], os.environ.get("XDG_RUNTIME_DIR", "")
    if given:
        return [Path(given)]
    paths = [Path("/run/gateway")] + ([Path(session) / "gateway"] if session else [])
    return [*paths, Path(tempfile.gettempdir()) / f"gateway-{os.getuid()}"]


def default_path(name: str) -> Path:
    """The socket of the gateway called `name`: in the first folder that is there, or can be made, for this user."""
    for folder in folders():
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK | os.X_OK) and folder.stat().st_uid == os.getuid():
            return folder / f"{name}{SUFFIX}"
    raise SocketError("no folder for the control socket: give one with --socket PATH")


@dataclass(frozen=True)
class Claim:
    """A path that is this gateway's until `release`."""

    path: Path
    listener: socket.socket
    inode: int

    def release(self) -> None:
        """Remove the path, unless somebody else's socket lies there by now, and close the socket."""
        with suppress(OSError):
            if self.path.lstat().st_ino == self.inode:
                self.path.unlink()
        self.listener.close()


def claim(path: Path) -> Claim:
    """A listening socket at `path`, mode 0600. One that nobody answers any more is replaced."""
    if len(os.fsencode(path)) > PATH_MAX:
        raise SocketError(f"{path}: a socket's path has at most {PATH_MAX} bytes; give a shorter one with --socket")
    _clear(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
    except OSError as error:
        listener.close()
        raise SocketError(f"{path}: {error.strerror}; give another path with --socket") from error
    finally:
        os.umask(before)
    listener.listen(BACKLOG)
    return Claim(path, listener, path.lstat().st_ino)


def alive(path: Path) -> bool:
    """Whether a gateway answers there."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True


def live() -> list[Path]:
    """The sockets of every gateway that runs where this user may look."""
    found = {path for folder in folders() for path in sorted(folder.glob(f"*{SUFFIX}")) if os.access(path, os.W_OK)}
    return sorted(path for path in found if alive(path))


def _clear(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except OSError:
        return
    if not stat.S_ISSOCK(mode):
        raise SocketError(f"{path} is there and is no socket: give another path with --socket")
    if alive(path):
        raise SocketError(f"{path}: another gateway answers there: stop it, give this one another metadata.name, "
                          "or another path with --socket")
    path.unlink(missing_ok=True)
