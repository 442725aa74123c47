"""IP protocol numbers (IANA assigned-internet-protocol-numbers)."""

HOP_BY_HOP = 0
ICMP = 1
TCP = 6
UDP = 17
DCCP = 33
IPV6 = 41
ROUTING = 43
FRAGMENT = 44
GRE = 47
ESP = 50
AH = 51
ICMPV6 = 58
NO_NEXT = 59
DESTINATION = 60
SCTP = 132
MOBILITY = 135
UDPLITE = 136
