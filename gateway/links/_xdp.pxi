# An XDP link's socket: frames by rings in shared memory; included by _syscalls.pyx.

cdef extern from "<sys/socket.h>" nogil:
    ssize_t sendto(int fd, const void *buffer, size_t size, int flags, void *address, unsigned int length)

cdef enum:
    FOLD = 0xFFFF
    NEED_WAKEUP = 1


cdef struct Descriptor:
    uint64_t address
    uint32_t length
    uint32_t options


cdef struct Lane:
    uint32_t *producer
    uint32_t *consumer
    uint32_t *flags
    uint8_t *first
    uint32_t mask


cdef Lane lane(ring) except *:
    cdef Lane made
    made.producer, made.consumer = <uint32_t *><size_t>ring.producer, <uint32_t *><size_t>ring.consumer
    made.flags, made.first = <uint32_t *><size_t>ring.flags, <uint8_t *><size_t>ring.first
    made.mask = ring.entries - 1
    return made


cdef uint64_t add_up(const uint8_t *data, size_t size) noexcept nogil:
    """The sum of 16-bit words in memory order, not folded to the end; an odd byte counts as if zero followed."""
    cdef uint64_t total = 0
    cdef uint32_t word
    cdef uint16_t half = 0
    while size >= 4:
        memcpy(&word, data, 4)
        total += word
        data += 4
        size -= 4
    if size >= 2:
        memcpy(&half, data, 2)
        total += half
        data += 2
        size -= 2
    if size:
        half = 0
        memcpy(&half, data, 1)
        total += half
    return total


cdef uint16_t folded(uint64_t total) noexcept nogil:
    while total >> 16:
        total = (total & FOLD) + (total >> 16)
    return <uint16_t>total


cdef void mark_unfinished(uint8_t *packet, uint32_t length) noexcept nogil:
    """Write the offload header that the kernel would have given: XDP tells nothing of checksums left to a card.

    Such a checksum field holds the sum of the pseudo-header alone. A finished checksum with that value by chance
    stays right: finishing it gives the same again.
    """
    cdef uint32_t start, size, number, offset
    cdef uint16_t word, sum
    cdef uint64_t total
    memset(packet - OFFLOAD, 0, OFFLOAD)
    if packet[0] >> 4 == 4:
        start, number = (packet[0] & 15) * 4, packet[9]
        if start < 20 or packet[6] & 0x3F or packet[7]:  # a fragment's has been finished before it was cut
            return
        size = (packet[2] << 8 | packet[3]) - start
        total = add_up(packet + 12, 8)
    else:
        start, number, size = 40, packet[6], packet[4] << 8 | packet[5]
        total = add_up(packet + 8, 32)
    offset = 16 if number == 6 else 6
    if (number != 6 and number != 17) or start + offset + 2 > length:
        return
    sum = folded(total + htons(<uint16_t>number) + htons(<uint16_t>size))
    memcpy(&word, packet + start + offset, 2)
    if word == sum:
        packet[-OFFLOAD] = NEEDS_CHECKSUM
        word = <uint16_t>start
        memcpy(packet - 4, &word, 2)
        word = <uint16_t>offset
        memcpy(packet - 2, &word, 2)


cdef void finish_checksum(uint8_t *packet, uint32_t length) noexcept nogil:
    cdef uint16_t start, offset, sum
    memcpy(&start, packet - 4, 2)
    memcpy(&offset, packet - 2, 2)
    if not packet[-OFFLOAD] & NEEDS_CHECKSUM or start + offset + 2 > length:
        return
    sum = <uint16_t>~folded(add_up(packet + start, length - start))
    if sum == 0 and offset == 6:
        sum = FOLD  # 0 would say that a datagram has none
    memcpy(packet + start + offset, &sum, 2)


