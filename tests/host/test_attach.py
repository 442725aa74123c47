"""What attaching does to a host, seen by its neighbours; and that nothing of it stays."""

import contextlib
import errno
import os
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from scapy.all import ARP, IP, TCP, UDP, Ether, ICMPv6ND_NS, ICMPv6NDOptSrcLLAddr, IPv6

from gateway.host import HostError, attach
from gateway.host.neighbours import Neighbours
from gateway.links.packet import PacketLink
from gateway.links.tun import TunLink
from gateway.testing.namespaces import Namespace, join
from gateway.wire.batch import Batch

from .conftest import PLAN, Attach, look


def captured(link: TunLink, seconds: float = 1) -> list[tuple[str, str]]:
    """(source, destination) of what came into the TUN, multicast left out."""
    batch, found, end = Batch(), [], time.monotonic() + seconds
    while time.monotonic() < end and not found:
        link.read_batch(batch)
        for index in range(batch.count):
            packet = batch.packet(index)
            parsed = IP(packet) if packet[0] >> 4 == 4 else IPv6(packet)
            if not str(parsed.dst).startswith("ff"):
                found.append((str(parsed.src), str(parsed.dst)))
        time.sleep(0.02)
    return found


def send(namespace: Namespace, to: str, port: int = 9) -> None:
    with namespace.enter(), socket.socket(socket.AF_INET6 if ":" in to else socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.sendto(b"datagram", (to, port))


def test_everything_is_undone(host: Namespace, attached: Attach) -> None:
    before = look(host)
    made, link = attached()
    during = look(host)
    assert during != before and "100:\tfrom all iif gw-inside lookup main" not in before["ip rule"]
    assert made.undo() == [] and made.undo() == []
    link.close()
    assert look(host) == before


def test_forwarding_that_was_on_for_one_interface_stays_on(host: Namespace, attached: Attach) -> None:
    host.sysctl("net/ipv4/conf/pod0/forwarding", 1)
    host.sysctl("net/ipv6/conf/pod0/forwarding", 1)
    host.sysctl("net/ipv4/conf/all/accept_redirects", 0)
    before = look(host)
    made, link = attached()
    made.undo()
    link.close()
    assert look(host) == before


def test_pods_are_captured_in_both_families(host: Namespace, pod: Namespace, attached: Attach) -> None:
    _, link = attached()
    for to in ("203.0.113.5", "2600::5"):
        send(pod, to)
        assert [pair[1] for pair in captured(link)] == [to]


def test_hosts_own_traffic_and_pod_to_pod_are_not_captured(host: Namespace, pod: Namespace, attached: Attach) -> None:
    with Namespace("host-neighbour") as other:
        join(other, "eth0", host, "pod1", addresses=(["192.168.2.2/24"], ["192.168.2.1/24"]))
        other.route("default", via="192.168.2.1")
        _, link = attached()
        pod.run("ping -c1 -W2 192.168.2.2")
        pod.run("ping -c1 -W2 192.168.1.1")
        host.run("ping -c1 -W2 10.0.0.2")
        assert captured(link, 0.3) == []
        send(pod, "192.168.77.7")
        assert captured(link) == [("192.168.1.2", "192.168.77.7")], "elsewhere: not sent out as it is"


def test_a_route_that_leads_outside_does_not_bypass_the_gateway(
    host: Namespace, pod: Namespace, attached: Attach,
) -> None:
    """A disabled pool such as 10.0.0.0/8 only exempts: its addresses lie outside, and what goes there is captured."""
    _, link = attached(inside_cidrs=("192.168.0.0/16", "10.0.0.0/8"))
    send(pod, "10.0.0.2")
    assert captured(link) == [("192.168.1.2", "10.0.0.2")]


def test_what_comes_in_by_a_captured_interface_is_captured(host: Namespace, pod: Namespace, attached: Attach) -> None:
    _, link = attached(inside_cidrs=(), captured_interfaces=("pod0",))
    send(pod, "203.0.113.5")
    assert captured(link) == [("192.168.1.2", "203.0.113.5")]


def test_what_is_written_to_the_tun_reaches_the_pod(host: Namespace, pod: Namespace, attached: Attach) -> None:
    host.sysctl("net/ipv4/conf/all/rp_filter", 1)
    with pod.enter():
        receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind(("192.168.1.2", 7))
    receiver.settimeout(2)
    _, link = attached()
    for source in ("203.0.113.5", "10.0.0.1", "10.255.0.1"):  # a stranger, and two that the host itself owns
        assert link.write(bytes(IP(src=source, dst="192.168.1.2") / UDP(sport=9, dport=7) / b"hello"), bytes(10))
        assert receiver.recvfrom(100) == (b"hello", (source, 9))
    receiver.close()


def leaks(pod: Namespace, server: Namespace) -> bool:
    """Whether a pod's datagram arrives at the server, untranslated."""
    with raw(server) as ear:
        send(pod, "10.0.0.2", 4444)
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            with contextlib.suppress(TimeoutError):
                frame = Ether(ear.recv(2000))
                if UDP in frame and frame[UDP].dport == 4444:
                    return True
    return False


def test_when_the_tun_is_gone_captured_packets_go_nowhere(
    host: Namespace, pod: Namespace, server: Namespace, attached: Attach,
) -> None:
    host.sysctl("net/ipv4/ip_forward", 1)
    assert leaks(pod, server), "a plain router"
    _, link = attached()
    assert not leaks(pod, server)
    link.close()
    assert not leaks(pod, server)


def test_the_host_answers_arp_and_nd_for_the_egress_addresses(
    host: Namespace, server: Namespace, attached: Attach,
) -> None:
    before = arp(server, "10.0.0.10"), solicit(server, "2001:db8::10")
    attached()
    mac = host.mac("eth0")
    assert before == (None, None)
    assert (arp(server, "10.0.0.10"), solicit(server, "2001:db8::10")) == (mac, mac)
    assert arp(server, "10.0.0.11") is None
    assert solicit(server, "2001:db8::10", to=mac) == mac, "also when asked directly, to confirm"


def raw(namespace: Namespace) -> socket.socket:
    with namespace.enter():
        opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0x0300)
    opened.bind(("eth0", 3))
    opened.settimeout(0.1)
    return opened


