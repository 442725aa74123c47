"""One end of a measurement, as a process in a namespace: says it is ready, starts on a line from its parent, reports.

    python -m bench.actor blast eth0 02:.. 192.168.1.2 10 100 203.0.113.129 9 0.5 0
    python -m bench.actor visit 203.0.113.0 16 7000 3
    python -m bench.actor welcome 7000 3
"""

from __future__ import annotations

import json
import socket
import struct
import sys
from ipaddress import IPv4Address

from bench import traffic

SECOND = 1_000_000_000
PAYLOAD = 18  # the smallest Ethernet frame
PACKET_QDISC_BYPASS = 20
SOL_PACKET = 263
Report = dict[str, int]


def ready() -> None:
    print("ready", flush=True)
    sys.stdin.readline()


def template(mac: str, source_mac: bytes, destination: str, port: int) -> tuple[bytes, int, int]:
    """A UDP frame whose source, source port and checksums are zero, and its two sums of 16-bit words."""
    to = IPv4Address(destination).packed
    udp = struct.pack("!HHHH", 0, port, 8 + PAYLOAD, 0) + bytes(PAYLOAD)
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0x4000, 64, 17, 0, bytes(4), to)
    pseudo = struct.pack("!4s4sBBH", bytes(4), to, 0, 17, len(udp))
    frame = bytes.fromhex(mac.replace(":", "")) + source_mac + b"\x08\x00" + header + udp
    return frame, words(header), words(pseudo + udp)


def words(data: bytes) -> int:
    return sum(struct.unpack(f"!{len(data) // 2}H", data))


def blast(interface: str, mac: str, source: str, sources: str, ports: str, destination: str, port: str, seconds: str,
          once: str) -> Report:
    """Small UDP packets from sources x ports, as fast as they go."""
    sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    sender.bind((interface, 0))
    sender.setsockopt(SOL_PACKET, PACKET_QDISC_BYPASS, 1)
    frame, ip_sum, udp_sum = template(mac, sender.getsockname()[4], destination, int(port))
    ready()
    sent = traffic.blast(sender.fileno(), frame, ip_sum, udp_sum, int(IPv4Address(source)), int(sources),
                         int(ports), int(float(seconds) * SECOND), once == "1")
    return {"sent": sent}


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


if __name__ == "__main__":
    print(json.dumps({"blast": blast, "visit": visit, "welcome": welcome}[sys.argv[1]](*sys.argv[2:])), flush=True)
