"""Where the traffic's decisions come from: a seeded generator, or the bytes that a fuzzer varies."""

from __future__ import annotations

import random
from typing import Protocol


class Choices(Protocol):
    """`below`: an integer from 0 to limit - 1.  `octets`: that many bytes."""

    def below(self, limit: int) -> int: ...
    def octets(self, count: int) -> bytes: ...


class Drawn:
    """From a seed, without end."""

    def __init__(self, seed: int) -> None:
        source = random.Random(seed)
        self.octets = source.randbytes
        self.random = source.random

    def below(self, limit: int) -> int:
        return int(self.random() * limit)


class Read:
    """From bytes: one for each choice below 257, else as many as it takes. EOFError after the last one."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def octets(self, count: int) -> bytes:
        taken = self.data[self.at : self.at + count]
        if len(taken) < count:
            raise EOFError
        self.at += count
        return taken

    def below(self, limit: int) -> int:
        return int.from_bytes(self.octets((limit - 1).bit_length() + 7 >> 3), "big") % limit
