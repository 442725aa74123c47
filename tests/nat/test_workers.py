"""N workers behave like one, but for which port is chosen: whichever of them a packet happens to arrive at."""

from importlib import import_module

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.testing import Simulator
from gateway.testing.strategies import conversations, fragment, gateway, pool
from gateway.wire import build, protocol
from tests.nat.test_fragments import joined
from tests.nat.test_reversibility import spoken_through
from tests.seen import quoted, seen
from tests.worlds import ARRIVALS, E4, E6, S4, S6, T4, T6, back, forwarded, out, world

WORKERS = st.integers(2, 5)
PODS = {4: [f"192.168.1.{number}" for number in range(2, 14)],
        6: [f"fd00:10:244::{number:x}" for number in range(2, 14)]}
EGRESS, REMOTE, OTHER = {4: E4, 6: E6}, {4: S4, 6: S6}, {4: T4, 6: T6}
ANYBODY = {"mapping": {"tcp": "EndpointIndependent"},
           "filtering": {"tcp": "EndpointIndependent", "udp": "EndpointIndependent"}}


def several(workers=3, seed=1, pure=False, pools=(), **spec):
    return Simulator(world(*pools, workers=workers, **spec), seed=seed, pure=pure)


def whose(sim, pod):
    return sim._translator.share.address_owner(0, 0xFFFF << 32 | int.from_bytes(bytes(map(int, pod.split(".")))))


def mapped(sim, pod, family, remote=None, number="udp"):
    """The external port of a pod's port 4000, towards a remote."""
    packet = build.udp_datagram if number == "udp" else build.tcp_segment
    options = {} if number == "udp" else {"flags": 2}
    return seen(out(sim, packet(pod, 4000, remote or REMOTE[family], 53, **options))).source_port


@given(conversations(), WORKERS, st.integers(0, 2**32), st.booleans())
@settings(max_examples=60)
def test_conversations_are_reversible(conversation, workers, seed, pure):
    spoken_through(several(workers, seed, pure), conversation)


TWICE, LONGER = (fragment(build.udp_datagram(REMOTE[4], 53, E4, 4000, bytes(size)), 800, 1)[-1]
                 for size in (1600, 1608))


@given(st.lists(ARRIVALS, max_size=12), WORKERS, st.integers(0, 2**32))
@example([("outside", TWICE), ("outside", TWICE), ("outside", LONGER), ("outside", TWICE)], 2, 0)
@settings(max_examples=60)
def test_whatever_arrives_gets_the_verdict_it_would_get_from_one(arrivals, workers, seed):
    """Ports are never kept, so that what comes from outside finds no mapping in either."""
    told = []
    for count in (workers, 1):
        sim = several(count, seed, nat={"portPreservation": False})
        for side, packet in arrivals:
            sim.inject(side, packet)
        told.append(({name: number for name, number in sim.counters().items() if name != "hand_over"},
                     {side: len(sim.drain(side)) for side in ("inside", "outside")}))
    assert told[0] == told[1]


@pytest.mark.parametrize("pure", [False, True])
@pytest.mark.parametrize("family", [4, 6])
def test_one_endpoint_keeps_its_port_and_no_two_share_one(family, pure):
    sim = several(pure=pure)
    ports = {pod: {mapped(sim, pod, family, remote) for remote in (REMOTE[family], OTHER[family])}
             for pod in PODS[family]}
    assert all(len(found) == 1 for found in ports.values())
    assert len(set.union(*ports.values())) == len(PODS[family])
    for pod, [port] in ports.items():
        answer = build.udp_datagram(REMOTE[family], 53, EGRESS[family], port, b"!")
        assert back(sim, answer) == forwarded(build.udp_datagram(REMOTE[family], 53, pod, 4000, b"!"))
    owners = {int(flow.id.partition("-")[0], 16) >> 24 for flow in sim.flows()}
    assert owners == {0, 1, 2} and sim.counters()["hand_over"]


@pytest.mark.parametrize("pure", [False, True])
@pytest.mark.parametrize("family", [4, 6])
def test_hairpins_into_every_share(family, pure):
    """As if each worker had a NAT of its own: filters, the source as the world sees it, one hop, and the way back."""
    sim = several(pure=pure)
    ports = {pod: mapped(sim, pod, family) for pod in PODS[family]}
    for pod in PODS[family][1:]:
        first, near, far = PODS[family][0], ports[PODS[family][0]], ports[pod]
        sim.inject("inside", build.udp_datagram(first, 4000, EGRESS[family], far, b"knock"))
        assert sim.drain("inside") == [], "the target has not called yet"
        sim.inject("inside", build.udp_datagram(pod, 4000, EGRESS[family], near, b"call"))
        for source, external, port, target in ((pod, far, near, first), (first, near, far, pod)):
            sim.drain("inside")
            sim.inject("inside", build.udp_datagram(source, 4000, EGRESS[family], port, b"hello"))
            assert sim.drain("inside") == [
                forwarded(build.udp_datagram(EGRESS[family], external, target, 4000, b"hello"))]
            told = sim.explain(build.udp_datagram(source, 4000, EGRESS[family], port, b"hello"))
            assert (told["verdict"], told["translated"]) == ("accept", True)
            assert told["destination"]["to"] == (f"{target}:4000" if family == 4 else f"[{target}]:4000")
    assert sim.drain("outside") == []


