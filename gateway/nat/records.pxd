cimport cython
from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t

from gateway.nat cimport record, row
from gateway.nat.table cimport FlowTable
from gateway.wire cimport order
from gateway.wire.order cimport Span64
from gateway.wire.packet cimport Packet


@cython.final
cdef class Records:
    cdef Packet packet
    cdef uint16_t[::1] t16
    cdef uint64_t[::1] t64
    cdef readonly uint64_t[::1] r64, lost, told
    cdef readonly uint32_t[::1] silent
    cdef readonly int64_t count
    cdef readonly object ahead
    cdef public uint64_t now
    cdef public bint muted

    cpdef int64_t created(self, int64_t member) except? -1 nogil
    cpdef int64_t closed(self, int64_t member, uint64_t reason, uint64_t late) except? -1 nogil
    @cython.locals(noted=Span64, flow=Span64, word=int64_t, opening=uint64_t)
    cdef inline int64_t note(self, uint64_t kind, uint64_t reason, int64_t member, uint64_t time) except? -1 nogil
    @cython.locals(place=int64_t)
    cpdef int64_t exhausted(self, uint64_t reason, uint64_t pool, int64_t egress, uint64_t high, uint64_t low) except? -1 nogil
    cpdef int64_t quota(self, uint64_t reason, uint64_t pool, uint64_t silent) except? -1 nogil
    @cython.locals(at=int64_t, word=int64_t)
    cdef int64_t refuse(self, uint64_t kind, uint64_t reason, uint64_t pool, uint64_t high, uint64_t low,
                        uint64_t silent) except? -1 nogil
    cdef inline bint has_room(self, int64_t kind) except? -1 nogil
    @cython.locals(at=int64_t)
    cdef inline int64_t seal(self, uint64_t kind, uint64_t reason, uint64_t pool, uint64_t subject,
                             uint64_t time) except? -1 nogil
