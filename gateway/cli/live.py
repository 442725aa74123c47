"""Asks a running gateway: finds its control socket and speaks HTTP over it, with nothing but the standard library."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path
from typing import Any

from ..runtime import sockets
from . import out

TIMEOUT = 30.0  # seconds for one answer to begin or go on


class UnixConnection(HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("gateway", timeout=TIMEOUT)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))


def find(given: Path | None) -> Path:
    """The socket to ask: the one given, or the only one alive. Exit status 3 when there is none, or a choice."""
    if given is not None:
        return given
    found = sockets.live()
    if not found:
        out.stop("no running gateway found (looked in " + ", ".join(str(one) for one in sockets.folders())
                 + "): start one with `gateway run -f PATH`, or give its socket with --socket", out.NO_GATEWAY)
    if len(found) > 1:
        out.stop("several gateways run here: choose one with --socket or GATEWAY_SOCKET: "
                 + ", ".join(str(one) for one in found), out.NO_GATEWAY)
    return found[0]


@contextmanager
def asked(given: Path | None, method: str, target: str, body: Any = None) -> Iterator[HTTPResponse]:
    """The gateway's answer. Exit status 3 when nobody answers, 2 when it says that the question is wrong."""
    path = find(given)
    connection = UnixConnection(path)
    try:
        connection.request(method, target, None if body is None else json.dumps(body),
                           {} if body is None else {"Content-Type": "application/json"})
        response = connection.getresponse()
        if response.status >= 400:
            out.stop(mistake(response), out.BAD_INPUT if response.status < 500 else out.NO_GATEWAY)
        yield response
    except PermissionError:
        out.stop(f"{path}: no permission: the socket belongs to the user who runs the gateway", out.NO_GATEWAY)
    except (FileNotFoundError, ConnectionError, TimeoutError, HTTPException) as error:
        if isinstance(error, BrokenPipeError):
            raise
        out.stop(f"{path}: no gateway answers there ({error or type(error).__name__})", out.NO_GATEWAY)
    finally:
        connection.close()


def mistake(response: HTTPResponse) -> str:
    try:
        return str(json.loads(response.read())["error"])
    except (ValueError, KeyError, TypeError):
        return f"the gateway answered {response.status} {response.reason}"


def get(given: Path | None, target: str) -> Any:
    with asked(given, "GET", target) as response:
        return json.loads(response.read())