@pytest.mark.parametrize("pure", [False, True])
def test_a_connection_between_pods_of_different_workers_and_its_errors(pure):
    sim = several(pure=pure, nat=ANYBODY)
    ports = {pod: mapped(sim, pod, 4, number="tcp") for pod in PODS[4]}
    first, near = PODS[4][0], ports[PODS[4][0]]
    for pod in PODS[4][1:]:
        sim.inject("inside", build.tcp_segment(first, 4000, E4, ports[pod], flags=2, sequence=7, ttl=2))
        [syn] = sim.drain("inside")
        assert syn == build.tcp_segment(E4, near, pod, 4000, flags=2, sequence=7, ttl=1)
        error = build.icmp_message("192.168.1.200", E4, 3, 1, bytes(4) + syn)
        sim.inject("inside", error)
        [told] = sim.drain("inside")
        assert (seen(told).source, seen(told).destination) == (E4, first)
        assert seen(quoted(told))[:6] == seen(build.tcp_segment(first, 4000, E4, ports[pod]))[:6]
        sim.inject("inside", build.tcp_segment(pod, 4000, E4, near, flags=0x12, sequence=3, acknowledgement=8))
        [answer] = sim.drain("inside")
        assert seen(answer)[:6] == seen(build.tcp_segment(E4, ports[pod], first, 4000))[:6]
        sim.inject("inside", build.tcp_segment(first, 4000, E4, ports[pod], flags=2, sequence=7, ttl=1))
        [expired] = sim.drain("inside")
        assert seen(expired).destination == first, "whose packet expires is told, though it is for another share"
    assert sim.drain("outside") == []


@pytest.mark.parametrize("pure", [False, True])
def test_nobody_s_port_in_another_share_is_told_after_six_seconds(pure):
    """RFC 5382 REQ-4: an error of the gateway's own crosses to whoever called."""
    sim, first = several(pure=pure, nat=ANYBODY), PODS[4][0]
    for port in range(40000, 40000 + 6 * 64, 64):
        sim.inject("inside", build.tcp_segment(first, 4000, E4, port, flags=2))
    assert sim.drain("inside") == [] and sim.counters()["drop_unsolicited_syn"] == 6
    sim.advance(7)
    told = sim.drain("inside")
    assert {(seen(error).destination, seen(error).icmp) for error in told} == {(first, (3, 3))}
    assert {seen(quoted(error))[2:6] for error in told} == {
        (first, 4000, E4, port) for port in range(40000, 40000 + 6 * 64, 64)}
    assert sim.drain("outside") == []


@pytest.mark.parametrize("pure", [False, True])
@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0], [1, 0, 2]])
def test_fragments_in_any_order_and_direction(family, order, pure):
    sim, payload = several(pure=pure), bytes(range(256)) * 8
    ports = {pod: mapped(sim, pod, family) for pod in PODS[family]}
    first, near, egress, remote = PODS[family][0], ports[PODS[family][0]], EGRESS[family], REMOTE[family]
    for number, pod in enumerate(PODS[family][1:]):
        cases = [("outside", "inside", (remote, 53, egress, ports[pod]), (remote, 53, pod, 4000)),
                 ("inside", "outside", (pod, 4000, remote, 53), (egress, ports[pod], remote, 53)),
                 ("inside", "inside", (first, 4000, egress, ports[pod]), (egress, near, pod, 4000))]
        sim.inject("inside", build.udp_datagram(pod, 4000, egress, near))
        sim.inject("inside", build.udp_datagram(first, 4000, egress, ports[pod]))
        for case, (side, leaves, sent, received) in enumerate(cases):
            sim.drain(leaves)
            parts = fragment(build.udp_datagram(*sent, payload), 688, 1000 + 8 * number + case)
            for index in order:
                sim.inject(side, parts[index])
            whole = joined(sim.drain(leaves))
            assert seen(whole)[:6] == seen(build.udp_datagram(*received, payload))[:6]
    sim.advance(20)
    counters = sim.counters()
    assert not any(count for name, count in counters.items() if "fragment" in name), counters


