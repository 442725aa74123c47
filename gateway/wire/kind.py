"""What a parsed packet is to a translator."""

FLOW = 0  # has a tuple of its own
ERROR = 1  # an ICMP error: its tuple is in the packet it quotes
FRAGMENT = 2  # part of a datagram: only the first part has a tuple
LINK = 3  # speaks to its own link (neighbour discovery, redirects): never crosses
