"""The ends of a measurement, at C speed: senders and receivers that cost less than what lies between them."""

from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

cdef extern from "<time.h>" nogil:
    struct timespec:
        long tv_sec
        long tv_nsec
    int clock_gettime(int clock, timespec *now)
    int clock_nanosleep(int clock, int flags, const timespec *until, timespec *rest)
    enum: CLOCK_MONOTONIC, TIMER_ABSTIME

cdef extern from "<sys/prctl.h>" nogil:
    int prctl(int option, unsigned long value)
    enum: PR_SET_TIMERSLACK

cdef extern from "<arpa/inet.h>" nogil:
    uint16_t htons(uint16_t)
    uint32_t htonl(uint32_t)

cdef extern from "<netinet/in.h>" nogil:
    struct in_addr:
        uint32_t s_addr
    struct sockaddr_in:
        unsigned short sin_family
        uint16_t sin_port
        in_addr sin_addr

cdef extern from "<sys/uio.h>" nogil:
    struct iovec:
        void *iov_base
        size_t iov_len

cdef extern from "<unistd.h>" nogil:
    int close(int fd)

cdef extern from *:
    """
    #ifndef _GNU_SOURCE
    #define _GNU_SOURCE
    #endif
    #include <sys/socket.h>
    """
    struct msghdr:
        iovec *msg_iov
        size_t msg_iovlen
    struct mmsghdr:
        msghdr msg_hdr
        unsigned int msg_len
    int sendmmsg(int fd, mmsghdr *messages, unsigned int count, int flags) nogil
    int socket(int family, int kind, int protocol) nogil
    int connect(int fd, const sockaddr_in *address, unsigned int length) nogil
    int accept(int fd, void *address, void *length) nogil
    ssize_t send(int fd, const void *data, size_t length, int flags) nogil
    ssize_t recv(int fd, void *data, size_t length, int flags) nogil
    ssize_t recvfrom(int fd, void *data, size_t length, int flags, sockaddr_in *address, unsigned int *size) nogil
    ssize_t sendto(int fd, const void *data, size_t length, int flags, const sockaddr_in *address,
                   unsigned int size) nogil
    enum: AF_INET, SOCK_STREAM, MSG_NOSIGNAL

cdef enum:
    BATCH = 64
    FRAME = 1536
    # Offsets in an Ethernet frame that carries IPv4 without options, or IPv6, and UDP.
    IP_CHECKSUM = 24
    SOURCE = 26
    SOURCE_PORT = 34
    UDP_CHECKSUM = 40
    SOURCE_6 = 34  # the address's last four bytes
    SOURCE_PORT_6 = 54
    UDP_CHECKSUM_6 = 60
    LOWEST_PORT = 1024
    PORTS = 64512
    STEP = 40487  # no common divisor with PORTS: a source's ports look random, and none comes twice
    SHIFT = 7919


cdef int64_t clock() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return <int64_t>now.tv_sec * 1000000000 + now.tv_nsec


cdef void sleep_until(int64_t when) noexcept nogil:
    cdef timespec until
    until.tv_sec, until.tv_nsec = when // 1000000000, when % 1000000000
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL)


cdef uint16_t fold(uint64_t total) noexcept nogil:
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return <uint16_t>total


cdef void stamp(uint8_t *frame, bint six, uint64_t ip_sum, uint64_t udp_sum, uint32_t source,
                uint32_t port) noexcept nogil:
    """Give a frame its source; both sums are those of the frame with source, port and checksums zero."""
    cdef uint32_t address = (source >> 16) + (source & 0xFFFF)
    cdef uint16_t ip_checksum = ~fold(ip_sum + address), udp_checksum = ~fold(udp_sum + address + port)
    cdef int at = SOURCE_6 if six else SOURCE
    if not six:
        (<uint16_t *>(frame + IP_CHECKSUM))[0] = htons(ip_checksum)
    (<uint16_t *>(frame + at))[0] = htons(source >> 16)
    (<uint16_t *>(frame + at + 2))[0] = htons(source & 0xFFFF)
    (<uint16_t *>(frame + (SOURCE_PORT_6 if six else SOURCE_PORT)))[0] = htons(port)
    (<uint16_t *>(frame + (UDP_CHECKSUM_6 if six else UDP_CHECKSUM)))[0] = htons(udp_checksum if udp_checksum else 0xFFFF)


