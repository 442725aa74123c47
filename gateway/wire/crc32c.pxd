cimport cython
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t

from gateway.wire cimport bits, sctp, vnet
from gateway.wire.batch cimport Batch


@cython.final
cdef class Crc32c:
    cdef uint32_t[::1] table
    cdef uint8_t[::1] u8
    cdef uint16_t[::1] u16
    cdef uint32_t[::1] u32

    cpdef bind(self, Batch batch)
    @cython.locals(before=int64_t)
    cpdef int finish(self, int64_t at, int64_t transport, int64_t end) except? -1 nogil
    @cython.locals(index=int64_t, rest=uint32_t)
    cdef int write(self, int64_t transport, int64_t end) except? -1 nogil
