# A peer's status, heard again: the next number, and nothing new in it. Included by codec.pyx.
#
# Its rules: a frame is one only if it is, octet by octet, what its sender would write for the taught message with
# another `seq` and `ts`, signature and all; so nothing that a Decoder would reject can be one. Whatever needs
# somebody's judgement is none: it is then decoded, and handled as if this were not here.

cdef enum:
    MEDIA = 64                  # protocol/wire.md §3.3
    NO_TIMER = -1
    OTHER = 0                   # anything else: decode it
    REPEATED = 1                # the next one
    COPY = 2                    # the newest again, by another medium or the same
    AWAITED = 3                 # the next one, and somebody waits for its number


cdef class Taught:
    """What is repeated on one medium."""
    cdef Message message        # as it was decoded there
    cdef int32_t link           # a timer's key
    cdef Layout layout          # with the keys that were used last
    cdef Authenticator unlike   # keys with which no sender would write this

    cdef Layout layout_with(self, Authenticator auth):
        """None where a sender with these keys would not have written what was taught."""
        if self.layout is not None and self.layout.auth is auth:
            return self.layout
        if auth is None or self.unlike is auth:
            return None
        self.layout = layout_of(self.message, auth)
        if self.layout is None:
            self.unlike = auth
        return self.layout


cdef list repeated_fields(Message message):
    """The fields that a sender repeats: all but the signatures."""
    return [field for field in message.fields() if field[0] != "auth" and field[0] != "mac"]


cdef Layout layout_of(Message message, Authenticator auth):
    cdef Layout layout = Layout()
    cdef const uint8_t* p = octets_in(message.raw)
    cdef Py_ssize_t n = len(message.raw)
    cdef bint netstring = p[0] == c"#"
    cdef tuple field = message.first("auth")
    cdef bytes signature = b""
    cdef int index
    cdef uint64_t sequence, ts
    if netstring:
        signature = message.raw.rpartition(b":")[2]
    elif field is not None and field[0] == STRING:
        signature = field[1]
    index = stated_index(octets_in(signature), len(signature))
    if index < 0:
        return None
    try:
        layout.prepare(
            pattern_of(repeated_fields(message)), auth, index, netstring, field is not None, message.macs > 0
        )
    except ValueError:
        return None
    if not layout.body.read(p, n, &sequence, &ts) or layout.write(sequence, ts) != n:
        return None
    return layout if equal_octets(p, layout.body.data, n) else None


cdef bint differs_in_numbers(Message one, Message other) noexcept:
    """Two that were received in one format: do they differ in `seq`, `ts` and the signatures alone? And has the other
    one a `ts`."""
    cdef const uint8_t* a = octets_in(one.raw)
    cdef const uint8_t* b = octets_in(other.raw)
    cdef const uint8_t* name
    cdef bint timed = False
    cdef int i
    if one.classic != other.classic or one.spanned != other.spanned:
        return False
    for i in range(one.spanned):
        p = &one.spans[i]
        q = &other.spans[i]
        name = b + q.name
        if p.kind != q.kind or p.name_size != q.name_size or memcmp(a + p.name, name, q.name_size):
            return False
        if q.name_size == 3 and (memcmp(name, b"seq", 3) == 0 or memcmp(name, b"mac", 3) == 0):
            continue
        if q.name_size == 4 and memcmp(name, b"auth", 4) == 0:
            continue
        if q.name_size == 2 and memcmp(name, b"ts", 2) == 0:
            timed = hex_number(b + q.value, q.size) > 0
            continue
        if p.size != q.size or memcmp(a + p.value, b + q.value, q.size):
            return False
    return timed


cdef bint holds_marker(bytes raw):
    """A second beginning, which on a stream might be a message of its own."""
    return raw.find(b">>>\n", 1) >= 0 or raw.find(b"###\n", 1) >= 0


cdef Taught lesson_of(Message message, int32_t link):
    cdef Taught lesson = Taught()
    lesson.message = message
    lesson.link = link
    return lesson


