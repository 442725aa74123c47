"""Asks for memory that is going to be read, and does not wait for it.

Interpreted there is nothing to gain; compiled it is the compiler's own (`prefetch.pxd`): one instruction, which reads
nothing, and so is free to ask for what does not exist.
"""

from __future__ import annotations


def prefetch32(view: memoryview, index: int) -> None:
    """Bring in the cache line of a view of 32-bit numbers."""


def prefetch64(view: memoryview, index: int) -> None:
    """The same of a view of 64-bit ones."""
