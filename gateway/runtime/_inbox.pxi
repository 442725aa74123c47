# What other workers hand over to one of them, without the GIL; included by _worker.pyx (_worker_py.py has the same).

cdef extern from "<sys/eventfd.h>" nogil:
    """
    #define box_load(at) __atomic_load_n((at), __ATOMIC_ACQUIRE)
    """
    int eventfd_write(int fd, uint64_t value)
    int eventfd_read(int fd, uint64_t *value)
    uint64_t box_load(uint64_t *at)

cdef enum:
    INBOX_BYTES = 4194304  # touched only when used
    HEADER = 8  # before each frame: its size, the side it is seen on, whether it is handed over for good
    OFFLOAD = 10
    LOOSE = 0xFFFFFFFF  # as a size: what is left of the circle is too short for a frame


cdef bint put(Box *box, int side, bint handed, const uint8_t *frame, uint32_t size) noexcept nogil:
    """Leave a frame, its offload header first. False: there is no room, and it is lost."""
    cdef uint64_t at, left, room = HEADER + ((<uint64_t>size + 7) & ~<uint64_t>7)
    cdef bint empty
    cdef uint8_t *into
    pthread_mutex_lock(&box.lock)
    at = box.written % INBOX_BYTES
    left = INBOX_BYTES - at
    if left >= room:
        left = 0
    if box.written + left + room - box.taken > INBOX_BYTES:
        box.overflowed += 1
        pthread_mutex_unlock(&box.lock)
        return False
    empty = box.written == box.taken
    if left:
        (<uint32_t *>(box.memory + at))[0] = LOOSE
    into = box.memory + (0 if left else at)
    (<uint32_t *>into)[0] = size
    into[4], into[5] = side, handed
    memcpy(into + HEADER, frame, size)
    box.written += left + room
    box.received += 1
    pthread_mutex_unlock(&box.lock)
    if empty:
        eventfd_write(box.bell, 1)
    return True


cdef bint waits(Box *box) noexcept nogil:
    """Whether there is something: a look without the lock, that may be late."""
    return box_load(&box.written) != box.taken


cdef uint8_t *first(Box *box) noexcept nogil:
    """The header of the frame that has waited longest, NULL if there is none; with the lock held."""
    cdef uint8_t *at
    if box.written == box.taken:
        return NULL
    at = box.memory + box.taken % INBOX_BYTES
    if (<uint32_t *>at)[0] != LOOSE:
        return at
    box.taken += INBOX_BYTES - box.taken % INBOX_BYTES
    return box.memory


cdef int take(Box *box, Frames frames, int *side, bint *handed) noexcept nogil:
    """Fill a batch with the frames that wait, as long as they are seen on one side; how many."""
    cdef int count = 0
    cdef int64_t total = 0
    cdef uint8_t *at
    cdef uint32_t size
    pthread_mutex_lock(&box.lock)
    while count < frames.capacity and total < INBOX_BYTES // 16:
        at = first(box)
        if at == NULL or (count and (at[4] != side[0] or at[5] != handed[0])):
            break
        side[0], handed[0], size = at[4], at[5], (<uint32_t *>at)[0]
        memcpy(frames.slab + frames.start[count] - OFFLOAD, at + HEADER, size)
        frames.length[count] = size - OFFLOAD
        box.taken += HEADER + ((<uint64_t>size + 7) & ~<uint64_t>7)
        total += size
        count += 1
    pthread_mutex_unlock(&box.lock)
    return count


cdef class Inbox:
    """Frames for one worker, in the order in which they came. Anybody puts in, without waiting for anybody."""

    def __cinit__(self):
        pthread_mutex_init(&self.box.lock, NULL)
        self.box.memory = <uint8_t *>calloc(1, INBOX_BYTES)
        if self.box.memory == NULL:
            raise MemoryError
        self.box.bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def __dealloc__(self):
        pthread_mutex_destroy(&self.box.lock)
        free(self.box.memory)

    def put(self, int side, bint handed, bytes offload, bytes packet):
        """One packet with its offload header; False where there is no room. handed: it is not handed over again."""
        cdef bytes frame = offload + packet
        return put(&self.box, side, handed, <const uint8_t *>frame, <uint32_t>len(frame))

    @property
    def received(self):
        return self.box.received

    @property
    def overflowed(self):
        """Frames lost for want of room."""
        return self.box.overflowed

    def close(self):
        os.close(self.box.bell)
