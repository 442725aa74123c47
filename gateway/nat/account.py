"""An internal address's account: 8 words of 64 bits, one cache line. The one place that names what lies where.

Offsets are in units of the field's own width, as in `nat.row`. Account 0 is nobody's: 0 means "none".
"""

WORDS = 8  # 64-bit words an account
QUADS = 16  # 32-bit ones
BYTES = 64

# 64-bit words
ADDRESS = 0  # two of them
PAID = 2  # when everything it opened will have been paid for, in nanoseconds: at most a second from now
TOLD = 3  # when the last quota event was recorded, in nanoseconds; 0: never

# 32-bit fields
FLOWS = 8  # live ones that it opened
PORTS = 9  # external ports that it holds
EGRESS = 11  # 1 + the egress address it is paired with; 0: none yet
SILENT = 12  # quota events swallowed since TOLD
CHAIN = 13  # the next account of the same bucket
OLDER = 14  # neighbours in the list of idle accounts
NEWER = 15

SECOND = 1_000_000_000  # the longest that PAID may lie ahead: so much is granted at once
