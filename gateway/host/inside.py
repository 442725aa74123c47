"""How the pods' packets come into the TUN, and how what the gateway writes to it reaches them.

Three routing rules, before the main table's. What the gateway wrote goes by the host's own routes, else it
would come straight back. What goes to another pod stays with the host's routes, unless those lead outside. The
rest of what comes from the pods goes into the TUN, by a table of its own. That table also says "unreachable":
if the gateway is killed and its TUN vanishes, nothing leaves untranslated.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from ipaddress import ip_interface, ip_network
from pathlib import Path
from socket import AF_INET, AF_INET6
from typing import Any

from .changes import SETTINGS, Changes, index, read_setting, write_setting
from .plan import HostError, Plan

PRIORITY = 100  # of the first of three rules, after the local table's at 0
TABLES = range(7101, 7200)  # one a gateway
GROUP = 7101  # interfaces that lead outside
MAIN = 254
LAST_METRIC = 0xFFFFFFF0
# The TUN brings packets from anywhere, also from addresses that the host owns: errors from the gateway's own
# address, hairpinned packets from a shared one.
TUN_SETTINGS = {"ipv4/conf/{}/accept_local": 1, "ipv4/conf/{}/forwarding": 1, "ipv4/conf/{}/send_redirects": 0,
                "ipv6/conf/{}/disable_ipv6": 0, "ipv6/conf/{}/forwarding": 1, "ipv6/conf/{}/accept_ra": 0}


def families(plan: Plan) -> list[int]:
    """The address families this gateway forwards."""
    found = {ip_network(text, strict=False).version for text in (*plan.inside_cidrs, *plan.egress_addresses)}
    if plan.captured_interfaces or not found:
        found |= {4, 6} if read_setting("ipv6/conf/all/forwarding") is not None else {4}
    return [AF_INET6 if version == 6 else AF_INET for version in sorted(found)]


def open_device(changes: Changes, plan: Plan) -> None:
    """The TUN up, with its settings and addresses. None of it outlives the device, except the addresses' record."""
    there = index(changes.kernel, plan.inside_interface)
    for name, value in TUN_SETTINGS.items():
        with suppress(OSError):
            write_setting(name.format(plan.inside_interface), str(value))
    # The stricter of "all" and the device's own holds; loose (2) is the laxest that a strict "all" still allows.
    lax = "0" if read_setting("ipv4/conf/all/rp_filter") in ("0", None) else "2"
    with suppress(OSError):
        write_setting(f"ipv4/conf/{plan.inside_interface}/rp_filter", lax)
    changes.kernel.link("set", index=there, mtu=plan.inside_mtu, state="up")
    give_addresses(changes, plan)


def give_addresses(changes: Changes, plan: Plan) -> None:
    """The gateway's own on the inside; what the interface has already stays as it is.

    On the pods' own interface the route to the network comes along: it is how pods there are reached.
    """
    for text in plan.inside_addresses:
        parsed = ip_interface(text)
        changes.address(plan.inside_interface, str(parsed.ip), parsed.network.prefixlen,
                        connected=plan.inside_driver != "tun")


