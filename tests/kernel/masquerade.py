"""The kernel's own NAT between two TUN devices in a namespace: raw packets in, raw packets out, as a Simulator's."""

from __future__ import annotations

import fcntl
import os
import select
import socket
import struct
import subprocess
from types import TracebackType

from gateway.testing.namespaces import Namespace
from gateway.testing.strategies import EGRESS, GATEWAY, INTERNAL

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 1, 0x1000
NETLINK_NETFILTER = 12
# IPCTNL_MSG_CT_DELETE of everything, of every family, with an answer (linux/netfilter/nfnetlink_conntrack.h)
FLUSH = struct.pack("=IHHII", 20, 1 << 8 | 2, 5, 1, 0) + bytes(4)
DEVICES = {"inside": "tin", "outside": "tout"}
PATIENCE = 200  # milliseconds for what is sure to come; it nearly always is there at once
RULES = f"""
table inet gateway {{
    chain translate {{
        type nat hook postrouting priority srcnat;
        oifname "tout" ip saddr {INTERNAL[4]} masquerade
        oifname "tout" ip6 saddr {INTERNAL[6]} masquerade
    }}
    chain forward {{
        type filter hook forward priority filter;
        ct state invalid drop
        iifname "tout" ct state new drop
    }}
    chain input {{
        type filter hook input priority filter;
        iifname "tout" drop
    }}
}}
"""
SETTINGS = {
    "net/ipv4/ip_forward": 1, "net/ipv6/conf/all/forwarding": 1, "net/ipv4/conf/all/rp_filter": 0,
    "net/ipv4/conf/tin/rp_filter": 0, "net/ipv4/conf/tout/rp_filter": 0, "net/ipv4/icmp_ratelimit": 0,
    "net/ipv4/icmp_ratemask": 0, "net/ipv6/icmp/ratelimit": 0, "net/ipv4/conf/all/send_redirects": 0,
    "net/netfilter/nf_conntrack_tcp_loose": 0, "net/netfilter/nf_conntrack_tcp_be_liberal": 0,
    "net/netfilter/nf_conntrack_udp_timeout": 300, "net/netfilter/nf_conntrack_icmp_timeout": 60,
    "net/netfilter/nf_conntrack_icmpv6_timeout": 60,
}


class Masquerade:
    """One namespace, for any number of examples: `forget` between them."""

    def __enter__(self) -> Masquerade:
        self.namespace = Namespace("opinion")
        self.namespace.create()
        self.namespace.sysctl("net/ipv6/conf/default/addr_gen_mode", 1)  # no link-local address: nobody to solicit
        self.files = {side: self.open(name) for side, name in DEVICES.items()}
        self.poll = select.poll()
        for file in self.files.values():
            self.poll.register(file, select.POLLIN)
        self.configure()
        with self.namespace.enter():
            self.conntrack = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.conntrack.close()
        for file in self.files.values():
            os.close(file)
        self.namespace.delete()

    def open(self, name: str) -> int:
        with self.namespace.enter():
            file = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
            fcntl.ioctl(file, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
        self.namespace.up(name, mtu=1500)
        return file

    def configure(self) -> None:
        self.namespace.address("tin", f"{GATEWAY[4]}/16", f"{GATEWAY[6]}/64")
        self.namespace.address("tout", f"{EGRESS[4][0]}/24", f"{EGRESS[6][0]}/64")
        for destination, family in (("0.0.0.0/0", 2), ("::/0", 10)):
            self.namespace.kernel.route("add", dst=destination, family=family, oif=self.namespace.index("tout"))
        subprocess.run(self.namespace.command("nft -f -"), input=RULES, text=True, check=True)
        for name, value in SETTINGS.items():
            self.namespace.sysctl(name, value)

    def forget(self, mtu: int) -> None:
        """No flow is left; the outside device has this MTU from now on."""
        self.conntrack.send(FLUSH)
        answer = self.conntrack.recv(4096)
        assert struct.unpack_from("=i", answer, 16) == (0,), answer
        self.namespace.up("tout", mtu=mtu)
        self.collect()

    def inject(self, side: str, packet: bytes, expected: int = 0) -> dict[str, list[bytes]]:
        """What comes out on either side of one packet; waits a moment if less came than is expected."""
        os.write(self.files[side], packet)
        came = self.collect()
        while sum(map(len, came.values())) < expected and self.poll.poll(PATIENCE):
            for where, packets in self.collect().items():
                came[where] += packets
        return came

    def collect(self) -> dict[str, list[bytes]]:
        came: dict[str, list[bytes]] = {side: [] for side in DEVICES}
        for side, file in self.files.items():
            while True:
                try:
                    packet = os.read(file, 65536)
                except BlockingIOError:
                    break
                if packet[0] >> 4 == 4 or packet[24] != 0xFF:  # the kernel's own multicast: it reports its listeners
                    came[side].append(packet)
        return came
