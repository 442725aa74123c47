cimport cython
from libc.stdint cimport int64_t, uint32_t, uint64_t

from gateway.match cimport node
from gateway.wire cimport bits


@cython.final
cdef class Prefixes:
    cdef readonly uint32_t[::1] nodes
    cdef readonly int64_t root4, root6
    cdef readonly tuple classes
    @cython.locals(entry=uint64_t, header=uint32_t, word=uint64_t, stride=uint32_t, block=uint64_t)
    cpdef int64_t lookup(self, uint64_t high, uint64_t low) except? -1 nogil
