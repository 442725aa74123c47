cimport cython
from libc.stdint cimport int64_t, uint32_t, uint64_t


@cython.final
cdef class Prefixes:
    cdef readonly uint32_t[::1] nodes
    cdef readonly int64_t root4, root6
    cdef readonly tuple classes
    cpdef int64_t lookup(self, uint64_t high, uint64_t low) except? -1 nogil
