"""The flow table against dictionaries, both speeds in step, after every operation."""

from __future__ import annotations

import random
import subprocess
import sys
from dataclasses import dataclass
from types import ModuleType

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gateway import twin
from gateway.nat import bounds, row, table
from gateway.wire import bits, protocol, sides

INTERPRETED = twin.interpreted("nat.table")
BOTH = [pytest.param(table, id="compiled"), pytest.param(INTERPRETED, id="interpreted")]
M32 = 0xFFFFFFFF
TABLE = table.FlowTable

Endpoint = tuple[int, int, int]  # high, low, port
Tuple = tuple[int, int, int, int, int]  # as find takes it


def v4(low: int) -> int:
    return bits.V4_MAPPED | low


@dataclass(frozen=True)
class Flow:
    """What the translator fills in. A flow from outside arrives at the external endpoint."""

    internal: Endpoint
    external: Endpoint
    remote: Endpoint
    side: int = sides.INSIDE
    number: int = protocol.UDP
    mapped: bool = False
    scoped: bool = False

    def tuples(self) -> tuple[Tuple, Tuple]:
        label = self.number << row.LABEL_PROTOCOL
        inside = (self.internal[:2], self.remote[:2], label | self.internal[2] << 16 | self.remote[2])
        back = (self.remote[:2], self.external[:2],
                1 << row.LABEL_SIDE | label | self.remote[2] << 16 | self.external[2])
        first, second = (inside, back) if self.side == sides.INSIDE else (back, inside)
        return (*first[0], *first[1], first[2]), (*second[0], *second[1], second[2])

    def mapping(self) -> tuple[Endpoint, Endpoint, int, tuple[int, int]]:
        return self.internal, self.external, self.number, self.remote[:2] if self.scoped else (0, 0)


def fill(flows: table.FlowTable, member: int, flow: Flow, expires: int) -> None:
    for direction, (a, b, c, d, label) in enumerate(flow.tuples()):
        first = member * row.WORDS + direction * row.TUPLE_STRIDE
        for offset, word in enumerate((a, b, c, d)):
            flows.r64[first + offset] = word
        flows.r64[member * row.WORDS + row.ORIGINAL_LABEL + direction] = label | 0xABCD << 48  # the deltas are no key
    flows.r32[member * row.QUADS + row.EXPIRES] = expires & M32
    flows.r8[member * row.BYTES + row.MAPPING_SCOPE] = flow.scoped
    if flow.mapped:
        flows.r8[member * row.BYTES + row.FLAGS] |= row.MAPPED


def opened(flows: table.FlowTable, flow: Flow, expires: int = 100) -> int:
    member = flows.reserve()
    fill(flows, member, flow, expires)
    assert flows.link(member)
    return int(member)


def label(end: Endpoint, number: int) -> int:
    return number << row.LABEL_PROTOCOL | end[2]


def internal(flows: table.FlowTable, flow: Flow) -> int:
    ours, _, number, scope = flow.mapping()
    return int(flows.find_internal(*ours[:2], *scope, label(ours, number)))


def external(flows: table.FlowTable, flow: Flow) -> int:
    _, ours, number, scope = flow.mapping()
    return int(flows.find_external(*ours[:2], *scope, label(ours, number)))


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
        assert home == flows.home(flows.row_hash(entry & flows.row_mask, entry >> flows.row_bits & 3))
        assert home >= last
        assert all(flows.index[between] for between in range(home, slot))
        last = home
    flags = [flows.r8[member * row.BYTES + row.FLAGS] for member in range(1, flows.high_water + 1)]
    heads = sum(1 for flag in flags if flag & row.MAPPING_HEAD)
    assert size == 2 * flows.live + 2 * heads


