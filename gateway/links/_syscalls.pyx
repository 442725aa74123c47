"""Batched system calls: the only file of the packet path that cannot also be read as Python (see _syscalls_py.py).

Frames are read straight into their slots and sent from there. In a slot, before the IP packet: 24 bytes that
hold [offload 10][Ethernet 14] as an AF_PACKET socket has them, or [14 unused][offload 10] as a TUN has them
and as the rest of the gateway expects them; the offload header's offsets count from what follows it.
"""

from libc.errno cimport EAGAIN, EINTR, EMSGSIZE, ENOBUFS, errno
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
    ERRORS = 256


include "_frames.pxi"
include "_next_hop_cache.pxi"
include "_ring.pxi"


cdef class Calls:
    """What both kinds of descriptor have: the bound batch and the counts."""

    cdef readonly int fd
    cdef readonly int64_t received, sent, truncated, unresolved
    cdef int64_t failed[ERRORS]
    cdef Frames frames, before

    def __init__(self, int fd):
        self.fd = fd
        memset(self.failed, 0, sizeof(self.failed))

    def errors(self):
        """{errno: frames that could not be sent because of it}."""
        return {number: self.failed[number] for number in range(ERRORS) if self.failed[number]}

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

    def read(self, batch):
        """Fill the batch until nothing is left to read, it is full, or holds BATCH_BYTES. Returns its count."""
        cdef int count = self.fill(self.bind(batch))
        batch.count = count
        return count

    cdef int fill(self, Frames frames) noexcept nogil:
        cdef int count = 0
        cdef int64_t total = 0
        cdef ssize_t size
        while count < frames.capacity and total < BATCH_BYTES:
            size = read(self.fd, frames.slab + frames.start[count] - OFFLOAD, OFFLOAD + FRAME)
            if size < 0 and errno == EINTR:
                continue
            if size <= OFFLOAD:
                break
            frames.length[count] = <uint32_t>(size - OFFLOAD)
            total += size
            count += 1
        self.received += count
        return count

    def write(self, batch, int side):
        """Write the frames whose `out` is `side`; returns how many the kernel took."""
        return self.drain(self.bind(batch), batch.count, side)

    cdef int drain(self, Frames frames, int count, int side) noexcept nogil:
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


