"""`gateway run` in a namespace: pods' packets through TUN and packet socket, and a node as it was afterwards."""

import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack

import pytest

from gateway.testing import namespaces
from labs import clients
from labs.servers import Server

from .kernel import LATER, PORT, SERVER, SERVER6, World

pytestmark = [
    pytest.mark.skipif(bool(namespaces.missing()), reason=namespaces.missing() or ""),
    pytest.mark.skipif(not shutil.which("ip") or not shutil.which("nft"), reason="ip and nft show what is left"),
]
EGRESS, EGRESS6 = "198.51.100.10", "2001:db8:e::10"


@pytest.fixture
def world(tmp_path):
    with ExitStack() as stack:
        yield World(stack, tmp_path)


@pytest.fixture(params=["tun", "xdp", "packet worker"])
def either(request, world):
    """A world whose gateway has pods behind a TUN, or reads the pods' own interface; on its loop or in a thread.

    Three of the six that there could be: each takes half a minute. The lab `bridge` has packet sockets on a loop.
    """
    driver, _, thread = request.param.partition(" ")
    if driver != "tun":
        world.replace("{driver: tun, interface: gw-inside}", f"{{driver: {driver}, interface: pod}}")
        world.replace("{driver: packet, interface: eth0}", f"{{driver: {driver}, interface: eth0}}")
    if thread:
        world.replace("spec:\n  inside:", "spec:\n  workers: 1\n  inside:")
    return world


def test_pods_are_translated_and_nothing_is_left_after_sigterm(either):
    before = either.state()
    gateway = either.start()
    assert (either.ask(SERVER), either.ask(SERVER6)) == (EGRESS, EGRESS6)
    assert either.state() != before
    gateway.send_signal(signal.SIGTERM)
    assert gateway.wait(20) == 0
    assert either.state() == before
    assert not either.socket.exists()


def test_after_a_kill_nothing_leaves_raw_and_the_next_start_cleans_up(either):
    before = either.state()
    gateway = either.start()
    assert either.ask() == EGRESS
    gateway.kill()
    gateway.wait(20)
    either.seen.clear()
    assert either.ask(SERVER, seconds=0.3) is None and either.ask(SERVER6, seconds=0.3) is None
    assert either.seen == []
    again = either.start()
    assert (either.ask(SERVER), either.ask(SERVER6)) == (EGRESS, EGRESS6)
    again.send_signal(signal.SIGTERM)
    assert again.wait(20) == 0
    assert either.state() == before


def test_no_packet_leaves_untranslated_at_start_reload_or_end(either):
    """The server would answer pods directly, and hears a pod that never stops sending."""
    stop = threading.Event()

    def chatter():
        with either.pod.enter():
            senders = [socket.socket(family, socket.SOCK_DGRAM) for family in (socket.AF_INET, socket.AF_INET6)]
        while not stop.is_set():
            for sender, address in zip(senders, (SERVER, SERVER6), strict=True):
                try:
                    sender.sendto(b"raw?", (address, PORT))
                except OSError:
                    continue
            time.sleep(0.0005)
        for sender in senders:
            sender.close()
    thread = threading.Thread(target=chatter)
    thread.start()
    try:
        for _ in range(2):
            gateway = either.start()
            time.sleep(0.3)
            gateway.send_signal(signal.SIGHUP)
            either.until("reloaded", gateway)
            time.sleep(0.2)
            gateway.send_signal(signal.SIGTERM)
            assert gateway.wait(20) == 0
            time.sleep(0.2)
        gateway = either.start()
        gateway.kill()
        gateway.wait(20)
        gateway = either.start()
        time.sleep(0.2)
    finally:
        stop.set()
        thread.join(10)
    assert len(either.seen) > 200
    assert {address for address, _ in either.seen} == {EGRESS, EGRESS6}