def blast(int fd, list templates, uint32_t first_source, uint32_t sources, uint32_t ports, int64_t nanoseconds,
          bint once, int burst, int64_t gap):
    """Send frames in bursts for a time, each packet from the next of sources x ports. Returns how many were sent.

    templates: (frame, sum of its IP header, sum of its pseudo header and UDP), taken in turn. Bursts begin `gap`
    nanoseconds apart, or one after the other where it is 0; at most ten bursts that came late are made up for.
    With `once`, no source comes twice: it stops when they are used up. A full queue further on is not waited for.
    """
    cdef uint8_t frames[BATCH][FRAME]
    cdef uint64_t ip_sum[BATCH], udp_sum[BATCH]
    cdef mmsghdr messages[BATCH]
    cdef iovec pieces[BATCH]
    cdef int64_t end = clock() + nanoseconds, sent = 0, turn = clock()
    cdef uint64_t flow = 0, flows = <uint64_t>sources * ports
    cdef uint32_t source, port
    cdef int index, result, count = min(burst, BATCH)
    cdef bint six = templates[0][0][12:14] == b"\x86\xdd"
    cdef const uint8_t[::1] template
    memset(messages, 0, sizeof(messages))
    for index in range(BATCH):
        template, ip_sum[index], udp_sum[index] = templates[index % len(templates)]
        memcpy(frames[index], &template[0], min(template.shape[0], FRAME))
        pieces[index].iov_base, pieces[index].iov_len = frames[index], template.shape[0]
        messages[index].msg_hdr.msg_iov, messages[index].msg_hdr.msg_iovlen = &pieces[index], 1
    prctl(PR_SET_TIMERSLACK, 1)
    with nogil:
        while clock() < end:
            for index in range(count):
                source, port = flow % sources, flow // sources
                port = LOWEST_PORT + (port * STEP + source * SHIFT) % PORTS
                stamp(frames[index], six, ip_sum[index], udp_sum[index], first_source + source, port)
                flow = flow + 1 if flow + 1 < flows else 0
            result = sendmmsg(fd, messages, count, 0)
            sent += result if result > 0 else 0
            if once and flow < <uint64_t>count:
                break
            if gap:
                turn = max(turn + gap, clock() - 10 * gap)
                sleep_until(turn)
    return sent


def probe(int fd, int64_t nanoseconds, int64_t gap, int64_t[::1] times):
    """Send a numbered datagram every `gap` nanoseconds and wait for its echo. Returns (answered, lost).

    times: is filled with the round trips, in nanoseconds. `fd` is connected and has a receive timeout.
    """
    cdef int64_t end = clock() + nanoseconds, began = clock(), answered = 0, lost = 0, number = 0, echoed
    cdef ssize_t length
    prctl(PR_SET_TIMERSLACK, 1)
    with nogil:
        while clock() < end and answered < times.shape[0]:
            number += 1
            began = clock()
            send(fd, &number, sizeof(number), 0)
            echoed = 0
            length = 1
            while echoed != number and length > 0:  # what comes late is another's
                length = recv(fd, &echoed, sizeof(echoed), 0)
            if echoed == number:
                times[answered] = clock() - began
                answered += 1
            else:
                lost += 1
            sleep_until(began + gap)
    return answered, lost


def echo(int fd, int64_t nanoseconds):
    """Answer every datagram with itself. Returns (how many, the first one's source, how many had another source)."""
    cdef int64_t end = clock() + nanoseconds, answered = 0, others = 0, number = 0
    cdef sockaddr_in source
    cdef unsigned int size
    cdef uint32_t first = 0
    with nogil:
        while clock() < end:
            size = sizeof(source)
            if recvfrom(fd, &number, sizeof(number), 0, &source, &size) <= 0:
                continue
            first = source.sin_addr.s_addr if answered == 0 else first
            others += source.sin_addr.s_addr != first
            answered += 1
            sendto(fd, &number, sizeof(number), 0, &source, size)
    return answered, htonl(first), others


def visit(uint32_t first_address, uint32_t addresses, uint16_t port, int64_t nanoseconds):
    """Connect, send a byte, read to the end, close; over and over, to each address in turn. Returns (done, failed)."""
    cdef int64_t end = clock() + nanoseconds, done = 0, failed = 0
    cdef uint32_t turn = 0
    cdef sockaddr_in to
    cdef char octet[16]
    cdef int fd
    memset(&to, 0, sizeof(to))
    to.sin_family, to.sin_port = AF_INET, htons(port)
    with nogil:
        while clock() < end:
            to.sin_addr.s_addr = htonl(first_address + turn)
            turn = (turn + 1) % addresses
            fd = socket(AF_INET, SOCK_STREAM, 0)
            if connect(fd, &to, sizeof(to)) == 0 and send(fd, octet, 1, MSG_NOSIGNAL) == 1 and recv(fd, octet, 16, 0) == 1 \
                    and recv(fd, octet, 16, 0) == 0:
                done += 1
            else:
                failed += 1
            close(fd)
    return done, failed


def welcome(int listening, int64_t nanoseconds):
    """The other end of `visit`: accept, read a byte, send one, close. `listening` must have a receive timeout."""
    cdef int64_t end = clock() + nanoseconds
    cdef char octet[16]
    cdef int fd
    with nogil:
        while clock() < end:
            fd = accept(listening, NULL, NULL)
            if fd < 0:
                continue
            if recv(fd, octet, 16, 0) == 1:
                send(fd, octet, 1, MSG_NOSIGNAL)
            close(fd)
