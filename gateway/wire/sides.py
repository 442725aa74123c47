"""The gateway's two sides, and the two directions of a flow."""

INSIDE = 0
OUTSIDE = 1
NOWHERE = 2  # not emitted

ORIGINAL = 0
REPLY = 1