def test_fragments_without_a_first_one_are_held_within_bounds_and_forgotten():
    sim = several(limits={"fragmentsHeld": 16})
    for number in range(40):
        later = fragment(build.udp_datagram(f"203.0.113.{number}", 53, E4, 4000, bytes(1600)), 800, number)[1]
        sim.inject("outside", later)
    assert sim.counters()["hold_fragment"] == 4, "the part of who sorts: of 16, shared with 3 workers"
    sim.advance(16)
    assert (sim.counters()["hold_fragment"], sim.counters()["drop_fragment_timeout"]) == (0, 4)


@pytest.mark.parametrize("pure", [False, True])
@pytest.mark.parametrize("family", [4, 6])
def test_a_ping_for_the_gateway_itself_whole_and_in_fragments(family, pure):
    sim = several(pure=pure)
    for number in range(8):
        whole = build.echo(REMOTE[family], EGRESS[family], number * 64, 1, bytes(1600))
        for parts in ([whole], fragment(whole, 800, number)):
            for part in parts:
                sim.inject("outside", part)
            assert seen(joined(sim.drain("outside")) if len(parts) > 1 else sim.drain("outside")[0]).destination == (
                REMOTE[family])


@pytest.mark.parametrize("pure", [False, True])
def test_errors_from_outside_and_inside_find_the_flow(pure):
    sim = several(pure=pure)
    for pod in PODS[4]:
        sent = out(sim, build.udp_datagram(pod, 4000, S4, 53))
        told = back(sim, build.icmp_message(T4, E4, 3, 1, bytes(4) + sent))
        assert (seen(told).destination, *seen(quoted(told))[2:4]) == (pod, pod, 4000)
        answer = back(sim, build.udp_datagram(S4, 53, E4, seen(sent).source_port))
        error = out(sim, build.icmp_message("192.168.1.200", S4, 3, 3, bytes(4) + answer))
        assert (seen(error).source, *seen(quoted(error))[4:6]) == (E4, E4, seen(sent).source_port)


@pytest.mark.parametrize("pure", [False, True])
def test_untranslated_flows_of_every_kind(pure):
    """To an excluded destination, between two pods, and to somebody inside who is in no pool."""
    capture = ["192.168.0.0/16", "10.9.0.0/16"]
    sim = several(pure=pure, nat={"noTranslate": ["198.18.0.0/15"]}, pools=[pool("pods", "192.168.0.0/16")],
                  inside={"driver": "memory", "addresses": ["192.168.0.1/16"], "capture": capture})
    bare = [f"10.9.1.{number}" for number in range(1, 13)]
    for pod, other in zip(PODS[4], bare, strict=True):
        assert seen(out(sim, build.tcp_segment(pod, 4000, "198.18.0.1", 80, flags=2))).source == pod
        assert seen(back(sim, build.tcp_segment("198.18.0.1", 80, pod, 4000, flags=0x12, acknowledgement=1))
                    ).destination == pod
        for near, far in ((pod, PODS[4][0]), (other, pod), (other, bare[0])):
            if near != far:
                assert turned(sim, near, far) == near
        assert turned(sim, pod, other) == E4
        sim.inject("inside", build.udp_datagram(pod, 4000, other, 53))
        assert seen(*sim.drain("inside")).source_port == mapped(sim, pod, 4), "one mapping, whoever is spoken to"


def turned(sim, near, far):
    """A connection between two hosts inside; how the far one sees the near one. The answer comes back as it must."""
    sim.inject("inside", build.tcp_segment(near, 4000, far, 80, flags=2))
    [syn] = map(seen, sim.drain("inside"))
    assert (syn.destination, syn.destination_port) == (far, 80)
    sim.inject("inside", build.tcp_segment(far, 80, syn.source, syn.source_port, flags=0x12, acknowledgement=1))
    [answer] = map(seen, sim.drain("inside"))
    assert answer[:6] == seen(build.tcp_segment(far, 80, near, 4000))[:6]
    return syn.source


@pytest.mark.parametrize("pure", [False, True])
def test_every_port_of_a_range_is_found_by_who_owns_it(pure):
    """Two workers, a block of 64 each, and 10 ports more."""
    sim = several(2, pure=pure, nat={"portRange": "40000-40137"})
    per_owner = {}
    for pod in PODS[4]:
        per_owner.setdefault(whose(sim, pod), []).append(pod)
    taken = {owner: set() for owner in per_owner}
    for owner, pods in per_owner.items():
        for number in range(80):
            sim.inject("inside", build.udp_datagram(pods[number % len(pods)], 1000 + number, S4, 53))
            taken[owner] |= {seen(packet).source_port for packet in sim.drain("outside")}
    assert {len(ports) for ports in taken.values()} == {64, 74} and sim.counters()["reject_ports_exhausted"] == 22
    assert sorted(taken[0] | taken[1]) == list(range(40000, 40138))