def test_a_pool_that_a_reload_brings_is_captured_and_one_that_goes_is_not(either):
    before = either.state()
    gateway = either.start()
    assert either.ask(source=LATER) == LATER  # no pool of ours: the node forwards it as any router would
    text = either.file.read_text()
    pool = ("---\napiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata: {name: later}\n"
            "spec: {cidr: 172.31.0.0/16, natOutgoing: true}\n")
    either.file.write_text(text + pool)
    either.until("generation=2", gateway)
    assert either.ask(source=LATER) == EGRESS and either.ask() == EGRESS
    either.file.write_text(text)
    either.until("generation=3", gateway)
    assert either.ask(source=LATER) == LATER
    assert either.ask() == EGRESS
    gateway.send_signal(signal.SIGTERM)
    assert gateway.wait(20) == 0
    assert either.state() == before


def test_what_was_asked_of_the_host_needs_a_restart_and_each_mistake_has_its_place(world):
    gateway = world.start()
    changed = world.file.read_text()
    for old, new in (("interface: gw-inside", "mtu: 1400, interface: gw-inside, addresses: [10.99.0.1/32]"),
                     ('addresses: [198.51.100.10, "2001:db8:e::10"]', "addresses: [198.51.100.11]")):
        changed = changed.replace(old, new)
    world.file.write_text(changed)
    world.until("reload_refused", gateway)
    for place, field, was in (("6:30", "inside.mtu", "1500"), ("6:69", "inside.addresses", "not given"),
                              ("8:14", "addresses", f"{EGRESS}, {EGRESS6}")):
        assert f":{place}: Gateway/kernel-test: spec.{field}: was {was}; restart the gateway" in world.log
    assert world.log.count("resource_error") == 3
    assert world.ask() == EGRESS


PORTS = """---
apiVersion: projectcalico.org/v3
kind: FelixConfiguration
metadata: {name: default}
spec: {natPortRange: "40000:40010"}
"""


def test_the_host_gives_up_the_ports_of_a_nat_port_range_on_its_own_address(world):
    """They lie among those that the kernel picks its own from, and cannot be changed while it has given these up."""
    world.replace('  addresses: [198.51.100.10, "2001:db8:e::10"]\n', "")
    text = world.file.read_text()
    world.file.write_text(text + PORTS)
    gateway = world.start()
    assert world.ask() == "198.51.100.1" and 40000 <= world.seen[-1][1] <= 40010
    assert world.node.sysctl("net/ipv4/ip_local_reserved_ports") == "40000-40010"
    world.file.write_text(text + PORTS.replace("40010", "40020"))
    world.until("reload_refused", gateway)
    assert "spec.nat.portRange: was 40000-40010, natPortRange counted; restart the gateway" in world.log


def test_ports_of_addresses_that_the_host_has_not_may_change(world):
    gateway = world.start()
    world.file.write_text(world.file.read_text() + PORTS)
    world.until("generation=2", gateway)
    assert world.ask() == EGRESS and 40000 <= world.seen[-1][1] <= 40010
    world.replace("spec:\n  inside", 'spec:\n  nat: {portRange: "40005-50000"}\n  inside')
    world.until("generation=3", gateway)
    assert world.ask() == EGRESS and 40005 <= world.seen[-1][1] <= 40010
    assert world.node.sysctl("net/ipv4/ip_local_reserved_ports") == ""


def test_an_interface_that_carries_less_from_now_on_makes_senders_send_less(either):
    """Its MTU falls under spec.outside.mtu: what does not fit is not lost without a word, but answered (RFC 1191)."""
    gateway = either.start()
    assert "mtu = " not in either.pod.run(f"ping -c 1 -s 1400 -M do {SERVER}", check=False).stdout
    either.node.run("ip link set eth0 mtu 1300")
    either.until("senders are told", gateway)
    time.sleep(0.3)
    assert "mtu = 1300" in either.pod.run(f"ping -c 1 -W 2 -s 1400 -M do {SERVER}", check=False).stdout
    either.node.run("ip link set eth0 mtu 1500")


