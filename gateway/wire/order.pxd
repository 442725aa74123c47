# What C has already; order.py is its interpreted twin.
from libc.stdint cimport uint16_t, uint32_t, uint64_t

cdef extern from "<byteswap.h>" nogil:
    uint16_t swap16 "bswap_16" (uint16_t value) noexcept
    uint32_t swap32 "bswap_32" (uint32_t value) noexcept
    uint64_t swap64 "bswap_64" (uint64_t value) noexcept
