cimport cython
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from gateway.nat cimport account, record, row
from gateway.nat.siphash cimport siphash2
from gateway.nat.table cimport FlowTable
from gateway.wire cimport bits, sides


@cython.final
cdef class Sources:
    cdef readonly FlowTable table
    cdef uint8_t[::1] t8
    cdef uint32_t[::1] t32
    cdef uint64_t[::1] t64
    cdef readonly uint32_t[::1] r32, buckets, hosts
    cdef readonly uint64_t[::1] r64
    cdef uint64_t key0, key1
    cdef readonly list egress
    cdef public bint rehearsing
    cdef readonly int64_t capacity, known, account, first6
    cdef int64_t oldest, newest
    cdef readonly uint64_t flow_limit, port_limit, rate

    cpdef int64_t admit(self, uint64_t high, uint64_t low, int64_t guess, uint64_t now) except? -1 nogil
    @cython.locals(at=int64_t, paid=uint64_t)
    cdef bint take(self, uint64_t now) except? -1 nogil
    cpdef bint may_take_port(self) except? -1 nogil
    @cython.locals(at=int64_t, chosen=int64_t)
    cpdef int64_t paired(self, int64_t first, int64_t count) except? -1 nogil
    cpdef bint holds_nothing(self) except? -1 nogil
    @cython.locals(at=int64_t, chosen=int64_t)
    cpdef int64_t move(self, int64_t first, int64_t count) except? -1 nogil
    @cython.locals(at=int64_t, start=uint64_t, best=int64_t, number=int64_t, step=int64_t)
    cdef int64_t fewest(self, int64_t first, int64_t count) except? -1 nogil
    @cython.locals(at=int64_t, silent=int64_t, untold=int64_t)
    cpdef int64_t announce(self, uint64_t now) except? -1 nogil

    @cython.locals(inside=bint, port=bint, word=int64_t, at=int64_t)
    cpdef int64_t count(self, int64_t member) except? -1 nogil
    cdef inline bint is_idle(self, int64_t number) except? -1 nogil
    @cython.locals(inside=bint, port=bint, word=int64_t, at=int64_t, found=int64_t)
    cpdef int64_t release(self, int64_t member) except? -1 nogil
    cdef inline bint from_inside(self, int64_t member) except? -1 nogil
    cdef inline int64_t internal(self, int64_t member) except? -1 nogil
    @cython.locals(at=int64_t)
    cdef inline bint holds_port(self, int64_t member) except? -1 nogil

    @cython.locals(found=int64_t)
    cpdef inline int64_t find(self, uint64_t high, uint64_t low) except? -1 nogil
    @cython.locals(at=int64_t)
    cdef inline bint is_held_by(self, int64_t number, uint64_t high, uint64_t low) except? -1 nogil
    @cython.locals(found=int64_t, word=int64_t)
    cdef inline int64_t enter(self, uint64_t high, uint64_t low, int64_t guess) except? -1 nogil
    @cython.locals(opened=int64_t, bucket=int64_t)
    cdef int64_t open(self, uint64_t high, uint64_t low) except? -1 nogil
    @cython.locals(at=int64_t, word=int64_t)
    cdef inline int64_t begin(self, int64_t number, uint64_t high, uint64_t low) except? -1 nogil
    @cython.locals(at=int64_t, bucket=int64_t, before=int64_t)
    cdef int64_t evict(self, int64_t number) except? -1 nogil
    cdef inline int64_t bucket(self, uint64_t high, uint64_t low) noexcept nogil
    @cython.locals(at=int64_t)
    cdef int64_t join_idle(self, int64_t number) except? -1 nogil
    @cython.locals(older=int64_t, newer=int64_t)
    cdef int64_t leave_idle(self, int64_t number) except? -1 nogil
