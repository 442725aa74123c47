"""Ports: kept, random, or the last one that is left; never one that somebody has."""

from __future__ import annotations

import random
from collections import Counter
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import twin
from gateway.nat import ports, row, table
from gateway.wire import bits, protocol

INSIDE, EXTERNAL, REMOTE = (bits.V4_MAPPED | address for address in (0x0A000001, 0xC6336401, 0xCB007101))
NOW = 1000
BOTH = [pytest.param((table, ports), id="compiled"),
        pytest.param((twin.interpreted("nat.table"), twin.interpreted("nat.ports")), id="interpreted")]
Modules = tuple[ModuleType, ModuleType]


class Bench:
    """A table, its ports, and rows filled in as the translator does."""

    def __init__(self, modules: Modules = (table, ports), capacity: int = 100, seed: int = 1) -> None:
        self.table = modules[0].FlowTable(capacity, seed, seed + 1)
        self.ports = modules[1].Ports(self.table, seed + 2, seed + 3)

    def fill(self, port: int = 5000, remote: int = REMOTE, remote_port: int = 53, number: int = protocol.UDP,
             mapped: bool = False, scope: int = 0, inside: int = INSIDE, expires: int = NOW + 100) -> int:
        member = self.table.reserve()
        words = self.table.r64
        for offset, low in ((row.ORIGINAL_SOURCE, inside), (row.ORIGINAL_DESTINATION, remote),
                            (row.REPLY_SOURCE, remote), (row.REPLY_DESTINATION, EXTERNAL)):
            words[member * row.WORDS + offset + 1] = low
        words[member * row.WORDS + row.ORIGINAL_LABEL] = number << 32 | port << 16 | remote_port
        words[member * row.WORDS + row.REPLY_LABEL] = 1 << 40 | number << 32 | remote_port << 16
        self.table.r32[member * row.QUADS + row.EXPIRES] = expires & 0xFFFFFFFF
        self.table.r8[member * row.BYTES + row.MAPPING_SCOPE] = scope
        if mapped:
            self.table.r8[member * row.BYTES + row.FLAGS] |= row.MAPPED
        return int(member)

    def open(self, wanted: int = 5000, lowest: int = 1024, highest: int = 65535, preserve: bool = True,
             **fields: int) -> int | None:
        """The port that a new flow got, None if none."""
        member = self.fill(wanted, **fields)
        port = self.ports.allocate(member, wanted, lowest, highest, preserve, NOW) - 1
        if port < 0:
            self.table.close(member)
            return None
        label = self.table.r64[member * row.WORDS + row.REPLY_LABEL] | port
        if fields.get("number") == protocol.ICMP:
            label |= port << 16
        self.table.r64[member * row.WORDS + row.REPLY_LABEL] = label
        assert self.table.link(member)
        self.last = member
        return int(port)


@pytest.mark.parametrize("modules", BOTH)
def test_a_free_port_is_kept(modules: Modules) -> None:
    bench = Bench(modules)
    assert bench.open(wanted=5000) == 5000


@pytest.mark.parametrize("modules", BOTH)
def test_a_port_out_of_range_or_not_to_be_kept_is_replaced(modules: Modules) -> None:
    bench = Bench(modules)
    assert bench.open(wanted=80) >= 1024
    assert bench.open(wanted=5000, lowest=6000, highest=6000) == 6000
    assert {bench.open(wanted=5000 + i, preserve=False) for i in range(20)} != set(range(5000, 5020))


@pytest.mark.parametrize("modules", BOTH)
def test_a_port_is_shared_towards_different_remotes(modules: Modules) -> None:
    bench = Bench(modules)
    assert bench.open(wanted=5000, number=protocol.TCP) == 5000
    assert bench.open(wanted=5000, number=protocol.TCP) != 5000
    assert bench.open(wanted=5000, number=protocol.TCP, remote_port=54) == 5000
    assert bench.open(wanted=5000, number=protocol.TCP, remote=REMOTE + 1) == 5000
    assert bench.open(wanted=5000, number=protocol.UDP) == 5000


