# What a thread without the GIL needs of a descriptor: to fill a batch, to send from it, to look for more.

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

cdef enum:
    ERRORS = 256


cdef class Frames:
    cdef readonly object batch
    cdef uint8_t[::1] u8_view
    cdef uint32_t[::1] start_view, length_view
    cdef uint8_t[::1] out_view
    cdef uint64_t[::1] neighbour_view
    cdef uint8_t *slab
    cdef uint32_t *start
    cdef uint32_t *length
    cdef uint8_t *out
    cdef uint64_t *neighbour
    cdef int capacity


cdef class Calls:
    cdef readonly int fd
    cdef readonly int64_t received, sent, truncated, unresolved
    cdef readonly bint shows  # whether `anything` tells, without a system call
    cdef readonly bint more  # whether the last read ended before there was nothing left
    cdef int64_t failed[ERRORS]
    cdef Frames frames, before

    cpdef Frames prepare(self, batch)
    cdef Frames bind(self, batch)
    cdef int pull(self, Frames frames) noexcept nogil
    cdef int push(self, Frames frames, int count, int side) noexcept nogil
    cdef bint anything(self) noexcept nogil
    cdef bint watch(self, int64_t nanoseconds) noexcept nogil
    cdef void fail(self, int number) noexcept nogil
