from libc.stdint cimport uint64_t

from gateway.wire cimport bits

cimport cython

ctypedef (uint64_t, uint64_t, uint64_t, uint64_t) Lanes

@cython.locals(state=Lanes)
cpdef uint64_t siphash39(uint64_t key0, uint64_t key1, uint64_t a, uint64_t b, uint64_t c, uint64_t d,
                         uint64_t label) noexcept nogil
cpdef uint64_t hash_pair(uint64_t key0, uint64_t key1, uint64_t first_high, uint64_t first_low, uint64_t second_high,
                         uint64_t second_low, uint64_t label) noexcept nogil
cpdef uint64_t siphash15(uint64_t key0, uint64_t key1, uint64_t a, uint64_t label) noexcept nogil
@cython.locals(state=Lanes)
cpdef uint64_t siphash2(uint64_t key0, uint64_t key1, uint64_t a, uint64_t b) noexcept nogil
cdef inline Lanes begin(uint64_t key0, uint64_t key1) noexcept nogil
@cython.locals(v0=uint64_t, v1=uint64_t, v2=uint64_t, v3=uint64_t)
cdef inline Lanes absorb(Lanes state, uint64_t word) noexcept nogil
cdef inline uint64_t finish(Lanes state) noexcept nogil
cdef inline Lanes turn(uint64_t v0, uint64_t v1, uint64_t v2, uint64_t v3) noexcept nogil
