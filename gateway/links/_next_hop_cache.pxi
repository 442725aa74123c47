# The next hop of every destination seen lately; included by _syscalls.pyx, so that a lookup is a C call.

cdef enum:
    WAYS = 2
    HOPS = 65536  # next hops known at once; one more starts afresh


cdef struct Entry:
    uint64_t high, low
    uint32_t generation
    uint32_t hop


cdef class NextHopCache:
    """destination -> next hop -> MAC address, so that a known destination costs no Python call.

    A route change makes every entry stale at once (the generation); a neighbour's change touches one hop.
    """

    cdef Entry *entries
    cdef uint64_t *macs  # by hop number; 0: unknown. Hop 0 is "none".
    cdef uint8_t *used_flags
    cdef uint32_t sets, generation
    cdef uint64_t last_high, last_low
    cdef uint32_t last_hop

    def __cinit__(self, uint32_t entries=4096):
        if entries < 2 or entries & (entries - 1):
            raise ValueError("a power of two is needed")
        self.sets, self.generation = entries // WAYS, 1
        self.entries = <Entry *>calloc(entries, sizeof(Entry))
        self.macs = <uint64_t *>calloc(HOPS, sizeof(uint64_t))
        self.used_flags = <uint8_t *>calloc(HOPS, 1)
        if self.entries == NULL or self.macs == NULL or self.used_flags == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.entries)
        free(self.macs)
        free(self.used_flags)

    def clear(self):
        """Forget every destination (the routes changed); hops keep their MAC addresses."""
        self.generation += 1
        self.last_hop = 0

    def put(self, bytes destination, uint32_t hop):
        """Packets for `destination` (4 or 16 bytes) go to hop number `hop`."""
        cdef uint64_t high = 0, low = 0
        cdef Entry *entry
        if not 0 < hop < HOPS:
            raise ValueError("no such hop number")
        words(destination, len(destination), &high, &low)
        entry = self.entries + self.place(high, low)
        if entry.generation == self.generation and not (entry.high == high and entry.low == low):
            entry[1] = entry[0]  # the older of the two leaves
        entry.high, entry.low, entry.hop, entry.generation = high, low, hop, self.generation

    def set_mac(self, uint32_t hop, uint64_t mac):
        if not 0 < hop < HOPS:
            raise ValueError("no such hop number")
        self.macs[hop] = mac

    def used(self, uint32_t hop):
        """Whether a frame went to `hop` since the last call."""
        cdef bint was = 0 < hop < HOPS and self.used_flags[hop]
        if was:
            self.used_flags[hop] = 0
        return was

    cdef uint32_t place(self, uint64_t high, uint64_t low) noexcept nogil:
        cdef uint64_t mixed = (high ^ (low * <uint64_t>0x9E3779B97F4A7C15)) * <uint64_t>0xC2B2AE3D27D4EB4F
        return <uint32_t>((mixed >> 33) & (self.sets - 1)) * WAYS

    cdef uint64_t find(self, uint64_t high, uint64_t low) noexcept nogil:
        """The MAC address for a destination, 0 if it or its hop is unknown."""
        cdef Entry *entry
        if not (self.last_hop and self.last_high == high and self.last_low == low):
            entry = self.entries + self.place(high, low)
            if entry.generation != self.generation or entry.high != high or entry.low != low:
                entry += 1
                if entry.generation != self.generation or entry.high != high or entry.low != low:
                    return 0
            self.last_high, self.last_low, self.last_hop = high, low, entry.hop
        self.used_flags[self.last_hop] = 1
        return self.macs[self.last_hop]


cdef void words(const uint8_t *address, Py_ssize_t size, uint64_t *high, uint64_t *low) noexcept nogil:
    """An address's cache key, in memory order. A v4 address has its own corner: ::a.b.c.d is never forwarded."""
    cdef uint32_t short_address
    if size == 16:
        memcpy(high, address, 8)
        memcpy(low, address + 8, 8)
    elif size == 4:
        memcpy(&short_address, address, 4)
        high[0], low[0] = 0, short_address
