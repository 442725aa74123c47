cimport cython
from libc.stdint cimport int64_t, uint32_t, uint64_t

from gateway.match cimport decision
from gateway.match.prefixes cimport Prefixes


@cython.final
cdef class Ruleset:
    cdef readonly tuple sets, class_pools
    cdef readonly object settings
    cdef readonly Prefixes prefixes
    cdef readonly uint32_t[::1] class_flags
    cpdef int64_t flags(self, uint64_t high, uint64_t low) except? -1 nogil
    @cython.locals(excluded=int64_t)
    cpdef bint translated(self, int64_t source_flags, int64_t destination_flags) noexcept nogil
