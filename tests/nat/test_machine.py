"""A stateful search: whatever hosts, clocks and operators do, in any order, the oracle (tests/spec.py) agrees."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from gateway.testing import Simulator
from gateway.testing.strategies import EGRESS, INTERNAL, Endpoint, FlowTuple, Step, gateway, packet, pool
from tests.seen import is_error, quoted, seen
from tests.spec import Flow, Pool, Spec
from tests.worlds import FIRST

PORTS = (40000, 40003)
HOSTS = {4: ["192.168.1.2", "192.168.1.3", "192.168.77.4"], 6: ["fd00:10:244::2", "fd00:10:244::3", "fd00:10:244::4"]}
OFTEN_FIRST = st.sampled_from([0, 0, 0, 0, 1, 2])  # of hosts and remotes: what nobody else has collides with nothing
REMOTES = {4: ["203.0.113.5", "203.0.113.6", "10.9.9.9"], 6: ["2001:db8:5::5", "2001:db8:5::6", "fd00:9::7"]}
FAMILIES, PROTOCOLS = st.sampled_from([4, 4, 6]), st.sampled_from(["tcp", "udp", "icmp"])
LATER = {"tcp": "data", "udp": "data", "icmp": "request"}
REPLIES = {"tcp": "data", "udp": "data", "icmp": "reply"}


def pools(nat: bool) -> list[dict]:
    excluded = [pool("no-nat-4", "10.0.0.0/8", natOutgoing=False, disabled=True),
                pool("no-nat-6", "fd00:9::/64", natOutgoing=False, disabled=True)]
    return [pool("a", INTERNAL[4], natOutgoing=nat), pool("b", INTERNAL[6], natOutgoing=nat), *excluded]


class Machine(RuleBasedStateMachine):
    """`sequences`: each flow's next sequence number, of the internal and of the remote end."""

    pure = False

    @initialize(egress=st.sampled_from([1, 2]), seed=st.integers(0, 2**32))
    def start(self, egress, seed):
        self.egress = [*EGRESS[4][:egress], *EGRESS[6][:egress]]
        self.sim = Simulator(self.resources(True), seed=seed, pure=self.pure)
        self.spec = Spec([], self.egress, *PORTS)
        self.believe(True)
        self.sequences: dict[tuple, list[int]] = {}
        self.injected = 0
        self.knocks: list[bytes] = []

    def resources(self, nat: bool) -> list[dict]:
        return [gateway(addresses=self.egress, nat={"portRange": f"{PORTS[0]}-{PORTS[1]}"}), *pools(nat)]

    def believe(self, nat: bool) -> None:
        self.spec.pools = [Pool(one["spec"]["cidr"], one["spec"]["natOutgoing"]) for one in pools(nat)]

    def send(self, side: str, sent: bytes) -> None:
        """Inject, and let the oracle judge what came out."""
        self.sim.inject(side, sent)
        self.injected += 1
        outside, inside = self.sim.drain("outside"), self.sim.drain("inside")
        there, here = (outside, inside) if side == "inside" else (inside, outside)
        assert len(there) <= 1 and len(here) <= 1 and not (here and there), "one packet makes one"
        assert all(is_error(one) for one in here), "only an error is sent back"
        emitted = seen(there[0]) if there else None
        judge = self.spec.outbound if side == "inside" else self.spec.inbound
        judge(seen(sent), emitted, self.sim.now)
        if here:
            assert quoted(here[0]) == sent

    def talk(self, flow: Flow, side: str, kind: str) -> None:
        protocol, *ends = flow.key
        internal, remote = Endpoint(*ends[:2]), Endpoint(*ends[2:])
        numbers = self.sequences.setdefault(flow.key, [1000, 5000])
        own = 0 if side == "inside" else 1
        payload = b"hi" if kind == "data" else b""
        step = Step(side, kind, numbers[own], 0 if kind == "open" else numbers[1 - own], payload)
        numbers[own] += len(step.payload) + (kind in ("open", "accept", "close"))
        seen_from_there = internal if side == "inside" else Endpoint(*flow.external)
        self.send(side, packet(FlowTuple(protocol, seen_from_there, remote), step))

    def key(self, listed) -> tuple:
        """A listed flow's key in the oracle."""
        source, port, remote, service = listed.original
        if not any(source in hosts for hosts in HOSTS.values()):  # begun by the remote host
            source, port, remote, service = remote, service, source, port
        if listed.protocol in ("icmp", "icmpv6"):
            return ("icmp", source, port, remote, 0)
        return (listed.protocol, source, port, remote, service)

    def some(self, index: int, *protocols: str) -> Flow | None:
        known = [flow for flow in self.spec.flows.values() if not protocols or flow.key[0] in protocols]
        return known[index % len(known)] if known else None

    @rule(family=FAMILIES, protocol=PROTOCOLS, host=st.integers(0, 2), remote=OFTEN_FIRST,
          port=st.sampled_from([40000, 40000, 40001, 40002, 5000, 80]), service=st.sampled_from([53, 53, 443]))
    def open(self, family, protocol, host, port, remote, service):
        internal = Endpoint(HOSTS[family][host], port)
        there = Endpoint(REMOTES[family][remote], 0 if protocol == "icmp" else service)
        key = (protocol, *internal, *there)
        if protocol == "tcp" and self.spec._live(key, self.sim.now):
            return  # a SYN within a connection: not a beginning
        self.sequences.pop(key, None)
        self.talk(Flow(key, internal), "inside", FIRST[protocol])

    @rule(index=st.integers(0, 50))
    def complete_the_handshake(self, index):
        opening = [flow for flow in self.spec.flows.values() if flow.key[0] == "tcp" and flow.phase == "opening"]
        if waiting := [flow for flow in opening if not flow.inward]:
            flow = waiting[index % len(waiting)]
            if self.sim.now < flow.sure_until:
                self.talk(flow, "outside", "accept")
                self.talk(flow, "inside", "ack")

    @rule(index=st.integers(0, 50))
    def say_more(self, index):
        flow = self.some(index)
        if flow and (flow.key[0] != "tcp" or (flow.phase == "established" and not flow.fins)):
            self.talk(flow, "inside", LATER[flow.key[0]])

    @rule(index=st.integers(0, 50))
    def answer(self, index):
        flow = self.some(index)
        if flow and (flow.key[0] != "tcp" or (flow.phase == "established" and not flow.fins)):
            self.talk(flow, "outside", REPLIES[flow.key[0]])

    @rule(index=st.integers(0, 50), order=st.permutations(["inside", "outside"]), half=st.booleans())
    def close(self, index, order, half):
        flow = self.some(index, "tcp")
        if flow and flow.phase == "established" and not flow.fins and self.sim.now < flow.sure_until:
            for side in order[: 1 if half else 2]:
                self.talk(flow, side, "close")

    @rule(index=st.integers(0, 50), side=st.sampled_from(["inside", "outside"]))
    def reset(self, index, side):
        flow = self.some(index, "tcp")
        if flow and flow.phase == "established" and not flow.fins and self.sim.now < flow.sure_until:
            self.talk(flow, side, "reset")

    @rule(protocol=PROTOCOLS, family=FAMILIES, kind=st.booleans(),
          port=st.integers(39999, 40004), remote=st.integers(0, 2), service=st.sampled_from([53, 443, 7]))
    def unsolicited(self, protocol, family, kind, port, remote, service):
        """From anywhere to the egress address; sometimes it happens to be a reply."""
        there = Endpoint(REMOTES[family][remote], 0 if protocol == "icmp" else service)
        outer = (protocol, self.egress[0] if family == 4 else self.egress[len(self.egress) // 2], port, *there)
        if protocol == "tcp" and any(flow.outer == outer for flow in self.spec.flows.values()):
            return
        step = Step("outside", {"tcp": "open" if kind else "data", "udp": "data", "icmp": "reply"}[protocol], 1, 1)
        self.knocks.append(packet(FlowTuple(protocol, Endpoint(*outer[1:3]), there), step))
        self.send("outside", self.knocks[-1])

    @rule(family=FAMILIES, kind=st.sampled_from(["ack", "data", "close", "reset", "accept"]), host=st.integers(0, 2))
    def midstream(self, family, kind, host):
        ends = FlowTuple("tcp", Endpoint(HOSTS[family][host], 40000), Endpoint(REMOTES[family][0], 8080))
        self.send("inside", packet(ends, Step("inside", kind, 9, 9)))

    @rule(seconds=st.sampled_from([0.01, 1, 30, 59, 61, 121, 239, 241, 301, 7000, 7441]))
    def wait(self, seconds):
        """In time a remote host is told that its SYN came for nobody (RFC 5382 REQ-4)."""
        self.sim.advance(seconds)
        assert self.sim.drain("inside") == []
        assert all(is_error(one) and quoted(one) in self.knocks for one in self.sim.drain("outside"))

    @rule(index=st.integers(0, 50), answered=st.booleans())
    def wait_for_one_to_end(self, index, answered):
        """To just before a timer runs out, perhaps an answer then, and to just after."""
        flow = self.some(index)
        if flow and self.sim.now < flow.sure_until - 0.002:
            self.wait(flow.sure_until - self.sim.now - 0.001)
            self.the_table_holds_what_the_oracle_holds()
            if answered and flow.key[0] != "tcp":
                self.talk(flow, "outside", REPLIES[flow.key[0]])
            self.wait(0.25)

    @rule(nat=st.booleans())
    def switch_the_pools(self, nat):
        self.sim.apply(self.resources(nat))
        self.believe(nat)

    @precondition(lambda self: self.sim.flows())
    @rule(index=st.integers(0, 50))
    def end_a_flow(self, index):
        listed = self.sim.flows()
        chosen = listed[index % len(listed)]
        assert self.sim.end_flow(chosen)
        self.spec.end(self.key(chosen))

    @invariant()
    def the_table_holds_what_the_oracle_holds(self):
        listed = [self.key(flow) for flow in self.sim.flows()]
        sure, maybe = self.spec.live(self.sim.now)
        assert len(set(listed)) == len(listed), "a flow stands twice"
        assert sure <= set(listed) <= maybe, f"missing {sure - set(listed)}, too many {set(listed) - maybe}"

    @invariant()
    def no_two_flows_share_a_tuple(self):
        replies = [(flow.protocol, flow.reply) for flow in self.sim.flows()]
        assert len(set(replies)) == len(replies)

    @invariant()
    def every_packet_is_counted_once(self):
        assert sum(self.sim.counters().values()) == self.injected


class InterpretedMachine(Machine):
    pure = True


@pytest.mark.parametrize("machine", [Machine, InterpretedMachine], ids=["compiled", "interpreted"])
def test_whatever_happens_the_oracle_agrees(machine):
    examples = settings().max_examples * 5 // (4 if machine.pure else 1)
    run_state_machine_as_test(machine, settings=settings(max_examples=examples))
