"""A node of the prefix trie: a run of 32-bit words. The one place that names what lies where.

An entry is either a node's offset in the array, or LEAF and the number of a membership class.
A node covers one aligned block of addresses, within one of the two words of an address. An address outside
that block takes the OTHERWISE entry (so that bits on which all prefixes agree cost no node of their own);
inside it, its next `stride` bits choose among the entries from CHILDREN on.
"""

HEADER = 0
CHECK_HIGH = 1  # the word's bits above the node's own, as they are in its block: upper 32 and lower 32 bits
CHECK_LOW = 2
OTHERWISE = 3
CHILDREN = 4

LEAF = 0x80000000
CLASS_MASK = 0x7FFFFFFF

# The header: how far to shift the word right (6 bits), the stride (5 bits), and which word.
SHIFT_MASK = 63
STRIDE_SHIFT = 6
STRIDE_MASK = 31
LOW = 2048  # the low word of the address; without it the high word

STRIDE_MAX = 16
