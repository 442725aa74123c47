"""Ethernet II: offsets in bytes from the frame's first byte."""

DESTINATION = 0
SOURCE = 6
TYPE = 12
HEADER = 14

TYPE_IPV4 = 0x0800
TYPE_ARP = 0x0806
TYPE_IPV6 = 0x86DD
