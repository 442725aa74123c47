"""A pod, a gateway's host and a server, joined; what the host looks like, as text to be compared."""

import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.host import Attached, Plan, attach
from gateway.links.tun import TunLink
from gateway.testing.namespaces import Namespace, join, missing

PLAN = Plan(
    name="node-a", inside_interface="gw-inside", outside_interface="eth0", inside_addresses=("10.255.0.1/24",),
    inside_cidrs=("192.168.0.0/16", "fd00:1::/48"), egress_addresses=("10.0.0.10", "2001:db8::10"))
LOOKS = ("ip rule", "ip -6 rule", "ip route show table all", "ip -6 route show table all", "ip neigh show proxy",
         "ip -6 neigh show proxy", "ip -o addr", "ip -o link")


@pytest.fixture
def pod() -> Iterator[Namespace]:
    if reason := missing():
        pytest.skip(reason)
    with Namespace("host-pod") as namespace:
        yield namespace


@pytest.fixture
def server() -> Iterator[Namespace]:
    with Namespace("host-server") as namespace:
        yield namespace


@pytest.fixture
def host(pod: Namespace, server: Namespace) -> Iterator[Namespace]:
    """pod0 towards the pod (192.168.1.2), eth0 towards the server (10.0.0.2)."""
    with Namespace("host-gateway") as namespace:
        join(pod, "eth0", namespace, "pod0", addresses=(
            ["192.168.1.2/24", "fd00:1::2/64"], ["192.168.1.1/24", "fd00:1::1/64"]))
        join(namespace, "eth0", server, "eth0", addresses=(
            ["10.0.0.1/24", "2001:db8::1/64"], ["10.0.0.2/24", "2001:db8::2/64"]))
        pod.route("default", via="192.168.1.1")
        pod.route("default", via="fd00:1::1")
        namespace.route("default", via="10.0.0.2")
        namespace.route("default", via="2001:db8::2")
        yield namespace


Attach = Callable[..., tuple[Attached, TunLink]]


@pytest.fixture
def attached(host: Namespace, tmp_path: Path) -> Iterator[Attach]:
    """Opens the TUN and attaches PLAN, with what the test changes of it; undone at the end."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(host.enter())

        def start(**changes: object) -> tuple[Attached, TunLink]:
            link = TunLink("gw-inside", 1500)
            stack.callback(link.close)
            made = attach(replace(PLAN, **changes), tmp_path)  # type: ignore[arg-type]
            stack.callback(made.undo)
            return made, link

        yield start


def look(host: Namespace) -> dict[str, list[str]]:
    """Rules, routes, neighbours, addresses, groups and settings of a host; the TUN's own lines are left out."""
    seen = {command: host.run(command).stdout for command in LOOKS}
    seen["settings"] = host.run("sysctl -a --pattern ^net[.]ipv[46][.](conf|neigh|ip_)").stdout
    ignored = re.compile(r"gw-inside|expires|\bgc_|FAILED|INCOMPLETE|stable_secret")
    return {name: sorted(re.sub(r"\s+(pref medium|linkdown)", "", line).strip() for line in text.splitlines()
                         if not ignored.search(line)) for name, text in seen.items()}
