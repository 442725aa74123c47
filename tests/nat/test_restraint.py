"""Errors the gateway sends: never more than the limit, a share for each host, and nothing to be read off."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from gateway.nat.restraint import LEAST, SHARE, Restraint
from gateway.wire import build, sides

from .gate import SECOND, Gate


def restraint(limit: int, key: int = 1) -> Restraint:
    made = Restraint(key, 2)
    made.use(limit)
    return made


def sent(one: Restraint, hosts: int, count: int, now: int) -> int:
    return sum(one.allow((0, number % hosts), now) for number in range(count))


@given(st.integers(0, 3000), st.integers(0, 2**64 - 1), st.lists(st.integers(0, 3000), max_size=8))
def test_never_more_than_a_second_s_worth_at_once_and_the_limit_from_then_on(
        limit: int, key: int, pauses: list[int]) -> None:
    one, now, total = restraint(limit, key), SECOND, 0
    for pause in [0, *pauses]:
        now += pause * SECOND // 1000
        total += sent(one, 5000, 2 * limit, now)
        assert total <= limit + limit * (now - SECOND) // SECOND


@given(st.integers(1, 3000), st.integers(0, 2**64 - 1))
def test_after_a_quiet_second_the_first_is_always_sent_and_about_half_of_the_limit_at_least(
        limit: int, key: int) -> None:
    assert limit // 2 <= sent(restraint(limit, key), 1000 * limit, 2 * limit, SECOND)


@given(st.integers(1, 3000), st.integers(0, 2**64 - 1))
@example(22, 0)
@example(40, 0)
def test_one_host_gets_its_share_and_leaves_the_rest(limit: int, key: int) -> None:
    one = restraint(limit, key)
    share = max(limit // SHARE, min(limit, LEAST))
    assert 1 <= sent(one, 1, 2 * limit + 2, SECOND) <= share
    if share < limit // 2:
        others = [one.allow((1, number), SECOND) for number in range(10)]
        left = (limit - 2 * share) // 2  # an error costs one token of all or two: at least so many, from 10 at 40 on
        assert sum(others) >= min(len(others), left) - 2  # who shares the greedy host's bucket is out of luck


def test_how_many_are_sent_tells_nothing_exact() -> None:
    assert len({sent(restraint(1000, key), 5000, 2000, SECOND) for key in range(40)}) > 10


def test_a_flood_of_hosts_takes_no_memory() -> None:
    one = restraint(1000)
    sent(one, 100_000, 20_000, SECOND)
    assert len(one.hosts) <= 1024


def test_a_reload_that_changes_nothing_grants_nothing() -> None:
    one = restraint(1000)
    sent(one, 5000, 3000, SECOND)
    one.use(1000)
    assert sent(one, 5000, 1000, SECOND) == 0


def test_a_pod_whose_hops_are_used_up_is_told_so_at_a_bounded_rate() -> None:
    gate = Gate("icmpErrorsPerSecond: 100")
    for _ in range(50):
        gate.inject(build.udp_datagram("192.168.1.1", 4000, "203.0.113.1", 53, b"", ttl=1), sides.INSIDE)
    assert LEAST // 2 <= len(gate.answers()) <= 100 // SHARE
    gate.inject(build.udp_datagram("192.168.1.2", 4000, "203.0.113.1", 53, b"", ttl=1), sides.INSIDE)
    assert len(gate.answers()) == 1
