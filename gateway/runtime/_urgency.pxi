# A worker's place among the threads that want its core; included by _worker.pyx.
#
# The kernel does its own packet work ahead of every thread while there is little of it, and leaves it to one thread
# among others when there is much (softirq, ksoftirqd). So does a worker: if others keep a core from it, it is urgent
# (SCHED_RR) for a while, but for when it needs a whole core. Without CAP_SYS_NICE it stays an ordinary thread.

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
    """
    static int leave_core(void) {
        cpu_set_t all, others;
        if (sched_getaffinity(0, sizeof all, &all) < 0)
            return 0;
        others = all;
        CPU_CLR(sched_getcpu(), &others);
        return sched_setaffinity(0, sizeof others, &others) == 0 && sched_setaffinity(0, sizeof all, &all) == 0;
    }
    """
    bint leave_core()
    struct sched_param:
        int sched_priority
    int sched_setscheduler(int thread, int policy, const sched_param *param)
    enum:
        SCHED_OTHER
        SCHED_RR

cdef enum:
    WINDOW = 100  # milliseconds over which is averaged
    WAITED = 10  # percent of the time spent waiting for a core: it becomes urgent
    MUCH = 90  # percent of a core used: it does not, or is no longer
    HALF = 60  # percent of a core used: it moves to another if it finds
    THIN = 2  # fewer packets than this at a waking: it pushes aside who sends them on this one
    URGENT = 10000  # milliseconds
    CALM = 250  # milliseconds for which it is not urgent again after needing much


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
    cdef bint much, thin
    if self.times < 0 or not look_back(self, now, wakeups, packets):
        return
    thin = self.used > HALF and self.found < THIN * self.woken
    much = self.used > MUCH or thin and not (self.urgent and move_on(self))
    if self.urgent and (much or now > self.until):
        become(self, False, now + (CALM if much else 0) * <int64_t>MILLISECOND)
    elif not self.urgent and not much and self.waited > WAITED and now > self.until:
        become(self, True, now + URGENT * <int64_t>MILLISECOND)


cdef bint look_back(Urgency *self, int64_t now, int64_t wakeups, int64_t packets) noexcept nogil:
    """Average the time since the last look in; False if the kernel does not tell."""
    cdef double since = now - self.now
    cdef Urgency last = self[0]
    cdef double part = min(since / (WINDOW * MILLISECOND), 1)
    if not read_times(self):
        return False
    self.now, self.wakeups, self.packets = now, wakeups, packets
    self.used += (100 * (self.running - last.running) / since - self.used) * part
    self.waited += (100 * (self.waiting - last.waiting) / since - self.waited) * part
    self.woken += (wakeups - last.wakeups - self.woken) * part
    self.found += (packets - last.packets - self.found) * part
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


cdef bint move_on(Urgency *self) noexcept nogil:
    """To another core, which the scheduler does not think of: on this one, an urgent thread comes first already."""
    if not leave_core():
        return False
    self.used = self.woken = self.found = 0
    return True


cdef void become(Urgency *self, bint urgent, int64_t until) noexcept nogil:
    cdef sched_param param
    param.sched_priority = 1 if urgent else 0
    if sched_setscheduler(0, SCHED_RR if urgent else SCHED_OTHER, &param) < 0:
        end_urgency(self)  # it is not allowed, and will not be
        return
    self.urgent, self.until, self.waited = urgent, until, 0
