"""Who is translated: Calico's pool rule, decided once a flow."""

import pytest

from gateway.testing import Simulator
from gateway.testing.strategies import pool
from gateway.wire import build
from tests.seen import seen
from tests.worlds import A4, A6, B4, E4, E6, INTERNAL_POOLS, S4, S6, T4, back, out, refused, world

NO_NAT = pool("no-nat-10.0.0.0-8", "10.0.0.0/8", natOutgoing=False, disabled=True)
PUBLIC = pool("public", "203.0.112.0/24", natOutgoing=False)
TEN, PUBLIC_POD = "10.1.2.3", "203.0.112.9"
FELIX = {"apiVersion": "projectcalico.org/v3", "kind": "FelixConfiguration", "metadata": {"name": "default"}}


def source_seen(sim: Simulator, internal: str, remote: str) -> str:
    return seen(out(sim, build.udp_datagram(internal, 40000, remote, 53))).source


def test_a_nat_outgoing_pool_is_translated():
    sim = Simulator(world())
    assert source_seen(sim, A4, S4) == E4 and source_seen(sim, A6, S6) == E6


def test_a_destination_in_a_disabled_pool_is_not_translated_and_others_are():
    sim = Simulator(world(*INTERNAL_POOLS, NO_NAT))
    assert source_seen(sim, A4, TEN) == A4
    assert source_seen(sim, A4, S4) == E4
    assert seen(back(sim, build.udp_datagram(TEN, 53, A4, 40000)))[2:6] == (TEN, 53, A4, 40000)


def test_a_disabled_pool_still_translates_its_sources():
    sim = Simulator(world(pool("internal-4", "192.168.0.0/16", disabled=True)))
    assert source_seen(sim, A4, S4) == E4


def test_a_public_pool_is_seen_as_it_is_and_reachable_from_outside():
    sim = Simulator(world(*INTERNAL_POOLS, PUBLIC))
    assert source_seen(sim, PUBLIC_POD, S4) == PUBLIC_POD
    sent = build.tcp_segment(T4, 5555, PUBLIC_POD, 80)
    assert seen(back(sim, sent))[2:6] == (T4, 5555, PUBLIC_POD, 80)
    reply = build.tcp_segment(PUBLIC_POD, 80, T4, 5555, flags=0x12, sequence=1, acknowledgement=2)
    assert seen(out(sim, reply)).source == PUBLIC_POD
    assert source_seen(sim, A4, S4) == E4


def test_a_private_pod_is_not_reachable_from_outside_by_its_own_address():
    sim = Simulator(world())
    assert refused(sim, build.tcp_segment(T4, 5555, A4, 80), "outside").startswith("drop_")
    assert sim.drain("outside") == []


@pytest.mark.parametrize(("parent", "child"), [(True, False), (False, True)])
def test_pools_are_unions_longest_prefix_plays_no_part(parent, child):
    """Source in any natOutgoing pool: a nested pool takes nothing from the one around it, and adds what it has."""
    sim = Simulator(world(pool("parent", "192.168.0.0/16", natOutgoing=parent),
                          pool("child", "192.168.1.0/24", natOutgoing=child)))
    assert source_seen(sim, A4, S4) == E4
    outside_the_child = "192.168.200.9"
    assert source_seen(sim, outside_the_child, S4) == (E4 if parent else outside_the_child)


def test_of_pools_with_one_cidr_the_first_name_counts():
    for first, seen_as in ((True, E4), (False, A4)):
        pools = [pool("aaa", "192.168.0.0/16", natOutgoing=first), pool("bbb", "192.168.0.0/16", natOutgoing=not first)]
        assert source_seen(Simulator(world(*pools)), A4, S4) == seen_as


def test_a_pool_for_load_balancers_only_excludes_nothing():
    balancer = pool("balancer", "203.0.113.0/24", natOutgoing=False, allowedUses=["LoadBalancer"])
    assert source_seen(Simulator(world(*INTERNAL_POOLS, balancer)), A4, S4) == E4
    both = pool("workloads", "203.0.113.0/24", natOutgoing=False, disabled=True, allowedUses=["Workload"])
    assert source_seen(Simulator(world(*INTERNAL_POOLS, both)), A4, S4) == A4


def test_pools_of_one_family_never_matter_to_the_other():
    sim = Simulator(world(INTERNAL_POOLS[0], pool("v6", "fd00:10:244::/64", natOutgoing=False)))
    assert source_seen(sim, A4, S4) == E4
    assert seen_or_none(sim, A6) in (None, A6), "without a natOutgoing pool of its family: as it is, or not at all"


