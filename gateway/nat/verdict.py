"""What became of a packet: one closed list. The name is the counter, the `explain` verdict and the docs row.

accept and answer passed or were answered by the gateway itself; hold waits for more fragments; leave belongs
to the host's own stack; hand_over to another worker, which has a verdict of its own; drop_* did not pass; reject_*
did not pass and its sender was told by ICMP.
"""

from enum import IntEnum

from ..wire import fault


class Verdict(IntEnum):
    ACCEPT = 0
    DROP_TRUNCATED = fault.TRUNCATED
    DROP_BAD_VERSION = fault.BAD_VERSION
    DROP_BAD_LENGTH = fault.BAD_LENGTH
    DROP_BAD_CHECKSUM = fault.BAD_CHECKSUM
    DROP_BAD_HEADER = fault.BAD_HEADER
    DROP_SOURCE_ROUTE = fault.SOURCE_ROUTE
    DROP_EXTENSION_LIMIT = fault.EXTENSION_LIMIT
    DROP_NO_UDP_CHECKSUM = fault.NO_UDP_CHECKSUM
    DROP_TINY_FRAGMENT = fault.TINY_FRAGMENT
    DROP_MAPPED_ADDRESS = fault.MAPPED_ADDRESS

    ANSWER_ECHO = 16
    HOLD_FRAGMENT = 17
    LEAVE_TO_HOST = 18
    HAND_OVER = 19

    DROP_SPOOFED_SOURCE = 24
    DROP_BOGON_SOURCE = 25
    DROP_BOGON_DESTINATION = 26
    DROP_LAND = 27
    DROP_MULTICAST = 28
    DROP_LINK_SCOPE = 29
    DROP_NOT_OURS = 30
    DROP_UNSOLICITED = 31
    DROP_FILTERED = 32
    DROP_NOT_SYN = 33
    DROP_OUT_OF_WINDOW = 34
    DROP_UNTRANSLATABLE = 35
    DROP_NO_EGRESS_ADDRESS = 36
    DROP_TABLE_FULL = 38
    DROP_PORTS_EXHAUSTED = 39
    DROP_ERROR_UNMATCHED = 40
    DROP_ERROR_MALFORMED = 41
    DROP_ERROR_OUT_OF_WINDOW = 42
    DROP_FRAGMENT_OVERLAP = 43
    DROP_FRAGMENT_LIMIT = 44
    DROP_FRAGMENT_TIMEOUT = 45
    DROP_SOURCE_LIMIT = 46
    DROP_BAD_FLAGS = 48
    DROP_TTL_EXCEEDED = 49
    DROP_UNSOLICITED_SYN = 50
    DROP_FRAGMENT_REFUSED = 51

    REJECT_TTL_EXCEEDED = 56
    REJECT_TOO_BIG = 57
    REJECT_PORTS_EXHAUSTED = 58
    REJECT_TABLE_FULL = 59
    REJECT_NOT_SYN = 60
    REJECT_SOURCE_LIMIT = 61

    SLOW = 63  # internal: goes on outside the compiled loop, and never leaves the translator


NAMES: dict[int, str] = {verdict: verdict.name.lower() for verdict in Verdict if verdict is not Verdict.SLOW}
