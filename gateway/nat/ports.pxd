cimport cython
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from gateway.nat cimport bounds, row
from gateway.nat.siphash cimport siphash2, siphash5
from gateway.nat.table cimport FlowTable
from gateway.wire cimport bits, protocol


@cython.final
cdef class Ports:
    cdef readonly FlowTable table
    cdef readonly uint8_t[::1] excluded
    cdef readonly uint64_t[::1] exhausted
    cdef uint64_t key0, key1, counter
    @cython.locals(key=uint64_t, port=uint64_t, _=int64_t)
    cpdef int64_t allocate(self, int64_t member, uint64_t wanted, uint64_t lowest, uint64_t highest, bint preserve,
                           uint32_t now) except? -1 nogil
    @cython.locals(span=uint64_t, start=uint64_t, certain=bint, step=uint64_t, port=uint64_t, state=int64_t, slot=int64_t)
    cdef int64_t search(self, int64_t member, uint64_t lowest, uint64_t highest, uint64_t key, uint32_t now) except? -1 nogil
    cpdef uint64_t random(self, uint64_t span) noexcept nogil
    @cython.locals(first=int64_t, label=uint64_t)
    cpdef int64_t taken(self, int64_t member, uint64_t port, uint32_t now) except? -1 nogil
    @cython.locals(label=uint64_t, number=uint64_t)
    cdef uint64_t label_with(self, int64_t member, uint64_t port) except? 1 nogil
    @cython.locals(number=uint64_t)
    cdef bint is_excluded(self, uint64_t label, uint64_t port) except? -1 nogil
    cdef bint is_mapped(self, int64_t member) except? -1 nogil
    @cython.locals(first=int64_t, scope=uint32_t, head=int64_t)
    cdef bint is_mapped_to(self, int64_t member, uint64_t label, uint32_t now) except? -1 nogil
    @cython.locals(first=int64_t, label=uint64_t, mapped=bint, scope=uint32_t, remote=bint, key=uint64_t)
    cdef uint64_t exhaustion_key(self, int64_t member, uint64_t lowest, uint64_t highest) except? 1 nogil
    @cython.locals(slot=int64_t)
    cdef bint is_exhausted(self, uint64_t key) except? -1 nogil
