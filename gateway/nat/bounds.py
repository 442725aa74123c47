"""How much work the flow table and the port search do at most, each bound by its name.

No flow, packet or address chooses these: a flood can make the gateway refuse, never make it slow.
"""

PROBE_LIMIT = 64  # index slots from an entry's home; the displacement field of an entry holds this much
DISPLACEMENT_BITS = 6
KIND_BITS = 2  # of an index entry: a tuple's direction, or which end of a mapping
SLOTS_PER_ROW = 5  # two entries a flow, two more for the head of its mapping: the index is never above 4/5 full
ROW_LIMIT = 0xFFFFFF  # rows that an entry of 32 bits can name
ROW_BITS = 24
INDEX_AHEAD = 32 << 20  # bytes: an index that is no larger is taken from the machine before it is used
ROWS_AHEAD = 8 << 20  # bytes of rows: so many above the highest row ever used
RECORDS_AHEAD = 2 << 20  # bytes: all of their buffer
AHEAD_STEP = 256 << 10  # bytes that a tick takes at most
ROWS_EXPECTED = 4  # how many rows ahead a fresh one is asked for
LOOKAHEAD_FROM = 4096  # flows; fewer stay in the processor's caches by themselves
RING_LIMIT = 256  # members of a mapping looked at for one that is alive
RANDOM_TRIES = 32  # random candidates for a port before the exact search
ADDRESS_TRIES = 4  # egress addresses that are searched for who holds no port, beyond the one he is paired with
SWEEP_WHEN_FULL = 64  # rows that a new flow looks at for one to end, when no other is left for it
CROWDS = 16  # destinations nearly out of ports of which the taken ones are remembered; a power of two
PORTS = 65536
COUNTERS = 4096  # of identifiers, shared by keyed hash; a power of two
PORT_WORDS = PORTS // 64

# Workers, and how ports are dealt out among them (`nat.shares`).
WORKERS = 64
BLOCK_BITS = 6  # blocks of 64 ports: a word
LOW_PORTS = 1024  # below, blocks are smaller, so that every worker has some
LOW_BLOCK_BITS = 4
OWNER_SHIFT = 16  # of the hash of an address: the low bits of a product say little
SORTING = 256  # in place of a worker's number: worker 0, which finds out whose a fragment is

# The kinds of index entry. ORIGINAL and REPLY are sides.ORIGINAL and sides.REPLY.
INTERNAL = 2  # the high bit of a kind: a mapping's endpoint
EXTERNAL = 3

# What a port is for a row.
FREE = 0
TAKEN = 1  # by the host, or by a mapping
TAKEN_TUPLE = 2  # towards this remote: some flow has the very reply tuple