A, B, C = (0, v4(0x0A000001), 4000), (0, v4(0xC6336401), 5000), (0, v4(0xCB007101), 53)
PLAIN = Flow(A, B, C)
MAPPED = Flow(A, B, C, mapped=True)
V6 = Flow((0xFD << 56, 1, 1), (0x2001 << 48, 2, 2), (0x2001 << 48, 3, 3), mapped=True, scoped=True)


@pytest.mark.parametrize("module", BOTH)
@pytest.mark.parametrize("flow", [PLAIN, MAPPED, V6, Flow(A, B, C, side=sides.OUTSIDE, mapped=True, scoped=True)])
def test_a_flow_is_found_by_both_tuples_until_it_expires(module: ModuleType, flow: Flow) -> None:
    flows = module.FlowTable(4, 1, 2)
    member = opened(flows, flow, expires=100)
    for direction, key in enumerate(flow.tuples()):
        assert flows.find(*key, 99) == member * 2 + direction
        assert flows.find(*key, 100) == 0
        for at in range(5):
            other = [*key]
            other[at] ^= 1
            assert flows.find(*other, 99) == 0
    assert (internal(flows, flow), external(flows, flow)) == ((member, member) if flow.mapped else (0, 0))


@pytest.mark.parametrize("module", BOTH)
def test_time_wraps(module: ModuleType) -> None:
    flows = module.FlowTable(4, 1, 2)
    member = opened(flows, PLAIN, expires=5)
    assert flows.find(*PLAIN.tuples()[0], M32) == member * 2
    assert not flows.expired(member, 4) and flows.expired(member, 5)
    assert not flows.expired(member, M32 - 100)


@pytest.mark.parametrize("module", BOTH)
def test_an_expired_flow_does_not_hide_a_new_one(module: ModuleType) -> None:
    flows = module.FlowTable(4, 1, 2)
    old, new = opened(flows, PLAIN, expires=10), opened(flows, PLAIN, expires=20)
    assert flows.find(*PLAIN.tuples()[0], 15) == new * 2
    flows.close(old)
    assert flows.find(*PLAIN.tuples()[1], 15) == new * 2 + 1


@pytest.mark.parametrize("module", BOTH)
def test_a_full_table_gives_no_row(module: ModuleType) -> None:
    flows = module.FlowTable(3, 1, 2)
    rows = [opened(flows, Flow((0, v4(i), 1), B, (0, v4(9), i))) for i in range(3)]
    assert rows == [1, 2, 3] and flows.reserve() == 0 and flows.live == 3
    assert flows.close(2) == 1 and flows.close(2) == 0 and flows.close(0) == 0 and flows.close(99) == 0
    member = flows.reserve()
    assert member == 2 and not any(flows.r8[member * row.BYTES : member * row.BYTES + row.FLAGS])
    assert flows.reserve() == 0


@pytest.mark.parametrize("module", BOTH)
def test_a_row_that_was_never_linked_closes(module: ModuleType) -> None:
    flows = module.FlowTable(3, 1, 2)
    member = flows.reserve()
    assert flows.close(member) == 1 and flows.live == 0
    member = flows.reserve()
    fill(flows, member, MAPPED, 100)
    other = opened(flows, MAPPED)
    assert flows.close(member) == 1
    assert flows.find(*MAPPED.tuples()[0], 0) == other * 2 and internal(flows, MAPPED) == other


@pytest.mark.parametrize("module", BOTH)
@pytest.mark.parametrize("scoped", [False, True])
def test_flows_share_a_mapping_until_the_last_ends(module: ModuleType, scoped: bool) -> None:
    flows = module.FlowTable(9, 1, 2)
    remotes = [(0, v4(0xCB007101), port) for port in range(4)]
    shared = [Flow(A, B, remote, mapped=True, scoped=scoped, side=remote[2] & 1) for remote in remotes]
    rows = [opened(flows, flow) for flow in shared]
    assert {internal(flows, flow) for flow in shared} == {rows[0]} == {external(flows, flow) for flow in shared}
    for member in (rows[2], rows[0], rows[3], rows[1]):
        head = internal(flows, shared[0])
        assert head in rows and external(flows, shared[0]) == head
        flows.close(member)
    assert internal(flows, shared[0]) == external(flows, shared[0]) == 0
    assert not any(flows.index)


