cimport cython
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t


@cython.final
cdef class Options:
    cdef readonly list pools
    cdef dict pool_numbers
    cdef object prepared
    cdef readonly uint8_t[::1] mapping, filtering, classes, rewritable, preserves
    cdef readonly uint16_t[::1] pool_of_class
    cdef readonly uint32_t[::1] lowest, highest, lifetime, tcp_lifetime, mtu, segment_limit
    cdef readonly int64_t midstream
    cdef readonly uint64_t[::1] egress
    cdef readonly int64_t egress_v4, egress_v6
    cdef readonly bint hairpinning, outside_filtered, reject_exhausted, inbound_refresh
