"""Network namespaces for labs and end-to-end tests: made, joined by veth, entered, and gone at the end.

Names are `gw-<name>-<random>`, so that whatever is left behind by a killed run is visible in `ip netns list`
and `sweep` can find it. Everything works as root, and in a user namespace of one's own (`isolate`).

    with Namespace("pod") as pod, Namespace("server") as server:
        join(pod, "eth0", server, "eth0", addresses=(["10.0.0.1/24"], ["10.0.0.2/24"]))
        pod.run("ping -c1 10.0.0.2")
"""

from __future__ import annotations

import ctypes
import os
import secrets
import shlex
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from ipaddress import ip_interface
from pathlib import Path
from types import TracebackType
from typing import Any

from pyroute2 import IPRoute

PREFIX = "gw-"
FOLDER = Path("/run/netns")
CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWNET = 0x20000, 0x10000000, 0x40000000
MS_BIND, MS_REC, MS_PRIVATE, MNT_DETACH = 0x1000, 0x4000, 0x40000, 2
IFA_F_NODAD = 0x02
_libc = ctypes.CDLL(None, use_errno=True)


class NamespaceError(RuntimeError):
    """This host or user may not do what labs need; the message says exactly what is missing."""


def missing() -> str | None:
    """Why namespaces cannot be used by this process as it is, or None if they can. Tests skip with this text."""
    if os.geteuid() != 0:
        return "network namespaces need root, or a user namespace (isolate)"
    if not _has_capability(21):  # CAP_SYS_ADMIN
        return "network namespaces need the capability SYS_ADMIN"
    if not os.path.exists("/dev/net/tun"):
        return "there is no /dev/net/tun: load the kernel module tun"
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return "/dev/net/tun is not open to this user (mode 0600 on this host): a user namespace cannot make a TUN"
    return None


def isolate() -> None:
    """Move this process, single-threaded still, into user, mount and network namespaces of its own, as root there."""
    user, group = os.geteuid(), os.getegid()
    _check(_libc.unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET), "unshare (user namespaces may be switched off)")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {user} 1")
    Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    _check(_libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None), "mount --make-rprivate /")
    _check(_libc.mount(b"none", b"/run", b"tmpfs", 0, None), "mount a tmpfs on /run")
    with IPRoute() as kernel:
        kernel.link("set", index=1, state="up")


def sweep() -> list[str]:
    """Delete every namespace that a killed run left behind; returns their names. Processes in them must be gone."""
    left = sorted(path.name for path in FOLDER.glob(f"{PREFIX}*"))
    for name in left:
        _delete(name)
    return left