cdef class Packet(Calls):
    """AF_PACKET sockets with PACKET_VNET_HDR: one system call a batch, each way, or with a ring to send only."""

    RINGS = True

    cdef mmsghdr *messages
    cdef iovec *vectors
    cdef int room
    cdef int64_t mean  # bytes a frame, of the last batches
    cdef uint8_t own[6]
    cdef readonly NextHopCache cache
    cdef Ring ring
    cdef int sender

    def __init__(self, int fd, int sender, bytes mac, NextHopCache cache):
        super().__init__(fd)
        self.sender, self.cache = sender, cache
        self.set_mac(mac)

    def use_ring(self, size_t size, uint32_t frame):
        """Receive by the ring of `size` bytes, slots of `frame` bytes, that the socket has been given. OSError."""
        self.ring = Ring(self.fd, size, frame)

    def __dealloc__(self):
        free(self.messages)
        free(self.vectors)

    def close(self):
        """The descriptor is its owner's to close; nothing is read after this."""
        self.ring = None

    def set_mac(self, bytes mac):
        if len(mac) != 6:
            raise ValueError("a MAC address has 6 bytes")
        memcpy(self.own, <const uint8_t *>mac, 6)

    cdef int reserve(self, int room) except -1:
        """Message headers for `room` frames, made once."""
        cdef int index
        if room <= self.room:
            return 0
        free(self.messages)
        free(self.vectors)
        self.messages = <mmsghdr *>calloc(room, sizeof(mmsghdr))
        self.vectors = <iovec *>calloc(room, sizeof(iovec))
        if self.messages == NULL or self.vectors == NULL:
            self.room = 0
            raise MemoryError
        for index in range(room):
            self.messages[index].msg_hdr.msg_iov = self.vectors + index
            self.messages[index].msg_hdr.msg_iovlen = 1
        self.room = room
        return 0

    def read(self, batch):
        """Fill the batch from the ring, or with what one recvmmsg gives. Returns its count: IP packets only."""
        cdef Frames frames = self.bind(batch)
        cdef int count
        if self.ring is not None:
            count = self.take(frames)
        else:
            self.reserve(frames.capacity)
            count = self.fill(frames)
        batch.count = count
        return count

    cdef int take(self, Frames frames) noexcept nogil:
        """What waits in the ring: a frame that fits into a slot lies there, a longer one in the socket's queue."""
        cdef int count = 0, seen
        cdef int64_t size, total = 0
        cdef uint8_t *packet
        for seen in range(frames.capacity):
            size = self.ring.waiting()
            if size == 0 or (seen >= VLEN_LEAST and total + size > IN_FLIGHT):
                break
            packet = frames.slab + frames.start[count]
            size = self.ring.pop(packet - HEADROOM, HEADROOM + FRAME)
            total += size
            if self.canonical(packet, size, size > HEADROOM + FRAME):
                frames.length[count] = <uint32_t>(size - HEADROOM)
                count += 1
        self.received += count
        return count

    cdef int fill(self, Frames frames) noexcept nogil:
        cdef int index, got, count = 0, length = self.vector_length(frames.capacity)
        cdef int64_t total = 0
        cdef uint32_t slot
        for index in range(length):
            self.vectors[index].iov_base = frames.slab + frames.start[index] - HEADROOM
            self.vectors[index].iov_len = HEADROOM + FRAME
        got = recvmmsg(self.fd, self.messages, length, MSG_DONTWAIT, NULL)
        if got <= 0:
            return 0
        for index in range(got):
            total += self.messages[index].msg_len
            if self.canonical(frames.slab + frames.start[index], self.messages[index].msg_len,
                              self.messages[index].msg_hdr.msg_flags & MSG_TRUNC):
                slot = frames.start[count]  # frames that are not for the gateway give up their place
                frames.start[count], frames.start[index] = frames.start[index], slot
                frames.length[count] = self.messages[index].msg_len - HEADROOM
                count += 1
        self.mean = (self.mean * 3 + total // got) // 4
        self.received += count
        return count

    cdef int vector_length(self, int capacity) noexcept nogil:
        """As many frames as stay in the cache until they are sent, judged by the last batches."""
        cdef int64_t fits = IN_FLIGHT // (self.mean + 1)
        return <int>(VLEN_LEAST if fits < VLEN_LEAST else fits) if fits < capacity else capacity

    cdef bint canonical(self, uint8_t *packet, int64_t size, bint cut) noexcept nogil:
        """Move the offload header from before the Ethernet header to before the packet. False: not a whole IP packet."""
        cdef uint16_t kind
        if cut:
            self.truncated += 1
            return False
        if size <= HEADROOM:
            return False
        memcpy(&kind, packet - 2, 2)
        if kind != htons(0x0800) and kind != htons(0x86DD):
            return False
        memcpy(packet - OFFLOAD, packet - HEADROOM, OFFLOAD)
        lower(packet - OFFLOAD + 2)
        if packet[-OFFLOAD] & NEEDS_CHECKSUM:
            lower(packet - OFFLOAD + 6)
        return True

    def resolve(self, batch, int side):
        """Give every frame for `side` its next hop's MAC address. Returns the indices of those with none, or None."""
        cdef Frames frames = self.bind(batch)
        cdef int index, count = batch.count
        if self.find_all(frames, count, side):
            return None
        return [index for index in range(count) if frames.out[index] == side and frames.neighbour[index] == 0]

    cdef bint find_all(self, Frames frames, int count, int side) noexcept nogil:
        cdef int index
        cdef bint complete = True
        cdef uint8_t *packet
        cdef uint64_t high = 0, low = 0
        for index in range(count):
            if frames.out[index] != side:
                continue
            packet = frames.slab + frames.start[index]
            if packet[0] >> 4 == 4:
                words(packet + 16, 4, &high, &low)
            else:
                words(packet + 24, 16, &high, &low)
            frames.neighbour[index] = self.cache.find(high, low)
            complete = complete and frames.neighbour[index] != 0
        return complete

    def send(self, batch, int side):
        """Send the frames whose `out` is `side` and whose next hop is known; returns how many the kernel took."""
        cdef Frames frames = self.bind(batch)
        self.reserve(frames.capacity)
        return self.drain(self.frame_all(frames, batch.count, side))

    cdef int frame_all(self, Frames frames, int count, int side) noexcept nogil:
        """Put headers before every frame that can go and point the vectors at them; returns how many."""
        cdef int index, ready = 0
        for index in range(count):
            if frames.out[index] != side:
                continue
            if frames.neighbour[index] == 0:
                self.unresolved += 1
                continue
            if frames.length[index] > FRAME:
                self.fail(EMSGSIZE)
                continue
            self.frame(frames.slab + frames.start[index], frames.length[index], frames.neighbour[index])
            self.vectors[ready].iov_base = frames.slab + frames.start[index] - HEADROOM
            self.vectors[ready].iov_len = HEADROOM + frames.length[index]
            ready += 1
        return ready

    cdef void frame(self, uint8_t *packet, uint32_t length, uint64_t mac) noexcept nogil:
        cdef int index
        cdef uint16_t kind = htons(0x0800 if packet[0] >> 4 == 4 else 0x86DD)
        set_header_length(packet, length)
        memcpy(packet - HEADROOM, packet - OFFLOAD, OFFLOAD)
        if packet[-HEADROOM] & NEEDS_CHECKSUM or packet[1 - HEADROOM]:
            lift(packet - HEADROOM + 2)
        if packet[-HEADROOM] & NEEDS_CHECKSUM:
            lift(packet - HEADROOM + 6)
        for index in range(6):
            packet[index - ETHERNET] = <uint8_t>(mac >> (40 - 8 * index))
        memcpy(packet - 8, self.own, 6)
        memcpy(packet - 2, &kind, 2)

    cdef int drain(self, int ready) noexcept nogil:
        """Send the first `ready` vectors. A frame that the kernel refuses is counted and does not hold up the rest."""
        cdef int at = 0, done = 0, got, retries = RETRIES
        while at < ready:
            got = sendmmsg(self.sender, self.messages + at, ready - at, MSG_DONTWAIT)
            if got > 0:
                at += got
                done += got
            elif errno == EINTR:
                continue
            elif (errno == EAGAIN or errno == ENOBUFS) and retries > 0:
                retries -= 1
            else:
                self.fail(errno)
                at += 1
        self.sent += done
        return done