cdef class Repetition:
    cdef readonly TimerWheel wheel
    cdef Beat own
    cdef readonly uint64_t generation
    cdef public uint64_t sequence
    cdef public int64_t last_ns
    cdef public uint64_t count
    cdef public uint64_t awaited
    cdef public int64_t deadtime_ns
    cdef public int64_t warntime_ns
    cdef public int32_t timer
    cdef list content           # the fields that every taught message has in common
    cdef dict taught            # medium → Taught

    def __init__(self, TimerWheel wheel not None, Beat own=None):
        self.wheel = wheel
        self.own = own
        self.taught = {}
        self.warntime_ns = INT64_MAX
        self.awaited = <uint64_t>-1
        self.timer = NO_TIMER

    def __reduce__(self):
        cdef Taught lesson
        taught = []
        for name, lesson in self.taught.items():
            taught.append((name, lesson.message, lesson.link))
        numbers = self.generation, self.sequence, self.last_ns, self.count, self.awaited
        times = self.deadtime_ns, self.warntime_ns, self.timer
        return Repetition, (self.wheel,), (*numbers, *times, self.content, taught)

    def __setstate__(self, state):
        self.generation, self.sequence, self.last_ns, self.count, self.awaited = state[:5]
        self.deadtime_ns, self.warntime_ns, self.timer, self.content, taught = state[5:]
        for name, message, link in taught:
            self.taught[name] = lesson_of(message, link)

    def teach(self, Message message not None, int64_t now, int32_t link=NO_TIMER):
        cdef list content
        if not message.raw or message.sequence == 0 or message.sequence >= <uint64_t>INT64_MAX:
            return False
        if holds_marker(message.raw) or (message.generation == self.generation and message.sequence < self.sequence):
            return False
        content = [field for field in repeated_fields(message) if field[0] != "seq" and field[0] != "ts"]
        if message.generation != self.generation or content != self.content:
            self.forget()
            self.generation = message.generation
            self.content = content
        if len(self.taught) >= MEDIA and message.medium not in self.taught:
            return False
        if message.sequence > self.sequence:
            self.sequence = message.sequence
            self.last_ns = now
        self.taught[message.medium] = lesson_of(message, link)
        return True

    def forget(self, str medium=None):
        if medium is not None:
            self.taught.pop(medium, None)
            return
        self.taught.clear()
        self.content = None
        self.generation = self.sequence = 0

    def hear(self, Decoder decoder not None, bytes frame not None, int64_t now):
        return self.hear_octets(decoder, octets_in(frame), len(frame), now, <uint64_t>-1)

    cdef int hear_plain(self, Decoder decoder, const uint8_t* p, Py_ssize_t n, int64_t now) except -1:
        """As hear(), but for what is AWAITED: that is OTHER, and nothing was done."""
        return self.hear_octets(decoder, p, n, now, self.awaited)

    cdef int hear_octets(self, Decoder decoder, const uint8_t* p, Py_ssize_t n, int64_t now, uint64_t below) except -1:
        """below: what is new bears a lower number."""
        cdef Taught lesson = self.taught.get(decoder.medium)
        cdef Layout layout
        cdef uint64_t sequence, ts
        if lesson is None or not decoder.is_idle() or (self.own is not None and now > self.own.ends):
            return OTHER
        if not decoder.stream and n > 0 and p[0] == c">" and p[n - 1] == 0:
            n -= 1
        layout = lesson.layout_with(decoder.auth)
        if layout is None or n > decoder.limit or not layout.body.read(p, n, &sequence, &ts):
            return OTHER
        if ts == 0 or (sequence >= below and sequence != self.sequence) or not self.is_expected(lesson, sequence, now):
            return OTHER
        if layout.write(sequence, ts) != n or not equal_octets(p, layout.body.data, n):
            return OTHER
        decoder.good += 1
        return self.count_in(lesson, sequence, now)

    def take(self, Message message not None, int64_t now):
        cdef Taught lesson = self.taught.get(message.medium)
        if lesson is None or message.generation != self.generation or message.strong != lesson.message.strong:
            return OTHER
        if not differs_in_numbers(lesson.message, message) or not self.is_expected(lesson, message.sequence, now):
            return OTHER
        return self.count_in(lesson, message.sequence, now)

    cdef int count_in(self, Taught lesson, uint64_t sequence, int64_t now) noexcept:
        if lesson.link != NO_TIMER:
            self.wheel.set(lesson.link, now + self.deadtime_ns)
        if sequence == self.sequence:
            return COPY
        self.sequence = sequence
        self.last_ns = now
        self.count += 1
        if self.timer != NO_TIMER:
            self.wheel.set(self.timer, now + self.deadtime_ns)
        return REPEATED if sequence < self.awaited else AWAITED

    cdef bint is_expected(self, Taught lesson, uint64_t sequence, int64_t now) noexcept:
        """Is this the number that follows or the newest again, at a time at which nobody wants to know?"""
        if lesson.link != NO_TIMER and not self.wheel.waits(lesson.link, now):
            return False
        return sequence == self.sequence or (
            sequence == self.sequence + 1 and now - self.last_ns <= self.warntime_ns
            and (self.timer == NO_TIMER or self.wheel.waits(self.timer, now))
        )
