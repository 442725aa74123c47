"""virtio_net_hdr (linux/virtio_net.h), 10 bytes, little-endian as the kernel writes it here: offsets in bytes.

In a Batch it lies directly before the IP header, and its own offsets count from the IP header (as on a TUN).
"""

FLAGS = 0
GSO_TYPE = 1
HEADER_LENGTH = 2
GSO_SIZE = 4
CHECKSUM_START = 6
CHECKSUM_OFFSET = 8
HEADER = 10

NEEDS_CHECKSUM = 1
DATA_VALID = 2

GSO_NONE = 0
GSO_TCPV4 = 1
GSO_UDP = 3
GSO_TCPV6 = 4
GSO_UDP_L4 = 5
GSO_ECN = 0x80
