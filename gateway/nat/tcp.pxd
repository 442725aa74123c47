cimport cython
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from gateway.nat cimport row, state
from gateway.nat cimport verdict as Verdict
from gateway.nat.table cimport FlowTable
from gateway.wire cimport bits, order, sides, tcp
from gateway.wire.batch cimport Batch
from gateway.wire.order cimport Span8, Span32
from gateway.wire.packet cimport Packet

cpdef bint after(uint64_t one, uint64_t other) noexcept nogil


@cython.final
cdef class Tracker:
    cdef Packet packet
    cdef uint8_t[::1] r8
    cdef uint32_t[::1] r32
    cdef uint8_t[::1] grid
    cdef uint32_t[::1] u32
    cdef Span8 flow8
    cdef Span32 flow32
    cdef uint64_t sequence, acknowledgement, window, following

    cpdef bind(self, Batch batch)
    @cython.locals(flags=uint64_t, event=uint64_t, present=uint64_t, following=uint64_t, reborn=bint, plain=bint)
    cpdef int64_t step(self, uint64_t base, uint64_t direction) except? -1 nogil
    cdef inline int64_t go_on(self, uint64_t direction) except? -1 nogil
    @cython.locals(passes=bint)
    cdef inline bint is_half_open(self, uint64_t present, uint64_t direction, uint64_t event) noexcept nogil
    cdef bint begins_anew(self, uint64_t direction) except? -1 nogil
    @cython.locals(at=uint64_t, words=Span32, fourth=uint64_t, length=uint64_t, scale=uint64_t)
    cdef inline int read(self, uint64_t direction) except? -1 nogil
    @cython.locals(flags=uint32_t)
    cdef int64_t restart(self, uint64_t present) except? -1 nogil
    cdef int64_t challenge(self, uint64_t direction) noexcept nogil
    @cython.locals(unanswered=bint)
    cdef bint is_sent_again(self, uint64_t present) noexcept nogil
    cdef void believe(self) noexcept nogil
    @cython.locals(own=uint64_t, other=uint64_t)
    cdef void begin(self, uint64_t direction) noexcept nogil
    cdef uint64_t reach(self, uint64_t direction) noexcept nogil
    @cython.locals(own=uint64_t, peer=uint64_t, own_window=uint64_t, known=bint, peer_window=uint64_t, lag=uint64_t,
                   reach=uint64_t, end=uint64_t, oldest=uint64_t)
    cdef inline bint fits(self, uint64_t direction) noexcept nogil
    @cython.locals(own=uint64_t, peer=uint64_t, at=uint64_t, size=uint64_t, edge=uint64_t)
    cdef inline void slide(self, uint64_t direction) noexcept nogil
    @cython.locals(at=uint64_t)
    cpdef int stretch(self, uint64_t base, uint64_t direction, uint64_t following) except? -1 nogil
    @cython.locals(flags=uint32_t, both=uint32_t)
    cdef int64_t close(self, uint64_t direction, uint64_t following) noexcept nogil
    @cython.locals(own=uint64_t, peer=uint64_t, believed=bint)
    cdef int64_t reset(self, uint64_t direction) except? -1 nogil
    @cython.locals(own=uint64_t, end=uint64_t, oldest=uint64_t)
    cdef bint is_for_peer(self, uint64_t direction) noexcept nogil
    cdef bint is_from_inside(self, uint64_t direction) noexcept nogil
    @cython.locals(kept=uint32_t)
    cdef int agree_scale(self, uint64_t direction) except? -1 nogil
    @cython.locals(at=uint64_t)
    cdef int64_t offered_scale(self) except? -1 nogil
    @cython.locals(at=uint64_t)
    cpdef int clamp(self, int64_t limit) except? -1 nogil
    @cython.locals(at=uint64_t, end=uint64_t, option=int64_t, size=int64_t)
    cdef int64_t find_option(self, int64_t wanted, int64_t length) except? -1 nogil
