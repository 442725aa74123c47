"""Packet steps 1, 2 and 4 in a thread of their own, without the GIL (see _worker_py.py for the same in Python).

Wait, then for each readable side: read a batch, translate it, send it. The GIL is taken for what only Python can do:
frames that the compiled loop left unfinished, next hops that the cache does not know, the translator's own packets.

To be woken costs microseconds on both cores, more in a virtual machine. So a worker looks for packets for a while
before it sleeps, and lets whoever else wants its core run between two looks. How long follows from how long the last
sleeps were, as in the kernel's halt polling: where packets are further apart than it would ever look, it does not.

Whoever else works on this translator or these links holds the turn meanwhile: `enter`, `leave`. The GIL is never held
while one waits for the turn, so the thread that has the turn can always get it. Who asks is let in after the
batches at hand: a thread that takes its turn again at once would otherwise keep it for ever.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from gateway.links._syscalls cimport Calls, Frames
from gateway.nat cimport bounds, row
from gateway.nat cimport verdict as Verdict
from gateway.nat.engine cimport Engine
from gateway.wire cimport bits, sides
from gateway.wire.batch cimport Batch

import os

cdef extern from "<poll.h>" nogil:
    """
    #include <poll.h>
    #include <pthread.h>
    #include <time.h>
    static int64_t round_clock(void) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        return now.tv_sec * 1000000000LL + now.tv_nsec;
    }
    static void init_lending(pthread_mutex_t *mutex) {
        pthread_mutexattr_t how;
        pthread_mutexattr_init(&how);
        if (pthread_mutexattr_setprotocol(&how, PTHREAD_PRIO_INHERIT) || pthread_mutex_init(mutex, &how))
            pthread_mutex_init(mutex, NULL);
        pthread_mutexattr_destroy(&how);
    }
    #define round_load(at) __atomic_load_n((at), __ATOMIC_ACQUIRE)
    #define round_store(at, value) __atomic_store_n((at), (value), __ATOMIC_RELEASE)
    """
    int poll(pollfd *fds, unsigned long count, int milliseconds)
    enum:
        POLLIN
    int64_t clock "round_clock"()
    int round_load(int *at)
    void round_store(int *at, int value)

cdef extern from "<sched.h>" nogil:
    int sched_yield()

cdef extern from "<unistd.h>" nogil:
    int usleep(unsigned int microseconds)

cdef extern from "<pthread.h>" nogil:
    int pthread_mutex_init(pthread_mutex_t *mutex, void *attributes)
    void init_lending(pthread_mutex_t *mutex)  # who is waited for runs as urgently as who waits
    int pthread_mutex_destroy(pthread_mutex_t *mutex)
    int pthread_mutex_lock(pthread_mutex_t *mutex)
    int pthread_mutex_trylock(pthread_mutex_t *mutex)
    int pthread_mutex_unlock(pthread_mutex_t *mutex)

cdef enum:
    BATCHES = 4  # a side's, before the other's turn
    LOOK_LEAST = 5000  # nanoseconds that packets are looked for before sleeping, if at all
    LOOK_MOST = 50000
    CONTENDED = 200000  # how long yielding the core must have taken for that to end
    REST = 50000000  # and for how long
    TICK = 6250000
    TICK_BUDGET = 256  # rows: to end one costs a microsecond or two, and packets wait meanwhile
    MILLISECOND = 1000000
    ATTEMPTS = 10
    PAUSE = 50  # microseconds
    WAKER = 2  # index of the descriptor that ends a wait
    BELL = 3  # of the one that says that something is in the inbox

include "_inbox.pxi"
include "_urgency.pxi"


cdef class Rounds:
    """The pump's links and translator, driven from here.  wakeups, batches, packets: by side.

    inboxes: of all workers by number, this one's among them; none where there is one worker.
    """

    def __cinit__(self):
        init_lending(&self.turn)
        init_lending(&self.queue)
        self.urgency.times = -1

    def __init__(self, pump, inboxes=()):
        self.pump, self.engine, self.batch = pump, pump.translator.engine, pump.batch
        self.inside, self.outside = (link.calls for link in pump.links)
        self.frames = self.inside.prepare(self.batch)
        self.outside.prepare(self.batch)
        self.engine.bind(self.batch)
        self.by_memory = self.inside.shows and self.outside.shows
        self.wakeups, self.batches, self.packets = (memoryview(bytearray(16)).cast("q") for _ in range(3))
        self.waker = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        for index, fd in enumerate((self.inside.fd, self.outside.fd, self.waker)):
            self.fds[index].fd, self.fds[index].events = fd, POLLIN
        self.fds[BELL].fd = -1
        self.connect(list(inboxes))

    def connect(self, list inboxes):
        cdef Inbox inbox
        cdef int number
        self.inboxes = inboxes  # they live as long as this
        if not inboxes:
            return
        self.boxes = <Box **>calloc(len(inboxes), sizeof(Box *))
        if self.boxes == NULL:
            raise MemoryError
        for number, inbox in enumerate(inboxes):
            self.boxes[number] = &inbox.box
        self.own = self.boxes[self.engine.share.number]
        self.fds[BELL].fd, self.fds[BELL].events = self.own.bell, POLLIN

    def __dealloc__(self):
        pthread_mutex_destroy(&self.turn)
        pthread_mutex_destroy(&self.queue)
        free(self.boxes)

    def close(self):
        os.close(self.waker)
        end_urgency(&self.urgency)

    def stop(self):
        """`run` returns after the batches at hand, whether it was called already or will be."""
        round_store(&self.stopping, 1)
        os.eventfd_write(self.waker, 1)

    def enter(self):
        """At best without giving up the GIL: else another thread may keep it while packets wait for the turn to end."""
        cdef int attempt
        for attempt in range(ATTEMPTS):
            if pthread_mutex_trylock(&self.turn) == 0:
                return
            with nogil:
                usleep(PAUSE)
        with nogil:
            pthread_mutex_lock(&self.queue)
            pthread_mutex_lock(&self.turn)
            pthread_mutex_unlock(&self.queue)

    def leave(self):
        pthread_mutex_unlock(&self.turn)

    def copy(self, view):
        """`bytes(view)` in a turn; no other Python thread can come in between."""
        self.enter()
        try:
            return bytes(view)
        finally:
            self.leave()

    def run(self):
        """Until `stop`. Raises what went wrong, the turn given back; `run` may be called again."""
        with nogil:
            begin_urgency(&self.urgency)
            while not round_load(&self.stopping):
                if not self.find():
                    self.sleep()
                pthread_mutex_lock(&self.queue)
                pthread_mutex_unlock(&self.queue)
                pthread_mutex_lock(&self.turn)
                try:
                    self.go_round()
                finally:
                    pthread_mutex_unlock(&self.turn)

    cdef bint find(self) noexcept nogil:
        """Look for packets for as long as has been worth it lately."""
        cdef int64_t before, now = clock(), end = now + self.look
        if self.look == 0:
            return False
        while not self.glance():
            if now > end or round_load(&self.stopping):
                return False
            sched_yield()
            before, now = now, clock()
            if now - before > CONTENDED:  # somebody works on this core: who sleeps is let in at once, who yields is not
                self.look, self.alone_from = 0, now + REST
                return False
        return True

    cdef bint glance(self) noexcept nogil:
        """Whether a side has something: a look at memory, where that tells."""
        if not self.by_memory:
            return poll(self.fds, 4, 0) > 0
        self.fds[sides.INSIDE].revents = POLLIN if self.inside.anything() else 0
        self.fds[sides.OUTSIDE].revents = POLLIN if self.outside.anything() else 0
        self.fds[BELL].revents = POLLIN if self.own != NULL and waits(self.own) else 0
        return (self.fds[sides.INSIDE].revents != 0 or self.fds[sides.OUTSIDE].revents != 0
                or self.fds[BELL].revents != 0)

    cdef void sleep(self) noexcept nogil:
        """Until a side or the inbox has something, the next tick is due or `stop` was called."""
        cdef int64_t began = clock()
        poll(self.fds, 4, self.patience())
        if clock() - began < LOOK_MOST and began >= self.alone_from and not self.urgency.urgent:
            self.look = min(max(2 * self.look, LOOK_LEAST), LOOK_MOST)
        else:
            self.look = self.look // 2 if self.look >= 2 * LOOK_LEAST else 0

    cdef int patience(self) noexcept nogil:
        """Milliseconds until the next tick is due."""
        cdef int64_t left = self.next_tick - clock()
        return <int>(left // MILLISECOND + 1) if left > 0 else 0

    cdef int go_round(self) except -1 nogil:
        cdef int side
        cdef int64_t now = clock()
        if now >= self.next_tick:
            self.next_tick = now + TICK
            self.tick(now)
            weigh(&self.urgency, now, self.wakeups[0] + self.wakeups[1], self.packets[0] + self.packets[1])
        for side in range(2):
            if self.fds[side].revents and self.serve(side, 0, 0) == 0 and self.fds[side].revents != POLLIN:
                self.fds[side].fd = -1  # an error that stays, such as ENETDOWN: looked at again with the next tick
        if self.fds[BELL].revents:
            self.read_inbox()
        return 0

    cdef int read_inbox(self) except -1 nogil:
        """Translate what other workers handed over, up to the bound; what is left rings again, whatever happened."""
        cdef int number, count, side = 0
        cdef bint handed = False, emptied = False
        cdef uint64_t rung
        eventfd_read(self.own.bell, &rung)
        try:
            for number in range(BATCHES):
                count = take(self.own, self.frames, &side, &handed)
                if count == 0:
                    emptied = True
                    break
                self.batch.count = count
                self.engine.decider.handed = handed
                self.translate(side, count)
        finally:
            self.engine.decider.handed = False
            if not emptied:
                eventfd_write(self.own.bell, 1)
        return 0

    cdef int hand_over(self, int side, int count) except -1 nogil:
        """What of the batch belongs to other workers goes into their inboxes."""
        cdef int index, seen_on
        cdef int64_t addressee
        for index in range(count):
            addressee = self.engine.addressee(index)
            if addressee >= 0:
                seen_on = side if self.batch.verdict[index] == Verdict.HAND_OVER else sides.ACROSS
                put(self.boxes[addressee % bounds.SORTING], seen_on, addressee < bounds.SORTING,
                    self.frames.slab + self.frames.start[index] - OFFLOAD, OFFLOAD + self.frames.length[index])
        return 0

    cdef int tick(self, int64_t now) except -1 nogil:
        self.fds[sides.INSIDE].fd, self.fds[sides.OUTSIDE].fd = self.inside.fd, self.outside.fd
        self.engine.records.now = now
        self.engine.end_expired(now >> row.TICK_SHIFT & bits.M32, TICK_BUDGET)
        return 0

    def on_readable(self, int side, int dense, int64_t linger):
        """`Pump.on_readable`, on the loop: there the GIL is kept, since to get it back may take long."""
        return self.serve(side, dense, linger)

    cdef int64_t serve(self, int side, int dense, int64_t linger) except -1 nogil:
        """Translate what waits on `side`, up to the bound; returns the number of frames read.

        linger: nanoseconds to look for more where `dense` frames came at once.
        """
        cdef int count, number
        cdef int64_t total = 0
        self.wakeups[side] += 1
        for number in range(BATCHES):
            count = self.inside.pull(self.frames) if side == sides.INSIDE else self.outside.pull(self.frames)
            if count == 0:
                break
            total += count
            self.batches[side] += 1
            self.packets[side] += count
            self.batch.count = count
            self.translate(side, count)
            if not self.more(side) and (linger == 0 or count < dense or not self.watch(side, linger)):
                break
        return total

    cdef bint more(self, int side) noexcept nogil:
        return self.inside.more if side == sides.INSIDE else self.outside.more

    cdef bint watch(self, int side, int64_t linger) noexcept nogil:
        return self.inside.watch(linger) if side == sides.INSIDE else self.outside.watch(linger)

    cdef int translate(self, int side, int count) except -1 nogil:
        cdef int64_t now = clock()
        self.engine.records.now = now
        if self.engine.run(side, now >> row.TICK_SHIFT & bits.M32):
            with gil:
                self.finish(side, now)
            return 0
        if self.own != NULL:
            self.hand_over(side, count)
        return self.send(count)

    cdef int send(self, int count) except -1 nogil:
        if self.inside.push(self.frames, count, sides.INSIDE) < 0:
            with gil:
                self.pump.links[sides.INSIDE].write_batch(self.batch, sides.INSIDE)
        if self.outside.push(self.frames, count, sides.OUTSIDE) < 0:
            with gil:
                self.pump.links[sides.OUTSIDE].write_batch(self.batch, sides.OUTSIDE)
        return 0

    cdef finish(self, int side, int64_t now):
        """All the rest of a batch that needs Python: waiting for the GIL once is enough."""
        try:
            self.pump.translator.finish(side, now)
        finally:
            if self.own != NULL:
                self.hand_over(side, self.batch.count)
            self.pump.send(self.batch)
