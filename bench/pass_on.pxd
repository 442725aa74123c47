cimport cython
from libc.stdint cimport int64_t, uint64_t

from gateway.wire cimport sides
from gateway.wire.batch cimport Batch

@cython.locals(index=uint64_t)
cpdef int pass_on(Batch batch, int64_t side) except -1