class Capture:
    """The rules and the tables as they are; `use` makes them what a plan asks for, the new before the old goes."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes
        self._tables: dict[int, int] = {}  # by family
        self._made: dict[tuple[tuple[str, Any], ...], int] = {}

    def use(self, plan: Plan) -> None:
        wanted = {tuple(sorted(rule.items())): rule for rule in self._rules(plan)}
        for key, rule in wanted.items():
            if key not in self._made:
                self._made[key] = self._changes.rule(**rule)
        for key in [key for key in self._made if key not in wanted]:
            self._changes.withdraw(self._made.pop(key))

    def _rules(self, plan: Plan) -> Iterator[dict[str, Any]]:
        elsewhere: dict[str, Any] = {"table": MAIN, "suppress_prefixlen": 0}  # a default route leads to no pod
        if plan.outside_there:
            elsewhere["suppress_ifgroup"] = _outside_group(self._changes, plan.outside_interface)
        for family in families(plan):
            table = self._table(family, plan.inside_interface)
            rule = {"family": family, "priority": PRIORITY}
            yield {**rule, "table": MAIN, "iifname": plan.inside_interface}
            for cidr in _of(family, plan.inside_cidrs):
                yield {**rule, "priority": PRIORITY + 1, **elsewhere, **_prefix("dst", cidr)}
            for cidr in _of(family, plan.inside_cidrs):
                yield {**rule, "priority": PRIORITY + 2, "table": table, **_prefix("src", cidr)}
            for name in plan.captured_interfaces:
                yield {**rule, "priority": PRIORITY + 2, "table": table, "iifname": name}

    def _table(self, family: int, interface: str) -> int:
        """The table that leads into the TUN; made when the family is first asked for."""
        if family not in self._tables:
            table = self._tables[family] = _free_table(self._changes, family)
            every = "::/0" if family == AF_INET6 else "0.0.0.0/0"
            self._changes.route(None, family=family, table=table, dst=every, type="unreachable", priority=LAST_METRIC)
            self._changes.route(interface, family=family, table=table, dst=every, priority=100)
        return self._tables[family]


def forward(changes: Changes, plan: Plan) -> None:
    """Forwarding on, the pods' interfaces included; what that moves along is remembered."""
    found = families(plan)
    if AF_INET in found:
        _forward_v4(changes, plan)
        for name in _interfaces(plan):
            changes.setting(f"ipv4/conf/{name}/forwarding", 1)
    if AF_INET6 in found:
        _forward_v6(changes, plan)
        for name in _interfaces(plan):
            changes.setting(f"ipv6/conf/{name}/forwarding", 1)


def _forward_v4(changes: Changes, plan: Plan) -> None:
    if read_setting("ipv4/ip_forward") != "0":
        return
    _remember_devices(changes, plan, "ipv4")
    if read_setting("ipv4/conf/all/accept_redirects") == "0":
        changes.remember("ipv4/conf/all/accept_redirects", "0", "1")  # written as a side effect of ip_forward
    changes.setting("ipv4/ip_forward", 1)


def _forward_v6(changes: Changes, plan: Plan) -> None:
    if read_setting("ipv6/conf/all/forwarding") is None:
        raise HostError("the resources name IPv6 addresses, but this kernel or namespace has no IPv6")
    if read_setting("ipv6/conf/all/forwarding") != "0":
        return
    learning = f"ipv6/conf/{plan.outside_interface}/accept_ra"
    if read_setting(learning) == "1":
        changes.setting(learning, 2)  # with 1, a router forgets the routes it learnt
    _remember_devices(changes, plan, "ipv6")
    changes.setting("ipv6/conf/all/forwarding", 1)


def _remember_devices(changes: Changes, plan: Plan, family: str) -> None:
    """Switching all of a family off again, when undone, also switches off what was on for one interface."""
    for folder in sorted(Path(SETTINGS, family, "conf").iterdir()):
        tun = folder.name == plan.inside_interface and plan.inside_driver == "tun"
        if folder.name != "all" and not tun and read_setting(f"{family}/conf/{folder.name}/forwarding") == "1":
            changes.remember(f"{family}/conf/{folder.name}/forwarding", "1", "0")


def _interfaces(plan: Plan) -> list[str]:
    sides = ((plan.outside_there, plan.outside_interface), (plan.inside_there, plan.inside_interface))
    return [name for there, name in sides if there]


def _outside_group(changes: Changes, interface: str) -> int:
    """The group of the outside interface, one of ours if it had none: routing rules can only name groups."""
    link = next(iter(changes.kernel.get_links(index(changes.kernel, interface))))
    group = int(link.get("group") or 0)
    if group == 0:
        group = GROUP
        changes.group(interface, group)
    return group


def _free_table(changes: Changes, family: int) -> int:
    used = {rule.get("table") or rule["table"] for rule in changes.kernel.get_rules(family=family)}
    used |= {route.get("table") or route["table"] for route in changes.kernel.get_routes(family=family)}
    for table in TABLES:
        if table not in used:
            return table
    raise HostError(f"the routing tables {TABLES[0]} to {TABLES[-1]} are all in use: remove what is left of others")


def _of(family: int, cidrs: tuple[str, ...]) -> list[str]:
    return [cidr for cidr in cidrs if (":" in cidr) == (family == AF_INET6)]


def _prefix(key: str, cidr: str) -> dict[str, Any]:
    parsed = ip_network(cidr, strict=False)
    if parsed.prefixlen == 0:
        return {}
    return {key: str(parsed.network_address), f"{key}_len": parsed.prefixlen}
