from libc.stdint cimport uint64_t

cpdef uint64_t siphash5(uint64_t key0, uint64_t key1, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e) noexcept nogil
