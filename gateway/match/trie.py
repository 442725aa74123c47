"""Builds the nodes that `match.prefixes` looks up in. Runs once a reload, never for a packet.

First the prefixes become a line: the addresses at which the membership class changes, in order. Then blocks
of addresses are cut along that line into nodes. Prefixes that differ early share nothing but a root; bits on
which all prefixes of a block agree are skipped by one comparison.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter

from ..wire import bits
from . import node

Entry = tuple[int, int, int, int]
WORD = 64
V4_BITS = 32
ROOMY = 4096  # up to so many prefixes, nodes are made larger than they need be, to take fewer steps


class Classes:
    """Numbers each combination of sets once."""

    def __init__(self) -> None:
        self.members: list[tuple[int, ...]] = [()]
        self._number: dict[tuple[int, ...], int] = {(): 0}
        self._joined: dict[tuple[int, int], int] = {}

    def join(self, parent: int, added: int) -> int:
        """The class of `parent`'s sets and the set `added`."""
        known = self._joined.get((parent, added))
        if known is None:
            known = self._joined[parent, added] = self._add(tuple(sorted({*self.members[parent], added})))
        return known

    def _add(self, members: tuple[int, ...]) -> int:
        number = self._number.setdefault(members, len(self.members))
        if number == len(self.members):
            self.members.append(members)
        return number


@dataclass
class Line:
    """Where the membership class changes: from starts[i] on, up to starts[i + 1], it is classes[i]."""

    starts: list[int] = field(default_factory=lambda: [0])
    classes: list[int] = field(default_factory=lambda: [0])

    def change(self, start: int, number: int) -> None:
        if self.starts[-1] == start:
            self.starts.pop()
            self.classes.pop()
        if not self.classes or self.classes[-1] != number:
            self.starts.append(start)
            self.classes.append(number)


def draw(prefixes: list[tuple[int, int, int]], classes: Classes, width: int) -> Line:
    """The line of one family. prefixes: (first address, free bits, set), widest first at the same address."""
    line = Line()
    around: list[tuple[int, int]] = []  # (first address after it, class) of the prefixes around this point
    for (start, free), same in groupby(prefixes, key=itemgetter(0, 1)):
        _leave(line, around, start)
        number = around[-1][1] if around else 0
        for one in same:
            number = classes.join(number, one[2])
        line.change(start, number)
        around.append((start + (1 << free), number))
    _leave(line, around, 1 << width)
    if line.starts[-1] == 1 << width:
        line.starts.pop()
        line.classes.pop()
    return line


def _leave(line: Line, around: list[tuple[int, int]], start: int) -> None:
    """Close the prefixes that end before or at `start`."""
    while around and around[-1][0] <= start:
        end, _ = around.pop()
        line.change(end, around[-1][1] if around else 0)


class Builder:
    """Cuts a line into nodes. A block is its first address and its number of free bits."""

    def __init__(self, line: Line, nodes: array[int], prefixes: int) -> None:
        self.starts, self.classes = line.starts, line.classes
        self.nodes = nodes
        self.spread = 4 if prefixes <= ROOMY else 0  # log2 of the entries a change may take

    def entry(self, first: int, free: int) -> int:
        """The entry for a block: a leaf where the class never changes, else a new node."""
        low = bisect_right(self.starts, first)  # the first change inside the block
        high = bisect_left(self.starts, first + (1 << free), low)
        if low == high:
            return node.LEAF | self.classes[low - 1]
        otherwise, begin, end = self._region(first, free, low, high)
        inner = (begin ^ end).bit_length()  # the smallest aligned block that holds the region
        if free > WORD > inner:
            inner = WORD  # a node stays within one word of the address
        return self._node(begin >> inner << inner, inner, otherwise, free > WORD)

    def _region(self, first: int, free: int, low: int, high: int) -> tuple[int, int, int]:
        """(class outside, first, last address) of the smallest part of a block that has another class."""
        last = first + (1 << free) - 1
        before, after = self.classes[low - 1], self.classes[high - 1]
        left = (after, first, self.starts[high - 1] - 1)
        right = (before, self.starts[low], last)
        if before == after:
            return before, self.starts[low], self.starts[high - 1] - 1
        return left if (left[1] ^ left[2]).bit_length() < (right[1] ^ right[2]).bit_length() else right

    def _node(self, first: int, free: int, otherwise: int, high_word: bool) -> int:
        offset = len(self.nodes)
        base = WORD if high_word else 0
        changes = bisect_left(self.starts, first + (1 << free)) - bisect_right(self.starts, first)
        stride = min(free - base, node.STRIDE_MAX, changes.bit_length() + self.spread) if changes else 0
        step = free - stride
        check = (first >> free) & (bits.M64 >> (free - base))
        header = (step - base) | stride << node.STRIDE_SHIFT | (0 if high_word else node.LOW)
        self.nodes.extend((header, check >> 32, check & bits.M32, node.LEAF | otherwise))
        self.nodes.extend(array("I", [0]) * (1 << stride))
        self._fill(offset + node.CHILDREN, first, step, 1 << stride)
        return offset

    def _fill(self, place: int, first: int, step: int, count: int) -> None:
        """Set a node's entries: runs of the same class at once, blocks with changes inside one by one."""
        index = 0
        while index < count:
            block = first + (index << step)
            change = bisect_right(self.starts, block)  # the next change after the block's first address
            after = self.starts[change] if change < len(self.starts) else first + (count << step)
            run = min((after - first) >> step, count) - index
            if run:
                leaf = array("I", [node.LEAF | self.classes[change - 1]])
                self.nodes[place + index : place + index + run] = leaf * run
                index += run
            else:
                self.nodes[place + index] = self.entry(block, step)
                index += 1


@dataclass(frozen=True)
class Trie:
    nodes: array[int]
    root4: int
    root6: int
    classes: tuple[tuple[int, ...], ...]


def build(entries: Iterable[Entry]) -> Trie:
    """Raises ValueError for a prefix that is not one: a length outside 0 to 128, or host bits."""
    classes = Classes()
    nodes = array("I")
    by_family: tuple[list[tuple[int, int, int]], ...] = ([], [])
    for high, low, length, number in entries:
        free, first = 128 - length, high << WORD | low
        if not 0 <= free <= 128 or first >> free << free != first or number < 0:
            raise ValueError(f"not a prefix: {first:#x}/{length} in set {number}")
        by_family[first >> V4_BITS == bits.V4_MAPPED >> V4_BITS and free <= V4_BITS].append((first, free, number))
    root6, root4 = (_root(sorted(prefixes, key=lambda one: (one[0], -one[1], one[2])), classes, nodes, first, free)
                    for prefixes, first, free in zip(by_family, (0, bits.V4_MAPPED), (128, V4_BITS), strict=True))
    if len(nodes) >= node.LEAF or len(classes.members) > node.CLASS_MASK:
        raise ValueError("too many prefixes")
    return Trie(nodes or array("I", [0]), root4, root6, tuple(classes.members))


def _root(prefixes: list[tuple[int, int, int]], classes: Classes, nodes: array[int], first: int, free: int) -> int:
    line = draw(prefixes, classes, 128)
    return Builder(line, nodes, len(prefixes)).entry(first, free)
