"""The compiled trie against a list that is searched from end to end, and against py-radix."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable
from ipaddress import ip_network

import pytest
import radix
from hypothesis import example, given
from hypothesis import strategies as st

from gateway import twin
from gateway.match import node, prefixes
from gateway.wire import address, bits

Entry = tuple[int, int, int, int]
V4 = bits.V4_MAPPED


def words(value: int) -> tuple[int, int]:
    return value >> 64, value & bits.M64


def entry(value: int, length: int, number: int) -> Entry:
    """A prefix of a 128-bit address, its host bits cleared."""
    return (*words(value >> 128 - length << 128 - length), length, number)


def cidr(text: str, number: int) -> Entry:
    network = ip_network(text)
    return (*address.words(network.network_address), network.prefixlen + (96 if network.version == 4 else 0), number)


class Listed:
    """The twin: every prefix is looked at for every address."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self.entries = list(entries)

    def members(self, value: int) -> tuple[int, ...]:
        return tuple(sorted({number for high, low, length, number in self.entries
                             if is_v4(value) == (is_v4(high << 64 | low) and length >= 96)
                             and (high << 64 | low) >> 128 - length == value >> 128 - length}))


def is_v4(value: int) -> bool:
    return value >> 32 == V4 >> 32


def members(trie: prefixes.Prefixes, value: int) -> tuple[int, ...]:
    found: tuple[int, ...] = trie.classes[trie.lookup(*words(value))]
    return found


def near(entries: list[Entry]) -> list[int]:
    """The addresses where something could change: both ends of every prefix, and the ones beside them."""
    firsts = [high << 64 | low for high, low, _, _ in entries]
    ends = [first + (1 << 128 - one[2]) for first, one in zip(firsts, entries, strict=True)]
    return sorted({(end + by) % (1 << 128) for end in [*firsts, *ends, 0, V4, V4 + (1 << 32)] for by in (-1, 0, 1)})


# Prefixes crowd together, so that they nest, touch and repeat; some lie on word edges.
v4 = st.builds(lambda top, low, length, number: entry(V4 | top << 24 | low, 96 + length, number),
               st.sampled_from([0, 10, 11, 192, 255]), st.integers(0, 2**24 - 1) | st.integers(0, 7),
               st.integers(0, 32), st.integers(0, 5))
v6 = st.builds(lambda top, at, low, length, number: entry(top << 112 | low << at, length, number),
               st.sampled_from([0, 0x2001, 0x2002, 0xFD00, 0xFFFF]), st.sampled_from([0, 32, 60, 64, 96, 107]),
               st.integers(0, 31), st.integers(0, 128), st.integers(0, 5))
lists = st.lists(v4 | v6, max_size=30)


@given(lists)
@example([])
@example([cidr("0.0.0.0/0", 1), cidr("::/0", 2)])
@example([cidr("255.255.255.255/32", 1), cidr("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128", 2)])
@example([cidr("10.0.0.0/8", 1), cidr("10.0.0.0/8", 1), cidr("10.0.0.0/8", 0), cidr("10.0.0.0/9", 3)])
@example([cidr("::/64", 1), cidr("::/65", 2), cidr("0:0:0:1::/64", 3), cidr("::/63", 4), cidr("::1/128", 5)])
def test_sets_are_unions_of_all_prefixes_around(entries: list[Entry]) -> None:
    trie, listed = prefixes.Prefixes(entries), Listed(entries)
    for value in near(entries):
        assert members(trie, value) == listed.members(value), hex(value)


@given(lists)
def test_both_speeds_agree(entries: list[Entry]) -> None:
    compiled, interpreted = prefixes.Prefixes(entries), twin.interpreted("match.prefixes").Prefixes(entries)
    assert bytes(compiled.nodes) == bytes(interpreted.nodes)
    assert (compiled.root4, compiled.root6) == (interpreted.root4, interpreted.root6)
    assert compiled.classes == interpreted.classes
    for value in near(entries):
        assert compiled.lookup(*words(value)) == interpreted.lookup(*words(value))


