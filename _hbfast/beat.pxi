# This node's own status, said again when its time has come. Included by codec.pyx.
#
# The other half of repetition.pxi. Its rules: it is told a status that says all there is to say, and says it again only
# where its timer is due and nobody else's is; who does anything else first asks what was said meanwhile, and says anew
# what is to be said from then on.

cdef enum:
    SAID_MOST = 256             # messages that nobody has taken


cdef class Beat:
    cdef TimerWheel wheel
    cdef int32_t timer
    cdef int32_t other          # disarmed by each
    cdef int64_t keepalive_ns
    cdef readonly int64_t next_ns
    cdef readonly int64_t last_ns
    cdef readonly uint64_t ts
    cdef public int64_t ends
    cdef public int64_t length_ns
    cdef uint64_t sequence
    cdef Message status         # None: there is none to repeat
    cdef list said              # of a status before this one
    cdef int times              # this one was said since
    cdef uint64_t[SAID_MOST] stamps

    def __init__(self, TimerWheel wheel not None, int32_t timer, int32_t other):
        if not 0 <= timer < wheel.capacity or not 0 <= other < wheel.capacity:
            raise IndexError(f"timers {timer} and {other} are not 0 to {wheel.capacity - 1}")
        self.wheel = wheel
        self.timer = timer
        self.other = other
        self.said = []

    def follow(self, Message status not None, uint64_t sequence, int64_t now, int64_t next_ns, int64_t keepalive_ns):
        self.keep_said()
        self.status = status
        self.sequence = sequence
        self.last_ns = now
        self.next_ns = next_ns
        self.keepalive_ns = keepalive_ns

    def stop(self):
        self.keep_said()
        self.status = None

    def again(self, int64_t now, uint64_t ts):
        return self.message(self.times - 1) if self.say(now, ts) else None

    cdef Message message(self, int i):
        """What was said, by its place among `stamps`."""
        return self.status.again(self.sequence - self.times + 1 + i, self.stamps[i])

    cdef int keep_said(self) except -1:
        cdef int i
        for i in range(self.times):
            self.said.append(self.message(i))
        self.times = 0
        return 0

    cdef bint say(self, int64_t now, uint64_t ts):
        """As again(): `sequence` and the last of `stamps` are what it says."""
        if self.status is None or now < self.last_ns or now > self.ends or len(self.said) + self.times >= SAID_MOST:
            return False
        if now - self.next_ns > self.keepalive_ns or not self.wheel.only(self.timer, now):
            return False
        self.stamps[self.times] = ts if ts else 1
        self.times += 1
        self.sequence += 1
        self.ts = ts
        self.last_ns = now
        self.ends = now + self.length_ns
        # on a fixed grid; after a stall the grid starts anew instead of catching up
        self.next_ns += self.keepalive_ns
        if self.next_ns <= now:
            self.next_ns = now + self.keepalive_ns
        self.wheel.set(self.timer, self.next_ns)
        self.wheel.unset(self.other)
        return True

    @property
    def follows(self):
        return self.status is not None

    def taken(self):
        cdef list said
        self.keep_said()
        said = self.said
        self.said = []
        return said