def test_masquerading_to_the_nodes_own_address(either):
    """No egress address given: the outside interface's own, shared with the host, port by port."""
    either.file.write_text(either.file.read_text().replace("{driver: xdp, interface: eth0}",
                                                           "{driver: packet, interface: eth0}"))
    either.file.write_text(either.file.read_text().replace('  addresses: [198.51.100.10, "2001:db8:e::10"]\n', ""))
    before = either.state()
    gateway = either.start()
    assert (either.ask(SERVER), either.ask(SERVER6)) == ("198.51.100.1", "2001:db8:e::1")
    assert "0% packet loss" in either.server.run("ping -c 2 -i 0.2 198.51.100.1").stdout
    gateway.send_signal(signal.SIGTERM)
    assert gateway.wait(20) == 0
    assert either.state() == before


def test_a_second_gateway_in_the_namespace_does_not_harm_the_first(world):
    world.start()
    second = world.start("--socket", str(world.folder / "second.sock"), wait=False)
    assert second.wait(20) == 3
    assert world.ask() == EGRESS


def test_xdp_does_not_share_an_address_with_the_node(world):
    world.replace("{driver: packet, interface: eth0}", "{driver: xdp, interface: eth0}")
    world.replace('  addresses: [198.51.100.10, "2001:db8:e::10"]\n', "")
    before = world.state()
    gateway = world.start(wait=False)
    assert gateway.wait(20) == 3 and "the host has 198.51.100.1" in world.log and "use driver packet" in world.log
    assert world.state() == before


def test_real_clients(either):
    """curl, ping, traceroute and iperf3 where they are, else what stands in for them; both families."""
    either.node.sysctl("net/ipv4/icmp_ratelimit", 0)
    serving = Server(either.server)
    either.start()
    try:
        for address, egress, first in ((SERVER, EGRESS, "192.168.1.1"), (SERVER6, f"[{EGRESS6}]", "fd00:192::1")):
            assert clients.fetch(either.pod, address, 40000) == f"you are {egress}:40000"
            assert clients.datagram(either.pod, address, 40001) == f"you are {egress}:40001"
            clients.ping(either.pod, address)
            either.pod.run(f"ping -c 1 -W 2 -s 4000 {address}")  # in fragments
            hops = clients.trace(either.pod, address)
            assert (hops[0], hops[-1]) == (first, address)  # between them, with a TUN, the gateway itself
        rates = clients.throughput(either.pod, either.server, SERVER)
        assert rates is None or min(rates) > 0.05
    finally:
        serving.close()


def test_the_nodes_own_addresses_answer_once(either):
    """Those of the interfaces, which the node has, beside egress addresses that it has not."""
    either.start()
    for asker, addresses in ((either.server, ("198.51.100.1", "2001:db8:e::1", EGRESS, EGRESS6)),
                             (either.pod, ("192.168.1.1", "fd00:192::1", "198.51.100.1", EGRESS, EGRESS6))):
        for address in addresses:
            assert " 2 received, 0% packet loss" in asker.run(f"ping -c 2 -i 0.2 {address}").stdout, address


def test_a_packet_inside_is_given_the_addresses_it_lacks(world):
    """A bare interface and one written address: that one is the pods' default gateway."""
    world.node.run("ip addr flush dev pod scope global")
    world.replace("{driver: tun, interface: gw-inside}",
                  '{driver: packet, interface: pod, addresses: [192.168.1.1/24, "fd00:192::1/64"]}')
    before = world.state()
    gateway = world.start()
    assert (world.ask(SERVER), world.ask(SERVER6)) == (EGRESS, EGRESS6)
    assert " 2 received, 0% packet loss" in world.pod.run("ping -c 2 -i 0.2 192.168.1.1").stdout
    gateway.send_signal(signal.SIGTERM)
    assert gateway.wait(20) == 0
    assert world.state() == before


