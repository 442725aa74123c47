"""Bits of a membership class: which sets of addresses an address belongs to."""

POOL = 1  # a pool that excludes destinations from translation
NAT_SOURCE = 2  # a pool with natOutgoing
INSIDE = 4  # behind the inside link: what may come from there, and where packets for it go
REACHABLE = 8  # behind the inside link, and may be reached there when traffic between the two is untranslated
NO_TRANSLATE = 16  # a destination excluded by the Gateway or, with IPPoolsAndHostIPs, a node's address
EGRESS = 32  # an address the gateway translates to, its own
SHARED = 64  # an egress address, or one of the gateway's own, that the host has as well
OWN_INSIDE = 128  # the gateway's own addresses on either side
OWN_OUTSIDE = 256
OWN = 32 | 128 | 256  # any address of the gateway's
BOGON = 512  # never valid as a source or destination in transit (RFC 6890)
MULTICAST = 1024
LINK_SCOPE = 2048  # link-local
LOCAL_SCOPE = 4096  # v6 unique local: never leaves untranslated
