"""SCTP common header (RFC 9260 section 3.1): offsets in bytes from its first byte."""

CHECKSUM = 8
HEADER = 12
POLYNOMIAL = 0x82F63B78  # CRC32c's, the lowest power first