def test_protocols_without_ports_belong_to_the_first():
    sim = several()
    for pod in PODS[4][:1]:
        assert seen(out(sim, build.ip(pod, S4, protocol.GRE, b"x" * 8))).source == E4
        assert seen(back(sim, build.ip(S4, E4, protocol.GRE, b"x" * 8))).destination == pod
    sim.inject("inside", build.ip(PODS[4][1], S4, protocol.GRE, b"x" * 8))
    assert sim.counters()["drop_untranslatable"] == 1
    assert [flow.id.partition("-")[0] for flow in sim.flows()] == ["1"]


def test_identifiers_of_all_workers_differ():
    """One pair of addresses, whoever speaks (RFC 6864)."""
    sim = several(4)
    body = bytes.fromhex("0fa0003500080000")
    numbers = [out(sim, build.ip(pod, S4, protocol.UDP, body, fragment=0))[4:6] for _ in range(100) for pod in PODS[4]]
    assert len(set(numbers)) == len(numbers)
    owners = [whose(sim, pod) for _ in range(100) for pod in PODS[4]]
    assert [int.from_bytes(number) >> 14 for number in numbers] == owners, "each has a quarter of them"


@pytest.mark.parametrize("workers", [2, 3, 64])
@pytest.mark.parametrize("module", ["gateway.nat", "gateway_interpreted.nat"])
def test_a_run_of_identifiers_lies_within_its_worker_s_slice(workers, module):
    """The kernel numbers a superpacket's segments in a row; a fragmented IPv6 datagram's has 32 bits."""
    Simulator(world(), pure=True)
    rooms = [import_module(f"{module}.{name}") for name in ("identifiers", "shares")]
    batch = import_module(module.replace("nat", "wire.batch")).Batch(1)
    taken = {}
    for number in range(workers):
        share = rooms[1].Share(number, workers)
        identifiers, size = rooms[0].Identifiers(number, 7, batch, share), 65536 // workers
        for count in [1, 45, 1, 3, 44] * 40:
            first = identifiers.take(0, 1, 0, 2, 17, count)
            assert number * size <= first & 0xFFFF and (first & 0xFFFF) + count <= (number + 1) * size
            for one in range(first, first + count):
                assert taken.setdefault(one & 0xFFFF if workers == 2 else one, number) == number


def test_flows_and_events_are_named_by_worker_and_ended_by_name():
    sim = several()
    for pod in PODS[4]:
        mapped(sim, pod, 4)
    flows = sim.flows()
    assert {event["flow"] for event in sim.events()} == {flow.id for flow in flows} and len(flows) == len(PODS[4])
    assert all(sim.end_flow(flow) for flow in flows) and not any(sim.end_flow(flow) for flow in flows)
    assert sim.flows() == []


def test_live_flows_go_on_after_a_reload_wherever_they_arrive():
    before, after = (gateway(workers=3), pool("pods", "192.168.0.0/16")), gateway(workers=3)
    sim = Simulator(list(before))
    ports = {pod: mapped(sim, pod, 4) for pod in PODS[4]}
    sim.apply([after, pool("pods", "192.168.0.0/16", natOutgoing=False)])
    for pod, port in ports.items():
        assert seen(back(sim, build.udp_datagram(S4, 53, E4, port))).destination == pod
        assert mapped(sim, pod, 4) == port
        assert seen(out(sim, build.udp_datagram(pod, 5000, T4, 53))).source == pod


@pytest.mark.parametrize("pure", [False, True])
def test_connections_between_hosts_inside_outlive_a_pool_for_the_one_that_had_none(pure):
    """Whose the answers are follows from pools; a connection goes on all the same, wherever its segments arrive."""
    inside = gateway()["spec"]["inside"] | {"capture": ["192.168.0.0/16"]}
    rules = [gateway(workers=4, inside=inside), pool("pods", "192.168.1.0/24")]
    sim, opened = Simulator(rules, seed=3, pure=pure), []
    for number in range(2, 18):
        caller, called = f"192.168.1.{number}", f"192.168.2.{number}"
        sim.inject("inside", build.tcp_segment(caller, 4000, called, 80, flags=2, sequence=7))
        [syn] = sim.drain("inside")
        assert seen(syn).source == E4
        opened.append((caller, called, seen(syn).source_port))
    sim.apply([*rules, pool("others", "192.168.2.0/24")])
    for caller, called, port in opened:
        sim.inject("inside", build.tcp_segment(called, 80, E4, port, flags=18, sequence=3, acknowledgement=8))
        [answer] = sim.drain("inside")
        assert (seen(answer).source, seen(answer).destination) == (called, caller)
