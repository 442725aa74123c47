"""States of a flow: TCP's, and those of everything else. `nat.tcp` holds TCP's transitions."""

NONE = 0
NEW = 1  # not TCP: only the original direction was seen
ACTIVE = 2  # not TCP: both directions were seen

SYN_SENT = 3
SYN_RECEIVED = 4
ESTABLISHED = 5
FIN_WAIT = 6  # one side has closed; the other may go on sending for as long as it likes
CLOSING = 7  # both have
RESET = 8
STATES = 9

# What a TCP segment is to the tracker.
SYN = 0
SYN_ACK = 1
ACK = 2  # data too
FIN = 3
EVENTS = 4

# Beside the states in the transition grid.
RESTART = 9  # begins a new conversation on the same tuple

UNSCALED = 15  # window scale: not offered
WIDEST = 30  # log2 of the largest window there is (RFC 7323 section 2.3)
MAX_ACK_WINDOW = 66000  # how far an acknowledgement may lag when the window seen is smaller
HALF = 0x7FFFFFFF  # sequence numbers up to this far ahead count as after
