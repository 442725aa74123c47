"""The pump: bounded work per wake-up, every frame to the side its verdict says."""

import asyncio

import pytest

from gateway.links.memory import MemoryLink
from gateway.nat.translator import Translator
from gateway.resources import load
from gateway.resources.build import build as rules
from gateway.runtime.pump import BATCHES_A_WAKEUP, DENSE, Pump
from gateway.runtime.worker import LoopPump
from gateway.wire import build, sides
from gateway.wire.batch import FRAMES

from .conftest import RESOURCES
from .test_worker import ASKED, DYING, Line


def pump() -> Pump:
    return Pump((MemoryLink("in"), MemoryLink("out")), Translator(rules(load(RESOURCES)), 1), clock=lambda: 10**9)


def test_a_packet_leaves_translated_on_the_other_side():
    one = pump()
    one.links[sides.INSIDE].inject(build.udp_datagram("192.168.1.2", 40000, "203.0.113.7", 53, b"?"))
    assert one.on_readable(sides.INSIDE) == 1
    [(_, packet)] = one.links[sides.OUTSIDE].drain()
    assert packet[12:16] == bytes([198, 51, 100, 10])
    assert one.links[sides.INSIDE].drain() == []


def test_a_wakeup_reads_no_more_than_its_bound():
    one = pump()
    waiting = BATCHES_A_WAKEUP * FRAMES + 10
    for number in range(waiting):
        one.links[sides.INSIDE].inject(build.udp_datagram("192.168.1.2", 1024 + number, "203.0.113.7", 53))
    assert one.on_readable(sides.INSIDE) == BATCHES_A_WAKEUP * FRAMES
    assert one.on_readable(sides.INSIDE) == 10
    assert one.on_readable(sides.INSIDE) == 0
    assert len(one.links[sides.OUTSIDE].drain()) == waiting
    assert (one.wakeups, one.packets) == ([3, 0], [waiting, 0])


def test_the_gateways_own_answers_go_out_too():
    one = pump()
    one.links[sides.INSIDE].inject(build.echo("192.168.1.2", "192.168.0.1", 7, 1, b"are you there"))
    one.on_readable(sides.INSIDE)
    [(_, answer)] = one.links[sides.INSIDE].drain()
    assert answer[12:20] == bytes([192, 168, 0, 1, 192, 168, 1, 2]) and answer[20] == 0
    assert one.own_packets == 1 and one.translator.outbox == []


def test_what_is_dropped_goes_nowhere():
    one = pump()
    one.links[sides.INSIDE].inject(build.udp_datagram("10.9.9.9", 40000, "203.0.113.7", 53))
    one.links[sides.INSIDE].inject(b"\x45")
    one.on_readable(sides.INSIDE)
    assert one.links[sides.INSIDE].drain() == one.links[sides.OUTSIDE].drain() == []
    assert one.translator.counters()["drop_spoofed_source"] == 1


class Trickle(MemoryLink):
    """What comes, comes a few packets at a time; whoever lingers meets the next of them, `bursts` times."""

    def __init__(self, size: int, bursts: int) -> None:
        super().__init__("in")
        self.size, self.bursts, self.lingered = size, bursts, 0
        self.linger(0)
        self.lingered = 0

    def linger(self, nanoseconds: int) -> bool:
        self.lingered += 1
        if self.bursts == 0:
            return False
        self.bursts -= 1
        for number in range(self.size):
            self.inject(build.udp_datagram("192.168.1.2", 1024 + number, "203.0.113.7", 53))
        return True


def test_where_packets_are_dense_the_next_are_waited_for_awhile():
    for size, bursts, read, lingered in ((DENSE, 2, 2 * DENSE, 2),
                                         (DENSE, 9, BATCHES_A_WAKEUP * DENSE, BATCHES_A_WAKEUP),
                                         (DENSE - 1, 2, DENSE - 1, 0)):
        one = pump()
        one.links = trickle, _ = Trickle(size, bursts), MemoryLink("out")
        assert (one.on_readable(sides.INSIDE), trickle.lingered) == (read, lingered)


def test_a_bug_in_the_look_for_lost_links_leaves_them_read(live):
    """That look, once a second, takes what waits on a link like any other."""
    async def story(gateway, api):
        lines, loop = (Line("in"), Line("out")), asyncio.get_running_loop()
        kept, gateway.opened.sides = gateway.opened.sides, [[line] for line in lines]
        gateway.pump.links = lines

        def broken(*_):
            raise ValueError("a bug")
        gateway.translator.all[0].answer = broken
        lines[0].inject(DYING)
        try:
            with pytest.raises(ValueError, match="a bug"):
                gateway.surroundings.read_again()
            lines[0].inject(ASKED)
            await asyncio.sleep(0.05)
            assert lines[1].taken(0.1)
        finally:
            gateway.opened.sides = kept
            for line in lines:
                loop.remove_reader(line.fileno())
                line.close()
    live(story)


@pytest.mark.parametrize("kind", [Pump, LoopPump])
def test_a_wakeup_of_either_kind_does_the_same(kind):
    """On the loop it is compiled, where both sides have descriptors."""
    inside, outside = lines = Line("in"), Line("out")
    one = kind(lines, Translator(rules(load(RESOURCES)), 1))
    for packet in (ASKED, DYING, ASKED):
        inside.inject(packet)
    while one.on_readable(sides.INSIDE):
        pass
    assert [outside.taken()[12:16] for _ in range(2)] == [bytes([198, 51, 100, 10])] * 2
    assert inside.taken()[20] == 11  # time exceeded, from Python
    outside.inject(build.udp_datagram("203.0.113.7", 53, "198.51.100.10", 40000, b"!"))
    assert one.on_readable(sides.OUTSIDE) == 1
    assert inside.taken()[16:20] == bytes([192, 168, 1, 2])
    assert list(one.packets) == [3, 1] and one.wakeups[sides.OUTSIDE] == 1 and one.own_packets == 1
    one.close()
    for line in lines:
        line.close()
