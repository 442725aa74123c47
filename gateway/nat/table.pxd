cimport cython
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from gateway.nat cimport bounds, prefetch, row
from gateway.nat.crowd cimport Crowds
from gateway.nat.siphash cimport hash_pair
from gateway.wire cimport bits, order, sides
from gateway.wire.order cimport Span64


@cython.final
cdef class FlowTable:
    cdef readonly int64_t capacity, live, high_water
    cdef public int64_t guests
    cdef readonly Crowds crowds
    cdef readonly tuple ahead
    cdef readonly uint8_t[::1] r8
    cdef readonly uint16_t[::1] r16
    cdef readonly uint32_t[::1] r32
    cdef readonly uint64_t[::1] r64
    cdef readonly uint32_t[::1] index
    cdef uint64_t key0, key1, slots, tag_mask
    cdef readonly uint64_t sought
    cdef int64_t free, cursor
    cdef uint32_t row_bits, row_mask, kind_mask, step

    cpdef int64_t find(self, uint64_t source_high, uint64_t source_low, uint64_t destination_high,
                       uint64_t destination_low, uint64_t label, uint32_t now) except? -1 nogil
    @cython.locals(slot=uint64_t, wanted=uint64_t, distance=uint64_t, entry=uint64_t, found=uint64_t)
    cpdef int64_t find_keyed(self, uint64_t key, uint64_t source_high, uint64_t source_low, uint64_t destination_high,
                             uint64_t destination_low, uint64_t label, uint32_t now) except? -1 nogil
    @cython.locals(slot=uint64_t, wanted=uint64_t, distance=uint64_t, entry=uint64_t)
    cpdef int64_t candidate(self, uint64_t key) except? -1 nogil
    @cython.locals(direction=uint64_t, flow=Span64, word=uint64_t)
    cdef inline bint has_tuple(self, uint64_t found, uint64_t source_high, uint64_t source_low, uint64_t destination_high,
                        uint64_t destination_low, uint64_t label, uint32_t now) except? -1 nogil
    @cython.locals(slot=int64_t, wanted=uint64_t, distance=int64_t, entry=uint32_t, head=int64_t)
    cpdef int64_t find_mapping_keyed(self, uint64_t key, int64_t kind, uint64_t high, uint64_t low, uint64_t scope_high,
                                     uint64_t scope_low, uint64_t label) except? -1 nogil
    cpdef int64_t find_mapping(self, int64_t kind, uint64_t high, uint64_t low, uint64_t scope_high, uint64_t scope_low,
                              uint64_t label) except? -1 nogil
    @cython.locals(word=int64_t, remote=int64_t)
    cdef bint has_endpoint(self, int64_t member, int64_t kind, uint64_t high, uint64_t low, uint64_t scope_high,
                           uint64_t scope_low, uint64_t label) except? -1 nogil

    cdef inline int64_t endpoint(self, int64_t member, int64_t kind) except? -1 nogil
    @cython.locals(original=bint, label=uint64_t, port=uint64_t)
    cdef uint64_t endpoint_label(self, int64_t member, int64_t kind) except? 1 nogil
    cdef inline int64_t remote(self, int64_t member) except? -1 nogil
    cdef inline bint from_inside(self, int64_t member) except? -1 nogil

    @cython.locals(taken=int64_t, following=int64_t, word=int64_t)
    cpdef int64_t reserve(self) except? -1 nogil
    @cython.locals(alone=bint)
    cpdef bint link(self, int64_t member, uint64_t original=*, uint64_t reply=*, uint64_t internal=*,
                    uint64_t external=*) except? -1 nogil
    cpdef int64_t close(self, int64_t member) except? -1 nogil
    cpdef bint expired(self, uint64_t member, uint32_t now) except? -1 nogil
    @cython.locals(_=int64_t)
    cpdef int64_t next_expired(self, uint32_t now, int64_t budget) except? -1 nogil

    @cython.locals(key=uint64_t, head=int64_t, after=int64_t)
    cdef bint join(self, int64_t member) except? -1 nogil
    @cython.locals(word=int64_t, label=uint64_t, scope=uint32_t, remote=int64_t, head=int64_t, ours=int64_t,
                   theirs=int64_t, same=bint)
    cdef int64_t mapping_of(self, int64_t member, uint64_t key) except? -1 nogil
    cdef inline bint begin(self, int64_t member, uint64_t internal, uint64_t external) except? -1 nogil
    cdef inline int64_t tie(self, int64_t before, int64_t after) except? -1 nogil
    @cython.locals(after=int64_t)
    cdef int64_t part(self, int64_t member) except? -1 nogil
    @cython.locals(kind=int64_t, slot=int64_t)
    cdef int64_t crown(self, int64_t head, int64_t heir) except? -1 nogil
    @cython.locals(heir=int64_t, _=int64_t)
    cpdef int64_t promote(self, int64_t head, uint32_t now) except? -1 nogil

    cpdef uint64_t key(self, uint64_t first_high, uint64_t first_low, uint64_t second_high, uint64_t second_low,
                       uint64_t label) noexcept nogil
    cpdef uint64_t mapping_key(self, int64_t kind, uint64_t high, uint64_t low, uint64_t scope_high,
                               uint64_t scope_low, uint64_t label) noexcept nogil
    @cython.locals(word=int64_t, remote=int64_t, scope=uint32_t)
    cpdef uint64_t row_key(self, int64_t member, int64_t kind) except? 1 nogil
    cpdef uint64_t home(self, uint64_t key) noexcept nogil
    cdef inline uint64_t displacement(self, uint64_t entry) noexcept nogil
    @cython.locals(slot=int64_t, distance=int64_t, end=int64_t, tag=uint64_t)
    cdef inline bint insert(self, int64_t member, int64_t kind, uint64_t key) except? -1 nogil
    @cython.locals(slot=int64_t)
    cdef int64_t remove(self, int64_t member, int64_t kind) except? -1 nogil
    @cython.locals(slot=int64_t, wanted=uint32_t, distance=int64_t)
    cdef int64_t seek(self, int64_t member, int64_t kind) except? -1 nogil
