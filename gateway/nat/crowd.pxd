cimport cython
from libc.stdint cimport int64_t, uint8_t, uint64_t

from gateway.nat cimport bounds, row
from gateway.nat.shares cimport Share
from gateway.nat.siphash cimport siphash39
from gateway.wire cimport bits, protocol, sides


@cython.final
cdef class Crowds:
    cdef readonly int64_t count
    cdef readonly uint64_t[::1] keys
    cdef readonly uint64_t[::1] taken
    cdef const uint8_t[::1] r8
    cdef const uint64_t[::1] r64
    cdef uint64_t key0, key1
    cdef int64_t oldest
    @cython.locals(direction=int64_t, port=uint64_t, label=uint64_t)
    cpdef int64_t give_up(self, int64_t member, int64_t external, int64_t remote) except? -1 nogil
    @cython.locals(word=int64_t, label=uint64_t, number=uint64_t, fixed=int64_t)
    cpdef uint64_t tuple_key(self, int64_t member, int64_t direction) except? 1 nogil
    @cython.locals(scoped=bint, number=uint64_t)
    cpdef uint64_t mapping_key(self, int64_t member, int64_t external, int64_t remote) except? 1 nogil
    @cython.locals(place=int64_t)
    cpdef int64_t find(self, uint64_t key) except? -1 nogil
    @cython.locals(place=int64_t, word=int64_t)
    cpdef int64_t add(self, uint64_t key) except? -1 nogil
    @cython.locals(first=int64_t, number=int64_t, port=uint64_t)
    cpdef int64_t confine(self, int64_t crowd, Share share) except? -1 nogil
    cpdef void forget(self) noexcept nogil
    @cython.locals(word=int64_t)
    cpdef int64_t mark(self, int64_t crowd, uint64_t port) except? -1 nogil
    @cython.locals(crowd=int64_t, word=int64_t)
    cpdef int64_t clear(self, uint64_t key, uint64_t port) except? -1 nogil
    @cython.locals(first=int64_t)
    cpdef int64_t next(self, int64_t crowd, uint64_t port, uint64_t highest) except? -1 nogil
    @cython.locals(block=uint64_t)
    cdef inline uint64_t block(self, uint64_t port) noexcept nogil
    @cython.locals(one=uint64_t)
    cdef inline uint64_t bit(self, uint64_t port) noexcept nogil
