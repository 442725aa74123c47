cimport cython
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from gateway.nat cimport bounds, record, row, state
from gateway.nat cimport verdict as Verdict
from gateway.nat.decider cimport Decider
from gateway.nat.foresight cimport Foresight
from gateway.nat.identifiers cimport Identifiers
from gateway.nat.lookahead cimport Lookahead
from gateway.nat.opener cimport Opener
from gateway.nat.options cimport Options
from gateway.nat.ports cimport Ports
from gateway.nat.records cimport Records
from gateway.nat.shares cimport Share
from gateway.nat.sources cimport Sources
from gateway.nat.table cimport FlowTable
from gateway.nat.target cimport Target
from gateway.nat.tcp cimport Tracker
from gateway.wire cimport bits, fault, icmp, kind, order, protocol, sides, tcp
from gateway.wire.batch cimport Batch
from gateway.wire.order cimport Span8, Span32, Span64
from gateway.wire.packet cimport Packet

cpdef bint is_unfinished(int64_t verdict) noexcept nogil


@cython.final
cdef class Engine:
    cdef readonly Options options
    cdef readonly Share share
    cdef readonly Batch batch, scratch
    cdef readonly Packet packet
    cdef readonly FlowTable table
    cdef readonly Lookahead lookahead
    cdef readonly Foresight foresight
    cdef readonly Ports ports
    cdef readonly Decider decider
    cdef readonly Opener opener
    cdef readonly Target target
    cdef readonly Sources sources
    cdef readonly Records records
    cdef readonly Tracker tracker
    cdef readonly Identifiers identifiers
    cdef uint8_t[::1] r8
    cdef uint16_t[::1] r16
    cdef uint32_t[::1] r32
    cdef uint64_t[::1] r64
    cdef readonly uint64_t[::1] counters
    cdef readonly uint64_t flow, direction, mtu
    cdef uint64_t key
    cdef bint opened

    cpdef int64_t end(self, int64_t base, uint64_t reason, uint64_t late) except? -1 nogil
    @cython.locals(ended=int64_t, base=int64_t, before=int64_t, late=uint64_t)
    cpdef int64_t end_expired(self, uint32_t now, int64_t budget) except? -1 nogil
    @cython.locals(present=int64_t)
    cdef int64_t reason(self, uint64_t base) except? -1 nogil
    cpdef bind(self, Batch batch)
    @cython.locals(index=uint64_t, slow=int64_t, verdict=int64_t, ahead=bint, accepted=uint64_t, count=uint64_t,
                   starts=Span32, lengths=Span32, verdicts=Span8, out=Span8)
    cpdef int64_t run(self, uint64_t side, uint32_t now) except? -1 nogil
    cdef bint note(self, uint64_t index, int64_t verdict) except? -1 nogil
    @cython.locals(wrong=int64_t)
    cdef inline int64_t step(self, uint64_t index, uint64_t start, uint64_t length, uint64_t side, uint32_t now) except? -1 nogil
    cpdef int64_t pass_on(self, uint64_t index, uint64_t side, uint32_t now, bint oversize) except? -1 nogil
    @cython.locals(label=uint64_t, reference=int64_t)
    cdef inline int64_t travel(self, uint64_t index, uint64_t side, uint32_t now, bint oversize) except? -1 nogil
    @cython.locals(base=uint64_t, other=uint64_t, label=uint64_t, original=uint64_t, leaves=uint64_t, verdict=int64_t, flow=Span64,
                   address_delta=uint64_t, transport_delta=uint64_t, ports=uint64_t, octets=uint64_t)
    cdef inline int64_t forward(self, uint64_t index, uint64_t side, uint64_t direction, uint32_t now,
                         bint oversize) except? -1 nogil
    @cython.locals(port=uint64_t, first=int64_t)
    cpdef int64_t addressee(self, int64_t index) except? -2 nogil
    @cython.locals(is_tcp=bint, end=uint64_t)
    cdef bint leads_nowhere(self, uint64_t base, uint64_t direction, uint32_t now) except? -1 nogil
    cdef int64_t knock(self, uint64_t base, uint64_t direction, uint32_t now) except? -1 nogil
    @cython.locals(change=uint64_t)
    cdef int renumber(self, uint64_t base, uint64_t other) except? -1 nogil
    @cython.locals(at=uint64_t, number=uint64_t, verdict=int64_t, lifetime=uint64_t, queried=bint)
    cdef inline int64_t refresh(self, uint64_t base, uint64_t side, uint64_t direction,
                                uint32_t now) except? -1 nogil
