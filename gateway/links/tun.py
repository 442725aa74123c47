"""The inside link: a TUN device whose frames carry offload headers, so that a 64 KiB TCP superpacket is one frame."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from collections import Counter
from contextlib import suppress

from . import bpf, device
from .link import Frames, LinkError, LinkStatistics, reason
from .syscalls import Tun

TUNSETIFF, TUNSETOFFLOAD, TUNSETVNETHDRSZ, TUNSETSTEERINGEBPF = 0x400454CA, 0x400454D0, 0x400454D8, 0x800454E0
IFF_TUN, IFF_MULTI_QUEUE, IFF_NO_PI, IFF_VNET_HDR = 0x0001, 0x0100, 0x1000, 0x4000
TUN_F_CSUM, TUN_F_TSO4, TUN_F_TSO6, TUN_F_TSO_ECN = 0x01, 0x02, 0x04, 0x08
TUN_F_USO4, TUN_F_USO6 = 0x20, 0x40  # Linux 6.2; together or not at all
SEGMENTATION = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN
NAME_MAX = 15
QUEUE_LENGTH = 10_000  # frames; the default of 500 drops the tail of every burst, silently
# No addresses and no router solicitations of the host's own: whatever the device carries is meant for the gateway.
QUIET = {"ipv6/conf/{}/addr_gen_mode": 1, "ipv6/conf/{}/router_solicitations": 0, "ipv6/conf/{}/autoconf": 0,
         "ipv6/conf/{}/accept_ra": 0}


class TunLink:
    """A TUN device, made here and gone with this object. It is down until the host side brings it up.

    `queue`: None, or which of several this is; number 0 makes the device, others join it, and the kernel deals its
    frames out by flow, unless it is told otherwise (`steer`).
    """

    def __init__(self, name: str, mtu: int = 1500, queue: int | None = None) -> None:
        self.name, self.mtu, self.queue = name, mtu, queue
        self._fd = _open(name, 0 if queue is None else IFF_MULTI_QUEUE)
        try:
            fcntl.ioctl(self._fd, TUNSETVNETHDRSZ, struct.pack("i", 10))
            self.segments_udp = _offer(self._fd)
            if not queue:
                _configure(name, mtu)
        except (OSError, LinkError):
            os.close(self._fd)
            raise
        self._calls = Tun(self._fd)
        self._written, self._refused = 0, Counter[str]()

    def linger(self, nanoseconds: int) -> bool:
        return False

    @property
    def calls(self) -> Tun:
        """The descriptor by itself, for a thread that runs without Python."""
        return self._calls

    def fileno(self) -> int:
        return self._fd

    def read_batch(self, batch: Frames) -> int:
        return self._calls.read(batch)

    def write_batch(self, batch: Frames, side: int) -> int:
        return self._calls.write(batch, side)

    def write(self, packet: bytes, offload: bytes) -> bool:
        try:
            os.writev(self._fd, [offload, packet])
        except OSError as error:
            self._refused[reason(error.errno or 0)] += 1
            return False
        self._written += 1
        return True

    @property
    def more(self) -> bool:
        return self._calls.more

    @property
    def dropped(self) -> int:
        return self.statistics().dropped

    def statistics(self) -> LinkStatistics:
        reasons = Counter({reason(number): count for number, count in self._calls.errors().items()})
        reasons += self._refused
        if not self.queue:
            with suppress(OSError):
                reasons["queue_full"] += device.queue_drops(self.name)
        return LinkStatistics(self._calls.received, self._calls.sent + self._written, +reasons)

    def steer(self, program: bytes) -> None:
        """Deal the device's frames out by an eBPF program, whose answer is a queue's number. OSError without the right.

        It is the device's from then on, and goes with it.
        """
        loaded = bpf.load(program, bpf.SOCKET_FILTER)
        try:
            fcntl.ioctl(self._fd, TUNSETSTEERINGEBPF, struct.pack("i", loaded))
        finally:
            os.close(loaded)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _open(name: str, flags: int) -> int:
    if not 0 < len(name) <= NAME_MAX or set(name) & set("/% \t\n:"):
        raise LinkError(f"{name!r} cannot be an interface's name: 1 to {NAME_MAX} characters, no space, slash or colon")
    try:
        fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise LinkError("there is no /dev/net/tun: load the kernel module (modprobe tun), or pass the device into "
                        "the container") from None
    except PermissionError:
        raise LinkError("no permission to open /dev/net/tun: run as root or give this user access to it") from None
    try:
        fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI | IFF_VNET_HDR | flags))
    except OSError as error:
        os.close(fd)
        raise LinkError(_refusal(name, error)) from None
    return fd


def _refusal(name: str, error: OSError) -> str:
    if error.errno == errno.EBUSY:
        return f"the TUN device {name} is in use by another process: end it, or choose another inside.interface"
    if error.errno in (errno.EPERM, errno.EACCES):
        return f"no permission to make the TUN device {name}: the capability NET_ADMIN is needed"
    if error.errno in (errno.EEXIST, errno.EINVAL) and name in device.interfaces():
        return f"there is an interface {name} already, and it is no TUN device of ours: choose another inside.interface"
    return f"cannot make the TUN device {name}: {error.strerror}"


def _offer(fd: int) -> bool:
    """Take whatever the kernel would otherwise finish or cut up. Returns whether UDP superpackets come too."""
    for extra in (TUN_F_USO4 | TUN_F_USO6, 0):
        with suppress(OSError):
            fcntl.ioctl(fd, TUNSETOFFLOAD, SEGMENTATION | extra)
            return bool(extra)
    raise LinkError("this kernel's TUN has no segmentation offload (TUNSETOFFLOAD)")


def _configure(name: str, mtu: int) -> None:
    try:
        device.set_mtu(name, mtu)
    except OSError as error:
        raise LinkError(f"the TUN device {name} cannot have an MTU of {mtu}: {error.strerror}") from None
    with suppress(PermissionError):  # the kernel lets only the host's root lengthen it, not a user namespace's
        device.set_queue_length(name, QUEUE_LENGTH)
    for setting, value in QUIET.items():
        with suppress(OSError), open(f"/proc/sys/net/{setting.format(name)}", "w") as file:  # no IPv6: nothing to quiet
            file.write(str(value))
