"""A pod, a node that runs a gateway, and a server, each in a namespace; and what a node looks like to compare."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from gateway.testing.namespaces import Namespace, join

ROOT = Path(__file__).parent.parent.parent
RESOURCES = """
apiVersion: gateway/v1
kind: Gateway
metadata: {name: kernel-test}
spec:
  inside: {driver: tun, interface: gw-inside}
  outside: {driver: packet, interface: eth0}
  addresses: [198.51.100.10, "2001:db8:e::10"]
---
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: default-ipv4-ippool}
spec: {cidr: 192.168.0.0/16, natOutgoing: true}
---
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: six}
spec: {cidr: "fd00:192::/64", natOutgoing: true}
"""
POD, POD6, LATER = "192.168.1.2", "fd00:192::2", "172.31.1.2"
SERVER, SERVER6 = "198.51.100.2", "2001:db8:e::2"
PORT = 7777
SETTINGS = ("ipv4/ip_forward", "ipv6/conf/all/forwarding", "ipv4/conf/eth0/forwarding", "ipv6/conf/eth0/proxy_ndp",
            "ipv4/neigh/eth0/proxy_delay", "ipv4/ip_local_reserved_ports", "ipv4/ip_local_port_range")


class World:
    """`seen`: the sources of every UDP datagram that reached the server, as (address, port)."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self.pod, self.node, self.server = (stack.enter_context(Namespace(name)) for name in ("pod", "node", "server"))
        self.folder, self.file, self.socket = folder, folder / "gateway.yaml", folder / "control.sock"
        self.file.write_text(RESOURCES)
        join(self.pod, "eth0", self.node, "pod", addresses=(
            [f"{POD}/24", f"{POD6}/64", f"{LATER}/24"], ["192.168.1.1/24", "fd00:192::1/64", "172.31.1.1/24"]))
        join(self.node, "eth0", self.server, "eth0", addresses=(
            ["198.51.100.1/24", "2001:db8:e::1/64"], [f"{SERVER}/24", f"{SERVER6}/64"]))
        for via in ("192.168.1.1", "fd00:192::1"):
            self.pod.route("default", via=via)
        # The server knows the way to the pods: an untranslated packet would be answered, not lost.
        for network in ("192.168.0.0/16", "172.31.0.0/16"):
            self.server.route(network, via="198.51.100.1")
        self.server.route("fd00:192::/64", via="2001:db8:e::1")
        self.seen: list[tuple[str, int]] = []
        self.processes: list[subprocess.Popen[Any]] = []
        stack.callback(self.end)
        stack.enter_context(self.echo())

    def replace(self, old: str, new: str) -> None:
        """Change the resources' text."""
        text = self.file.read_text()
        assert old in text
        self.file.write_text(text.replace(old, new))

    def end(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()

    @contextmanager
    def echo(self) -> Iterator[None]:
        """The server answers every datagram with the source it saw."""
        with self.server.enter():
            listener = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        listener.bind(("::", PORT))

        def answer() -> None:
            while True:
                data, source = listener.recvfrom(2048)
                if not data:
                    return
                self.seen.append((source[0].removeprefix("::ffff:"), source[1]))
                with contextlib.suppress(OSError):
                    listener.sendto(source[0].removeprefix("::ffff:").encode(), source)
        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield
        finally:
            with self.server.enter(), socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as last:
                last.sendto(b"", ("::1", PORT))
            thread.join(5)
            listener.close()

    def ask(self, address: str = SERVER, source: str = "", seconds: float = 1.0) -> str | None:
        """What the server saw as the source of a datagram from the pod; None without an answer."""
        with self.pod.enter():
            asker = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
        with asker:
            asker.settimeout(seconds)
            if source:
                asker.bind((source, 0))
            try:
                asker.connect((address, PORT))
                asker.send(b"who am I?")
                return asker.recv(2048).decode()
            except OSError:
                return None

    def start(self, *words: str, wait: bool = True, prefix: tuple[str, ...] = ()) -> subprocess.Popen[Any]:
        command = [*prefix, sys.executable, "-m", "gateway", "run", "-f", str(self.file), "--socket", str(self.socket),
                   *words]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "RUNTIME_DIRECTORY": str(self.folder)}
        with (self.folder / "log").open("w") as log:
            process = subprocess.Popen(self.node.command(command), stderr=log, cwd=self.folder, env=environment)
        self.processes.append(process)
        if wait:
            self.until("info started", process)
        return process

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def until(self, text: str, process: subprocess.Popen[Any], seconds: float = 20) -> None:
        deadline = time.monotonic() + seconds
        while text not in self.log:
            assert process.poll() is None and time.monotonic() < deadline, self.log
            time.sleep(0.05)

    def state(self) -> dict[str, Any]:
        """Everything on the node that a gateway could have left changed."""
        kernel = self.node.kernel
        found: dict[str, Any] = {
            "links": sorted((link.get("ifname"), link.get("group")) for link in kernel.get_links()),
            "addresses": sorted((one["index"], one.get("address"), one["prefixlen"]) for one in kernel.get_addr()),
            "rules": sorted(rule_text(one) for family in (2, 10) for one in kernel.get_rules(family=family)),
            "routes": sorted(json.dumps([one.get("dst"), one["dst_len"], one.get("table"), one.get("oif"), one["type"]])
                             for family in (2, 10) for one in kernel.get_routes(family=family)
                             if not one["flags"] & 0x200),  # RTM_F_CLONED
            "nftables": self.node.run("nft list ruleset", check=False).stdout,
            "proxies": self.node.run("ip neigh show proxy").stdout + self.node.run("ip -6 neigh show proxy").stdout,
        }
        return found | {name: self.node.sysctl(f"net/{name}") for name in SETTINGS}


def rule_text(rule: Any) -> str:
    return json.dumps([rule["family"], rule["table"], rule["src_len"], rule["dst_len"],
                       *(rule.get(name) for name in ("priority", "src", "dst", "iifname", "table"))])
