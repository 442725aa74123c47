cimport cython
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from gateway.nat cimport bounds
from gateway.nat.shares cimport Share
from gateway.nat.siphash cimport siphash2
from gateway.wire cimport bits, ipv4, order, vnet
from gateway.wire.batch cimport Batch
from gateway.wire.packet cimport Packet, fold


@cython.final
cdef class Identifiers:
    cdef Share share
    cdef uint64_t key0, key1, slice
    cdef readonly uint32_t[::1] counters
    cdef uint8_t[::1] u8
    cdef uint16_t[::1] u16

    cpdef bind(self, Batch batch)
    @cython.locals(high=uint64_t, pair=uint64_t, slot=uint64_t, first=uint64_t, taken=uint64_t)
    cpdef uint64_t take(self, uint64_t source_high, uint64_t source_low, uint64_t destination_high,
                        uint64_t destination_low, uint64_t number, uint64_t count) except? 4294967296 nogil
    @cython.locals(over=int64_t)
    cdef uint64_t confine(self, uint64_t slot, uint64_t taken, uint64_t count) except? 4294967296 nogil
    @cython.locals(at=uint64_t, new=uint64_t, old=uint64_t, present=uint64_t)
    cpdef uint64_t renumber(self, Packet packet, uint64_t source_low, uint64_t destination_low) except? 65536 nogil
    @cython.locals(before=uint64_t, size=int64_t, length=int64_t)
    cdef int64_t segments(self, Packet packet) except? -1 nogil
