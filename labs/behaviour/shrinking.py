"""curl and iperf3 over a path whose MTU shrinks in the middle: the transfer goes on, and arrives intact."""

from __future__ import annotations

import hashlib
import random
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import TCPServer

from gateway.testing.namespaces import Namespace
from labs.behaviour.family import Family
from labs.behaviour.ground import Ground, ground
from labs.behaviour.report import Report, without
from labs.world import EGRESS, at

PORT = 8080
BLOCK = 1 << 16
CONTENT = random.Random(1).randbytes(320 * BLOCK)
SUM = hashlib.sha256(CONTENT).hexdigest()
UPLOADS, DOWNLOADS, DATAGRAMS = {4: 1460, 6: 1440}, {4: 1420, 6: 1400}, {4: 1340, 6: 1320}  # what the MTU falls to
SECONDS = 2
LENGTHS = {4: 1320, 6: 1290}  # of datagrams: with their headers, they fit what was until then, and no longer
brief = without(r"^Connecting|^iperf Done|^- - -|local .* port")


def look(report: Report) -> None:
    with ground() as network, Library(network.web.namespace).open() as library, \
            tempfile.TemporaryDirectory(prefix="gateway-behaviour-") as folder:
        Path(folder, "sent").write_bytes(CONTENT)
        report.say(f"20 MB each; when half of them have passed, the link between the two routers shrinks. The sum that "
                   f"has to come out is `{SUM}`.")
        for version, mtu in UPLOADS.items():
            upload(report, network, library, folder, version, mtu)
        for version, mtu in DOWNLOADS.items():
            download(report, network, library, folder, version, mtu)
        report.say("UDP has nobody who would send again: the sender is told, and from then on its kernel cuts what "
                   "is too large.")
        for version, mtu in DATAGRAMS.items():
            stream(report, network, version, mtu)


class Exchange(BaseHTTPRequestHandler):
    """PUT tells the sum of what came; GET sends CONTENT. Halfway through either, `server.halfway` is called."""

    protocol_version = "HTTP/1.1"
    server: Library

    def do_PUT(self) -> None:
        total, left = hashlib.sha256(), int(self.headers["Content-Length"])
        middle = left // 2
        while left:
            data = self.rfile.read(min(BLOCK, left))
            total.update(data)
            if left > middle >= left - len(data):
                self.server.halfway()
            left -= len(data)
        self.answer(f"the server received {total.hexdigest()}\n".encode())

    def do_GET(self) -> None:
        self.begin(len(CONTENT))
        middle = len(CONTENT) // 2
        self.wfile.write(CONTENT[:middle])
        self.server.halfway()
        self.wfile.write(CONTENT[middle:])

    def answer(self, body: bytes) -> None:
        self.begin(len(body))
        self.wfile.write(body)

    def begin(self, length: int) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def log_message(self, format: str, *words: object) -> None:
        """Say nothing."""


class Library(TCPServer):
    """One transfer at a time, both families."""

    address_family = socket.AF_INET6
    allow_reuse_address = True

    def __init__(self, where: Namespace) -> None:
        with where.enter():
            super().__init__(("::", PORT), Exchange)
        self.halfway: Callable[[], None] = lambda: None

    @contextmanager
    def open(self) -> Iterator[Library]:
        thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield self
        finally:
            self.shutdown()
            thread.join()
            self.server_close()


def link(network: Ground, version: int, path: str = "") -> str:
    address = network.web.address(version)
    return f"http://{f'[{address}]' if version == 6 else address}:{PORT}/{path}"


def upload(report: Report, network: Ground, library: Library, folder: str, version: int, mtu: int) -> None:
    library.halfway = lambda: network.narrow(mtu)
    said = report.run(network.pod.namespace, f"curl -sS -T sent {link(network, version, 'sent')}", cwd=folder)
    report.check(f"IPv{version}, out, the MTU falls to {mtu}: it arrives intact", SUM in said, said)
    expect_learnt(report, network.pod.namespace, network.web.address(version), mtu,
                  f"IPv{version}: the pod learnt the new MTU, from an error that the gateway translated")


def download(report: Report, network: Ground, library: Library, folder: str, version: int, mtu: int) -> None:
    library.halfway = lambda: network.narrow(mtu)
    report.run(network.pod.namespace, f"curl -sS -o received {link(network, version, 'sent')}", cwd=folder)
    said = report.run(network.pod.namespace, "sha256sum received", cwd=folder)
    report.check(f"IPv{version}, back, the MTU falls to {mtu}: it arrives intact", SUM in said, said)
    expect_learnt(report, network.web.namespace, at(EGRESS, version), mtu,
                  f"IPv{version}: the server learnt the new MTU towards the gateway")


def expect_learnt(report: Report, where: Namespace, address: str, mtu: int, claim: str) -> None:
    report.expect(claim, rf"\bmtu {mtu}\b", report.run(where, f"ip route get {address}"))


def stream(report: Report, network: Ground, version: int, mtu: int) -> None:
    """iperf3's socket is connected: an error that fits it ends the run, which is how one sees that it came."""
    said = send(report, network, version, lambda: network.narrow(mtu))
    report.expect(f"IPv{version}, UDP, the MTU falls to {mtu}: the sender is told in the middle of its run",
                  "Message too long", said)
    expect_learnt(report, network.pod.namespace, network.web.address(version), mtu,
                  f"IPv{version}: the pod learnt the new MTU")
    said = send(report, network, version)
    report.expect(f"IPv{version}, UDP: begun again, in pieces, it goes through without loss",
                  r"\b0/\d+ \(0%\) +receiver", said)


def stream_command(address: str, length: int) -> str:
    return f"iperf3 -c {address} -u -b 4M -l {length} -t {SECONDS}"


def send(report: Report, network: Ground, version: int, meanwhile: Callable[[], None] | None = None) -> str:
    """One run of iperf3, to its end or its error; `meanwhile` after half of it."""
    place, command = network.pod.namespace, stream_command(network.web.address(version), LENGTHS[version])
    listener = network.web.namespace.popen(["iperf3", "-s", "-1", "--forceflush"], stdout=subprocess.PIPE)
    assert listener.stdout is not None
    listener.stdout.readline()  # it says that it listens
    tool = report.start(place, command)
    if meanwhile is not None:
        time.sleep(SECONDS / 2)
        meanwhile()
    said = report.finish(place, command, tool, brief)
    listener.kill()
    listener.communicate()
    return said


FAMILY = Family("shrinking", "curl and iperf3 while the path shrinks", ("curl", "iperf3", "ip"), look)
