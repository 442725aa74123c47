"""UDP header (RFC 768): offsets in bytes from its first byte."""

SOURCE_PORT = 0
DESTINATION_PORT = 2
LENGTH = 4
CHECKSUM = 6
HEADER = 8
