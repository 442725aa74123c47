"""What can be wrong with a packet's shape. `nat.verdict` gives each of these the same number, as a drop."""

NONE = 0
TRUNCATED = 1  # shorter than its own headers say
BAD_VERSION = 2  # neither 4 nor 6, or a v4 IHL below 5
BAD_LENGTH = 3  # total, payload or UDP length contradicts what arrived
BAD_CHECKSUM = 4  # the IPv4 header's own
BAD_HEADER = 5  # a transport or extension header that contradicts itself
SOURCE_ROUTE = 6  # LSRR or SSRR (RFC 7126), IPv6 routing header of type 0 (RFC 5095) or with segments left
EXTENSION_LIMIT = 7  # more IPv6 extension headers than ipv6.EXTENSIONS_MAX
NO_UDP_CHECKSUM = 8  # UDP over IPv6 with checksum 0 (RFC 8200 section 8.1)
TINY_FRAGMENT = 9  # a first fragment without the whole transport header (RFC 1858, 3128)
MAPPED_ADDRESS = 10  # an IPv4 address in an IPv6 header (RFC 6890): it would meet IPv4's flows
