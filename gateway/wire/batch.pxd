cimport cython
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t


@cython.final
cdef class Batch:
    cdef readonly int64_t capacity
    cdef public int64_t count
    cdef readonly object slab
    cdef readonly uint8_t[::1] u8
    cdef readonly uint16_t[::1] u16
    cdef readonly uint32_t[::1] u32
    cdef readonly uint64_t[::1] u64
    cdef readonly uint32_t[::1] start
    cdef readonly uint32_t[::1] length
    cdef readonly uint8_t[::1] verdict
    cdef readonly uint8_t[::1] out
    cdef readonly uint64_t[::1] neighbour
