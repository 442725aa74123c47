"""Interface facts by ioctl, as both kernel links need them: no netlink, so that links stay small."""

from __future__ import annotations

import ctypes
import fcntl
import socket
import struct

SIOCGIFMTU, SIOCSIFMTU, SIOCGIFHWADDR, SIOCSIFTXQLEN, SIOCGIFFLAGS = 0x8921, 0x8922, 0x8927, 0x8943, 0x8913
SIOCETHTOOL, ETHTOOL_GCHANNELS = 0x8946, 0x3C
ARPHRD_ETHER = 1


def interfaces() -> list[str]:
    return sorted(name for _, name in socket.if_nameindex())


def mtu(name: str) -> int:
    return int(struct.unpack_from("i", _ioctl(SIOCGIFMTU, name), 16)[0])


def set_mtu(name: str, value: int) -> None:
    _ioctl(SIOCSIFMTU, name, struct.pack("i", value))


def set_queue_length(name: str, frames: int) -> None:
    _ioctl(SIOCSIFTXQLEN, name, struct.pack("i", frames))


def mac(name: str) -> tuple[int, bytes]:
    """(hardware type, address)."""
    answer = _ioctl(SIOCGIFHWADDR, name)
    return struct.unpack_from("H", answer, 16)[0], answer[18:24]


def is_up(name: str) -> bool:
    return bool(struct.unpack_from("H", _ioctl(SIOCGIFFLAGS, name), 16)[0] & 1)


def receive_queues(name: str) -> int:
    """How many the device uses, 1 if it does not say."""
    channels = bytearray(struct.pack("9I", ETHTOOL_GCHANNELS, *[0] * 8))
    buffer = (ctypes.c_char * len(channels)).from_buffer(channels)
    try:
        _ioctl(SIOCETHTOOL, name, struct.pack("P", ctypes.addressof(buffer)))
    except OSError:
        return 1
    counts = struct.unpack("9I", channels)  # command; the most: receive, send, other, combined; now: the same
    return max(1, int(counts[5]) + int(counts[8]))


def queue_drops(name: str) -> int:
    """Frames the kernel dropped because nobody read the device fast enough."""
    with open("/proc/thread-self/net/dev") as lines:
        for line in lines:
            device, _, numbers = line.partition(":")
            if device.strip() == name:
                return int(numbers.split()[11])
    return 0


def _ioctl(request: int, name: str, value: bytes = b"") -> bytes:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as any_socket:
        return fcntl.ioctl(any_socket, request, struct.pack("16s24s", name.encode(), value))
