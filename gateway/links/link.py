"""What the pump needs of a link, on one screen. Everything that moves packets has this shape."""

from __future__ import annotations

import errno
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Protocol

VNET_HEADER = 10  # virtio_net_hdr
FRAME_MAX = 65536  # an IP packet's longest, superpackets included
BATCH_BYTES = 128 * 1024  # read in one go: more only pushes the first frames out of the cache before they are sent


class LinkError(Exception):
    """The operator's mistake or the host's refusal: says what is wrong and what to do."""


class Frames(Protocol):
    """The part of wire.batch.Batch that a link touches. `start` may be permuted by a read, never lost."""

    count: int

    @property
    def capacity(self) -> int: ...
    @property
    def slab(self) -> Any: ...
    @property
    def start(self) -> Any: ...
    @property
    def length(self) -> Any: ...
    @property
    def out(self) -> Any: ...
    @property
    def neighbour(self) -> Any: ...


@dataclass
class LinkStatistics:
    """Frames since the link was opened. `reasons`: every drop by its cause, the kernel's own drops included."""

    received: int = 0
    sent: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    @property
    def dropped(self) -> int:
        return self.reasons.total()


class Link(Protocol):
    """One side's device. Never blocks; never raises for a packet: what cannot be sent is counted."""

    @property
    def name(self) -> str: ...
    @property
    def mtu(self) -> int: ...
    @property
    def more(self) -> bool:
        """Whether the last read_batch may have left something behind: another one is worth its while."""
    @property
    def dropped(self) -> int:
        """Frames that were to be sent or held and were not."""

    def linger(self, nanoseconds: int) -> bool:
        """Look at most that long whether something comes in, without a system call; False where that cannot be."""

    def fileno(self) -> int:
        """Readable when read_batch has something."""

    def read_batch(self, batch: Frames) -> int:
        """Fill the batch from index 0 with IP packets and set its count; 0 when there is nothing to read."""

    def write_batch(self, batch: Frames, side: int) -> int:
        """Send the frames whose `out` is `side`; returns how many left. The others are counted as dropped."""

    def write(self, packet: bytes, offload: bytes) -> bool:
        """Send one packet with its virtio_net_hdr (10 bytes, offsets counted from the IP header)."""

    def statistics(self) -> LinkStatistics: ...

    def close(self) -> None: ...


class NextHopListener(Protocol):
    """A packet link, told of changes. The destinations it remembers are wrong from then on."""

    def routes_changed(self) -> None: ...
    def neighbour_changed(self, hop: bytes) -> None: ...
    def interface_changed(self) -> None: ...


class NextHopSource(Protocol):
    """Who knows the way on an Ethernet link: the kernel's routes and neighbours (host.neighbours), or a test."""

    listener: NextHopListener | None

    def next_hop(self, destination: bytes) -> bytes | None:
        """The address (4 or 16 bytes) to hand a packet for `destination` to; None if there is no route."""

    def mac(self, hop: bytes) -> int:
        """The hop's MAC address, 0 while it is unknown."""

    def probe(self, hop: bytes) -> None:
        """Ask for the hop's MAC address, or ask again whether it still holds."""


def reason(number: int) -> str:
    """The name under which a send that failed with an errno is counted: "send_enobufs"."""
    return f"send_{errno.errorcode.get(number, str(number)).lower()}"
