"""The flow table against dictionaries, both speeds in step, after every operation."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gateway.nat import bounds, row, table
from gateway.wire import protocol, sides

from .table_flows import INTERPRETED, M32, TABLE, Flow, Tuple, fill, label, v4


def image(flows: table.FlowTable) -> tuple[bytes, bytes]:
    return bytes(flows.r8), bytes(flows.index)


def assert_index_is_sound(flows: table.FlowTable) -> None:
    """Entries of one home stand together, homes in order, no gap between an entry and its home."""
    last, size = -1, 0
    for slot in range(len(flows.index)):
        entry = flows.index[slot]
        if not entry:
            continue
        size += 1
        away = flows.displacement(entry)
        home = slot - away
        assert home == flows.home(flows.row_key(entry & flows.row_mask, entry >> flows.row_bits & 3))
        assert home >= last
        assert all(flows.index[between] for between in range(home, slot))
        last = home
    flags = [flows.r8[member * row.BYTES + row.FLAGS] for member in range(1, flows.high_water + 1)]
    heads = sum(1 for flag in flags if flag & row.MAPPING_HEAD)
    assert size == 2 * flows.live + 2 * heads


endpoints = st.builds(lambda low, port: (0, v4(low), port), st.integers(1, 2), st.integers(1, 3))
endpoints |= st.builds(lambda low, port: (1, low, port), st.integers(1, 2), st.integers(1, 2))
drawn_flows = st.builds(Flow, endpoints, endpoints, endpoints, side=st.sampled_from([sides.INSIDE, sides.OUTSIDE]),
                        number=st.sampled_from([protocol.TCP, protocol.UDP]), mapped=st.booleans(),
                        scoped=st.booleans())


class TableMachine(RuleBasedStateMachine):
    """Both speeds beside a dictionary of rows."""

    def __init__(self) -> None:
        super().__init__()
        self.tables = [TABLE(8, 7, 8), INTERPRETED.FlowTable(8, 7, 8)]
        self.known: dict[int, tuple[Flow, int]] = {}
        self.now = M32 - 20

    def each(self, name: str, *arguments: int) -> int:
        answers = {int(getattr(flows, name)(*arguments)) for flows in self.tables}
        assert len(answers) == 1
        return answers.pop()

    def alive(self, member: int) -> bool:
        return self.known[member][1] > self.now

    def live(self, key: Tuple) -> set[int]:
        return {member * 2 + direction for member, (flow, _) in self.known.items() if self.alive(member)
                for direction in (0, 1) if flow.tuples()[direction] == key}

    @rule(flow=drawn_flows, lasts=st.integers(0, 30))
    def open(self, flow: Flow, lasts: int) -> None:
        if self.live(flow.tuples()[0]) or self.live(flow.tuples()[1]):
            return
        member = self.each("reserve")
        assert (member == 0) == (len(self.known) == 8)
        if member:
            for flows in self.tables:
                fill(flows, member, flow, self.now + lasts)
            assert self.each("link", member)
            self.known[member] = flow, self.now + lasts

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def close(self, data: st.DataObject) -> None:
        member = data.draw(st.sampled_from(sorted(self.known)))
        assert self.each("close", member) == 1
        del self.known[member]

    @rule(by=st.integers(0, 20))
    def wait(self, by: int) -> None:
        self.now += by

    @rule(budget=st.integers(1, 10))
    def expire(self, budget: int) -> None:
        member = self.each("next_expired", self.now & M32, budget)
        if member:
            assert not self.alive(member)
            assert self.each("close", member) == 1
            del self.known[member]
        elif budget >= 8:
            assert all(self.alive(other) for other in self.known)

    @rule(flow=drawn_flows)
    def find(self, flow: Flow) -> None:
        for key in flow.tuples():
            found = self.each("find", *key, self.now & M32)
            assert found in self.live(key) if found else not self.live(key)

    @rule(flow=drawn_flows)
    def find_mapping(self, flow: Flow) -> None:
        ours, theirs, number, scope = flow.mapping()
        for kind, at, end in ((bounds.INTERNAL, 0, ours), (bounds.EXTERNAL, 1, theirs)):
            head = self.each("find_mapping", kind, *end[:2], *scope, label(end, number))
            members = {member for member, (other, _) in self.known.items() if other.mapped
                       and (other.mapping()[at], *other.mapping()[2:]) == (end, number, scope)}
            assert head in members if head else not members
            standing = self.each("promote", head, self.now & M32)
            if head:
                ring = self.ring(head)
                assert standing in ring if standing else not any(map(self.alive, ring))

    def ring(self, head: int) -> list[int]:
        found = [head]
        while (after := self.tables[0].r32[found[-1] * row.QUADS + row.NEXT]) != head:
            assert self.tables[0].r32[after * row.QUADS + row.PREVIOUS] == found[-1]
            found.append(after)
        return found

    @invariant()
    def both_speeds_have_the_same_memory(self) -> None:
        assert image(self.tables[0]) == image(self.tables[1])
        assert self.tables[0].live == self.tables[1].live == len(self.known)

    @invariant()
    def index_and_rings_are_sound(self) -> None:
        assert_index_is_sound(self.tables[1])
        mapped = {member for member, (flow, _) in self.known.items() if flow.mapped}
        flags = self.tables[0].r8
        heads = [member for member in mapped if flags[member * row.BYTES + row.FLAGS] & row.MAPPING_HEAD]
        assert sorted(member for head in heads for member in self.ring(head)) == sorted(mapped)


TestTableMachine = TableMachine.TestCase
TestTableMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