class Namespace:
    """One network namespace, with its loopback up. `interface` names are free to choose: each is a world of its own."""

    def __init__(self, name: str) -> None:
        self.name = f"{PREFIX}{name}-{secrets.token_hex(3)}"
        self._kernel: IPRoute | None = None
        self._processes: list[subprocess.Popen[Any]] = []

    def __enter__(self) -> Namespace:
        self.create()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None,
    ) -> None:
        self.delete()

    @property
    def path(self) -> Path:
        return FOLDER / self.name

    def create(self) -> None:
        FOLDER.mkdir(parents=True, exist_ok=True)
        self.path.touch(exist_ok=False)
        with _unshared():
            source = b"/proc/thread-self/ns/net"
            _check(_libc.mount(source, bytes(self.path), b"none", MS_BIND, None), "mount a namespace")
        with self.enter():
            for setting in ("default", "all"):  # addresses are usable at once, without duplicate detection
                Path(f"/proc/sys/net/ipv6/conf/{setting}/accept_dad").write_text("0")
        self.kernel.link("set", index=1, state="up")

    def delete(self) -> None:
        """End what `popen` started here, then drop the namespace and with it every interface in it."""
        for process in self._processes:
            if process.poll() is None:
                process.kill()
            process.wait()
        if self._kernel is not None:
            self._kernel.close()
            self._kernel = None
        _delete(self.name)

    @contextmanager
    def enter(self) -> Iterator[Namespace]:
        """This thread is in the namespace within the block. Sockets and devices opened there stay in it."""
        with open("/proc/thread-self/ns/net") as back, open(self.path) as here:
            _check(_libc.setns(here.fileno(), CLONE_NEWNET), f"enter {self.name}")
            try:
                yield self
            finally:
                _check(_libc.setns(back.fileno(), CLONE_NEWNET), "leave the namespace")

    @property
    def kernel(self) -> IPRoute:
        """A netlink socket in this namespace, for whatever the shortcuts below do not say."""
        if self._kernel is None:
            with self.enter():
                self._kernel = IPRoute()
        return self._kernel

    def command(self, command: str | Sequence[str]) -> list[str]:
        words = shlex.split(command) if isinstance(command, str) else list(command)
        return ["nsenter", f"--net={self.path}", "--", *words]

    def run(self, command: str | Sequence[str], check: bool = True, timeout: float = 60, **options: Any,
            ) -> subprocess.CompletedProcess[str]:
        """Run a command here to its end, output captured as text. A failure's message carries its standard error."""
        done = subprocess.run(self.command(command), capture_output=True, text=True, timeout=timeout, **options)
        if check and done.returncode:
            raise RuntimeError(f"{self.name}: {command}: exit status {done.returncode}: {done.stderr or done.stdout}")
        return done

    def popen(self, command: str | Sequence[str], **options: Any) -> subprocess.Popen[Any]:
        """Start a command here; `delete` kills it if it still runs."""
        process = subprocess.Popen(self.command(command), **options)
        self._processes.append(process)
        return process

    def index(self, interface: str) -> int:
        found = self.kernel.link_lookup(ifname=interface)
        if not found:
            raise NamespaceError(f"{self.name} has no interface {interface}")
        return int(found[0])

    def mac(self, interface: str) -> str:
        return str(next(iter(self.kernel.get_links(self.index(interface)))).get("address"))

    def up(self, interface: str, mtu: int | None = None) -> None:
        settings = {} if mtu is None else {"mtu": mtu}
        self.kernel.link("set", index=self.index(interface), state="up", **settings)

    def down(self, interface: str) -> None:
        self.kernel.link("set", index=self.index(interface), state="down")

    def address(self, interface: str, *addresses: str) -> None:
        """Add addresses such as "10.0.0.1/24" or "2001:db8::1/64"."""
        for text in addresses:
            parsed = ip_interface(text)
            flags = {"flags": IFA_F_NODAD} if parsed.version == 6 else {}
            self.kernel.addr("add", index=self.index(interface), address=str(parsed.ip),
                             prefixlen=parsed.network.prefixlen, **flags)

    def route(self, destination: str, via: str | None = None, interface: str | None = None) -> None:
        """Add a route: `route("default", via="10.0.0.254")`; the default route's family follows `via`."""
        where: dict[str, Any] = {} if via is None else {"gateway": via}
        if interface is not None:
            where["oif"] = self.index(interface)
        if destination == "default":
            destination = "::/0" if via is not None and ":" in via else "0.0.0.0/0"
        self.kernel.route("add", dst=destination, family=10 if ":" in destination else 2, **where)

    def bridge(self, interface: str, ports: Iterable[str] = ()) -> None:
        """Make a bridge and put existing interfaces into it."""
        self.kernel.link("add", ifname=interface, kind="bridge", state="up")
        for port in ports:
            self.kernel.link("set", index=self.index(port), master=self.index(interface))

    def sysctl(self, name: str, value: str | int | None = None) -> str:
        """Set (given a value) and return a setting: `sysctl("net/ipv4/ip_forward", 1)`; slashes, as names hold dots."""
        path = Path("/proc/sys") / (name if "/" in name else name.replace(".", "/"))
        with self.enter():
            if value is not None:
                path.write_text(str(value))
            return path.read_text().strip()


def join(one: Namespace, one_interface: str, other: Namespace, other_interface: str, mtu: int = 1500,
         addresses: tuple[Sequence[str], Sequence[str]] = ((), ())) -> None:
    """A veth pair, up, between two namespaces, with `addresses[0]` on the one side and `addresses[1]` on the other."""
    one.kernel.link("add", ifname=one_interface, kind="veth", mtu=mtu,
                    peer={"ifname": other_interface, "mtu": mtu, "net_ns_fd": str(other.path)})
    for namespace, interface, given in ((one, one_interface, addresses[0]), (other, other_interface, addresses[1])):
        namespace.up(interface)
        namespace.address(interface, *given)


@contextmanager
def _unshared() -> Iterator[None]:
    """This thread is in a new network namespace within the block."""
    with open("/proc/thread-self/ns/net") as back:
        _check(_libc.unshare(CLONE_NEWNET), "make a network namespace")
        try:
            yield
        finally:
            _check(_libc.setns(back.fileno(), CLONE_NEWNET), "leave the namespace")


def _delete(name: str) -> None:
    path = FOLDER / name
    _libc.umount2(bytes(path), MNT_DETACH)
    path.unlink(missing_ok=True)


def _has_capability(number: int) -> bool:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> number & 1)
    return False


def _check(result: int, action: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise NamespaceError(f"cannot {action}: {os.strerror(number)}")
