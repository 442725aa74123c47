cimport cython
from libc.stdint cimport int64_t

from gateway.wire cimport sides
from gateway.wire.batch cimport Batch


@cython.final
cdef class PassOn:
    cdef public list outbox
    cdef readonly int64_t live, capacity, memory
    @cython.locals(index=int64_t)
    cpdef translate(self, Batch batch, int64_t side, int64_t now)
