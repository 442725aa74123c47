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


def test_pods_are_translated_and_nothing_is_left_after_sigterm(world):
    before = world.state()
    gateway = world.start()
    assert (world.ask(SERVER), world.ask(SERVER6)) == (EGRESS, EGRESS6)
    assert world.state() != before
    gateway.send_signal(signal.SIGTERM)
    assert gateway.wait(20) == 0
    assert world.state() == before
    assert not world.socket.exists()


def test_after_a_kill_nothing_leaves_raw_and_the_next_start_cleans_up(world):
    before = world.state()
    gateway = world.start()
    assert world.ask() == EGRESS
    gateway.kill()
    gateway.wait(20)
    world.seen.clear()
    assert world.ask(SERVER, seconds=0.3) is None and world.ask(SERVER6, seconds=0.3) is None
    assert world.seen == []
    again = world.start()
    assert (world.ask(SERVER), world.ask(SERVER6)) == (EGRESS, EGRESS6)
    again.send_signal(signal.SIGTERM)
    assert again.wait(20) == 0
    assert world.state() == before


def test_no_packet_leaves_untranslated_at_start_reload_or_end(world):
    """The server would answer pods directly, and hears a pod that never stops sending."""
    stop = threading.Event()

    def chatter():
        with world.pod.enter():
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
            gateway = world.start()
            time.sleep(0.3)
            gateway.send_signal(signal.SIGHUP)
            world.until("reloaded", gateway)
            time.sleep(0.2)
            gateway.send_signal(signal.SIGTERM)
            assert gateway.wait(20) == 0
            time.sleep(0.2)
        gateway = world.start()
        gateway.kill()
        gateway.wait(20)
        gateway = world.start()
        time.sleep(0.2)
    finally:
        stop.set()
        thread.join(10)
    assert len(world.seen) > 200
    assert {address for address, _ in world.seen} == {EGRESS, EGRESS6}


def test_a_pool_that_a_reload_brings_is_captured_and_one_that_goes_is_not(world):
    before = world.state()
    gateway = world.start()
    assert world.ask(source=LATER) == LATER  # no pool of ours: the node forwards it as any router would
    text = world.file.read_text()
    pool = ("---\napiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata: {name: later}\n"
            "spec: {cidr: 172.31.0.0/16, natOutgoing: true}\n")
    world.file.write_text(text + pool)
    world.until("generation=2", gateway)
    assert world.ask(source=LATER) == EGRESS and world.ask() == EGRESS
    captured = world.state()["rules"]
    world.file.write_text(text)
    world.until("generation=3", gateway)
    assert len(world.state()["rules"]) == len(captured) - 2
    assert world.ask() == EGRESS
    gateway.send_signal(signal.SIGTERM)
    assert gateway.wait(20) == 0
    assert world.state() == before


def test_masquerading_to_the_nodes_own_address(world):
    """No egress address given: the outside interface's own, shared with the host, port by port."""
    world.file.write_text(world.file.read_text().replace('  addresses: [198.51.100.10, "2001:db8:e::10"]\n', ""))
    before = world.state()
    gateway = world.start()
    assert (world.ask(SERVER), world.ask(SERVER6)) == ("198.51.100.1", "2001:db8:e::1")
    assert "0% packet loss" in world.server.run("ping -c 2 -i 0.2 198.51.100.1").stdout
    gateway.send_signal(signal.SIGTERM)
    assert gateway.wait(20) == 0
    assert world.state() == before


def test_a_second_gateway_in_the_namespace_does_not_harm_the_first(world):
    world.start()
    second = world.start("--socket", str(world.folder / "second.sock"), wait=False)
    assert second.wait(20) == 3
    assert world.ask() == EGRESS


@pytest.mark.parametrize(("old", "new", "says"), [
    ("interface: eth0", "interface: nosuch0", "no interface 'nosuch0'"),
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


def test_an_outside_interface_that_was_down_is_used_again(world):
    world.start()
    assert world.ask() == EGRESS
    world.node.run("ip link set eth0 down")
    assert world.ask(seconds=0.3) is None
    world.node.run("ip link set eth0 up")
    deadline = time.monotonic() + 15
    while (answer := world.ask()) is None and time.monotonic() < deadline:
        pass
    assert answer == EGRESS


def test_a_smaller_mtu_than_the_resources_say_is_told(world):
    world.node.run("ip link set eth0 mtu 1400")
    world.start()
    assert "eth0 has an MTU of 1400" in world.log and "write mtu: 1400" in world.log


def test_signals_during_the_start_leave_nothing(world):
    before = world.state()
    for delay in (0.25, 0.35, 0.45):
        gateway = world.start(wait=False)
        time.sleep(delay)
        gateway.send_signal(signal.SIGTERM)
        assert gateway.wait(20) in (0, -signal.SIGTERM)
        assert world.state() == before
