"""What a host's interface carries, read from the wire: the truth about both sides of a translation."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

from gateway.testing.namespaces import Namespace

ETH_P_ALL = 0x0003
PACKET_OUTGOING = 4
PORTS = {socket.IPPROTO_TCP, socket.IPPROTO_UDP}
ECHO = {8, 0, 128, 129}  # request and reply, ICMP and ICMPv6


@dataclass(frozen=True)
class Packet:
    """One packet's addresses as it lay on the wire. An echo's identifier stands in for both ports."""

    protocol: int
    source: str
    source_port: int
    destination: str
    destination_port: int

    def __str__(self) -> str:
        return f"{self.text(self.source, self.source_port)} → {self.text(self.destination, self.destination_port)}"

    def text(self, address: str, port: int) -> str:
        if self.protocol not in PORTS:
            return f"{address} id {port}"
        return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"

    @property
    def sender(self) -> str:
        return self.text(self.source, self.source_port)

    @property
    def receiver(self) -> str:
        return self.text(self.destination, self.destination_port)


def parse(data: bytes) -> Packet | None:
    """An IP packet that this lab speaks: TCP, UDP or an echo, without options or extension headers; else None."""
    if len(data) < 28:
        return None
    if data[0] == 0x45:
        family, protocol, addresses, header = socket.AF_INET, data[9], data[12:20], 20
    elif data[0] >> 4 == 6 and len(data) >= 48:
        family, protocol, addresses, header = socket.AF_INET6, data[6], data[8:40], 40
    else:
        return None
    half = len(addresses) // 2
    source, destination = (socket.inet_ntop(family, part) for part in (addresses[:half], addresses[half:]))
    if protocol in PORTS:
        ports = struct.unpack_from("!HH", data, header)
    elif protocol in (socket.IPPROTO_ICMP, socket.IPPROTO_ICMPV6) and data[header] in ECHO:
        ports = struct.unpack_from("!H", data, header + 4) * 2
    else:
        return None
    return Packet(protocol, source, ports[0], destination, ports[1])


class Tap:
    """Everything an interface sends and receives from now on, kept by the kernel until it is read."""

    def __init__(self, namespace: Namespace, interface: str = "eth0") -> None:
        with namespace.enter():
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            self._socket.bind((interface, ETH_P_ALL))

    def __enter__(self) -> Tap:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def read(self) -> tuple[list[Packet], list[Packet]]:
        """What was sent and what was received since the last read."""
        sent: list[Packet] = []
        received: list[Packet] = []
        while True:
            try:
                data, link = self._socket.recvfrom(128)
            except BlockingIOError:
                return sent, received
            packet = parse(data)
            if packet is not None:
                (sent if link[2] == PACKET_OUTGOING else received).append(packet)
