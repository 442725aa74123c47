"""SipHash-1-3: the keyed hash behind the flow table's index and every unguessable choice.

Keys are drawn at start, so that nobody outside can aim at one slot of the index (Crosby and Wallach,
"Denial of Service via Algorithmic Complexity Attacks") or foresee a port (RFC 6056). One round a word and
three at the end are what Rust and CPython use for their hash tables. The message is its words, little-endian, and
in SipHash's own last block, below the message's length in bytes, the seven bytes of a label: no round of its own.
"""

from __future__ import annotations

from ..wire import bits

State = tuple[int, int, int, int]


def siphash39(key0: int, key1: int, a: int, b: int, c: int, d: int, label: int) -> int:
    """The hash of 39 bytes: two addresses and a label, which is below 2**56."""
    state = absorb(begin(key0, key1), a)
    state = absorb(state, b)
    state = absorb(state, c)
    state = absorb(state, d)
    return finish(absorb(state, bits.LENGTH_39 | label))


def hash_pair(key0: int, key1: int, first_high: int, first_low: int, second_high: int, second_low: int,
              label: int) -> int:
    """The hash of two addresses and a label. Those of IPv4 fit one word, and need fewer rounds."""
    if first_high | second_high == 0 and first_low >> 32 == second_low >> 32 == bits.V4_MAPPED >> 32:
        return siphash15(key0, key1, (first_low << 32) & bits.M64 | second_low & bits.M32, label)
    return siphash39(key0, key1, first_high, first_low, second_high, second_low, label)


def siphash15(key0: int, key1: int, a: int, label: int) -> int:
    """The hash of 15 bytes: a word and a label, which is below 2**56."""
    return finish(absorb(absorb(begin(key0, key1), a), bits.LENGTH_15 | label))


def siphash2(key0: int, key1: int, a: int, b: int) -> int:
    """The hash of 16 bytes."""
    state = absorb(begin(key0, key1), a)
    state = absorb(state, b)
    return finish(absorb(state, bits.LENGTH_16))


def begin(key0: int, key1: int) -> State:
    return key0 ^ bits.SIP_0, key1 ^ bits.SIP_1, key0 ^ bits.SIP_2, key1 ^ bits.SIP_3


def absorb(state: State, word: int) -> State:
    v0, v1, v2, v3 = turn(state[0], state[1], state[2], state[3] ^ word)
    return v0 ^ word, v1, v2, v3


def finish(state: State) -> int:
    state = turn(state[0], state[1], state[2] ^ 0xFF, state[3])
    state = turn(state[0], state[1], state[2], state[3])
    state = turn(state[0], state[1], state[2], state[3])
    return state[0] ^ state[1] ^ state[2] ^ state[3]


def turn(v0: int, v1: int, v2: int, v3: int) -> State:
    """SipRound."""
    v0 = (v0 + v1) & bits.M64
    v2 = (v2 + v3) & bits.M64
    v1 = ((v1 << 13) & bits.M64 | v1 >> 51) ^ v0
    v3 = ((v3 << 16) & bits.M64 | v3 >> 48) ^ v2
    v0 = ((v0 << 32) & bits.M64 | v0 >> 32)
    v2 = (v2 + v1) & bits.M64
    v0 = (v0 + v3) & bits.M64
    v1 = ((v1 << 17) & bits.M64 | v1 >> 47) ^ v2
    v3 = ((v3 << 21) & bits.M64 | v3 >> 43) ^ v0
    v2 = ((v2 << 32) & bits.M64 | v2 >> 32)
    return v0, v1, v2, v3