def exchange(namespace: Namespace, frame: Ether, wanted: object, seconds: float = 1) -> Ether | None:
    with raw(namespace) as opened:
        opened.send(bytes(frame))
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with contextlib.suppress(TimeoutError):
                answer = Ether(opened.recv(2000))
                if wanted(answer):  # type: ignore[operator]
                    return answer
    return None


def arp(namespace: Namespace, address: str) -> str | None:
    mac = namespace.mac("eth0")
    asked = Ether(src=mac, dst="ff:ff:ff:ff:ff:ff") / ARP(hwsrc=mac, psrc="10.0.0.2", pdst=address)
    answer = exchange(namespace, asked, lambda frame: ARP in frame and frame[ARP].op == 2 and frame.psrc == address)
    return answer[ARP].hwsrc if answer else None


def solicit(namespace: Namespace, address: str, to: str | None = None) -> str | None:
    mac, last = namespace.mac("eth0"), socket.inet_pton(socket.AF_INET6, address)[-3:]
    group = "ff02::1:ff" + last[:1].hex() + ":" + last[1:].hex()
    asked = (Ether(src=mac, dst=to or "33:33:ff:" + last.hex(":"))
             / IPv6(src="2001:db8::2", dst=address if to else group)
             / ICMPv6ND_NS(tgt=address) / ICMPv6NDOptSrcLLAddr(lladdr=mac))
    answer = exchange(namespace, asked, lambda frame: bytes(frame)[54:55] == b"\x88" and address in repr(frame))
    return answer.src if answer else None


def test_the_host_never_answers_for_what_the_gateway_takes(
    host: Namespace, server: Namespace, attached: Attach,
) -> None:
    """Dedicated addresses wholly; of shared ones the gateway's ports, not a service's, nor the kernel's."""
    with host.enter():
        service = socket.create_server(("0.0.0.0", 8080))
        link = PacketLink("eth0", Neighbours("eth0"))
    made, _ = attached(egress_addresses=("10.0.0.1", "10.0.0.10"))
    assert made.shared == {"10.0.0.1"} and made.excluded_ports == ((32768, 60999),)
    answers = {(address, port): reset(host, server, address, port)
               for address in ("10.0.0.1", "10.0.0.10") for port in (2000, 40000, 65000)}
    assert answers == {("10.0.0.1", 2000): False, ("10.0.0.1", 40000): True, ("10.0.0.1", 65000): False,
                       ("10.0.0.10", 2000): False, ("10.0.0.10", 40000): False, ("10.0.0.10", 65000): False}
    with server.enter():
        socket.create_connection(("10.0.0.1", 8080), timeout=2).close()
    server.run("ping -c1 -W2 10.0.0.1")
    later = host_listens_later(made, host, server)
    service.close()
    batch, seen = Batch(), set()
    while link.read_batch(batch):
        seen |= {int.from_bytes(batch.packet(index)[22:24], "big") for index in range(batch.count)}
    assert {2000, 65000} <= seen, "the packet socket has them all the same"
    link.close()
    assert later


def host_listens_later(made: object, host: Namespace, server: Namespace) -> bool:
    with host.enter(), socket.create_server(("0.0.0.0", 9090)):
        made.refresh()  # type: ignore[attr-defined]
        with server.enter(), socket.create_connection(("10.0.0.1", 9090), timeout=2):
            return True


