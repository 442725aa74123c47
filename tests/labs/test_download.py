"""Bulk data through the running gateway arrives intact, at both speeds of the code and in both families.

GATEWAY_DOWNLOAD_BYTES chooses the size; 1000000000 is a gigabyte.
"""

from __future__ import annotations

import hashlib
import os
import socket
import threading
from collections.abc import Iterator

import pytest

from gateway.testing.namespaces import Namespace, missing
from labs.nat_outgoing import PODS, RESOURCES, SERVERS
from labs.running import RunningGateway
from labs.world import EGRESS, World, at

pytestmark = pytest.mark.skipif(missing() is not None, reason=str(missing()))
SIZE = int(os.environ.get("GATEWAY_DOWNLOAD_BYTES", 20_000_000))
PORT = 8080
BLOCK = os.urandom(1 << 20)


def blocks(size: int) -> Iterator[bytes]:
    """`size` random bytes, no two blocks alike: a block lost, doubled or out of place changes the sum."""
    for number in range(0, size, len(BLOCK)):
        yield (number.to_bytes(8) + BLOCK[8:])[:size - number]


class Library:
    """Sends the download to the first who connects, and keeps its sum and who asked."""

    def __init__(self, where: Namespace, version: int) -> None:
        with where.enter():
            self.listener = socket.create_server(
                ("", PORT), family=socket.AF_INET if version == 4 else socket.AF_INET6)
        self.sum, self.reader = hashlib.sha256(), ""
        self.thread = threading.Thread(target=self.lend)
        self.thread.start()

    def lend(self) -> None:
        with self.listener, self.listener.accept()[0] as connection:
            self.reader = connection.getpeername()[0]
            for block in blocks(SIZE):
                self.sum.update(block)
                connection.sendall(block)


def download(where: Namespace, address: str) -> tuple[int, str]:
    with where.enter():
        connection = socket.create_connection((address, PORT), timeout=30)
    total, checksum, buffer = 0, hashlib.sha256(), memoryview(bytearray(1 << 20))
    with connection:
        while received := connection.recv_into(buffer):
            total += received
            checksum.update(buffer[:received])
    return total, checksum.hexdigest()


@pytest.mark.timeout(900)
@pytest.mark.parametrize("speed", ["compiled", "interpreted"])
@pytest.mark.parametrize("version", [4, 6])
def test_a_download_arrives_intact(version: int, speed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_PURE", "1" if speed == "interpreted" else "")
    with World(PODS, SERVERS) as world, RunningGateway(world.node, RESOURCES):
        pod, web = world.hosts["pod-a"], world.hosts["web"]
        library = Library(web.namespace, version)
        total, checksum = download(pod.namespace, web.address(version))
        library.thread.join()
    assert library.reader == at(EGRESS, version)
    assert (total, checksum) == (SIZE, library.sum.hexdigest())
