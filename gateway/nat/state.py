"""States of a flow: TCP's, and those of everything else. `nat.tcp` holds TCP's transitions."""

NONE = 0
NEW = 1  # not TCP: only the original direction was seen
ACTIVE = 2  # not TCP: both directions were seen

SYN_SENT = 8
SYN_RECEIVED = 9
ESTABLISHED = 10
FIN_WAIT = 11  # one side has closed
CLOSING = 12  # both have
TIME_WAIT = 13  # both have, and the last FIN was acknowledged
RESET = 14
ADOPTED = 15  # picked up mid-stream
