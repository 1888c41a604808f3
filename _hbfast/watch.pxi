# The watch: what the daemon does while nothing happens, without the interpreter. Included by codec.pyx.
#
# For hours two nodes say once more what they have said before. To read that, to say it, to keep the leases and to note
# both in the journal costs little; to wake an interpreter for it, whose memory has gone cold since the last time, costs
# several times as much.
#
# Its rules: it does what the daemon's turn would do, or leaves it undone, whole, and returns. What is no repetition is
# handed over as it was read; a timer that is not the beat's alone, a lease that is late, a line that is busy is for the
# daemon to see. So it judges nobody. It is lent everything for one stay; what it has changed is in its attributes then.
# It alone of the compiled part reads a clock and uses descriptors, none of which it opens or closes.

cdef extern from *:
    """
    #include <errno.h>
    #include <net/if.h>
    #include <stdint.h>
    #include <string.h>
    #include <sys/epoll.h>
    #include <sys/ioctl.h>
    #include <sys/socket.h>
    #include <sys/timerfd.h>
    #include <time.h>
    #include <unistd.h>

    typedef struct { int fd; unsigned events; } watch_event;

    /* What four bits do to the remainder by the polynomial of IEEE 802.3, the lowest bit first. */
    static const uint32_t CRC32[16] = {
        0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
        0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
    };

    static int64_t watch_clock(clockid_t clock)
    {
        struct timespec now;
        clock_gettime(clock, &now);
        return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
    }

    static int watch_set(int timer, int64_t instant)
    {
        struct itimerspec when = {
            .it_value = { .tv_sec = instant / 1000000000, .tv_nsec = instant % 1000000000 },
        };
        return timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL);
    }

    /* How many are ready, at most 16; -1: a signal came. */
    static int watch_wait(int epoll, watch_event *ready)
    {
        struct epoll_event events[16];
        int i, n = epoll_wait(epoll, events, 16, -1);
        for (i = 0; i < n; i++) {
            ready[i].fd = events[i].data.fd;
            ready[i].events = events[i].events;
        }
        return n;
    }

    static int watch_listen(int epoll, int fd, int listen)
    {
        struct epoll_event event = { .events = listen ? EPOLLIN : 0, .data.fd = fd };
        return epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event);
    }

    /* 0, or the error. What is not taken whole is lost, as a datagram is. */
    static int watch_send(int fd, const void *octets, size_t n, const void *target, size_t size)
    {
        return sendto(fd, octets, n, MSG_NOSIGNAL, target, size) < 0 ? errno : 0;
    }

    /* The number of an interface; -1: there is none of this name. */
    static int watch_interface(int fd, const char *name, size_t n)
    {
        struct ifreq request = { 0 };
        if (n >= sizeof request.ifr_name)
            return -1;
        memcpy(request.ifr_name, name, n);
        return ioctl(fd, SIOCGIFINDEX, &request) < 0 ? -1 : request.ifr_ifindex;
    }

    /* Octets that a port has not sent yet; 0 where its driver does not say. */
    static int watch_unsent(int fd)
    {
        int left = 0;
        return ioctl(fd, TIOCOUTQ, &left) < 0 ? 0 : left;
    }

    static int watch_nothing(void)
    {
        return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
    }

    static int watch_error(void)
    {
        return errno;
    }
    """
    const uint32_t[16] CRC32
    ctypedef struct watch_event:
        int fd
        unsigned events
    ctypedef int clockid_t
    const clockid_t CLOCK_BOOTTIME
    const clockid_t CLOCK_REALTIME
    const unsigned EPOLLIN
    int64_t watch_clock(clockid_t clock)
    int watch_set(int timer, int64_t instant)
    int watch_wait(int epoll, watch_event* ready)
    int watch_listen(int epoll, int fd, int listen)
    int watch_send(int fd, const void* octets, size_t n, const void* target, size_t size)
    int watch_interface(int fd, const char* name, size_t n)
    int watch_unsent(int fd)
    int watch_nothing()
    int watch_error()
    ssize_t read(int fd, void* octets, size_t n)
    ssize_t write(int fd, const void* octets, size_t n)

