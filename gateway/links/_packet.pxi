# A packet link's two sockets; included by _syscalls.pyx.

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
        self.shows = True

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

    cpdef Frames prepare(self, batch):
        cdef Frames frames = self.bind(batch)
        self.reserve(frames.capacity)
        return frames

    cdef int pull(self, Frames frames) noexcept nogil:
        """From the ring, or what one recvmmsg gives."""
        return self.take(frames) if self.ring is not None else self.fill(frames)

    cdef bint anything(self) noexcept nogil:
        return self.ring is not None and self.ring.waiting() != 0

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
        self.more = self.ring.waiting() != 0
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
        self.more = got == length
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

    cdef int push(self, Frames frames, int count, int side) noexcept nogil:
        return self.emit(frames, count, side) if self.find_all(frames, count, side) else -1

    def send(self, batch, int side):
        """Send the frames whose `out` is `side` and whose next hop is known; returns how many the kernel took."""
        return self.emit(self.prepare(batch), batch.count, side)

    cdef int emit(self, Frames frames, int count, int side) noexcept nogil:
        return self.drain(self.frame_all(frames, count, side))

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
