"""IPv6 header (RFC 8200): offsets in bytes from its first byte."""

VERSION = 0
PAYLOAD_LENGTH = 4
NEXT_HEADER = 6
HOP_LIMIT = 7
SOURCE = 8
DESTINATION = 24
HEADER = 40

MINIMUM_MTU = 1280
EXTENSIONS_MAX = 8  # extension headers; a packet with more is refused

FRAGMENT_HEADER = 8
FRAGMENT_OFFSET = 2  # in the fragment header: offset and M flag
FRAGMENT_ID = 4
FRAGMENT_OFFSET_MASK = 0xFFF8
FRAGMENT_MORE = 1