cdef extern from "Python.h":
    ctypedef struct Py_buffer:
        void* buf
        Py_ssize_t len
    const int PyBUF_WRITABLE
    int PyObject_GetBuffer(object owner, Py_buffer* view, int flags) except -1
    void PyBuffer_Release(Py_buffer* view)
    void* PyMem_Malloc(size_t n)

cdef enum:
    EVENTS = 16
    ROOM = 65536                # a datagram holds no more
    FIRED = -1                  # the timer is to be set, whatever is due
    HEAD = 18                   # of a record of heartbeat/journal.py: length, instant, digest, letters, kind
    TICK_RECORD = 3
    REPEATED_RECORD = 6
    FRAMES = 4                  # as heartbeat/pace.py
    HELD_OCTETS = 4096
    LEAST_OCTETS = 8
    LOOK_OCTETS = 64            # as heartbeat/media/line.py
    CHECK_NS = 1000000000       # as heartbeat/media/udp.py


cdef void put_little(uint8_t* out, uint64_t value, int n) noexcept:
    cdef int i
    for i in range(n):
        out[i] = <uint8_t>(value >> (8 * i))


cdef uint32_t crc32_on(uint32_t crc, const uint8_t* p, Py_ssize_t n) noexcept:
    """zlib's, of some more octets."""
    cdef Py_ssize_t i
    crc = ~crc
    for i in range(n):
        crc ^= p[i]
        crc = crc >> 4 ^ CRC32[crc & 15]
        crc = crc >> 4 ^ CRC32[crc & 15]
    return ~crc


