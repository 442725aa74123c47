cimport cython
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from gateway.nat cimport account, bounds, prefetch, row
from gateway.nat.lookahead cimport Lookahead
from gateway.nat.options cimport Options
from gateway.nat.sources cimport Sources
from gateway.nat.table cimport FlowTable
from gateway.wire cimport bits, ipv4, ipv6, order, sides, udp
from gateway.wire.batch cimport Batch
from gateway.wire.order cimport Span32


@cython.final
cdef class Foresight:
    cdef Lookahead lookahead
    cdef FlowTable table
    cdef Options options
    cdef Sources sources
    cdef Batch batch
    cdef uint8_t[::1] u8
    cdef uint32_t[::1] u32, index
    cdef uint64_t[::1] u64
    cdef int64_t size, number, guessed
    cdef uint64_t source_high, source_low, destination_high, destination_low, ports
    cdef readonly uint64_t[::1] own, reply, external
    cdef readonly uint32_t[::1] egress, holder
    cdef uint32_t[::1] frames

    cpdef bind(self, Batch batch)
    @cython.locals(place=int64_t, frame=int64_t)
    cpdef int run(self, int64_t side) except? -1 nogil
    @cython.locals(word=int64_t, words=Span32)
    cdef inline int read(self, int64_t at) except? -1 nogil
    @cython.locals(label=uint64_t, mapped=bint, holder=int64_t, egress=int64_t, leaves=uint64_t,
                   high=uint64_t, low=uint64_t)
    cdef inline int guess(self, int64_t frame) except? -1 nogil
