# A worker's place among the threads that want its core; included by _worker.pyx.
#
# The kernel does its own packet work ahead of every thread while there is little of it, and leaves it to one thread
# among others when there is much (softirq, ksoftirqd). So does a worker: if it has something to do and others keep a
# core from it, it is urgent (SCHED_RR), until it needs a whole core. Without CAP_SYS_NICE it stays an ordinary thread.

from libc.stdlib cimport strtoll

cdef extern from "<fcntl.h>" nogil:
    int open_file "open"(const char *path, int flags)
    enum:
        O_RDONLY
        O_CLOEXEC

cdef extern from "<unistd.h>" nogil:
    int64_t pread(int fd, void *into, size_t size, int64_t offset)
    int close_file "close"(int fd)

cdef extern from "<sched.h>" nogil:
    struct sched_param:
        int sched_priority
    int sched_setscheduler(int thread, int policy, const sched_param *param)
    enum:
        SCHED_OTHER
        SCHED_RR

cdef enum:
    WAITED = 15  # percent of the time spent waiting for a core, of late: it becomes urgent
    LATE = 60  # milliseconds over which that is averaged
    LEAST = 10  # percent of a core used: for less nobody is pushed aside
    BATCH = 2  # packets at a waking: who finds fewer pushes aside who sends them, if that is on the same core
    MUCH = 85  # percent of a core used: it does not become urgent, or is no longer
    WINDOW = 100  # milliseconds over which that is averaged
    URGENT = 10000  # milliseconds; then the scheduler, which leaves an urgent thread where it is, may place it anew
    CALM = 100  # milliseconds that it has for that


cdef void begin_urgency(Urgency *self) noexcept nogil:
    """In the thread that it is about."""
    if self.times < 0:
        self.times = open_file(b"/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC)


cdef void end_urgency(Urgency *self) noexcept nogil:
    if self.times >= 0:
        close_file(self.times)
    self.times = -1


cdef void weigh(Urgency *self, int64_t now, int64_t wakeups, int64_t packets) noexcept nogil:
    """With every tick: decide anew by how the time since the last one was spent. wakeups, packets: so far."""
    cdef bint may
    if self.times < 0 or not look_back(self, now, wakeups, packets):
        return
    may = (LEAST / 2 if self.urgent else LEAST) < self.used < MUCH and self.found >= BATCH * self.woken
    if self.urgent and not (may and now < self.until):
        become(self, False, now + CALM * <int64_t>MILLISECOND)
    elif not self.urgent and may and self.waited > WAITED and now > self.until:
        become(self, True, now + URGENT * <int64_t>MILLISECOND)


cdef bint look_back(Urgency *self, int64_t now, int64_t wakeups, int64_t packets) noexcept nogil:
    """Average the time since the last look in; False if the kernel does not tell."""
    cdef Urgency last = self[0]
    cdef double since = now - last.now
    cdef double part = min(since / (WINDOW * MILLISECOND), 1)
    if not read_times(self):
        return False
    self.now, self.wakeups, self.packets = now, wakeups, packets
    self.used += (100 * (self.running - last.running) / since - last.used) * part
    self.woken += (wakeups - last.wakeups - last.woken) * part
    self.found += (packets - last.packets - last.found) * part
    self.waited += (100 * (self.waiting - last.waiting) / since - last.waited) * min(since / (LATE * MILLISECOND), 1)
    return True


cdef bint read_times(Urgency *self) noexcept nogil:
    cdef char text[64]
    cdef char *rest
    cdef int64_t size = pread(self.times, text, sizeof(text) - 1, 0)
    if size <= 0:
        return False
    text[size] = 0
    self.running = strtoll(text, &rest, 10)
    self.waiting = strtoll(rest, NULL, 10)
    return True


cdef void become(Urgency *self, bint urgent, int64_t until) noexcept nogil:
    cdef sched_param param
    param.sched_priority = 1 if urgent else 0
    if sched_setscheduler(0, SCHED_RR if urgent else SCHED_OTHER, &param) < 0:
        end_urgency(self)  # it is not allowed, and will not be
        return
    self.urgent, self.until, self.waited = urgent, until, 0
