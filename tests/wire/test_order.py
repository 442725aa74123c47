"""Bytes in the other order. Compiled, C's own swaps stand in for these: that they agree is for the twins to show."""

from __future__ import annotations

from gateway.wire import order


def test_bytes_are_swapped():
    assert order.swap16(0x1234) == 0x3412
    assert order.swap32(0x12345678) == 0x78563412
    assert order.swap64(0x123456789ABCDEF0) == 0xF0DEBC9A78563412


def test_what_is_above_the_width_is_left_out_as_in_c():
    assert order.swap16(0xFF1234) == 0x3412
    assert order.swap32(0xFF12345678) == 0x78563412
