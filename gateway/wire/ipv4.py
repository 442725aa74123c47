"""IPv4 header (RFC 791): offsets in bytes from its first byte."""

VERSION_IHL = 0
PLAIN = 0x45  # the first byte of a header without options
TOS = 1
TOTAL_LENGTH = 2
ID = 4
FRAGMENT = 6  # flags and offset
TTL = 8
PROTOCOL = 9
CHECKSUM = 10
SOURCE = 12
DESTINATION = 16
HEADER = 20
HEADER_MAX = 60

DF = 0x4000
MF = 0x2000
OFFSET_MASK = 0x1FFF

OPTION_END = 0
OPTION_NOP = 1
OPTION_LSRR = 131
OPTION_SSRR = 137
MINIMUM_MTU = 68  # RFC 791 section 3.2
