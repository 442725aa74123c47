"""A record of what began, ended or was refused: 12 words of 64 bits, and the numbers that stand for words.

The first ten words are a row's: both tuples (`nat.row`), where they are known.
"""

WORDS = 12
TUPLES = 10  # words copied from a row
SUBJECT = 10  # bits 0-31 the flow's row, or how many events like this one were swallowed; the rest as below
KIND = 32  # shifts within that word
REASON = 40
POOL = 48
TIME = 11  # nanoseconds of the clock that `translate` is given

CAPACITY = 16384  # records between two drains; further ones are counted as lost

# Kinds
CREATED = 0
CLOSED = 1
EXHAUSTED = 2
QUOTA = 3
KINDS = 4

# Reasons: why a flow ended
EXPIRED = 1
FINISHED = 2  # both sides closed
RESET = 3
ENDED = 4  # by the operator
# what is exhausted, or which limit of a source was reached
FLOWS = 5
PORTS = 6
ADDRESSES = 7
RATE = 8

QUIET = 1_000_000_000  # nanoseconds between two events that say the same
