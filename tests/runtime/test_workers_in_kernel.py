"""Several workers in a namespace: steered by the kernel or not at all, what pods see is what one worker shows them."""

import json
import shutil
import signal
import socket
import sys
import threading
import time
from contextlib import ExitStack

import pytest

from gateway.testing import namespaces
from labs import clients
from labs.servers import Server

from .kernel import PORT, ROOT, SERVER, SERVER6, World

pytestmark = [
    pytest.mark.skipif(bool(namespaces.missing()), reason=namespaces.missing() or ""),
    pytest.mark.skipif(not shutil.which("ip") or not shutil.which("nft"), reason="ip and nft show what is left"),
]
EGRESS, EGRESS6 = "198.51.100.10", "2001:db8:e::10"
PODS = [f"192.168.1.{number}" for number in range(20, 32)]
PODS6 = [f"fd00:192::{number}" for number in range(20, 26)]
TO_QUEUE_0 = "from gateway.runtime import assembly\nassembly.steerings = lambda *_: ([(6, 0, 0, 0)], [(6, 0, 0, 0)])\n"


@pytest.fixture
def crowd(request, tmp_path):
    """A world with many pods' addresses; `start` of it starts N workers."""
    driver, workers, *unsteered = request.param.split()
    with ExitStack() as stack:
        world = World(stack, tmp_path)
        for address in PODS:
            world.pod.run(f"ip addr add {address}/24 dev eth0")
        for address in PODS6:
            world.pod.run(f"ip addr add {address}/64 dev eth0 nodad")
        world.replace("spec:\n  inside:", f"spec:\n  workers: {workers}\n  inside:")
        if driver == "packet":
            world.replace("{driver: tun, interface: gw-inside}", "{driver: packet, interface: pod}")
        world.workers, prefix = int(workers), ()
        if unsteered:
            (tmp_path / "sitecustomize.py").write_text(TO_QUEUE_0)
            prefix = ("env", f"PYTHONPATH={tmp_path}:{ROOT}")
        world.started = lambda: world.start(prefix=prefix)
        yield world


def told(world, *words):
    """What a command of the running gateway prints as JSON."""
    ran = world.node.run([sys.executable, "-m", "gateway", *words, "--socket", str(world.socket), "-o", "json"],
                         check=False)
    return [json.loads(line) for line in ran.stdout.splitlines()] if words[0] == "flows" else json.loads(ran.stdout)


def endpoint(world, address):
    """A pod's socket, and the external port that the server sees it at."""
    with world.pod.enter():
        opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.bind((address, 0))
    opened.settimeout(2)
    opened.sendto(b"?", (SERVER, PORT))
    assert opened.recv(100).decode() == EGRESS
    return opened, world.seen[-1][1]


@pytest.mark.parametrize("crowd", ["tun 2", "packet 3"], indirect=True)
def test_pods_of_different_workers(crowd):
    before = crowd.state()
    gateway = crowd.started()
    for source in PODS:
        assert crowd.ask(SERVER, source) == EGRESS
    for source in PODS6:
        assert crowd.ask(SERVER6, source) == EGRESS6
    stats = told(crowd, "stats")
    shares = stats["shares"]
    assert len(shares) == stats["workers"] == crowd.workers and sum(share["flows"] for share in shares) == 18
    assert sum(share["flows"] > 0 for share in shares) > 1
    handed = sum(share["handed_over"] for share in shares)
    assert handed == 0 and stats["counters"]["hand_over"] == handed
    hairpins(crowd)
    asked = told(crowd, "explain", "--protocol", "udp", "--src", f"{PODS[0]}:5", "--dst", f"{SERVER}:53")
    assert (asked["verdict"], asked["source"]["to"].partition(":")[0]) == ("accept", EGRESS)
    workers = {int(flow["id"].partition("-")[0], 16) >> 24 for flow in told(crowd, "flows")}
    assert len(workers) == sum(share["flows"] > 0 for share in shares)
    gateway.send_signal(signal.SIGTERM)
    assert gateway.wait(20) == 0
    assert crowd.state() == before


def hairpins(world):
    """Each of some pods calls each other one at its external port; who has called is let in (RFC 4787 REQ-9)."""
    with ExitStack() as stack:
        ends = [endpoint(world, address) for address in PODS[:4]]
        for one, _ in ends:
            stack.callback(one.close)
        for one, _ in ends:
            for other, port in ends:
                if other is not one:
                    one.sendto(b"first", (EGRESS, port))
        time.sleep(0.2)
        for one, _ in ends:
            one.setblocking(False)
            drain(one)
            one.settimeout(2)
        for one, near in ends:
            for other, far in ends:
                if other is not one:
                    one.sendto(b"hello", (EGRESS, far))
                    assert other.recvfrom(100) == (b"hello", (EGRESS, near))


def drain(opened):
    while True:
        try:
            opened.recv(100)
        except BlockingIOError:
            return


@pytest.mark.parametrize("crowd", ["packet 2 unsteered", "tun 3 unsteered"], indirect=True)
def test_real_clients_of_workers_that_hand_over(crowd):
    """curl, ping in fragments, traceroute, iperf3: all read by the first worker; meanwhile rules are read again."""
    crowd.node.sysctl("net/ipv4/icmp_ratelimit", 0)
    serving, stop = Server(crowd.server), threading.Event()
    gateway = crowd.started()

    def reload():
        while not stop.wait(0.3):
            gateway.send_signal(signal.SIGHUP)
    thread = threading.Thread(target=reload)
    thread.start()
    try:
        for address, egress in ((SERVER, EGRESS), (SERVER6, f"[{EGRESS6}]")):
            assert clients.fetch(crowd.pod, address, 40000).startswith(f"you are {egress}:")
            clients.ping(crowd.pod, address)
            for source in (PODS if ":" not in address else PODS6)[:4]:
                crowd.pod.run(f"ping -c 2 -i 0.1 -W 2 -s 4000 -I {source} {address}")
            assert clients.trace(crowd.pod, address)[-1] == address
        rates = clients.throughput(crowd.pod, crowd.server, SERVER)
        assert rates is None or min(rates) > 0.05
        hairpins(crowd)
        assert told(crowd, "stats")["counters"]["hand_over"] > 0
    finally:
        stop.set()
        thread.join()
        serving.close()
    assert gateway.poll() is None and "Traceback" not in crowd.log
    assert {address for address, _ in crowd.seen} <= {EGRESS, EGRESS6}
