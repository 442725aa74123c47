cimport cython
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from gateway.nat cimport prefetch, row
from gateway.nat.table cimport FlowTable
from gateway.wire cimport bits, ipv4, ipv6, order, protocol, udp
from gateway.wire.batch cimport Batch
from gateway.wire.order cimport Span32


@cython.final
cdef class Lookahead:
    cdef readonly FlowTable table
    cdef readonly Batch batch
    cdef uint8_t[::1] u8
    cdef uint32_t[::1] u32, index
    cdef uint64_t[::1] u64, r64
    cdef readonly uint64_t[::1] keys
    cdef readonly uint32_t[::1] strangers
    cdef readonly int64_t missing

    cpdef bind(self, Batch batch)
    @cython.locals(frame=uint64_t, key=uint64_t, at=uint64_t)
    cpdef int run(self, uint64_t side) except? -1 nogil
    cdef inline uint64_t key(self, uint64_t at, uint64_t length, uint64_t label) except? 1 nogil
    @cython.locals(number=uint64_t, words=Span32)
    cdef inline uint64_t key4(self, uint64_t at, uint64_t label) except? 1 nogil
    @cython.locals(number=uint64_t, word=uint64_t)
    cdef inline uint64_t key6(self, uint64_t at, uint64_t label) except? 1 nogil
