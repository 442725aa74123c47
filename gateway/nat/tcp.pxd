cimport cython
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from gateway.nat cimport row, state
from gateway.nat cimport verdict as Verdict
from gateway.nat.table cimport FlowTable
from gateway.wire cimport bits, sides, tcp
from gateway.wire.packet cimport Packet

cpdef bint after(uint64_t one, uint64_t other) noexcept nogil


@cython.final
cdef class Tracker:
    cdef Packet packet
    cdef uint8_t[::1] r8
    cdef uint32_t[::1] r32
    cdef uint8_t[::1] grid
    cdef uint64_t sequence, acknowledgement, window, following

    @cython.locals(flags=int64_t, event=int64_t, present=int64_t, following=int64_t, reborn=bint)
    cpdef int64_t step(self, int64_t base, int64_t direction) except? -1 nogil
    @cython.locals(at=int64_t, passes=bint)
    cdef bint is_half_open(self, int64_t base, int64_t present, int64_t direction, int64_t event) except? -1 nogil
    @cython.locals(at=int64_t)
    cdef bint begins_anew(self, int64_t base, int64_t direction) except? -1 nogil
    @cython.locals(at=int64_t, length=int64_t, scale=uint32_t)
    cdef int read(self, int64_t base, int64_t direction) except? -1 nogil
    @cython.locals(flags=uint32_t)
    cdef int64_t restart(self, int64_t base, int64_t present) except? -1 nogil
    cdef int believe(self, int64_t base) except? -1 nogil
    @cython.locals(own=int64_t, other=uint64_t)
    cdef int begin(self, int64_t base, int64_t direction) except? -1 nogil
    cdef uint64_t reach(self, int64_t base, int64_t direction) except? 256 nogil
    @cython.locals(own=int64_t, peer=int64_t, windows=int64_t, own_window=uint64_t, known=bint,
                   peer_window=uint64_t, lag=uint64_t, end=uint64_t, oldest=uint64_t)
    cdef bint fits(self, int64_t base, int64_t direction) except? -1 nogil
    @cython.locals(own=int64_t, peer=int64_t, at=int64_t, sent=int64_t, size=uint64_t, edge=uint64_t)
    cdef int slide(self, int64_t base, int64_t direction) except? -1 nogil
    @cython.locals(at=int64_t)
    cpdef int stretch(self, int64_t base, int64_t direction, uint64_t following) except? -1 nogil
    @cython.locals(at=int64_t, flags=uint32_t, both=uint32_t)
    cdef int64_t close(self, int64_t base, int64_t direction, int64_t following) except? -1 nogil
    @cython.locals(windows=int64_t, own=int64_t, peer=int64_t, at=int64_t, believed=bint)
    cdef int64_t reset(self, int64_t base, int64_t direction) except? -1 nogil
    @cython.locals(own=int64_t, end=uint64_t, oldest=uint64_t, inside=bint)
    cdef bint is_for_peer(self, int64_t base, int64_t direction) except? -1 nogil
    @cython.locals(at=int64_t, kept=uint32_t)
    cdef int agree_scale(self, int64_t base, int64_t direction) except? -1 nogil
    @cython.locals(at=int64_t)
    cdef int64_t offered_scale(self) except? -1 nogil
    @cython.locals(at=int64_t)
    cpdef int clamp(self, int64_t limit) except? -1 nogil
    @cython.locals(at=int64_t, end=int64_t, option=int64_t, size=int64_t)
    cdef int64_t find_option(self, int64_t wanted, int64_t length) except? -1 nogil
