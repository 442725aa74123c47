"""What else translates in user space where a pod has no veth: slirp4netns and pasta, as rootless containers use them.

    pod (TAP eth0) --- [slirp4netns or pasta] --- its own sockets in the gateway's namespace --- uplink --- server

Both end the pod's connections and open their own, so that the server sees the address of the uplink.
"""

from __future__ import annotations

from typing import ClassVar

from bench import field
from bench.field import Field
from bench.paths import NotWorking, UserSpace


class Rootless(UserSpace):
    """A process in the gateway's namespace that makes the pod's interface."""

    router: ClassVar[str] = field.POD_ROUTER

    def __init__(self) -> None:
        super().__init__()
        self.field = Field(self.key, joined=False)

    def start(self) -> None:
        self.field.gateway.sysctl("net/ipv4/ping_group_range", "0 2147483647")  # else no ping
        super().start()

    def through(self) -> bool:
        return True  # there is no other way out of the pod

    def right(self, source: str) -> bool:
        return source == field.UPLINK

    def next_hop(self) -> str:
        """The MAC address that answered for the pod's router when it sent its ping."""
        for neighbour in self.field.pod.kernel.get_neighbours(dst=self.router):
            if mac := neighbour.get("lladdr"):
                return str(mac)
        raise NotWorking(f"{self.name}: {self.router} has no MAC address in the pod")


class Slirp(Rootless):
    """libslirp, as Podman and RootlessKit used it. It takes a network's second address and gives the pod the 100th."""

    name, key, tool, pod, router = "slirp4netns", "slirp", "slirp4netns", "192.168.1.100", "192.168.1.2"

    def command(self) -> list[str]:
        return ["slirp4netns", "--configure", "--mtu=1500", "--cidr=192.168.1.0/24", "--disable-dns",
                "--netns-type=path", str(self.field.pod.path), "eth0"]


class Pasta(Rootless):
    """passt's mode for namespaces, as Podman uses it. As root it would give up the right to enter them."""

    name, key, tool = "pasta", "pasta", "pasta"

    def command(self) -> list[str]:
        nothing = [word for option in ("-t", "-u", "-T", "-U") for word in (option, "none")]  # no port is forwarded
        return ["pasta", "--foreground", "--stderr", "--runas", "0", "--config-net", "--ipv4-only", "--no-map-gw",
                "--ns-ifname", "eth0", "--interface", "uplink", "--mtu", "1500", "--address", self.pod,
                "--netmask", "24", "--gateway", self.router, *nothing, "--netns", str(self.field.pod.path)]
