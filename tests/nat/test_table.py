"""The flow table: found by every key until it expires, full, expired, shared, and refused as a whole."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from types import ModuleType

import pytest

from gateway.nat import bounds, row
from gateway.wire import sides

from .table_flows import BOTH, M32, TABLE, Flow, external, fill, internal, opened, v4

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
    assert flows.r8.nbytes >= 2 << 30  # reserved, not touched
    assert flows.find(*PLAIN.tuples()[0], 0) == 0
    assert opened(flows, PLAIN) == 1


MEASURE = """
import resource, sys
from tests.nat.table_flows import TABLE, Flow, opened, v4
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
                         text=True, check=True, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)})
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
