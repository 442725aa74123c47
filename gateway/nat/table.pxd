cimport cython
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t


@cython.final
cdef class FlowTable:
    cdef readonly int64_t capacity, live
    cdef readonly uint8_t[::1] r8
    cdef readonly uint16_t[::1] r16
    cdef readonly uint32_t[::1] r32
    cdef readonly uint64_t[::1] r64
    cpdef int64_t find(self, uint64_t source_high, uint64_t source_low, uint64_t destination_high,
                       uint64_t destination_low, uint64_t label, uint32_t now) except? -1 nogil
    cpdef int64_t find_internal(self, uint64_t high, uint64_t low, uint64_t scope_high, uint64_t scope_low,
                                uint64_t label) except? -1 nogil
    cpdef int64_t find_external(self, uint64_t high, uint64_t low, uint64_t scope_high, uint64_t scope_low,
                                uint64_t label) except? -1 nogil
    cpdef int64_t reserve(self) except? -1 nogil
    cpdef bint link(self, int64_t row) except? -1 nogil
    cpdef int64_t close(self, int64_t row) except? -1 nogil
    cpdef bint expired(self, int64_t row, uint32_t now) except? -1 nogil
    cpdef int64_t next_expired(self, uint32_t now, int64_t budget) except? -1 nogil
