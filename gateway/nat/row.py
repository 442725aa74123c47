"""A flow's row: 16 words of 64 bits, two cache lines. The one place that names what lies where.

Offsets are in units of the field's own width, from the row's start in the view of that width: a 16-bit
field at FIELD of row r is r16[r * HALVES + FIELD]. Row 0 is never used: 0 means "none".

A label holds what a tuple has besides its two addresses, in the low 48 bits of a word:
bits 40-47 the side on which it arrives, 32-39 the protocol, 16-31 the source and 0-15 the destination port.
"""

WORDS = 16  # 64-bit words a row
HALVES = 64  # 16-bit ones
QUADS = 32  # 32-bit ones
BYTES = 128

# 64-bit words. First cache line: the addresses of the original tuple, then of the reply tuple, as they arrive.
ORIGINAL_SOURCE = 0
ORIGINAL_DESTINATION = 2
REPLY_SOURCE = 4
REPLY_DESTINATION = 6
ORIGINAL_LABEL = 8
REPLY_LABEL = 9
OCTETS = 11  # bytes of IP packets, both directions, in the low 48 bits
OCTETS_MASK = 0xFFFFFFFFFFFF
OPENING_SHIFT = 48
TUPLE_STRIDE = 4  # from ORIGINAL_SOURCE to REPLY_SOURCE
LABEL_MASK = 0xFFFFFFFFFFFF
DELTA_SHIFT = 48  # above the labels in their words: ADDRESS_DELTA, and TRANSPORT_DELTA

# 16-bit fields: the top halves of the two label words (little-endian), and word 14's.
ADDRESS_DELTA = 35  # folded one's complement sum that an ORIGINAL packet's address change adds to a checksum
TRANSPORT_DELTA = 39  # the same with ports
IDENTIFIER_CHANGE = 48  # per direction, not TCP: what the last datagram's IPv4 identifier was, less what it became
OPENING = 47  # which of the last 65,536 openings of flows this row's was: the top of OCTETS
DECISION = 59  # index of the decision (pool, policy) that let the flow begin

# 32-bit fields
EXPIRES = 20  # tick from which the row is dead
PACKETS = 21
TCP_END = 24  # per direction, stride TCP_STRIDE: highest sequence number sent + 1
TCP_MAX_END = 25  # highest sequence number the peer's window lets it send + 1
TCP_STRIDE = 2
NEXT = 30  # neighbours in the ring of flows that share a mapping
PREVIOUS = 31
FREE = 30  # next free row, while the row is free

# bytes. Of the two label words:
ARRIVES_ON = 69  # per direction, stride ARRIVES_STRIDE: the side on which its packets arrive
ARRIVES_STRIDE = 8

# bytes, word 14
STATE = 112
FLAGS = 113
TCP_SCALE = 114  # window scales offered: low nibble ORIGINAL's, high nibble REPLY's; state.UNSCALED for none
TCP_WINDOW = 115  # per direction: log2, rounded up, of the largest window seen
MAPPING_SCOPE = 117  # 0: the row's mapping is endpoint-independent, 1: it depends on the remote address

# FLAGS
USED = 1
MAPPED = 2  # member of a mapping: endpoint-independent or address-dependent
MAPPING_HEAD = 4  # the row its mapping's index entries point to
REBORN = 8  # TCP: a host inside has sent a SYN although the flow is established
WINDOW_KNOWN = 16  # TCP's windows were seen from the SYN on: the flow was not adopted
KNOCKING = 32  # a hairpin that its target's filter refuses until the target has sent something the other way
FIN_ORIGINAL = 64
FIN_REPLY = 128

TICK_SHIFT = 24  # a tick is 2**24 ns, 16.8 ms; 32 bits of them are 2.2 years, compared modulo 2**32
LIFETIME_MAX = 0x7FFFFFFF  # so of any two ticks it is known which is the later one
LABEL_SIDE = 40
LABEL_PROTOCOL_MASK = 0xFF00000000
LABEL_PROTOCOL = 32
LABEL_SOURCE_PORT = 16
LABEL_MARK = 48  # above a label: what keeps the hashes of different kinds of key apart
CROWD_MARK = 1 << LABEL_MARK