cdef class End:
    """One medium, as the watch uses it."""
    cdef Decoder decoder
    cdef bint netstring
    cdef int reader
    cdef int writer
    cdef bytes target           # struct sockaddr; of a line none
    cdef bytes interface        # whose number is looked at once in a while; none: the daemon does it
    cdef int index
    cdef readonly str medium
    cdef readonly bint stream
    cdef public uint64_t repeated
    cdef public int64_t place
    cdef int64_t again          # where the record of its repetitions is, 0: none
    # of datagrams
    cdef public int64_t heard_ns
    cdef public int64_t patience_ns
    cdef public int64_t check_ns
    # of a line
    cdef public list lengths
    cdef public bytes held
    cdef public int64_t octet_ns
    cdef public int64_t longest_ns
    cdef public int64_t look_ns
    cdef public int64_t wake_ns
    cdef public int64_t clear_ns
    cdef public int64_t moved_ns
    cdef public int64_t unsent
    cdef public bytes rest

    def __init__(self, Decoder decoder not None, int reader, int writer, *, bint netstring, bytes target=b"",
                 bytes interface=b"", int index=0):
        self.decoder = decoder
        self.medium = decoder.medium
        self.stream = decoder.stream
        self.reader = reader
        self.writer = writer
        self.netstring = netstring
        self.target = target
        self.interface = interface
        self.index = index
        self.look_ns = INT64_MAX
        self.lengths = []
        self.held = self.rest = b""

    cdef int64_t due(self) noexcept:
        """When somebody has to look at it, whether anything comes or not."""
        return self.look_ns if self.stream else self.heard_ns + self.patience_ns if self.patience_ns else INT64_MAX

    cdef bint is_free(self, int64_t now):
        """Can a status be sent at once, to where it is meant for?"""
        if self.stream:
            return now >= self.wake_ns and watch_unsent(self.writer) == 0
        if now < self.check_ns:
            return True
        if not self.interface or watch_interface(self.writer, self.interface, len(self.interface)) != self.index:
            return False
        self.check_ns = now + CHECK_NS
        return True

    cdef int send(self, Layout layout, Py_ssize_t n, int64_t now) except -1:
        """0, or the error. A line that is_free takes all of it, or the daemon sees to the rest."""
        cdef uint8_t* frame = layout.body.data
        cdef Py_ssize_t taken
        if not self.stream:
            return watch_send(self.writer, frame, n, octets_in(self.target), len(self.target))
        taken = write(self.writer, frame, n)
        if taken < 0 and not watch_nothing():
            return watch_error()
        taken = max(taken, 0)
        self.rest = PyBytes_FromStringAndSize(<char*>frame + taken, n - taken)
        self.unsent = taken
        self.moved_ns = now
        self.clear_ns = max(self.clear_ns, now) + taken * self.octet_ns
        self.wake_ns = self.clear_ns if taken == n else now + max(taken // 2, LOOK_OCTETS) * self.octet_ns
        return 0


cdef class Watch:
    """See codec.pyi."""
    cdef Beat own
    cdef Repetition repetition
    cdef int epoll
    cdef int timer
    cdef uint8_t* room
    cdef Layout layout          # of what is said, as a netstring
    cdef Py_ssize_t said        # octets of it, as sent last; 0: nothing was
    cdef uint32_t begun         # what the journal's digest is after its head
    cdef public list ends
    cdef public int64_t until
    cdef public int64_t set_for
    cdef public Authenticator auth
    cdef public bint inner_auth
    # the lease
    cdef public bint holds
    cdef public int64_t signed_ns
    cdef public int64_t patience_ns
    cdef public int64_t lease_ns
    cdef public int64_t guard_ns
    cdef public int64_t slack_ns
    cdef public object sign
    cdef public int sign_at
    cdef public list renewals
    cdef public int gate
    # the journal
    cdef public object journal
    cdef public int64_t at
    cdef public int64_t half
    # what came of it
    cdef readonly tuple left
    cdef readonly End useless
    cdef readonly list failed
    cdef readonly list late
    cdef readonly bint lapsed
    cdef readonly bint refused
    # while it lasts
    cdef int media
    cdef (void*)[MEDIA] at_once   # each of `ends`
    cdef uint8_t* records
    cdef uint8_t* instant

    def __cinit__(self):
        self.room = <uint8_t*>PyMem_Malloc(ROOM)
        if self.room == NULL:
            raise MemoryError

    def __dealloc__(self):
        PyMem_Free(self.room)

    def __init__(self, Beat own not None, Repetition repetition not None, int epoll, int timer):
        self.own = own
        self.repetition = repetition
        self.epoll = epoll
        self.timer = timer
        self.set_for = FIRED
        self.ends = []
        self.renewals = []

    def keep(self):
        cdef Py_buffer journal, sign
        cdef End end
        self.left = self.useless = None
        self.failed = []
        self.late = []
        self.lapsed = self.refused = False
        self.records = self.instant = NULL
        self.media = 0
        for end in self.ends[:MEDIA]:
            self.at_once[self.media] = <void*>end
            self.media += 1
            end.again = 0
        if self.journal is not None:
            PyObject_GetBuffer(self.journal, &journal, PyBUF_WRITABLE)
            self.records = <uint8_t*>journal.buf
        try:
            if self.sign is not None:
                PyObject_GetBuffer(self.sign, &sign, PyBUF_WRITABLE)
                self.instant = <uint8_t*>sign.buf + self.sign_at
            return self.stay()
        finally:
            if self.records != NULL:
                PyBuffer_Release(&journal)
            if self.instant != NULL:
                PyBuffer_Release(&sign)

    cdef list stay(self):
        cdef watch_event[EVENTS] events
        cdef list ready = []
        cdef End end
        cdef int64_t due, now
        cdef int i, n
        while True:
            due = min(self.until, self.own.wheel.first())
            for i in range(self.media):
                due = min(due, (<End>self.at_once[i]).due())
            if due != self.set_for:
                watch_set(self.timer, max(due, 1))
                self.set_for = due
            n = watch_wait(self.epoll, events)
            now = watch_clock(CLOCK_BOOTTIME)
            for i in range(n):
                if events[i].fd == self.timer:
                    self.set_for = FIRED
                elif not self.read(events[i].fd, events[i].events, now):
                    ready.append((events[i].fd, events[i].events))
            for i in range(self.media):
                end = <End>self.at_once[i]
                if end.look_ns <= now and self.left is None:
                    self.hear_line(end, now)
            if n < 0 or ready or self.left is not None or self.useless is not None:
                return ready
            due = self.own.wheel.first()
            if due <= now and (not self.say(due, now) or self.failed or self.lapsed or self.refused):
                return ready
            if self.until <= now or (self.records != NULL and self.at > self.half):
                return ready
            for i in range(self.media):
                end = <End>self.at_once[i]
                if end.rest or (not end.stream and end.due() <= now):
                    return ready

    # --- heard

    cdef bint read(self, int fd, unsigned events, int64_t now) except -1:
        """False: this is for the daemon to read. What was read and is nothing for us is in `left`, and what comes after
        that waits until it is its turn."""
        cdef End end
        cdef int i
        if self.left is not None or events != EPOLLIN:
            return False
        for i in range(self.media):
            end = <End>self.at_once[i]
            if end.reader == fd:
                return self.hear_line(end, now) if end.stream else self.hear(end, now)
        return False

    cdef bint hear(self, End end, int64_t now) except -1:
        cdef Py_ssize_t n = read(end.reader, self.room, ROOM)
        cdef int heard
        if n <= 0:
            return n == 0 or watch_nothing()
        heard = self.repetition.hear_plain(end.decoder, self.room, n, now)
        if heard == OTHER and n == self.said and memcmp(self.room, self.layout.body.data, n) == 0:
            return True  # it is our own: a broadcast is heard by its sender, who would think nothing of it
        if heard == OTHER:
            self.left = end, PyBytes_FromStringAndSize(<char*>self.room, n), now
            return True
        if self.repetition.sequence == end.repeated:
            self.useless = end  # it has brought this one before
        else:
            end.repeated = self.repetition.sequence
            end.heard_ns = now
        self.note_repeated(end, now)
        return True

    cdef bint hear_line(self, End end, int64_t now) except -1:
        """As heartbeat/pace.py and heartbeat/wire.py have it."""
        cdef Py_ssize_t n = read(end.reader, self.room, HELD_OCTETS)
        cdef Py_ssize_t size, left
        cdef bytes came, seen
        if n == 0 or (n < 0 and not watch_nothing()):
            self.listen(end)
            return False
        if n < 0 and end.look_ns > now:
            return True
        came = PyBytes_FromStringAndSize(<char*>self.room, max(n, 0))
        seen = end.held + came
        size = len(seen)
        if n > 0 and size >= MARKER and is_marker(octets_in(seen) + size - MARKER, c"<"):
            if self.repetition.hear_plain(end.decoder, octets_in(seen), size, now) != OTHER:
                end.lengths = [*end.lengths[1 - FRAMES:], size]
                end.held = b""
                end.repeated = self.repetition.sequence
                self.listen(end)
                self.note_repeated(end, now)
                return True
        elif n > 0 and end.lengths and seen.find(b"<<<\n") < 0 and size <= HELD_OCTETS:
            left = min(end.lengths) - size
            if left > 0:
                end.held = seen
                if end.look_ns == INT64_MAX:
                    watch_listen(self.epoll, end.reader, False)
                end.look_ns = now + min(max(left, LEAST_OCTETS) * end.octet_ns, end.longest_ns)
                return True
        self.listen(end)
        self.left = end, came, now
        return True

    cdef void listen(self, End end) noexcept:
        """It has rested, if it has."""
        if end.look_ns != INT64_MAX:
            end.look_ns = INT64_MAX
            watch_listen(self.epoll, end.reader, True)

    # --- said

    cdef bint say(self, int64_t due, int64_t now) except -1:
        """This node's status once more; False: not this way, and nothing was done."""
        cdef End end
        cdef Layout layout, line = None
        cdef uint64_t stamp, wall_s = watch_clock(CLOCK_REALTIME) // 1000000000
        cdef Py_ssize_t size = 0, line_size = 0
        cdef bint taken = False
        cdef int i, error
        if self.holds and self.signed_ns >= 0 and now - self.signed_ns > self.patience_ns - self.guard_ns:
            return False
        for i in range(self.media):
            end = <End>self.at_once[i]
            if not end.is_free(now):
                return False
            if end.stream and line is None:
                line = self.prepared(False)
                if line is None:
                    return False
        layout = self.prepared(True)
        if layout is None or not self.own.say(now, wall_s):
            return False
        self.late.append(now - due)
        stamp = self.own.stamps[self.own.times - 1]
        self.note_tick(stamp, wall_s, now)
        for i in range(self.media):
            end = <End>self.at_once[i]
            if end.netstring:
                if size == 0:
                    size = self.said = layout.write(self.own.sequence, stamp)
                error = end.send(layout, size, now)
            else:
                if line_size == 0:
                    line_size = line.write(self.own.sequence, stamp)
                error = end.send(line, line_size, now)
            if error:
                self.failed.append((end, error))
            else:
                taken = True
        if taken:
            self.signed_ns = now
            self.patience_ns = self.lease_ns
            if self.instant != NULL:
                memcpy(self.instant, &now, sizeof(now))
        if self.holds:
            self.renew(taken, now)
        return True

    cdef Layout prepared(self, bint netstring):
        """Of what is said; None: it is written the ordinary way."""
        cdef Layout layout
        if self.own.status is None:
            return None
        if self.own.status.pattern is None:
            self.own.status.again(0, 0)
        layout = self.own.status.pattern.layout(self.auth, netstring, self.inner_auth)
        if netstring and layout is not None and layout is not self.layout:
            self.layout = layout
            self.said = 0
            # of a Transmit of a status: its priority, then the unsigned frame
            self.begun = crc32_on(crc32_on(1, b"0", 1), layout.body.data, layout.body.head)
        return layout

    cdef int renew(self, bint taken, int64_t now) except -1:
        """As Lease.beat of heartbeat/lease.py has it."""
        cdef bytes frame
        cdef int64_t after = watch_clock(CLOCK_BOOTTIME)
        if after - now > self.lease_ns - self.guard_ns:
            self.lapsed = True
        elif taken and after - now <= self.slack_ns:
            for frame in self.renewals:
                if watch_send(self.gate, octets_in(frame), len(frame), NULL, 0):
                    self.refused = True
            if watch_clock(CLOCK_BOOTTIME) - now > 2 * self.slack_ns:
                self.lapsed = True
        return 0

    # --- noted, as heartbeat/journal.py has it

    cdef void put_head(self, int64_t at, int length, int64_t now, uint32_t digest, int letters, int kind) noexcept:
        cdef uint8_t* out = self.records + at
        put_little(out + 4, now, 8)
        put_little(out + 12, digest, 4)
        out[16] = <uint8_t>letters
        out[17] = <uint8_t>kind
        put_little(out, length, 4)

    cdef void note_repeated(self, End end, int64_t now) noexcept:
        """How often, the last number, and where the record of the status is."""
        cdef uint8_t* out
        cdef uint64_t count = 1
        if self.records == NULL:
            return
        if end.again == 0:
            end.again = self.at
            self.at += HEAD + 16
        else:
            out = self.records + end.again + HEAD
            count = 1 + (out[0] | <uint64_t>out[1] << 8 | <uint64_t>out[2] << 16 | <uint64_t>out[3] << 24)
        out = self.records + end.again + HEAD
        put_little(out, count, 4)
        put_little(out + 4, self.repetition.sequence, 8)
        put_little(out + 12, end.place, 4)
        self.put_head(end.again, 16, now, 0, 0, REPEATED_RECORD)

    cdef void note_tick(self, uint64_t stamp, uint64_t wall_s, int64_t now) noexcept:
        """With the digest of the unsigned frame, whose head is taken."""
        cdef Body body = self.layout.body
        cdef uint32_t digest
        cdef uint8_t* out
        cdef int i
        if self.records == NULL:
            return
        for i in range(self.media):
            (<End>self.at_once[i]).again = 0
        self.said = 0
        body.write(self.own.sequence, stamp)
        digest = crc32_on(self.begun, body.data + body.head, body.size - body.head)
        digest = crc32_on(digest, b"%%%\n", MARKER)
        out = self.records + self.at + HEAD
        put_little(out, wall_s, 8)
        out[8] = c"T"
        self.put_head(self.at, 8, now, min(max(digest, 1), 0xFFFFFFFE), 1, TICK_RECORD)
        self.at += HEAD + 8 + 1
