"""The gateway's two sides, and the two directions of a flow."""

INSIDE = 0
OUTSIDE = 1
NOWHERE = 2  # not emitted
ACROSS = 3  # another worker of this gateway (`nat.shares`), which sees what comes from there as it sees the outside

ORIGINAL = 0
REPLY = 1