@pytest.mark.parametrize("module", BOTH)
def test_a_mapping_that_depends_on_the_address_is_another_for_each(module: ModuleType) -> None:
    flows = module.FlowTable(9, 1, 2)
    one, two = (Flow(A, B, (0, v4(0xCB007100 + i), 53), mapped=True, scoped=True) for i in (1, 2))
    first, second = opened(flows, one), opened(flows, two)
    assert (internal(flows, one), internal(flows, two)) == (first, second)
    assert internal(flows, Flow(A, B, C, mapped=True)) == 0


@pytest.mark.parametrize("module", BOTH)
def test_the_newest_mapping_of_an_endpoint_is_found(module: ModuleType) -> None:
    flows = module.FlowTable(9, 1, 2)
    old = opened(flows, MAPPED, expires=10)
    renewed = Flow(A, (*B[:2], 6000), C, mapped=True)
    new = opened(flows, renewed, expires=20)
    assert internal(flows, MAPPED) == new
    assert external(flows, MAPPED) == old and external(flows, renewed) == new
    flows.close(old)
    assert internal(flows, MAPPED) == new and external(flows, MAPPED) == 0


@pytest.mark.parametrize("module", BOTH)
def test_a_live_flow_stands_for_its_mapping(module: ModuleType) -> None:
    flows = module.FlowTable(9, 1, 2)
    shared = [Flow(A, B, (*C[:2], port), mapped=True) for port in range(4)]
    rows = [opened(flows, flow, expires) for flow, expires in zip(shared, (10, 10, 30, 10), strict=True)]
    head = internal(flows, MAPPED)
    assert head == rows[0] and flows.promote(head, 9) == head
    assert flows.promote(head, 20) == rows[2] == internal(flows, MAPPED) == external(flows, MAPPED)
    assert flows.promote(rows[2], 30) == 0 == flows.promote(0, 30)


def test_promotion_looks_at_a_bounded_number_of_rows_and_goes_on_from_there() -> None:
    flows = TABLE(2 * bounds.RING_LIMIT + 10, 1, 2)
    for port in range(2 * bounds.RING_LIMIT + 4):
        opened(flows, Flow(A, B, (*C[:2], port), mapped=True), expires=30 if port == 1 else 10)
    answers = [flows.promote(internal(flows, MAPPED), 20) for _ in range(4)]
    assert 0 in answers and answers[-1] == 2  # the second row: joined first, so last in the ring


@pytest.mark.parametrize("module", BOTH)
def test_too_many_of_one_home_leave_nothing_behind(module: ModuleType) -> None:
    """Only equal tuples can be aimed at one slot by whoever does not know the key."""
    flows = module.FlowTable(100, 1, 2)
    for _ in range(bounds.PROBE_LIMIT - 1):
        opened(flows, PLAIN)
    while flows.live < 100:
        member = flows.reserve()
        fill(flows, member, PLAIN, 100)
        before = bytes(flows.index)
        if not flows.link(member):
            break
    assert bounds.PROBE_LIMIT - 1 <= flows.live - 1 <= bounds.PROBE_LIMIT
    assert bytes(flows.index) == before
    assert flows.close(member) == 1
    assert bytes(flows.index) == before


