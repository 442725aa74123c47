cimport cython
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from gateway.wire cimport bits, fault, icmp, ipv4, ipv6, kind, order, protocol, tcp, udp, vnet
from gateway.wire.batch cimport Batch
from gateway.wire.crc32c cimport Crc32c
from gateway.wire.order cimport Span32

cpdef uint64_t fold(uint64_t total) noexcept nogil


@cython.final
cdef class Packet:
    cdef const uint8_t[::1] meanings
    cdef uint8_t[::1] u8
    cdef uint16_t[::1] u16
    cdef uint32_t[::1] u32
    cdef uint64_t[::1] u64
    cdef readonly Crc32c crc
    cdef readonly uint64_t at, end, transport, checksum, segment
    cdef readonly uint64_t source_high, source_low, destination_high, destination_low, ports
    cdef readonly uint64_t family, protocol, ttl, kind, fragment, tcp_flags, icmp_meaning, fragment_header
    cdef readonly bint partial, quoted, atomic

    cpdef bind(self, Batch batch)
    @cython.locals(version=uint32_t, wrong=int64_t, header=Span32)
    cpdef int64_t parse(self, uint64_t at, uint64_t length, bint quoted) except? -1 nogil
    @cython.locals(first=uint64_t, second=uint64_t, third=uint64_t, header=uint64_t, total=uint64_t,
                   source=uint64_t, destination=uint64_t, added=uint64_t, index=uint64_t, field=uint32_t)
    cdef inline int64_t parse4(self, Span32 words, uint64_t length) except? -1 nogil
    @cython.locals(at=uint64_t, option=uint32_t)
    cdef int64_t walk_options(self) except? -1 nogil
    @cython.locals(at=uint64_t, total=uint64_t)
    cdef int64_t parse6(self, uint64_t length) except? -1 nogil
    @cython.locals(at=uint64_t, following=uint64_t, size=uint64_t, field=uint32_t, _=int64_t)
    cdef int64_t walk_extensions(self) except? -1 nogil
    @cython.locals(room=int64_t, number=uint64_t)
    cdef inline int64_t parse_transport(self) except? -1 nogil
    @cython.locals(at=uint64_t, header=uint64_t, words=Span32, fourth=uint32_t)
    cdef inline int64_t parse_tcp(self, int64_t room) except? -1 nogil
    @cython.locals(at=uint64_t, length=uint64_t, wrong=int64_t, words=Span32)
    cdef inline int64_t parse_udp(self, int64_t room) except? -1 nogil
    @cython.locals(at=uint64_t)
    cdef int64_t parse_icmp(self, int64_t room) except? -1 nogil
    cpdef bint is_request(self) noexcept nogil
    cdef int64_t parse_other(self, int64_t room) except? -1 nogil
    @cython.locals(before=uint64_t, start=uint64_t, where=uint64_t)
    cdef inline int64_t parse_offload(self, uint64_t header) except? -1 nogil
    cpdef uint64_t load8(self, uint64_t at) except? 256 nogil
    cpdef uint64_t load16(self, uint64_t at) except? 65536 nogil
    @cython.locals(new=uint64_t, old=uint64_t, present=uint64_t)
    cdef int patch16(self, uint64_t at, uint64_t value) except? -1 nogil
    cpdef uint64_t load32(self, uint64_t at) except? 4294967296 nogil
    cpdef int rewrite(self, uint64_t source_high, uint64_t source_low, uint64_t destination_high,
                      uint64_t destination_low, uint64_t ports, uint64_t address_delta, uint64_t transport_delta,
                      uint64_t hops) except? -1 nogil
    @cython.locals(at=uint64_t, total=uint64_t, third=uint64_t, words=Span32)
    cpdef int rewrite_header(self, uint64_t source_high, uint64_t source_low, uint64_t destination_high,
                             uint64_t destination_low, uint64_t address_delta, uint64_t hops) except? -1 nogil
    @cython.locals(where=uint64_t, number=uint64_t, present=uint64_t)
    cdef inline int rewrite_transport(self, uint64_t ports, uint64_t address_delta,
                                      uint64_t transport_delta) except? -1 nogil
