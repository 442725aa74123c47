# The receive ring of a packet socket (TPACKET_V2), shared with the kernel; included by _syscalls.pyx.

cdef extern from "<linux/if_packet.h>" nogil:
    """
    #include <sys/mman.h>
    #define ring_load(at) __atomic_load_n((at), __ATOMIC_ACQUIRE)
    #define ring_store(at, value) __atomic_store_n((at), (value), __ATOMIC_RELEASE)
    #include <time.h>
    static int64_t ring_clock(void) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        return now.tv_sec * 1000000000LL + now.tv_nsec;
    }
    #define ring_prefetch(at) __builtin_prefetch(at)
    """
    struct tpacket2_hdr:
        uint32_t tp_status
        uint32_t tp_len
        uint32_t tp_snaplen
        uint16_t tp_mac
    enum:
        TP_STATUS_KERNEL
        TP_STATUS_USER
        TP_STATUS_COPY
    uint32_t ring_load(uint32_t *at)
    void ring_store(uint32_t *at, uint32_t value)
    void ring_prefetch(void *at)
    int64_t clock "ring_clock"()

cdef extern from "<sys/mman.h>" nogil:
    void *mmap(void *address, size_t size, int protection, int flags, int fd, long offset)
    int munmap(void *address, size_t size)
    enum:
        PROT_READ
        PROT_WRITE
        MAP_SHARED
        MAP_POPULATE
    void *MAP_FAILED


cdef class Ring:
    """Slots in a circle. The kernel fills the next that is its own; a slot is ours from then until it is given back."""

    cdef uint8_t *memory
    cdef size_t size
    cdef uint32_t frame, slots, at
    cdef int fd

    def __cinit__(self, int fd, size_t size, uint32_t frame):
        cdef void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0)
        if memory == MAP_FAILED:
            raise OSError(errno, "mmap of a packet socket's ring")
        self.memory, self.size, self.frame, self.slots, self.fd = <uint8_t *>memory, size, frame, size // frame, fd

    def __dealloc__(self):
        if self.memory != NULL:
            munmap(self.memory, self.size)

    cdef tpacket2_hdr *slot(self, uint32_t number) noexcept nogil:
        return <tpacket2_hdr *>(self.memory + <size_t>number * self.frame)

    cdef int64_t waiting(self) noexcept nogil:
        """The next frame's length on the wire, 0 if there is none."""
        cdef tpacket2_hdr *header = self.slot(self.at)
        return header.tp_len if ring_load(&header.tp_status) & TP_STATUS_USER else 0

    cdef int64_t pop(self, uint8_t *into, size_t room) noexcept nogil:
        """Copy the next frame, offload header first, and give its slot back. Its size; more than `room`: it was cut."""
        cdef tpacket2_hdr *header = self.slot(self.at)
        cdef int64_t size = OFFLOAD + header.tp_len
        self.at = self.at + 1 if self.at + 1 < self.slots else 0
        ring_prefetch(self.slot(self.at))
        if header.tp_status & TP_STATUS_COPY:
            size = recv(self.fd, into, room, MSG_DONTWAIT | MSG_TRUNC)
            if size < 0 and errno == ENETDOWN:  # told once, before the frame: left there it would be taken for the next
                size = recv(self.fd, into, room, MSG_DONTWAIT | MSG_TRUNC)
        elif header.tp_snaplen == header.tp_len:
            memcpy(into, <uint8_t *>header + header.tp_mac - OFFLOAD, size)
        else:  # the queue had no room for it
            size = room + 1
        ring_store(&header.tp_status, TP_STATUS_KERNEL)
        return size if size > 0 else 0
