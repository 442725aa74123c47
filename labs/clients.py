"""What pods run: curl, ping, traceroute and iperf3 where the machine has them, else a few lines of Python."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Callable
from http.client import HTTPConnection

from gateway.testing.namespaces import Namespace
from labs.servers import PORT

PATIENCE = 5.0
HOPS = 8
IP_RECVERR, IPV6_RECVERR = 11, 25
FIRST_TRACE_PORT = 33434
Talk = Callable[[Namespace, str], str]


class NoAnswer(Exception):
    """The client gave up; the text is what it said."""


def family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def present(command: str) -> bool:
    return shutil.which(command, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") is not None


def open_socket(where: Namespace, address: str, kind: int, port: int = 0, protocol: int = 0) -> socket.socket:
    with where.enter():
        result = socket.socket(family(address), kind, protocol)
    result.settimeout(PATIENCE)
    result.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if port:
        result.bind(("", port))
    return result


def fetch(where: Namespace, address: str, port: int) -> str:
    """The body of http://address/, asked for from source port `port`."""
    if not present("curl"):
        return fetch_plainly(where, address, port)
    host = f"[{address}]" if ":" in address else address
    done = where.run(["curl", "-sS", "--max-time", str(int(PATIENCE)), "--noproxy", "*", "--local-port", str(port),
                      f"http://{host}/"], check=False)
    if done.returncode:
        raise NoAnswer(done.stderr.strip())
    return str(done.stdout).strip()


def fetch_plainly(where: Namespace, address: str, port: int) -> str:
    connection = HTTPConnection(address, PORT)
    connection.sock = dial(where, address, port)
    connection.request("GET", "/")
    body = connection.getresponse().read().decode().strip()
    connection.close()
    return body


def dial(where: Namespace, address: str, port: int = 0) -> socket.socket:
    """An open TCP connection from `where` to the server at `address`."""
    result = open_socket(where, address, socket.SOCK_STREAM, port)
    try:
        result.connect((address, PORT))
    except OSError as error:
        result.close()
        raise NoAnswer(f"connect to {address}: {error}") from None
    return result


def reachable(where: Namespace, address: str, patience: float = 1.0) -> bool:
    """Whether anybody answers a connection attempt to the web port of `address`."""
    with open_socket(where, address, socket.SOCK_STREAM) as probe:
        probe.settimeout(patience)
        return probe.connect_ex((address, PORT)) == 0


def say(connection: socket.socket) -> str:
    """One line over an open connection, and the server's answer."""
    try:
        connection.sendall(b"hello\n")
        return connection.recv(1024).decode().strip()
    except OSError as error:
        raise NoAnswer(f"on the open connection: {error}") from None


def datagram(where: Namespace, address: str, port: int) -> str:
    with open_socket(where, address, socket.SOCK_DGRAM, port) as sender:
        try:
            sender.sendto(b"hello\n", (address, PORT))
            return sender.recv(1024).decode().strip()
        except OSError as error:
            raise NoAnswer(f"UDP to {address}: {error}") from None


def ping(where: Namespace, address: str) -> str:
    if not present("ping"):
        return ping_plainly(where, address)
    done = where.run(["ping", "-n", "-c", "1", "-W", str(int(PATIENCE)), address], check=False)
    answer = re.search(r"^\d+ bytes from .*$", str(done.stdout), re.MULTILINE)
    if answer is None:
        raise NoAnswer(f"ping {address}: " + " ".join(str(done.stdout + done.stderr).split("\n")[1:2]))
    return answer[0]


def ping_plainly(where: Namespace, address: str) -> str:
    six = family(address) == socket.AF_INET6
    protocol, request = (socket.IPPROTO_ICMPV6, 128) if six else (socket.IPPROTO_ICMP, 8)
    message = struct.pack("!BBHHH", request, 0, 0, os.getpid() & 0xFFFF, 1) + b"hello\n"
    if not six:  # the kernel fills in ICMPv6's checksum, not ICMP's
        total = sum(struct.unpack(f"!{len(message) // 2}H", message))
        total = (total & 0xFFFF) + (total >> 16)
        message = message[:2] + struct.pack("!H", ~total & 0xFFFF) + message[4:]
    with open_socket(where, address, socket.SOCK_RAW, protocol=protocol) as sender:
        sender.sendto(message, (address, 0))
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                data, peer = sender.recvfrom(2048)
            except OSError as error:
                raise NoAnswer(f"ping {address}: {error}") from None
            echo = data if six else data[20:]
            if peer[0] == address and echo[4:8] == message[4:8] and echo[0] != request:
                return f"{len(echo)} bytes from {address}: icmp_seq=1"
    raise NoAnswer(f"ping {address}: no answer")


def trace(where: Namespace, address: str) -> list[str]:
    """The routers on the way, then the destination; "*" for one that stayed silent."""
    if not present("traceroute"):
        return trace_plainly(where, address)
    version = "-6" if ":" in address else "-4"
    done = where.run(["traceroute", version, "-n", "-q", "1", "-w", "2", "-m", str(HOPS), address], check=False)
    return re.findall(r"^ *\d+ +(\S+)", str(done.stdout), re.MULTILINE)


def trace_plainly(where: Namespace, address: str) -> list[str]:
    """UDP with a growing TTL, as traceroute does it; the kernel hands over the errors that come back."""
    hops: list[str] = []
    while len(hops) < HOPS and address not in hops:
        with open_socket(where, address, socket.SOCK_DGRAM) as probe:
            level, wanted, ttl = ((socket.IPPROTO_IPV6, IPV6_RECVERR, socket.IPV6_UNICAST_HOPS) if ":" in address
                                  else (socket.IPPROTO_IP, IP_RECVERR, socket.IP_TTL))
            probe.setsockopt(level, wanted, 1)
            probe.setsockopt(level, ttl, len(hops) + 1)
            probe.sendto(b"trace\n", (address, FIRST_TRACE_PORT + len(hops)))
            hops.append(offender(probe) or "*")
    return hops


def offender(probe: socket.socket, patience: float = 2.0) -> str | None:
    """Who sent the error that waits in this socket's queue: sock_extended_err, then the offender's address."""
    probe.setblocking(False)
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        try:
            _, notes, _, _ = probe.recvmsg(512, 512, socket.MSG_ERRQUEUE)
        except BlockingIOError:
            time.sleep(0.005)
            continue
        for _, _, note in notes:
            six = probe.family == socket.AF_INET6
            return socket.inet_ntop(probe.family, note[24:40] if six else note[20:24])
    return None


def throughput(where: Namespace, server: Namespace, address: str) -> tuple[float, float] | None:
    """Gb/s out and back, one stream, a second each; None without iperf3."""
    if not present("iperf3"):
        return None
    rates = []
    for way in ([], ["-R"]):
        listener = server.popen(["iperf3", "-s", "-1", "-f", "k", "--forceflush"], stdout=subprocess.PIPE)
        assert listener.stdout is not None
        listener.stdout.readline()  # it says that it listens
        done = where.run(["iperf3", "-c", address, "-t", "1", "-J", "--connect-timeout", "3000", *way], check=False)
        if done.returncode:
            listener.kill()
            raise NoAnswer(f"iperf3: {json.loads(done.stdout).get('error') if done.stdout else done.stderr}")
        listener.communicate()
        rates.append(json.loads(done.stdout)["end"]["sum_received"]["bits_per_second"] / 1e9)
    return rates[0], rates[1]
