"""Batched system calls: the only file of the packet path that cannot also be read as Python (see _syscalls_py.py).

Frames are read straight into their slots and sent from there. In a slot, before the IP packet: 24 bytes that
hold [offload 10][Ethernet 14] as an AF_PACKET socket has them, or [14 unused][offload 10] as a TUN has them
and as the rest of the gateway expects them; the offload header's offsets count from what follows it.
"""

from libc.errno cimport EAGAIN, EBUSY, EINTR, EMSGSIZE, ENETDOWN, ENOBUFS, errno
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

cdef extern from "<unistd.h>" nogil:
    ssize_t read(int fd, void *buffer, size_t size)
    ssize_t write(int fd, const void *buffer, size_t size)

cdef extern from "<sys/socket.h>" nogil:
    """
    #define _GNU_SOURCE 1
    #include <sys/socket.h>
    #include <sys/uio.h>
    """
    struct iovec:
        void *iov_base
        size_t iov_len
    struct msghdr:
        iovec *msg_iov
        size_t msg_iovlen
        int msg_flags
    struct mmsghdr:
        msghdr msg_hdr
        unsigned int msg_len
    int recvmmsg(int fd, mmsghdr *messages, unsigned int count, int flags, void *timeout)
    int sendmmsg(int fd, mmsghdr *messages, unsigned int count, int flags)
    ssize_t recv(int fd, void *buffer, size_t size, int flags)
    enum:
        MSG_DONTWAIT
        MSG_TRUNC

cdef extern from "<arpa/inet.h>" nogil:
    uint16_t htons(uint16_t value)

cdef enum:
    OFFLOAD = 10
    ETHERNET = 14
    HEADROOM = 24
    FRAME = 65536
    BATCH_BYTES = 131072
    IN_FLIGHT = 196608  # bytes a batch should hold at most: it is to stay in the second-level cache
    VLEN_LEAST = 4
    NEEDS_CHECKSUM = 1
    RETRIES = 4  # of a full send queue, a batch


include "_frames.pxi"
include "_next_hop_cache.pxi"
include "_ring.pxi"


cdef class Calls:
    """What all kinds of descriptor have: the bound batch and the counts."""

    def __init__(self, int fd):
        self.fd = fd
        memset(self.failed, 0, sizeof(self.failed))

    def errors(self):
        """{errno: frames that could not be sent because of it}."""
        return {number: self.failed[number] for number in range(ERRORS) if self.failed[number]}

    def read(self, batch):
        """Fill the batch with IP packets, as many as there are and should be sent at once. Returns its count."""
        cdef int count = self.pull(self.prepare(batch))
        batch.count = count
        return count

    def write(self, batch, int side):
        """Send the frames whose `out` is `side`; returns how many the kernel took. -1, and nothing is sent, if there
        are frames without a next hop."""
        return self.push(self.prepare(batch), batch.count, side)

    def linger(self, int64_t nanoseconds):
        """Watch for at most that long; True as soon as something is there."""
        return self.watch(nanoseconds)

    cpdef Frames prepare(self, batch):
        """The batch's memory as `pull` and `push` take it."""
        return self.bind(batch)

    cdef int pull(self, Frames frames) noexcept nogil:
        return 0

    cdef int push(self, Frames frames, int count, int side) noexcept nogil:
        return 0

    cdef bint anything(self) noexcept nogil:
        """Whether something is known to wait; False where that would cost a system call."""
        return False

    cdef bint watch(self, int64_t nanoseconds) noexcept nogil:
        cdef int64_t end = clock() + nanoseconds
        while not self.anything():
            if clock() > end:
                return False
        return True

    cdef Frames bind(self, batch):
        """Two batches are remembered: what a descriptor fills and what it sends are seldom the same one."""
        if self.frames is None or self.frames.batch is not batch:
            self.frames, self.before = self.before, self.frames
            if self.frames is None or self.frames.batch is not batch:
                self.frames = Frames(batch)
        return self.frames

    cdef void fail(self, int number) noexcept nogil:
        self.failed[number if 0 <= number < ERRORS else 0] += 1


cdef class Tun(Calls):
    """A TUN descriptor with IFF_VNET_HDR: one system call a frame."""

    cdef int pull(self, Frames frames) noexcept nogil:
        """Until nothing is left to read, the batch is full, or holds BATCH_BYTES."""
        cdef int count = 0
        cdef int64_t total = 0
        cdef ssize_t size
        self.more = True
        while count < frames.capacity and total < BATCH_BYTES:
            size = read(self.fd, frames.slab + frames.start[count] - OFFLOAD, OFFLOAD + FRAME)
            if size < 0 and errno == EINTR:
                continue
            if size <= OFFLOAD:
                self.more = False
                break
            frames.length[count] = <uint32_t>(size - OFFLOAD)
            total += size
            count += 1
        self.received += count
        return count

    cdef bint watch(self, int64_t nanoseconds) noexcept nogil:
        return False

    cdef int push(self, Frames frames, int count, int side) noexcept nogil:
        cdef int index, done = 0, retries = RETRIES
        cdef uint8_t *packet
        for index in range(count):
            if frames.out[index] != side:
                continue
            if frames.length[index] > FRAME:
                self.fail(EMSGSIZE)
                continue
            packet = frames.slab + frames.start[index]
            set_header_length(packet, frames.length[index])
            while write(self.fd, packet - OFFLOAD, OFFLOAD + frames.length[index]) < 0:
                if errno != EINTR and (errno != EAGAIN or retries == 0):
                    self.fail(errno)
                    break
                retries -= errno == EAGAIN
            else:
                done += 1
        self.sent += done
        return done


include "_packet.pxi"
include "_xdp.pxi"
