"""The few bpf(2) calls that links need, without a library: a map of sockets, a program, and its attachment.

An attachment is a file descriptor (bpf_link): it ends with the process, however that ends.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct

NR_BPF = {"x86_64": 321, "aarch64": 280, "riscv64": 280, "s390x": 351, "ppc64le": 361}
MAP_CREATE, MAP_UPDATE, PROGRAM_LOAD, LINK_CREATE, LINK_UPDATE = 0, 2, 5, 28, 29
XSKMAP = 17
# Type of program, and where it is attached: in the driver; at tc ingress, Linux 6.6; by a TUN, which asks for none.
XDP, TC, SOCKET_FILTER = (6, 37), (3, 46), (1, 0)
XDP_FLAGS_DRIVER = 1 << 2
LOG_BYTES = 1 << 16
LICENSE = b"Apache-2.0\0"
_libc = ctypes.CDLL(None, use_errno=True)


def socket_map(entries: int) -> int:
    """A map of AF_XDP sockets by receive queue."""
    return _call(MAP_CREATE, struct.pack("IIII", XSKMAP, 4, 4, entries))


def put(socket_map: int, queue: int, fd: int) -> None:
    key, value = (ctypes.create_string_buffer(struct.pack("I", number)) for number in (queue, fd))
    _call(MAP_UPDATE, struct.pack("IIQQQ", socket_map, 0, ctypes.addressof(key), ctypes.addressof(value), 0))


def load(code: bytes, hook: tuple[int, int]) -> int:
    """A verified program. OSError with the verifier's last words."""
    kind, place = hook
    text, license = ctypes.create_string_buffer(code, len(code)), ctypes.create_string_buffer(LICENSE)
    log = ctypes.create_string_buffer(LOG_BYTES)
    for level in (0, 1):  # the log costs time, and without room for all of it loading fails
        attributes = struct.pack("IIQQIIQII16sII", kind, len(code) // 8, ctypes.addressof(text),
                                 ctypes.addressof(license), level, LOG_BYTES * level, ctypes.addressof(log) * level,
                                 0, 0, b"gateway", 0, place)
        try:
            return _call(PROGRAM_LOAD, attributes)
        except OSError as error:
            if level or error.errno == errno.EPERM:
                last = log.value.decode(errors="replace").strip().splitlines()[-3:]
                raise OSError(error.errno, "; ".join([error.strerror or "", *last])) from None
    raise AssertionError


def attach(program: int, interface: int, hook: tuple[int, int]) -> int:
    """XDP in the driver, not in the generic path, which would drop superpackets. Returns the attachment."""
    flags = XDP_FLAGS_DRIVER if hook == XDP else 0
    return _call(LINK_CREATE, struct.pack("IIII", program, interface, hook[1], flags))


def replace(attachment: int, program: int) -> None:
    """Another program from the next frame on."""
    _call(LINK_UPDATE, struct.pack("IIII", attachment, program, 0, 0))


def _call(command: int, attributes: bytes) -> int:
    number = NR_BPF.get(os.uname().machine)
    if number is None:
        raise OSError(errno.ENOSYS, f"the number of bpf(2) on {os.uname().machine} is not known here")
    buffer = ctypes.create_string_buffer(attributes, max(len(attributes), 128))
    result = int(_libc.syscall(number, command, buffer, len(buffer)))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result
