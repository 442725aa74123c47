"""A link around another one, which does everything unless the wrapping says otherwise."""

from __future__ import annotations

from .link import Frames, Link, LinkStatistics


class WrappedLink:
    """`link`, as it is."""

    def __init__(self, link: Link) -> None:
        self.link = link

    @property
    def name(self) -> str:
        return self.link.name

    @property
    def mtu(self) -> int:
        return self.link.mtu

    @property
    def more(self) -> bool:
        return self.link.more

    @property
    def dropped(self) -> int:
        return self.link.dropped

    def linger(self, nanoseconds: int) -> bool:
        return self.link.linger(nanoseconds)

    def fileno(self) -> int:
        return self.link.fileno()

    def read_batch(self, batch: Frames) -> int:
        return self.link.read_batch(batch)

    def write_batch(self, batch: Frames, side: int) -> int:
        return self.link.write_batch(batch, side)

    def write(self, packet: bytes, offload: bytes) -> bool:
        return self.link.write(packet, offload)

    def statistics(self) -> LinkStatistics:
        return self.link.statistics()

    def close(self) -> None:
        self.link.close()
