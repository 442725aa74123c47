# What C has already; prefetch.py is its interpreted twin.
from libc.stdint cimport uint32_t, uint64_t

cdef extern from *:
    """
    #define GATEWAY_PREFETCH(view, index, type) __builtin_prefetch((const type *)(view).data + (index))
    #define GATEWAY_PREFETCH32(view, index) GATEWAY_PREFETCH(view, index, uint32_t)
    #define GATEWAY_PREFETCH64(view, index) GATEWAY_PREFETCH(view, index, uint64_t)
    """
    void prefetch32 "GATEWAY_PREFETCH32" (uint32_t[::1] view, uint64_t index) noexcept nogil
    void prefetch64 "GATEWAY_PREFETCH64" (uint64_t[::1] view, uint64_t index) noexcept nogil