@pytest.mark.parametrize("module", BOTH)
@pytest.mark.parametrize("crowded", ["internal", "external"])
def test_a_mapping_that_does_not_fit_leaves_nothing_behind(module: ModuleType, crowded: str) -> None:
    flows = module.FlowTable(100, 1, 2)
    before, fits = b"", True
    for i in range(99):
        ours, theirs = (A, (*B[:2], i)) if crowded == "internal" else ((*A[:2], i), B)
        member = flows.reserve()
        fill(flows, member, Flow(ours, theirs, (*C[:2], i), mapped=True), 100)
        before = bytes(flows.index)
        fits = flows.link(member)
        if not fits:
            break
    assert not fits and flows.live >= bounds.PROBE_LIMIT - 1
    assert bytes(flows.index) == before
    assert flows.r32[member * row.QUADS + row.NEXT] == 0
    assert not flows.r8[member * row.BYTES + row.FLAGS] & row.MAPPING_HEAD
    for other in range(1, flows.high_water + 1):
        assert flows.close(other) == 1
    assert not any(flows.index)


@pytest.mark.parametrize("module", BOTH)
def test_expiry_goes_round_within_its_budget(module: ModuleType) -> None:
    flows = module.FlowTable(50, 1, 2)
    for i in range(20):
        opened(flows, Flow((0, v4(i), 1), B, (0, v4(9), i)), expires=10 if i % 5 == 0 else 100)
    found = []
    for _ in range(10):
        member = flows.next_expired(10, 4)
        found.append(member)
        if member:
            flows.close(member)
    assert [member for member in found if member] == [1, 6, 11, 16]
    assert flows.next_expired(10, 1000) == 0 and flows.live == 16
    assert module.FlowTable(5, 1, 2).next_expired(0, 10) == 0


@pytest.mark.parametrize("capacity", [0, -1, bounds.ROW_LIMIT + 1])
def test_a_capacity_that_cannot_be(capacity: int) -> None:
    with pytest.raises(ValueError, match="flow table"):
        TABLE(capacity, 1, 2)


def test_entries_name_the_last_row_of_the_largest_table() -> None:
    flows = TABLE(bounds.ROW_LIMIT, 1, 2)
    assert flows.memory > 2 << 30  # reserved, not touched
    assert flows.find(*PLAIN.tuples()[0], 0) == 0
    assert opened(flows, PLAIN) == 1


MEASURE = """
import resource, sys
from tests.nat.test_table import TABLE, Flow, opened, v4
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()
capacity, mapped = int(sys.argv[1]), bool(int(sys.argv[2]))
flows = TABLE(capacity, 1, 2)
opened(flows, Flow((0, v4(0), 1), (0, v4(0), 1), (0, v4(0), 1), mapped=mapped))
before = resident()
for i in range(100_000):
    opened(flows, Flow((0, v4(i + 1), 7), (0, v4(5), i % 60_000), (0, v4(i), 80), mapped=mapped))
print((resident() - before) / 100_000)
"""


@pytest.mark.parametrize("capacity", [100_001, 262_144])
@pytest.mark.parametrize("mapped", [False, True])
def test_a_flow_takes_at_most_200_bytes(capacity: int, mapped: bool) -> None:
    run = subprocess.run([sys.executable, "-c", MEASURE, str(capacity), str(int(mapped))], capture_output=True,
                         text=True, check=True)
    assert 128 < float(run.stdout) <= 200


def test_a_full_table_of_mappings_is_never_far_from_home() -> None:
    """Four entries a row, the index 4/5 full: the worst load there is."""
    flows = TABLE(20_000, 3, 4)
    generator = random.Random(5)
    drawn = [Flow((0, v4(i), 1), (0, v4(5), i), (0, v4(i), 80), mapped=True) for i in range(20_000)]
    rows = [opened(flows, flow) for flow in drawn]
    for _ in range(20_000):
        at = generator.randrange(20_000)
        flows.close(rows[at])
        rows[at] = opened(flows, drawn[at])
    assert all(flows.find(*flow.tuples()[1], 0) == member * 2 + 1 for flow, member in zip(drawn, rows, strict=True))


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
        for name, at, end in (("find_internal", 0, ours), ("find_external", 1, theirs)):
            head = self.each(name, *end[:2], *scope, label(end, number))
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
