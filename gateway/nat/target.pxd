cimport cython
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from gateway.nat cimport bounds, row
from gateway.nat cimport verdict as Verdict
from gateway.nat.decider cimport Decider
from gateway.nat.options cimport Options
from gateway.nat.table cimport FlowTable
from gateway.wire cimport bits
from gateway.wire.packet cimport Packet


@cython.final
cdef class Target:
    cdef FlowTable table
    cdef Packet packet
    cdef Decider decider
    cdef Options options
    cdef uint8_t[::1] r8
    cdef uint32_t[::1] r32
    cdef uint64_t[::1] r64
    cdef readonly int64_t head

    @cython.locals(scope=int64_t, label=uint64_t)
    cpdef int64_t find(self, uint32_t now) except? -1 nogil
    @cython.locals(scope=int64_t, member=int64_t, remote=int64_t, called=bint, _=int64_t)
    cdef bint admits(self, uint64_t high, uint64_t low, uint32_t now) except? -1 nogil
    cdef int64_t refusal(self) except? -1 nogil
    @cython.locals(at=int64_t)
    cdef bint is_hairpin(self, int64_t base) except? -1 nogil
    @cython.locals(at=int64_t, label=uint64_t, remote_high=uint64_t, remote_low=uint64_t)
    cdef bint find_again(self, int64_t base, uint32_t now) except? -1 nogil
    @cython.locals(at=int64_t, ports=uint64_t)
    cdef bint is_admitted(self, int64_t base, uint32_t now) except? -1 nogil
    @cython.locals(at=int64_t, internal=int64_t, port=uint64_t)
    cdef bint is_of(self, int64_t base) except? -1 nogil
    @cython.locals(internal=int64_t)
    cdef uint64_t fill(self, int64_t at) except? 65536 nogil
