cimport cython
from libc.stdint cimport int64_t, uint64_t

from gateway.match.prefixes cimport Prefixes

@cython.locals(index=int64_t, total=int64_t)
cpdef int64_t look_up(Prefixes prefixes, uint64_t[::1] lows) except? -1
