cimport cython
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from gateway.nat cimport bounds, prefetch, record, row, state
from gateway.nat cimport verdict as Verdict
from gateway.nat.decider cimport Decider
from gateway.nat.foresight cimport Foresight
from gateway.nat.options cimport Options
from gateway.nat.ports cimport Ports
from gateway.nat.records cimport Records
from gateway.nat.sources cimport Sources
from gateway.nat.table cimport FlowTable
from gateway.nat.target cimport Target
from gateway.wire cimport bits, order, protocol, sides
from gateway.wire.order cimport Span64
from gateway.wire.packet cimport Packet

cpdef uint64_t words32(uint64_t high, uint64_t low) noexcept nogil
@cython.locals(total=uint64_t)
cpdef uint64_t difference(uint64_t new, uint64_t old) noexcept nogil


@cython.final
cdef class Opener:
    cdef FlowTable table
    cdef Ports ports
    cdef Packet packet
    cdef Decider decider
    cdef Options options
    cdef uint8_t[::1] r8
    cdef uint16_t[::1] r16
    cdef uint32_t[::1] r32
    cdef uint64_t[::1] r64
    cdef Sources sources
    cdef Records records
    cdef int64_t egress
    cdef uint64_t reply, own, mapping
    cdef public uint64_t opening
    cdef uint32_t[::1] index
    cdef Target target
    cdef Foresight foresight
    cdef public int64_t frame
    cdef readonly int64_t verdict, row
    cdef bint knocking

    @cython.locals(limit=int64_t, holder=int64_t)
    cpdef int64_t open(self, int64_t side, uint64_t key, uint32_t now, bint oversize) except? -1 nogil
    @cython.locals(verdict=int64_t, fits=bint)
    cdef inline int64_t judge(self, int64_t side, uint32_t now, bint oversize) except? -1 nogil
    @cython.locals(untold=int64_t)
    cdef int64_t refuse_source(self, int64_t limit) except? -1 nogil
    cdef bint has_room_for_guests(self) except? -1 nogil
    cdef int64_t refuse_row(self, int64_t side) except? -1 nogil
    @cython.locals(flow=Span64, port=uint64_t, number=uint64_t)
    cdef inline int fill(self, int64_t side) except? -1 nogil
    @cython.locals(scope=int64_t)
    cdef inline int64_t choose_external(self, uint32_t now) except? -1 nogil
    cdef inline int join(self, int64_t scope) except? -1 nogil
    @cython.locals(at=int64_t, label=uint64_t, head=int64_t, first=int64_t, external=int64_t)
    cdef inline bint reuse_mapping(self, int64_t scope, uint32_t now) except? -1 nogil
    @cython.locals(at=int64_t)
    cdef bint is_answered(self, uint32_t now) except? -1 nogil
    cdef inline int look_ahead(self) except? -1 nogil
    cdef inline uint64_t source_label(self) noexcept nogil
    @cython.locals(remote=int64_t)
    cdef inline int64_t find_own(self, int64_t scope) except? -1 nogil
    @cython.locals(first=int64_t, count=int64_t)
    cdef inline bint choose_address(self) except? -1 nogil
    cdef inline int64_t first_address(self) noexcept nogil
    cdef inline int64_t addresses(self) noexcept nogil
    @cython.locals(at=int64_t)
    cdef inline int use_address(self, int64_t index) except? -1 nogil
    @cython.locals(found=int64_t, at=int64_t)
    cdef inline int64_t choose_port(self, uint32_t now) except? -1 nogil
    @cython.locals(found=int64_t, left=int64_t)
    cdef int64_t find_elsewhere(self, uint32_t now) except? -1 nogil
    @cython.locals(wanted=uint64_t, preserve=bint)
    cdef int64_t find_port(self, uint32_t now) except? -1 nogil
    @cython.locals(at=int64_t)
    cdef inline int take_port(self, uint64_t port) except? -1 nogil
    cdef inline bint link(self, uint64_t key, uint32_t now) except? -1 nogil
    @cython.locals(number=int64_t)
    cdef inline uint64_t first_end(self, uint32_t now) except? 1 nogil
    @cython.locals(flow=Span64, old=uint64_t, new=uint64_t, ports_old=uint64_t, ports_new=uint64_t, number=int64_t)
    cdef inline int write_deltas(self) except? -1 nogil