@pytest.mark.parametrize("modules", BOTH)
def test_a_mapping_has_its_port_for_itself(modules: Modules) -> None:
    bench = Bench(modules)
    assert bench.open(wanted=5000, mapped=True) == 5000
    assert bench.open(wanted=5000, mapped=True, inside=INSIDE + 1, remote=REMOTE + 1) != 5000
    assert bench.open(wanted=6000, mapped=True, scope=1) == 6000
    assert bench.open(wanted=6000, mapped=True, scope=1, inside=INSIDE + 1) != 6000
    assert bench.open(wanted=6000, mapped=True, scope=1, inside=INSIDE + 1, remote=REMOTE + 1) == 6000


@pytest.mark.parametrize("modules", BOTH)
def test_a_mapping_lives_as_long_as_any_of_its_flows(modules: Modules) -> None:
    bench = Bench(modules)
    first = bench.fill(5000, mapped=True, expires=NOW)
    second = bench.fill(5000, mapped=True, remote=REMOTE + 1)
    for member in (first, second):
        bench.table.r64[member * row.WORDS + row.REPLY_LABEL] |= 5000
        assert bench.table.link(member)
    assert bench.open(wanted=5000, mapped=True, inside=INSIDE + 1, remote=REMOTE + 2) != 5000
    bench.table.r32[second * row.QUADS + row.EXPIRES] = NOW
    assert bench.open(wanted=5000, mapped=True, inside=INSIDE + 1, remote=REMOTE + 2) == 5000


@pytest.mark.parametrize("modules", BOTH)
def test_ports_that_the_host_listens_on(modules: Modules) -> None:
    bench = Bench(modules)
    bench.ports.exclude(protocol.TCP, [6000, 6001])
    assert bench.open(wanted=6000, lowest=6000, highest=6002, number=protocol.TCP) == 6002
    assert bench.open(wanted=6000, lowest=6000, highest=6002, number=protocol.TCP) is None
    assert bench.open(wanted=6000, lowest=6000, highest=6002, number=protocol.UDP) == 6000
    bench.ports.exclude(protocol.TCP, [])
    assert bench.open(wanted=6000, lowest=6000, highest=6002, number=protocol.TCP) == 6000
    with pytest.raises(ValueError, match="TCP and UDP"):
        bench.ports.exclude(protocol.ICMP, [1])


@pytest.mark.parametrize("modules", BOTH)
def test_identifier_zero_and_both_ports_of_icmp(modules: Modules) -> None:
    bench = Bench(modules)
    assert bench.open(wanted=0, lowest=0, highest=1, number=protocol.ICMP, remote_port=0) == 0
    assert bench.open(wanted=0, lowest=0, highest=1, number=protocol.ICMP, remote_port=0) == 1
    assert bench.open(wanted=0, lowest=0, highest=1, number=protocol.ICMP, remote_port=0) is None


@pytest.mark.parametrize("mapped", [False, True])
def test_the_last_port_of_the_whole_range(mapped: bool) -> None:
    bench = Bench(capacity=65_536)
    highest = 3023 if table.__file__.endswith(".py") else 65535
    members = {}
    for _ in range(1024, highest + 1):
        port = bench.open(5000, 1024, highest, mapped=mapped, inside=INSIDE + len(members))
        assert port is not None and port not in members
        members[port] = bench.last
    assert min(members) == 1024 and max(members) == highest
    assert bench.open(5000, 1024, highest, mapped=mapped, inside=1) is None
    assert bench.open(5000, 1024, highest, mapped=mapped, inside=1) is None  # by memory
    bench.table.close(members[2711])
    assert bench.open(5000, 1024, highest, mapped=mapped, inside=1) == 2711
    assert bench.open(5000, 1024, highest, mapped=mapped, inside=1) is None
    other = bench.open(5000, 1024, highest, mapped=mapped, inside=1, remote=REMOTE + 1)
    assert (other is None) == mapped  # a mapping's port is taken towards everybody


def test_random_ports_are_spread_evenly() -> None:
    bench = Bench()
    member = bench.fill()
    drawn = Counter(bench.ports.allocate(member, 0, 1000, 1099, False, NOW) - 1 for _ in range(20_000))
    assert set(drawn) == set(range(1000, 1100))
    square = sum((count - 200) ** 2 / 200 for count in drawn.values())
    assert 50 < square < 170  # 99 degrees of freedom: both beyond one in a hundred thousand


def test_another_key_draws_other_ports() -> None:
    draws = [[bench.ports.allocate(bench.fill(), 0, 1024, 65535, False, NOW) for _ in range(4)]
             for bench in (Bench(seed=1), Bench(seed=1), Bench(seed=9))]
    assert draws[0] == draws[1] != draws[2]


