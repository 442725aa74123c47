"""Words in memory: in the other order, from the network's to this machine's and back; and several checked as one.

Interpreted they are these functions, compiled they are C's own (`order.pxd`): one instruction to swap bytes, one
comparison to see that a header or a row is all there. A span's words are then read without another look, so an index
into one must be a constant below its `count`, or a constant plus a direction.
"""

from __future__ import annotations


def swap16(value: int) -> int:
    return int.from_bytes((value & 0xFFFF).to_bytes(2, "little"), "big")


def swap32(value: int) -> int:
    return int.from_bytes((value & 0xFFFFFFFF).to_bytes(4, "little"), "big")


def swap64(value: int) -> int:
    return int.from_bytes((value & 0xFFFFFFFFFFFFFFFF).to_bytes(8, "little"), "big")


def span8(view: memoryview, first: int, count: int) -> memoryview:
    """`count` bytes of a view from `first` on, to be read and written; an IndexError if they are not all there."""
    return span(view, first, count)


def span32(view: memoryview, first: int, count: int) -> memoryview:
    """The same of 32-bit words."""
    return span(view, first, count)


def span64(view: memoryview, first: int, count: int) -> memoryview:
    """The same of 64-bit ones."""
    return span(view, first, count)


def span(view: memoryview, first: int, count: int) -> memoryview:
    if not 0 <= first <= first + count <= len(view):
        raise IndexError("Out of bounds on a span")
    return view[first : first + count]
