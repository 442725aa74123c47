"""Bytes in the other order: from the network's to this machine's, and back.

Interpreted they are these functions, compiled they are C's own (`order.pxd`): one instruction of the processor.
"""

from __future__ import annotations


def swap16(value: int) -> int:
    return int.from_bytes((value & 0xFFFF).to_bytes(2, "little"), "big")


def swap32(value: int) -> int:
    return int.from_bytes((value & 0xFFFFFFFF).to_bytes(4, "little"), "big")


def swap64(value: int) -> int:
    return int.from_bytes((value & 0xFFFFFFFFFFFFFFFF).to_bytes(8, "little"), "big")