def test_a_packet_inside_that_was_down_is_used_again(world):
    """Going down took the pods' routes along, and with them what makes the node answer for egress addresses."""
    world.replace("{driver: tun, interface: gw-inside}", "{driver: packet, interface: pod}")
    world.start()
    assert world.ask() == EGRESS
    world.node.run("ip link set pod down")
    assert world.ask(seconds=0.3) is None
    world.server.run("ip neigh flush all")
    world.node.run("ip link set pod up")
    deadline = time.monotonic() + 15
    while (answer := world.ask()) is None and time.monotonic() < deadline:
        pass
    assert answer == EGRESS


@pytest.mark.parametrize(("old", "new", "says"), [
    ("interface: eth0", "interface: nosuch0", "no interface 'nosuch0'"),
    ("driver: tun, interface: gw-inside", "driver: packet, interface: nosuch0", "no interface 'nosuch0'"),
    ("driver: tun, interface: gw-inside", "driver: packet, interface: lo", "not an Ethernet interface"),
    ("interface: gw-inside", "interface: pod", "pod"),
])
def test_an_interface_that_cannot_be_is_status_3_and_changes_nothing(world, old, new, says):
    world.file.write_text(world.file.read_text().replace(old, new))
    before = world.state()
    gateway = world.start(wait=False)
    assert gateway.wait(20) == 3
    assert says in world.log and "Traceback" not in world.log
    assert world.state() == before


def test_a_tun_name_in_use_is_status_3(world):
    holder = "import fcntl, os, struct, sys; f = os.open('/dev/net/tun', os.O_RDWR); " \
             "fcntl.ioctl(f, 0x400454ca, struct.pack('16sH22x', b'gw-inside', 0x1001)); print('held', flush=True); " \
             "sys.stdin.read()"
    other = world.node.popen([sys.executable, "-c", holder], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert other.stdout.readline() == b"held\n"
    gateway = world.start(wait=False)
    assert gateway.wait(20) == 3 and "gw-inside" in world.log and "in use" in world.log
    other.communicate()


@pytest.mark.skipif(not shutil.which("setpriv"), reason="setpriv drops the capabilities")
def test_without_permission_it_is_status_3_and_says_what_is_missing(world):
    gateway = world.start(wait=False, prefix=("setpriv", "--bounding-set=-net_admin,-net_raw"))
    assert gateway.wait(20) == 3
    assert "permission" in world.log and "Traceback" not in world.log


@pytest.mark.parametrize("command", ["ip link del gw-inside", "ip link set gw-inside down"])
def test_a_tun_that_is_taken_away_ends_the_gateway_and_nothing_leaves_raw(world, command):
    before = world.state()
    gateway = world.start()
    assert world.ask() == EGRESS
    world.seen.clear()
    world.node.run(command)
    assert world.ask(seconds=0.5) is None
    assert gateway.wait(20) == 1 and "gw-inside" in world.log.splitlines()[-1]
    assert world.seen == [] and world.state() == before


def test_an_outside_interface_that_was_down_is_used_again(either):
    either.start()
    assert either.ask() == EGRESS
    either.node.run("ip link set eth0 down")
    assert either.ask(seconds=0.3) is None
    either.node.run("ip link set eth0 up")
    deadline = time.monotonic() + 15
    while (answer := either.ask()) is None and time.monotonic() < deadline:
        pass
    assert answer == EGRESS


def test_a_smaller_mtu_than_the_resources_say_is_told(world):
    world.node.run("ip link set eth0 mtu 1400")
    world.start()
    assert "eth0 has an MTU of 1400, less than spec.outside.mtu, 1500: that is what senders are told" in world.log
    assert "mtu = 1400" in world.pod.run(f"ping -c 1 -W 2 -s 1450 -M do {SERVER}", check=False).stdout


def test_signals_during_the_start_leave_nothing(either):
    before = either.state()
    for delay in (0.25, 0.35, 0.45):
        gateway = either.start(wait=False)
        time.sleep(delay)
        gateway.send_signal(signal.SIGTERM)
        assert gateway.wait(20) in (0, -signal.SIGTERM)
        assert either.state() == before
