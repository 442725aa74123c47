cimport cython
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from gateway.nat.table cimport FlowTable


@cython.final
cdef class Ports:
    cdef FlowTable table
    cpdef int64_t allocate(self, int64_t row, uint64_t wanted, uint64_t lowest, uint64_t highest, bint preserve,
                           uint32_t now) except? -1 nogil
