"""SipHash against the specification's own words and vectors (Aumasson and Bernstein, 2012)."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import twin
from gateway.nat import siphash

M64 = (1 << 64) - 1
words = st.integers(0, M64)
labels = st.integers(0, (1 << 56) - 1)

# SipHash-2-4 of the messages "", 00, 00 01, ... under the key 00 01 ... 0f: the reference implementation's vectors.
PUBLISHED = {
    0: "310e0edd47db6f72", 1: "fd67dc93c539f874", 2: "5a4fa9d909806c0d", 3: "2d7efbd796666785",
    7: "37d1018bf50002ab", 8: "6224939a79f5f593", 15: "e545be4961ca29a1", 16: "db9bc2577fcc2a3f",
    63: "724506eb4c328a95",
}


def rotate(x: int, by: int) -> int:
    return (x << by | x >> (64 - by)) & M64


def reference(c: int, d: int, key0: int, key1: int, message: bytes) -> int:
    """SipHash-c-d, word for word from the paper, over any message."""
    v = [key0 ^ 0x736F6D6570736575, key1 ^ 0x646F72616E646F6D, key0 ^ 0x6C7967656E657261, key1 ^ 0x7465646279746573]

    def sipround() -> None:
        v[0] = (v[0] + v[1]) & M64
        v[1] = rotate(v[1], 13) ^ v[0]
        v[0] = rotate(v[0], 32)
        v[2] = (v[2] + v[3]) & M64
        v[3] = rotate(v[3], 16) ^ v[2]
        v[0] = (v[0] + v[3]) & M64
        v[3] = rotate(v[3], 21) ^ v[0]
        v[2] = (v[2] + v[1]) & M64
        v[1] = rotate(v[1], 17) ^ v[2]
        v[2] = rotate(v[2], 32)

    padded = message + bytes(7 - len(message) % 8) + bytes([len(message) & 0xFF])
    for (word,) in struct.iter_unpack("<Q", padded):
        v[3] ^= word
        for _ in range(c):
            sipround()
        v[0] ^= word
    v[2] ^= 0xFF
    for _ in range(d):
        sipround()
    return v[0] ^ v[1] ^ v[2] ^ v[3]


@pytest.mark.parametrize("length", PUBLISHED)
def test_the_reference_gives_the_published_vectors(length: int) -> None:
    key0, key1 = struct.unpack("<QQ", bytes(range(16)))
    assert struct.pack("<Q", reference(2, 4, key0, key1, bytes(range(length)))).hex() == PUBLISHED[length]


@given(words, words, words, words, words, words, labels)
def test_four_words_and_a_label(key0: int, key1: int, a: int, b: int, c: int, d: int, label: int) -> None:
    expected = reference(1, 3, key0, key1, struct.pack("<5Q", a, b, c, d, label)[:39])
    assert siphash.siphash39(key0, key1, a, b, c, d, label) == expected
    assert twin.interpreted("nat.siphash").siphash39(key0, key1, a, b, c, d, label) == expected


@given(words, words, words, labels)
def test_a_word_and_a_label(key0: int, key1: int, a: int, label: int) -> None:
    expected = reference(1, 3, key0, key1, struct.pack("<2Q", a, label)[:15])
    assert siphash.siphash15(key0, key1, a, label) == expected
    assert twin.interpreted("nat.siphash").siphash15(key0, key1, a, label) == expected


@given(words, words, words, words)
def test_two_words(key0: int, key1: int, a: int, b: int) -> None:
    expected = reference(1, 3, key0, key1, struct.pack("<2Q", a, b))
    assert siphash.siphash2(key0, key1, a, b) == expected
    assert twin.interpreted("nat.siphash").siphash2(key0, key1, a, b) == expected
