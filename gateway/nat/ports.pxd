cimport cython
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from gateway.nat cimport bounds, prefetch, row
from gateway.nat.shares cimport Share
from gateway.nat.siphash cimport siphash2
from gateway.nat.table cimport FlowTable
from gateway.wire cimport bits, protocol, sides


@cython.final
cdef class Ports:
    cdef readonly FlowTable table
    cdef readonly Share share
    cdef readonly uint8_t[::1] excluded
    cdef uint8_t[::1] r8
    cdef uint32_t[::1] r32, index
    cdef uint64_t[::1] r64
    cdef uint64_t key0, key1
    cdef readonly uint64_t reply, external
    cdef uint64_t foreseen, foreseen_external
    cdef public uint64_t counter  # of random choices
    cpdef void foresee(self, uint64_t reply, uint64_t external) noexcept nogil
    @cython.locals(crowd=int64_t, port=uint64_t, middle=uint64_t, found=int64_t, _=int64_t)
    cpdef int64_t allocate(self, int64_t member, uint64_t wanted, uint64_t lowest, uint64_t highest, bint preserve,
                           uint32_t now) except? -1 nogil
    @cython.locals(port=uint64_t, own=uint64_t)
    cdef uint64_t candidate(self, uint64_t lowest, uint64_t highest) noexcept nogil
    @cython.locals(mapped=bint, found=int64_t, state=int64_t)
    cdef int64_t search(self, int64_t member, uint64_t port, uint64_t highest, int64_t crowd, uint32_t now) except? -1 nogil
    cdef int64_t crowd(self, int64_t member) except? -1 nogil
    @cython.locals(first=int64_t)
    cdef uint64_t crowd_key(self, int64_t member) except? 1 nogil
    cpdef uint64_t random(self, uint64_t span) noexcept nogil
    @cython.locals(first=int64_t, label=uint64_t)
    cpdef inline int64_t taken(self, int64_t member, uint64_t port, uint32_t now) except? -1 nogil
    @cython.locals(label=uint64_t, number=uint64_t)
    cdef inline uint64_t label_with(self, int64_t member, uint64_t port) except? 1 nogil
    @cython.locals(number=uint64_t)
    cdef inline bint is_excluded(self, uint64_t label, uint64_t port) except? -1 nogil
    cdef bint is_anothers(self, uint64_t label, uint64_t port) except? -1 nogil
    cdef inline bint is_mapped(self, int64_t member) except? -1 nogil
    @cython.locals(first=int64_t, scope=uint32_t, high=uint64_t, low=uint64_t, remote_high=uint64_t,
                   remote_low=uint64_t, head=int64_t)
    cdef inline bint is_mapped_to(self, int64_t member, uint64_t label, uint32_t now) except? -1 nogil
    @cython.locals(following=int64_t, _=int64_t)
    cdef bint is_long(self, int64_t member) except? -1 nogil
