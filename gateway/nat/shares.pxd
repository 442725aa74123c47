cimport cython
from libc.stdint cimport int64_t, uint8_t, uint64_t

from gateway.nat cimport bounds
from gateway.wire cimport bits


@cython.final
cdef class Share:
    cdef readonly int64_t number, count
    cdef readonly uint64_t key
    cdef readonly uint8_t[::1] ported
    cpdef int64_t port_owner(self, uint64_t port) noexcept nogil
    cpdef bint owns(self, uint64_t port) noexcept nogil
    @cython.locals(size=int64_t, block=uint64_t)
    cpdef uint64_t own(self, uint64_t port) noexcept nogil
    @cython.locals(mixed=uint64_t)
    cpdef int64_t address_owner(self, uint64_t high, uint64_t low) noexcept nogil
    cpdef int64_t part(self, int64_t total) noexcept nogil