flows = st.tuples(st.integers(10, 14), st.integers(0, 1), st.sampled_from([protocol.TCP, protocol.UDP, protocol.ICMP]),
                  st.booleans(), st.booleans())


@settings(max_examples=50, deadline=None)
@given(st.lists(flows, max_size=40), st.sets(st.integers(10, 14), max_size=2))
def test_against_a_list_of_what_is_taken(conversation: list[tuple[int, ...]], listening: set[int]) -> None:
    """The twin keeps every external tuple and every mapping in a set, and knows what may be answered."""
    benches = [Bench(modules.values[0]) for modules in BOTH]
    for bench in benches:
        bench.ports.exclude(protocol.UDP, listening)
    tuples: set[tuple[int, int, int]] = set()
    mappings: set[int] = set()
    for number, (wanted, remote, proto, preserve, scoped) in enumerate(conversation):
        mapped = proto == protocol.UDP and not scoped
        got = {bench.open(wanted, 10, 14, preserve, remote=REMOTE + remote, number=proto, mapped=mapped,
                          remote_port=0, inside=INSIDE + number) for bench in benches}
        assert len(got) == 1
        port = got.pop()
        free = {one for one in range(10, 15) if (proto, remote, one) not in tuples
                and not (proto == protocol.UDP and one in listening) and not (mapped and one in mappings)}
        assert port in free if free else port is None
        if port is not None:
            assert port == wanted or not preserve or wanted not in free
            tuples.add((proto, remote, port))
            if mapped:
                mappings.add(port)
    assert_same(*benches)


def assert_same(one: Bench, other: Bench) -> None:
    for name in ("r8", "index"):
        assert bytes(getattr(one.table, name)) == bytes(getattr(other.table, name))
    assert bytes(one.table.crowds.keys) == bytes(other.table.crowds.keys)
    assert bytes(one.table.crowds.taken) == bytes(other.table.crowds.taken)


@pytest.mark.parametrize("seed", range(4))
def test_at_the_edge_of_exhaustion_every_port_is_found(seed: int) -> None:
    """Flows end and begin in any order where hardly a port is left: what is remembered never hides a free one."""
    generator = random.Random(seed)
    benches = [Bench(modules.values[0]) for modules in BOTH]
    open_flows: dict[tuple[int, int, int], int] = {}  # protocol, remote, port: row
    refused = 0
    for _ in range(1500):
        number, remote = generator.choice(((protocol.TCP, 0), (protocol.TCP, 1), (protocol.UDP, 0), (protocol.ICMP, 3)))
        mine = sorted(key for key in open_flows if key[:2] == (number, remote))
        if mine and generator.random() < 0.4:
            member = open_flows.pop(generator.choice(mine))
            assert [bench.table.close(member) for bench in benches] == [1, 1]
        else:
            refused += not begin(benches, open_flows, number, remote, 58, 70, generator.randrange(128))
    assert refused > 100
    assert_same(*benches)


@pytest.mark.parametrize("modules", BOTH)
def test_a_port_that_is_taken_towards_one_remote_is_free_for_a_mapping_towards_another(modules: Modules) -> None:
    """Mappings and plain flows of one protocol meet only after the operator changed the mapping behaviour."""
    bench = Bench(modules)
    assert bench.open(7000, 7000, 7000) == 7000
    assert bench.open(7000, 7000, 7000, mapped=True, inside=INSIDE + 1) is None
    assert bench.open(7000, 7000, 7000, mapped=True, inside=INSIDE + 1, remote=REMOTE + 1) == 7000


def begin(benches: list[Bench], open_flows: dict[tuple[int, int, int], int], number: int, remote: int, lowest: int,
          highest: int, wanted: int) -> bool:
    """UDP is mapped, and its ports are everybody's; TCP and ICMP are not."""
    inside = INSIDE + benches[0].table.live
    got = {bench.open(wanted, lowest, highest, number=number, remote=REMOTE + remote, mapped=number == protocol.UDP,
                      remote_port=0, inside=inside) for bench in benches}
    taken = {key[2] for key in open_flows if key[0] == number and (number == protocol.UDP or key[1] == remote)}
    free = set(range(lowest, highest + 1)) - taken
    (port,) = got
    assert port in free if free else port is None
    if port is not None:
        open_flows[number, remote, port] = benches[0].last
    return port is not None