def reset(host: Namespace, server: Namespace, address: str, port: int) -> bool:
    syn = (Ether(src=server.mac("eth0"), dst=host.mac("eth0")) / IP(src="10.0.0.2", dst=address)
           / TCP(sport=5555, dport=port, flags="S"))
    return exchange(server, syn, lambda frame: TCP in frame and frame[TCP].sport == port, 0.4) is not None


def test_a_narrow_port_range_is_reserved_instead(host: Namespace, attached: Attach) -> None:
    host.sysctl("net/ipv4/ip_local_reserved_ports", "8080,40000")
    made, _ = attached(egress_addresses=("10.0.0.1",), port_range=(40000, 45000))
    assert made.excluded_ports == ()
    assert host.sysctl("net/ipv4/ip_local_reserved_ports") == "8080,40000-45000"
    made.undo()
    assert host.sysctl("net/ipv4/ip_local_reserved_ports") == "8080,40000"


def test_a_packet_inside_is_withheld_from_the_hosts_own_forwarding(
    host: Namespace, pod: Namespace, server: Namespace, attached: Attach,
) -> None:
    made, _ = attached(inside_driver="packet", inside_interface="pod0")
    assert not leaks(pod, server)
    pod.run("ping -c1 -W2 192.168.1.1")
    made.undo()
    host.sysctl("net/ipv4/ip_forward", 1)
    assert leaks(pod, server)


def test_capture_can_change_while_it_runs(host: Namespace, pod: Namespace, attached: Attach) -> None:
    before = look(host)
    made, link = attached(inside_cidrs=("172.16.0.0/16",), egress_addresses=("10.0.0.10",))
    rules = look(host)["ip rule"]
    made.update(replace(made.plan, inside_cidrs=("192.168.0.0/16", "fd00:1::/48")))
    send(pod, "203.0.113.5")
    assert captured(link) == [("192.168.1.2", "203.0.113.5")]
    send(pod, "2600::5")
    assert captured(link) == [("fd00:1::2", "2600::5")]
    made.update(replace(made.plan, inside_cidrs=("172.16.0.0/16",)))
    assert look(host)["ip rule"] == rules
    made.undo()
    link.close()
    assert look(host) == before


def test_a_killed_gateway_is_cleaned_up_by_the_next(host: Namespace, tmp_path: Path) -> None:
    before = look(host)
    script = ("import time; from pathlib import Path\n"
              "from gateway.links.tun import TunLink; from gateway.host import *\n"
              f"link = TunLink('gw-inside'); attached = attach({PLAN!r}, Path({str(tmp_path)!r}))\n"
              "print('up', flush=True); time.sleep(60)")
    killed = host.popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=Path.cwd())
    assert killed.stdout.readline() == "up\n"
    assert look(host) != before
    with host.enter():
        with pytest.raises(HostError, match=r"node-a already runs.*process"):
            attach(PLAN, tmp_path)
        killed.kill()
        killed.wait()
        link = TunLink("gw-inside")
        made = attach(replace(PLAN, name="another"), tmp_path)
        assert made.undo() == []
        link.close()
    assert look(host) == before
    assert list(tmp_path.iterdir()) == []


def test_mistakes_change_nothing(host: Namespace, tmp_path: Path) -> None:
    with host.enter():
        link = TunLink("gw-inside")
        before = look(host)
        host.route("10.0.0.10/32", interface="lo")
        with pytest.raises(HostError, match=r"no interface 'eth7'.*eth0"):
            attach(replace(PLAN, outside_interface="eth7"), tmp_path)
        with pytest.raises(HostError, match="something else has one already"):
            attach(PLAN, tmp_path)
        host.run("ip route del 10.0.0.10/32")
        assert look(host) == before
        link.close()
    assert list(tmp_path.glob("*.journal")) == []


def test_the_nft_program_sees_one_table_and_then_none(host: Namespace, attached: Attach) -> None:
    if not shutil.which("nft"):
        pytest.skip("the nft program is not installed")
    made, _ = attached()
    rules = host.run("nft list table netdev gateway-node-a").stdout
    for line in ("ip daddr 10.0.0.10", "ip6 daddr 2001:db8::10", "ip daddr 192.168.0.0/16", "ip6 daddr fd00:1::/48"):
        assert any(line in rule and rule.endswith("drop") for rule in rules.splitlines())
    made.undo()
    assert host.run("nft list ruleset").stdout == ""


def test_without_permission_it_says_so(host: Namespace) -> None:
    plan = replace(PLAN, inside_interface="pod0", inside_driver="packet")
    script = ("import tempfile; from pathlib import Path; from gateway.host import *\n"
              f"try: attach({plan!r}, Path(tempfile.mkdtemp()))\n"
              "except HostError as error: print(error)")
    setpriv = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    done = host.run([*setpriv, sys.executable, "-c", script], check=False, cwd=Path.cwd())
    if os.strerror(errno.EACCES) in done.stderr or "ModuleNotFoundError" in done.stderr:
        pytest.skip("this interpreter is not readable to another user")
    assert "no permission" in done.stdout, done
