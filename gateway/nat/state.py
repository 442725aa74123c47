"""States of a flow: TCP's, and those of everything else. `nat.tcp` holds TCP's transitions."""

NONE = 0
NEW = 1  # not TCP: only the original direction was seen
ACTIVE = 2  # not TCP: both directions were seen

SYN_SENT = 3
SYN_RECEIVED = 4
SYN_ANSWERED = 5  # by the side that sent the first one: both opened at once, or the peer split its SYN-ACK
ESTABLISHED = 6
FIN_WAIT = 7  # one side has closed; the other may go on sending for as long as it likes
CLOSING = 8  # both have
RESET = 9
STATES = 10

# What a TCP segment is to the tracker.
SYN = 0
SYN_ACK = 1
ACK = 2  # data too
FIN = 3
EVENTS = 4

# Beside the states in the transition grid.
RESTART = 10  # begins a new conversation on the same tuple

PASSES = 255  # beside verdicts: a segment passes, and the flow lives no longer for it
FAST_OPEN_MOST = 1460  # bytes of data in a SYN (RFC 7413): as many as a segment has

UNSCALED = 15  # window scale: not offered
WIDEST = 30  # log2 of the largest window there is (RFC 7323 section 2.3)
MAX_ACK_WINDOW = 66000  # how far an acknowledgement may lag when the window seen is smaller
HALF = 0x7FFFFFFF  # sequence numbers up to this far ahead count as after
