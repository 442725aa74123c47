"""tayga: a translator in user space between IPv6 and IPv4 (RFC 7915), by a TUN device and without flows.

    pod 2001:db8:1::2 --- pods [gateway: TUN nat64, tayga] uplink --- server

Another translation than the others do, and less of it: an IPv6 host has an IPv4 address of its own, ports stay. It is
here because it is the same kind of program: packets read from a TUN, rewritten, written back.
"""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from pathlib import Path

from bench import field
from bench.paths import UserSpace

POD, ROUTER = "2001:db8:1::2", "2001:db8:1::1"
PREFIX = "2001:db8:64::"  # in 64:ff9b::/96 there may be no addresses for documentation (RFC 6052, 3.1)
OWN, POOL = "198.51.100.60", "198.51.100.64/26"
SETTINGS = f"""\
tun-device nat64
ipv4-addr {OWN}
prefix {PREFIX}/96
dynamic-pool {POOL}
data-dir %s
"""


class Tayga(UserSpace):
    name, key, tool, pod = "tayga (NAT64)", "tayga", "tayga", POD

    def command(self) -> list[str]:
        return ["tayga", "--nodetach", "--config", str(self.settings)]

    def start(self) -> None:
        self.settings = Path(self.folder.name) / "tayga.conf"
        self.settings.write_text(SETTINGS % self.folder.name)
        self._number()
        gateway = self.field.gateway
        gateway.run(["tayga", "--mktun", "--config", str(self.settings)])
        gateway.up("nat64")
        gateway.route(POOL, interface="nat64")
        gateway.route(f"{PREFIX}/96", interface="nat64")
        self.field.server.route(POOL, via=field.UPLINK)
        super().start()

    def _number(self) -> None:
        """IPv6 between the pod and the gateway's namespace, which forwards it."""
        pod, gateway = self.field.pod, self.field.gateway
        pod.sysctl("net/ipv6/conf/eth0/disable_ipv6", 0)
        gateway.sysctl("net/ipv6/conf/all/forwarding", 1)
        pod.address("eth0", f"{POD}/64")
        gateway.address("pods", f"{ROUTER}/64")
        pod.route("default", via=ROUTER)
        for host in range(10):  # no neighbour discovery for sources that only the sender knows
            gateway.kernel.neigh("add", dst=str(ip_address(POD) + host), lladdr=pod.mac("eth0"), state="permanent",
                                 ifindex=gateway.index("pods"), family=10)

    def fresh(self) -> None:
        pass

    def through(self) -> bool:
        return True  # nobody else translates to IPv4

    def reach(self, address: str) -> str:
        return str(ip_address(int(ip_address(PREFIX)) + int(ip_address(address))))

    def right(self, source: str) -> bool:
        return ip_address(source) in ip_network(POOL)
