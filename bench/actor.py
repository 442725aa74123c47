"""One end of a measurement, as a process in a namespace: says it is ready, starts on a line from its parent, reports.

    python -m bench.actor blast '{"interface": "eth0", ...}'
    python -m bench.actor probe 198.51.100.2 7100 2 0.0002
    python -m bench.actor visit 203.0.113.0 16 7000 3
    python -m bench.actor welcome 7000 3
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import struct
import sys
import time
from array import array
from collections.abc import Callable
from ipaddress import IPv4Address, ip_address
from pathlib import Path
from typing import Any

from bench import traffic

SECOND = 1_000_000_000
PACKET_QDISC_BYPASS = 20
SOL_PACKET = 263
Report = dict[str, int]


def ready() -> None:
    print("ready", flush=True)
    sys.stdin.readline()


def template(mac: str, source_mac: bytes, source: str, destination: str, port: int, payload: int) -> traffic.Template:
    """A UDP frame and its two sums of 16-bit words; zero are the source (of IPv6 its last four bytes), the source port
    and the checksums."""
    ethernet, to = bytes.fromhex(mac.replace(":", "")) + source_mac, ip_address(destination).packed
    length = 8 + payload
    udp = struct.pack("!HHHH", 0, port, length, 0) + bytes(payload)
    if len(to) == 4:
        header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + length, 0, 0x4000, 64, 17, 0, bytes(4), to)
        return ethernet + b"\x08\x00" + header + udp, words(header), words(to) + 17 + length + words(udp)
    network = ip_address(source).packed[:12] + bytes(4)
    header = struct.pack("!IHBB16s16s", 6 << 28, length, 17, 64, network, to)
    return ethernet + b"\x86\xdd" + header + udp, 0, words(network) + words(to) + 17 + length + words(udp)


def words(data: bytes) -> int:
    return sum(struct.unpack(f"!{len(data) // 2}H", data))


def blast(text: str) -> Report:
    """UDP packets as `bench.measures.Blast` says, in JSON."""
    load = json.loads(text)
    sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    sender.bind((load["interface"], 0))
    sender.setsockopt(SOL_PACKET, PACKET_QDISC_BYPASS, 1)
    ends = load["mac"], sender.getsockname()[4], load["source"], load["sink"], load["sink_port"]
    templates = [template(*ends, payload) for payload in load["payloads"]]
    gap = int(load["burst"] * SECOND / load["rate"]) if load["rate"] else 0
    ready()
    sent = traffic.blast(sender.fileno(), templates, int(ip_address(load["source"])) & 0xFFFF_FFFF, load["sources"],
                         load["ports"], int(load["seconds"] * SECOND), load["once"], load["burst"], gap)
    return {"sent": sent}


def probe(address: str, port: str, seconds: str, gap: str) -> dict[str, Any]:
    """Round trips of small datagrams, `gap` seconds apart, ahead of all other work on its core."""
    asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    asking.connect((address, int(port)))
    asking.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, 200_000))
    times = array("q", bytes(8 * (int(float(seconds) / float(gap)) + 64)))
    urgent()
    ready()
    answered, lost = traffic.probe(asking.fileno(), int(float(seconds) * SECOND), int(float(gap) * SECOND), times)
    return {"lost": lost, "times": sorted(times[:answered])}


def echo(port: str, seconds: str) -> Report:
    """Answers `probe`, and says where from it was asked."""
    answering = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    answering.bind(("", int(port)))
    answering.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, 100_000))
    urgent()
    ready()
    answered, source, others = traffic.echo(answering.fileno(), int(float(seconds) * SECOND))
    return {"answered": answered, "source": source, "others": others}


def pester(control: str, resources: str, seconds: str) -> Report:
    """Keep a gateway's control plane busy: list every flow, change what it is to read, over and over."""
    given, end, done = Path(resources).read_text(), time.monotonic() + float(seconds), 0
    ready()
    while time.monotonic() < end:
        listed(control)
        changed = Path(f"{resources}.new")
        changed.write_text(f"{given}# change {done}\n")
        changed.rename(resources)
        done += 1
        time.sleep(0.02)
    return {"done": done}


def listed(control: str) -> int:
    """Bytes of a listing of all flows."""
    asking = http.client.HTTPConnection("gateway")
    asking.sock = socket.socket(socket.AF_UNIX)
    with asking.sock:
        asking.sock.connect(control)
        asking.request("GET", "/v1/flows")
        return len(asking.getresponse().read())


def urgent() -> None:
    """What is measured is the way there and back, not how long a full core keeps either end from running."""
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))


def visit(address: str, addresses: str, port: str, seconds: str) -> Report:
    """Connect, request, close, one after the other."""
    ready()
    done, failed = traffic.visit(int(IPv4Address(address)), int(addresses), int(port), int(float(seconds) * SECOND))
    return {"done": done, "failed": failed}


def welcome(port: str, seconds: str) -> Report:
    """Answers one `visit`."""
    listening = socket.create_server(("", int(port)), backlog=64)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, 200_000))
    ready()
    traffic.welcome(listening.fileno(), int(float(seconds) * SECOND))
    return {}


ROLES: dict[str, Callable[..., dict[str, Any]]] = {
    "blast": blast, "probe": probe, "echo": echo, "pester": pester, "visit": visit, "welcome": welcome}

if __name__ == "__main__":
    print(json.dumps(ROLES[sys.argv[1]](*sys.argv[2:])), flush=True)
