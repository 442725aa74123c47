"""Whose port is whose."""

import socket

import pytest

from gateway.host.ports import Range, listening, overlap, ranges, without, written


@pytest.mark.parametrize(("taken", "left"), [
    ([], [(10, 20)]),
    ([(10, 20)], []),
    ([(1, 9), (21, 30)], [(10, 20)]),
    ([(12, 14)], [(10, 11), (15, 20)]),
    ([(14, 14), (12, 12), (13, 13)], [(10, 11), (15, 20)]),
    ([(5, 10), (20, 99)], [(11, 19)]),
    ([(1, 99)], []),
])
def test_what_is_left_of_a_range(taken: list[Range], left: list[Range]) -> None:
    assert without((10, 20), taken) == left


def test_ranges_are_written_as_the_kernel_does() -> None:
    assert written([*ranges("8080,9000-9010"), (9011, 9020), (1, 1), (5, 9), (6, 7)]) == "1,5-9,8080,9000-9020"
    assert (ranges(""), written([])) == ([], "")


def test_overlap_of_two_ranges() -> None:
    assert overlap((1, 5), (5, 9)) == (5, 5) and overlap((1, 5), (6, 9)) is None


def test_what_listens_is_found_in_both_families_and_what_is_connected_is_not() -> None:
    with (socket.create_server(("127.0.0.1", 0)) as four, socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as six,
          socket.create_connection(four.getsockname()) as connected):
        six.bind(("::1", 0))
        found = listening()
        assert four.getsockname()[1] in found["tcp"]
        assert six.getsockname()[1] in found["udp"]
        assert connected.getsockname()[1] not in found["tcp"]
