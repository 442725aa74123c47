cimport cython
from libc.stdint cimport int64_t, uint32_t, uint64_t

from gateway.match cimport decision
from gateway.match.ruleset cimport Ruleset
from gateway.nat cimport bounds
from gateway.nat cimport verdict as Verdict
from gateway.nat.options cimport Options
from gateway.nat.shares cimport Share
from gateway.wire cimport bits, icmp, protocol, sides, tcp
from gateway.wire.packet cimport Packet


@cython.final
cdef class Decider:
    cdef Packet packet
    cdef Options options
    cdef Share share
    cdef public int64_t owner
    cdef public bint handed
    cdef readonly Ruleset ruleset
    cdef readonly int64_t source_flags, destination_flags, leaves, pool
    cdef readonly bint translated, through_mapping

    @cython.locals(source=int64_t, destination=int64_t, verdict=int64_t)
    cpdef int64_t decide(self, int64_t side) except? -1 nogil
    @cython.locals(port=int64_t)
    cdef bint is_anothers(self, int64_t side) except? -1 nogil
    @cython.locals(to_egress=bint, by_destination=bint)
    cpdef int64_t owner_of(self, int64_t side, int64_t number, uint64_t source_high, uint64_t source_low,
                           uint64_t destination_high, uint64_t destination_low, int64_t source, int64_t destination,
                           int64_t port) except? -1 nogil
    cdef inline bint is_bare(self, int64_t flags) noexcept nogil
    @cython.locals(source=int64_t, destination=int64_t)
    cdef inline int64_t judge_scope(self, int64_t side) except? -1 nogil
    @cython.locals(source=int64_t, destination=int64_t)
    cdef inline int64_t judge_inside(self) except? -1 nogil
    @cython.locals(own=int64_t, queried=bint)
    cdef int64_t judge_hairpin(self, int64_t destination) except? -1 nogil
    @cython.locals(source=int64_t, destination=int64_t)
    cdef int64_t judge_outside(self) except? -1 nogil
    cpdef int64_t unsolicited(self) except? -1 nogil
    @cython.locals(flags=uint32_t)
    cpdef bint is_syn(self) noexcept nogil
    cdef int64_t judge_own(self, int64_t flags) except? -1 nogil
    @cython.locals(number=int64_t)
    cdef bint is_echo_request(self) except? -1 nogil
    @cython.locals(number=int64_t, verdict=int64_t)
    cdef inline int64_t judge_first_packet(self) except? -1 nogil
    @cython.locals(known=bint)
    cdef int64_t judge_midstream(self) except? -1 nogil
    @cython.locals(number=int64_t)
    cpdef int64_t lowest_port(self, int64_t port) except? -1 nogil
    @cython.locals(number=int64_t)
    cpdef int64_t highest_port(self, int64_t port) except? -1 nogil