def seen_or_none(sim: Simulator, internal: str) -> str | None:
    sim.inject("inside", build.udp_datagram(internal, 40000, S6, 53))
    emitted = sim.drain("outside")
    return seen(emitted[0]).source if emitted else None


def test_a_pool_over_all_of_ipv6_excludes_no_ipv4():
    sim = Simulator(world(*INTERNAL_POOLS, pool("all", "2000::/3", natOutgoing=False, disabled=True)))
    assert source_seen(sim, A4, S4) == E4
    assert seen_or_none(sim, A6) in (None, A6)


def test_destinations_of_the_operators_are_excluded():
    sim = Simulator(world(nat={"noTranslate": ["203.0.113.6/32"]}))
    assert source_seen(sim, A4, T4) == A4 and source_seen(sim, A4, S4) == E4


def test_node_addresses_are_excluded_when_felix_says_so():
    node = {"apiVersion": "projectcalico.org/v3", "kind": "Node", "metadata": {"name": "node-b"},
            "spec": {"bgp": {"ipv4Address": f"{T4}/24"}}}
    for exclusions, seen_as in (("IPPoolsOnly", E4), ("IPPoolsAndHostIPs", A4)):
        felix = {**FELIX, "spec": {"natOutgoingExclusions": exclusions, "externalNodesCIDRs": ["203.0.114.0/24"]}}
        sim = Simulator([*world(), felix, node])
        assert source_seen(sim, A4, T4) == seen_as
        assert source_seen(sim, A4, "203.0.114.7") == seen_as
        assert source_seen(sim, A4, S4) == E4


def test_felix_narrows_the_ports_and_names_the_address():
    felix = {**FELIX, "spec": {"natPortRange": "50000:50001", "natOutgoingAddress": "198.51.100.77"}}
    sim = Simulator([*world(), felix])
    left = [seen(out(sim, build.udp_datagram(A4, port, S4, 53)))[2:4] for port in (1, 2)]
    assert set(left) == {("198.51.100.77", 50000), ("198.51.100.77", 50001)}
    assert refused(sim, build.udp_datagram(A4, 3, S4, 53)).endswith("ports_exhausted"), "it does not spill over"


def test_the_decision_is_made_when_the_flow_begins():
    """Open flows live on as they began, in either direction of the change; new ones follow the pool."""
    on, off = world(), world(pool("internal-4", "192.168.0.0/16", natOutgoing=False))
    sim = Simulator(on)
    assert source_seen(sim, A4, S4) == E4
    sim.apply(off)
    assert source_seen(sim, A4, S4) == E4 and source_seen(sim, B4, S4) == B4
    assert seen(back(sim, build.udp_datagram(S4, 53, E4, 40000)))[4:6] == (A4, 40000)
    sim.apply(on)
    assert source_seen(sim, B4, S4) == B4 and source_seen(sim, B4, T4) == E4
    assert seen(back(sim, build.udp_datagram(S4, 53, B4, 40000)))[4:6] == (B4, 40000)


def test_a_wrong_reload_changes_nothing():
    from gateway.resources import ResourceErrors

    sim = Simulator(world())
    assert source_seen(sim, A4, S4) == E4
    with pytest.raises(ResourceErrors):
        sim.apply(world(pool("internal-4", "192.168.0.1/16")))
    with pytest.raises(ResourceErrors):
        sim.apply(world(pool("internal-4", "192.168.0.0/16", natOutgoin=True)))
    assert source_seen(sim, A4, S4) == source_seen(sim, B4, S4) == E4


def test_explain_says_what_would_happen_and_does_nothing():
    sim = Simulator(world(*INTERNAL_POOLS, NO_NAT))
    said = sim.explain(build.udp_datagram(A4, 40000, S4, 53))
    assert (said["verdict"], said["translated"], said["pool"]) == ("accept", True, "internal-4")
    assert said["source"] == {"from": f"{A4}:40000", "to": f"{E4}:40000"} and said["policy"] is None
    said = sim.explain(build.udp_datagram(A4, 40000, TEN, 53))
    assert (said["verdict"], said["translated"], said["excluded_by"]) == ("accept", False, "no-nat-10.0.0.0-8")
    said = sim.explain(build.tcp_segment(A4, 40000, S4, 53, flags=0x10))
    assert (said["verdict"], said["translated"]) == ("drop_not_syn", False)
    assert sim.flows() == [] and sum(sim.counters().values()) == 0 and sim.drain("outside") == []
