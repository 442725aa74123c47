"""Bytes in the other order, and spans. Compiled, C's own stand in for these; that they agree, the twins show."""

from __future__ import annotations

from array import array

import pytest

from gateway import twin
from gateway.nat.table import FlowTable
from gateway.nat.tcp import Tracker
from gateway.wire import order
from gateway.wire.batch import Batch
from gateway.wire.packet import Packet


def test_bytes_are_swapped():
    assert order.swap16(0x1234) == 0x3412
    assert order.swap32(0x12345678) == 0x78563412
    assert order.swap64(0x123456789ABCDEF0) == 0xF0DEBC9A78563412


def test_what_is_above_the_width_is_left_out_as_in_c():
    assert order.swap16(0xFF1234) == 0x3412
    assert order.swap32(0xFF12345678) == 0x78563412


def test_a_span_is_part_of_its_view():
    words = array("I", range(10))
    order.span32(memoryview(words), 7, 3)[2] = 99
    assert words[9] == 99


@pytest.mark.parametrize(("first", "count"), [(8, 3), (10, 1), (2**40, 1), (-1, 1), (-1, 3)])
def test_a_span_is_all_there_or_an_error(first, count):
    with pytest.raises(IndexError):
        order.span32(memoryview(array("I", range(10))), first, count)


@pytest.mark.parametrize("short", [4, 16])  # bytes left of the slab
@pytest.mark.parametrize("interpreted", [False, True])
def test_no_header_is_read_beyond_the_slab(short, interpreted):
    batch = (twin.interpreted("wire.batch").Batch if interpreted else Batch)(1)
    packet = (twin.interpreted("wire.packet").Packet if interpreted else Packet)(batch)
    with pytest.raises(IndexError):
        packet.parse(len(batch.u8) // 4 * 4 - short, 1500, False)


def test_no_row_is_read_beyond_the_table():
    batch, table = Batch(1), FlowTable(1000, 1, 2)
    with pytest.raises(IndexError):
        Tracker(table, Packet(batch), batch).step(1001, 0)
