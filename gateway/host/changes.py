"""Every kind of change to the kernel: how it is made, and beside it how it is undone.

Undoing is tolerant: what is already gone, because its interface is or somebody removed it, counts as undone. A
setting is restored only while it still has the value the gateway gave it.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from . import nftables
from .journal import Journal, namespace
from .plan import HostError

SETTINGS = Path("/proc/sys/net")
GONE = {errno.ENOENT, errno.ESRCH, errno.ENODEV, errno.EADDRNOTAVAIL, errno.ENXIO, errno.EAFNOSUPPORT}
NTF_PROXY = 0x08
IFA_F_NODAD, IFA_F_NOPREFIXROUTE = 0x02, 0x200
Entry = dict[str, Any]


class Changes:
    """Makes changes, each recorded first."""

    def __init__(self, gateway: str, folder: Path | None = None) -> None:
        self.kernel, self._namespace = IPRoute(), namespace()
        try:
            self._journal = Journal.open(gateway, self._undo, folder)
        except HostError:
            self.kernel.close()
            raise

    def setting(self, name: str, value: str | int) -> None:
        """Set /proc/sys/net/<name>, if it differs."""
        before = read_setting(name)
        if before is None or before == str(value):
            return
        number = self._journal.record("setting", name=name, before=before, value=str(value))
        self._attempt(number, f"set net/{name} to {value}", lambda: write_setting(name, str(value)))

    def remember(self, name: str, before: str, value: str) -> None:
        """Another change moves this setting along, from `before`; undoing that one would leave it at `value`."""
        self._journal.record("setting", name=name, before=before, value=value)

    def rule(self, **fields: Any) -> int:
        """An `ip rule`; fields as pyroute2 has them: family, priority, table, src, dst, iifname, ... For `withdraw`."""
        number = self._journal.record("rule", fields=fields)
        self._attempt(number, f"add the routing rule {fields}", lambda: self.kernel.rule("add", **fields), keep=True)
        return number

    def route(self, interface: str | None, **fields: Any) -> None:
        """A route; fields as pyroute2 has them: family, dst, table, type, priority, ..."""
        number = self._journal.record("route", interface=interface, fields=fields)
        self._attempt(number, f"add the route {fields} by {interface}",
                      lambda: self.kernel.route("add", **self._with_interface(interface, fields)))

    def address(self, interface: str, address: str, length: int, connected: bool = False) -> None:
        """An address; without `connected` no route to its network comes along."""
        fields = {"address": address, "prefixlen": length}
        flags = (0 if connected else IFA_F_NOPREFIXROUTE) | (IFA_F_NODAD if ":" in address else 0)
        number = self._journal.record("address", interface=interface, fields=fields)
        self._attempt(number, f"give {interface} the address {address}", lambda: self.kernel.addr(
            "add", index=index(self.kernel, interface), flags=flags, **fields), keep=True)

    def proxy(self, interface: str, address: str) -> None:
        """Answer ARP or ND for `address` on `interface`."""
        number = self._journal.record("proxy", interface=interface, address=address)
        self._attempt(number, f"answer for {address} on {interface}", lambda: self.kernel.neigh(
            "add", ifindex=index(self.kernel, interface), dst=address, flags=NTF_PROXY), keep=True)

    def group(self, interface: str, group: int) -> None:
        """Put an interface of the default group into one of its own."""
        number = self._journal.record("group", interface=interface, group=group)
        self._attempt(number, f"put {interface} into group {group}", lambda: self.kernel.link(
            "set", index=index(self.kernel, interface), group=group))

    def table(self, name: str, chains: list[nftables.Chain]) -> None:
        """An nftables table of family netdev, all of it at once."""
        number = self._journal.record("table", name=name)
        self._attempt(number, f"add the nftables table netdev {name}", lambda: nftables.install(name, chains))

    def withdraw(self, number: int) -> None:
        """Take one change back while the gateway runs on."""
        entry = self._journal.entry(number)
        if entry is not None:
            self._undo(entry)
            self._journal.forget(number)

    def undo(self) -> list[str]:
        """Take everything back; returns what could not be."""
        if namespace() != self._namespace:  # /proc/sys would be another namespace's
            raise HostError("undo was called in another network namespace than the changes were made in")
        failures = self._journal.undo(self._undo)
        self.kernel.close()
        return failures

    def _attempt(self, number: int, what: str, make: Callable[[], Any], keep: bool = False) -> None:
        """`keep`: what exists already is what was wanted, and stays after us."""
        try:
            make()
        except (OSError, NetlinkError) as error:
            code = getattr(error, "code", None) or getattr(error, "errno", None)
            self._journal.forget(number)
            if keep and code == errno.EEXIST:
                return
            raise HostError(f"cannot {what}: {_advice(code, error)}") from None

    def _with_interface(self, interface: str | None, fields: Entry) -> Entry:
        return fields if interface is None else {**fields, "oif": index(self.kernel, interface)}

    def _undo(self, entry: Entry) -> None:
        try:
            _UNDO[entry["kind"]](self, entry)
        except (OSError, NetlinkError, HostError) as error:
            if isinstance(error, HostError) or (getattr(error, "code", None) or error.errno) in GONE:
                return
            raise

    def _undo_setting(self, entry: Entry) -> None:
        if read_setting(entry["name"]) == entry["value"]:
            write_setting(entry["name"], entry["before"])

    def _undo_rule(self, entry: Entry) -> None:
        self.kernel.rule("del", **entry["fields"])

    def _undo_route(self, entry: Entry) -> None:
        self.kernel.route("del", **self._with_interface(entry["interface"], entry["fields"]))

    def _undo_address(self, entry: Entry) -> None:
        self.kernel.addr("del", index=index(self.kernel, entry["interface"]), **entry["fields"])

    def _undo_proxy(self, entry: Entry) -> None:
        self.kernel.neigh("del", ifindex=index(self.kernel, entry["interface"]), dst=entry["address"], flags=NTF_PROXY)

    def _undo_group(self, entry: Entry) -> None:
        there = index(self.kernel, entry["interface"])
        if next(iter(self.kernel.get_links(there))).get("group") == entry["group"]:
            self.kernel.link("set", index=there, group=0)

    def _undo_table(self, entry: Entry) -> None:
        nftables.remove(entry["name"])


_UNDO: dict[str, Callable[[Changes, Entry], None]] = {
    "setting": Changes._undo_setting,
    "rule": Changes._undo_rule,
    "route": Changes._undo_route,
    "address": Changes._undo_address,
    "proxy": Changes._undo_proxy,
    "group": Changes._undo_group,
    "table": Changes._undo_table,
}


def index(kernel: IPRoute, interface: str) -> int:
    found = kernel.link_lookup(ifname=interface)
    if not found:
        raise HostError(f"there is no interface {interface} in this network namespace")
    return int(found[0])


def read_setting(name: str) -> str | None:
    """A setting below /proc/sys/net, blanks squeezed; None if this kernel or interface has none."""
    try:
        return " ".join((SETTINGS / name).read_text().split())
    except OSError:
        return None


def write_setting(name: str, value: str) -> None:
    (SETTINGS / name).write_text(value + "\n")


def _advice(code: int | None, error: Exception) -> str:
    if code in (errno.EPERM, errno.EACCES):
        return "no permission: run as root or with the capability NET_ADMIN"
    if code == errno.EROFS:
        return "/proc/sys is read-only here, as in an unprivileged container: set it outside"
    if code == errno.EEXIST:
        return "something else has one already: remove it, or choose another address"
    return str(getattr(error, "strerror", None) or (error.args[-1] if error.args else error))