@pytest.mark.parametrize("family", [4, 6])
def test_the_longest_prefix_is_py_radix_s(family: int) -> None:
    generator = random.Random(family)
    width, base = (32, V4) if family == 4 else (128, 0x20010DB8 << 96)
    chosen = set()
    for _ in range(3000):
        length = generator.choice([8, 12, 16, 20, 24, 28, 32] if family == 4 else [32, 40, 48, 56, 64, 80, 128])
        chosen.add(entry(base | generator.getrandbits(min(width, 90)), length + 128 - width, 0)[:3])
    entries = [(*prefix, number) for number, prefix in enumerate(chosen)]
    tree = radix.Radix()
    for high, low, length, number in entries:
        tree.add(f"{address.text(high, low)}/{length - 128 + width}").data["set"] = number
    trie = prefixes.Prefixes(entries)
    for _ in range(20_000):
        high, low = words(base | generator.getrandbits(min(width, 90)))
        best = tree.search_best(address.text(high, low))
        found = members(trie, high << 64 | low)
        longest = max(found, key=lambda number: entries[number][2], default=None)
        assert longest == (best.data["set"] if best else None)


def test_equal_combinations_of_sets_share_a_class() -> None:
    trie = prefixes.Prefixes([cidr("10.0.0.0/8", 7), *(cidr(f"10.{i}.0.0/16", 3) for i in range(0, 200, 2)),
                              cidr("2001:db8::/32", 3)])
    assert trie.classes[0] == () and sorted(trie.classes) == [(), (3,), (3, 7), (7,)]
    assert members(trie, V4 | 0x0A020001) == (3, 7) and members(trie, V4 | 0x0A030001) == (7,)


def test_families_are_separate() -> None:
    """A short IPv6 prefix never covers IPv4 addresses, though they are written inside it."""
    trie = prefixes.Prefixes([cidr("::/0", 1), cidr("::/80", 2), cidr("0.0.0.0/0", 3)])
    assert members(trie, V4 | 0x0A000001) == (3,)
    assert members(trie, 1) == (1, 2)
    assert members(trie, 0xFFFE_FFFF_FFFF) == (1, 2)


@pytest.mark.parametrize("wrong", [(0, 1, 127, 0), (0, 0, 129, 0), (0, 0, -1, 0), (0, 0, 0, -1)])
def test_what_is_not_a_prefix_is_refused(wrong: Entry) -> None:
    with pytest.raises(ValueError, match="not a prefix"):
        prefixes.Prefixes([wrong])


def crowd(kind: str, count: int) -> list[Entry]:
    generator = random.Random(kind)
    shapes = {"v4 /24": (V4, 32, 120), "v4 /32": (V4, 32, 128), "v4 /32 in one /8": (V4 | 10 << 24, 24, 128),
              "v6 /64": (0x20010DB8 << 96, 96, 64), "v6 /128": (0x20010DB8 << 96, 96, 128)}
    base, free, length = shapes[kind]
    return [entry(base | generator.getrandbits(free), length, number) for number in range(count)]


def steps(trie: prefixes.Prefixes, value: int) -> int:
    """How many nodes a lookup visits."""
    high, low = words(value)
    at, count = trie.root4 if is_v4(value) else trie.root6, 0
    while not at & node.LEAF:
        header = trie.nodes[at]
        word = (low if header & node.LOW else high) >> (header & node.SHIFT_MASK)
        stride = header >> node.STRIDE_SHIFT & node.STRIDE_MASK
        check = trie.nodes[at + node.CHECK_HIGH] << 32 | trie.nodes[at + node.CHECK_LOW]
        inside = word >> stride == check
        at, count = trie.nodes[at + (node.CHILDREN + word % (1 << stride) if inside else node.OTHERWISE)], count + 1
    return count


@pytest.mark.parametrize("kind", ["v4 /24", "v4 /32", "v4 /32 in one /8", "v6 /64", "v6 /128"])
def test_a_hundred_thousand_prefixes(kind: str) -> None:
    entries = crowd(kind, 100_000)
    began = time.process_time()
    trie = prefixes.Prefixes(entries)
    assert time.process_time() - began < 10  # about one second on a quiet machine
    assert trie.nodes.nbytes < 32 << 20
    generator = random.Random(0)
    for high, low, length, number in generator.sample(entries, 2000):
        value = high << 64 | low | generator.getrandbits(128 - length)
        assert number in members(trie, value)
        assert steps(trie, value) <= (5 if kind.startswith("v4") else 8)