cdef class Xdp(Packet):
    """Receives by AF_XDP, and sends by it what fits into a chunk; superpackets go by the packet socket `sender`."""

    cdef object owner  # keeps the memory
    cdef uint8_t *memory
    cdef uint32_t chunk
    cdef Lane fill_lane, receive_lane, send_lane, done_lane
    cdef uint64_t *spare  # chunks to send from
    cdef uint32_t spares

    def __init__(self, owner, int sender, bytes mac, NextHopCache cache):
        cdef uint32_t number, entries = owner.fill.entries
        super().__init__(owner.socket.fileno(), sender, mac, cache)
        self.owner, self.memory, self.chunk = owner, <uint8_t *><size_t>owner.memory, owner.chunk
        self.fill_lane, self.receive_lane = lane(owner.fill), lane(owner.received)
        self.send_lane, self.done_lane = lane(owner.to_send), lane(owner.sent)
        self.spare = <uint64_t *>calloc(entries, sizeof(uint64_t))
        if self.spare == NULL:
            raise MemoryError
        for number in range(entries):
            (<uint64_t *>self.fill_lane.first)[number] = <uint64_t>number * self.chunk
            self.spare[number] = <uint64_t>(entries + number) * self.chunk
        self.spares = entries
        ring_store(self.fill_lane.producer, entries)
        self.shows = True

    def __dealloc__(self):
        free(self.spare)

    def close(self):
        """The memory is its owner's to unmap; nothing is read or sent after this."""
        self.memory = NULL

    cdef int pull(self, Frames frames) noexcept nogil:
        return self.collect(frames) if self.memory != NULL else 0

    cdef bint anything(self) noexcept nogil:
        return self.memory != NULL and ring_load(self.receive_lane.producer) != self.receive_lane.consumer[0]

    cdef int collect(self, Frames frames) noexcept nogil:
        cdef uint32_t at = self.receive_lane.consumer[0], filled = self.fill_lane.producer[0], number
        cdef uint32_t ready = ring_load(self.receive_lane.producer) - at
        cdef Descriptor *found
        cdef int count = 0
        self.more = ready > <uint32_t>frames.capacity
        if self.more:
            ready = frames.capacity
        for number in range(ready):
            found = <Descriptor *>self.receive_lane.first + ((at + number) & self.receive_lane.mask)
            ring_prefetch(self.memory + (<Descriptor *>self.receive_lane.first
                                         + ((at + number + 2) & self.receive_lane.mask)).address)
            if self.arrived(frames.slab + frames.start[count], self.memory + found.address, found.length):
                frames.length[count] = found.length - ETHERNET
                count += 1
            (<uint64_t *>self.fill_lane.first)[(filled + number) & self.fill_lane.mask] = (
                found.address - found.address % self.chunk)
        ring_store(self.receive_lane.consumer, at + ready)
        ring_store(self.fill_lane.producer, filled + ready)
        if ready and ring_load(self.fill_lane.flags) & NEED_WAKEUP:
            recv(self.fd, NULL, 0, MSG_DONTWAIT)
        self.received += count
        return count

    cdef bint arrived(self, uint8_t *packet, uint8_t *frame, uint32_t length) noexcept nogil:
        """Copy the packet out of a frame. False: not a whole IP header."""
        cdef uint16_t kind
        memcpy(&kind, frame + 12, 2)
        if length < ETHERNET + 20 or (kind != htons(0x0800) and (kind != htons(0x86DD) or length < ETHERNET + 40)):
            return False
        memcpy(packet, frame + ETHERNET, length - ETHERNET)
        mark_unfinished(packet, length - ETHERNET)
        return True

    cdef int emit(self, Frames frames, int count, int side) noexcept nogil:
        if self.memory == NULL:
            return 0
        if self.outgrown(frames, count, side):  # all of them, so that they leave in order
            return self.drain(self.frame_all(frames, count, side))
        return self.place_all(frames, count, side)

    cdef bint outgrown(self, Frames frames, int count, int side) noexcept nogil:
        """Whether a frame is to be segmented, or longer than a chunk."""
        cdef int index
        for index in range(count):
            if frames.out[index] == side and (frames.slab[frames.start[index] - OFFLOAD + 1]
                                              or frames.length[index] + ETHERNET > self.chunk):
                return True
        return False

    cdef int place_all(self, Frames frames, int count, int side) noexcept nogil:
        cdef uint32_t at = self.send_lane.producer[0]
        cdef int index, done = 0
        self.reclaim()
        for index in range(count):
            if frames.out[index] != side:
                continue
            if frames.neighbour[index] == 0:
                self.unresolved += 1
            elif self.spares == 0:
                self.fail(ENOBUFS)
            else:
                self.place(frames.slab + frames.start[index], frames.length[index], frames.neighbour[index],
                           <Descriptor *>self.send_lane.first + ((at + done) & self.send_lane.mask))
                done += 1
        if done:
            ring_store(self.send_lane.producer, at + done)
            self.kick(done)
        self.sent += done
        return done

    cdef void place(self, uint8_t *packet, uint32_t length, uint64_t mac, Descriptor *into) noexcept nogil:
        cdef uint16_t kind = htons(0x0800 if packet[0] >> 4 == 4 else 0x86DD)
        cdef uint8_t *frame
        cdef int index
        finish_checksum(packet, length)
        self.spares -= 1
        into.address, into.length, into.options = self.spare[self.spares], length + ETHERNET, 0
        frame = self.memory + into.address
        for index in range(6):
            frame[index] = <uint8_t>(mac >> (40 - 8 * index))
        memcpy(frame + 6, self.own, 6)
        memcpy(frame + 12, &kind, 2)
        memcpy(frame + ETHERNET, packet, length)

    cdef void kick(self, int count) noexcept nogil:
        """Have the kernel send: some 32 frames a call. What it has no room for goes with the next batch."""
        cdef int tries = count // 16 + RETRIES
        while tries > 0 and ring_load(self.send_lane.consumer) != self.send_lane.producer[0]:
            tries -= 1
            if sendto(self.fd, NULL, 0, MSG_DONTWAIT, NULL, 0) < 0 and errno not in (EAGAIN, EBUSY, ENOBUFS, EINTR):
                self.fail(errno)
                break

    cdef void reclaim(self) noexcept nogil:
        """Chunks that have left are free again."""
        cdef uint32_t at = self.done_lane.consumer[0], number, ready = ring_load(self.done_lane.producer) - at
        for number in range(ready):
            self.spare[self.spares] = (<uint64_t *>self.done_lane.first)[(at + number) & self.done_lane.mask]
            self.spares += 1
        ring_store(self.done_lane.consumer, at + ready)
