# What a worker consists of; bench.null derives one that translates nothing.

from libc.stdint cimport int64_t, uint8_t, uint64_t

from gateway.links._syscalls cimport Calls, Frames
from gateway.nat.engine cimport Engine
from gateway.wire.batch cimport Batch

cdef extern from "<poll.h>" nogil:
    struct pollfd:
        int fd
        short events, revents

cdef extern from "<pthread.h>" nogil:
    ctypedef struct pthread_mutex_t:
        pass


cdef struct Box:
    pthread_mutex_t lock
    uint8_t *memory
    uint64_t written, taken  # bytes since the start
    int64_t received, overflowed  # frames
    int bell


cdef class Inbox:
    cdef Box box


cdef struct Urgency:
    int times  # the thread's schedstat: nanoseconds that it ran and that it waited for a core, since it began
    bint urgent
    int64_t until
    int64_t now, running, waiting, wakeups, packets  # at the last look
    double used, waited, woken, found  # averages: percent, percent, times and packets between two looks


cdef class Rounds:
    cdef object pump
    cdef Engine engine
    cdef Batch batch
    cdef Calls inside, outside
    cdef Frames frames
    cdef pollfd fds[4]
    cdef list inboxes
    cdef Box **boxes
    cdef Box *own
    cdef pthread_mutex_t turn, queue
    cdef int stopping, waker
    cdef int64_t next_tick, look, alone_from
    cdef Urgency urgency
    cdef bint by_memory
    cdef readonly int64_t[::1] wakeups, batches, packets

    cdef bint find(self) noexcept nogil
    cdef bint glance(self) noexcept nogil
    cdef void sleep(self) noexcept nogil
    cdef int patience(self) noexcept nogil
    cdef int go_round(self) except -1 nogil
    cdef int read_inbox(self) except -1 nogil
    cdef int hand_over(self, int side, int count) except -1 nogil
    cdef int tick(self, int64_t now) except -1 nogil
    cdef int64_t serve(self, int side, int dense, int64_t linger) except -1 nogil
    cdef bint more(self, int side) noexcept nogil
    cdef bint watch(self, int side, int64_t linger) noexcept nogil
    cdef int translate(self, int side, int count) except -1 nogil
    cdef int send(self, int count) except -1 nogil
    cdef finish(self, int side, int64_t now)
