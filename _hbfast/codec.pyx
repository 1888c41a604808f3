# cython: language_level=3, binding=False, boundscheck=False, wraparound=False, cdivision=True, auto_pickle=False
"""Messages and their octets, as protocol/wire.md §1 to §5 has them.

Its rules: a signature is checked over the octets as they came, before anything in them is interpreted; no input raises
(a Decoder counts what it rejects), loops without a bound or grows beyond its limit; what we are asked to *send* and
cannot is a ValueError.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.unicode cimport PyUnicode_AsLatin1String, PyUnicode_DecodeLatin1, PyUnicode_DecodeUTF8

from _hbfast.auth cimport STRONG_MAX, TOKEN_MAX, Authenticator, Signing, equal_octets, stated_index
from _hbfast.wheel cimport TimerWheel

cdef enum:
    STRING = 0
    BINARY = 1
    STRUCT = 2
    LIST = 3
    COMPRESSED = 4
    UNCOMPRESSED = 5

cdef enum:
    MESSAGE_LIMIT = 262144      # octets of a message on the wire, protocol/wire.md §3.3
    INFLATED_LIMIT = 2097152    # octets of one before compression

include "octets.pxi"
include "classic.pxi"
include "netstring.pxi"
include "strong.pxi"
include "layout.pxi"


# ---- the message -----------------------------------------------------------------------------------------------------

cdef const uint8_t* ascii_octets(str name, Py_ssize_t* n) noexcept:
    """Those of a name in ASCII, and the NUL behind them, as long as it lives; NULL for others."""
    cdef const char* octets = PyUnicode_AsUTF8AndSize(name, n)
    if octets == NULL:
        PyErr_Clear()
        return NULL
    return <const uint8_t*>octets if n[0] == len(name) else NULL


cdef class Name:
    """The octets of a field's name. ValueError where no field of any format can be called that."""
    cdef const uint8_t* octets
    cdef Py_ssize_t size
    cdef bytes kept             # of one that has other characters than ASCII
    cdef str text

    cdef int use(self, str name) except -1:
        self.text = name
        self.octets = ascii_octets(name, &self.size)
        if self.octets == NULL:
            self.kept = PyUnicode_AsLatin1String(name)
            self.octets = octets_in(self.kept)
            self.size = len(self.kept)
        if self.size == 0 or find(self.octets, self.size, c"=") >= 0 or find(self.octets, self.size, 0) >= 0:
            raise ValueError(f"no field is called {name!r}")
        return 0

    cdef bint called(self, const char* name, Py_ssize_t n) noexcept:
        return self.size == n and memcmp(self.octets, name, n) == 0


cdef int check_string(Name name, bytes value) except -1:
    if find(octets_in(value), len(value), 0) >= 0:
        raise ValueError(f"a string has no NUL: {name.text!r}")
    return 0


cdef int kind_of(object digit) except -1:
    """ValueError where no type has it."""
    cdef long kind = digit if isinstance(digit, int) and -1 < digit < 6 else -1
    if kind < 0:
        raise ValueError(f"no type has the digit {digit!r}")
    return <int>kind


cdef str readable_octets(const uint8_t* p, Py_ssize_t n):
    """A string for people and comparisons: whatever the octets are, it can be printed and encoded again."""
    if n == 6 and memcmp(p, b"status", 6) == 0:
        return "status"
    return PyUnicode_DecodeUTF8(<const char*>p, n, "backslashreplace")


cdef inline str readable(bytes value):
    return readable_octets(octets_in(value), len(value))


cdef uint64_t hex_number(const uint8_t* p, Py_ssize_t n) noexcept:
    """The number that up to 16 hex digits are; 0 where the octets aren't that."""
    cdef Py_ssize_t i
    cdef uint64_t number = 0
    if n > 16:
        return 0
    for i in range(n):
        if c"0" <= p[i] <= c"9":
            number = number << 4 | <uint64_t>(p[i] - c"0")
        elif c"a" <= p[i] | 0x20 <= c"f":
            number = number << 4 | <uint64_t>((p[i] | 0x20) - c"a" + 10)
        else:
            return 0
    return number


cdef object checked_value(int kind, value):
    """The value as a message keeps it. TypeError where it doesn't fit the type digit."""
    if kind == STRUCT:
        if not isinstance(value, Message):
            raise TypeError("a field of type 2 holds a Message")
        return value
    if kind == LIST:
        value = list(value)
        for element in value:
            if not isinstance(element, bytes):
                raise TypeError("a field of type 3 holds a list of bytes")
        return value
    if not isinstance(value, bytes):
        raise TypeError(f"a field of type {kind} holds bytes")
    return value


cdef enum Known:
    # the names that everybody asks for, as bits
    OTHER_NAME = 0
    TYPE = 1
    SOURCE = 2
    GENERATION = 4
    SEQUENCE = 8
    STRONG_SIGNATURE = 16


cdef inline Known known_name(const uint8_t* name, Py_ssize_t n) noexcept:
    if n == 1:
        return TYPE if name[0] == c"t" else OTHER_NAME
    if n == 2:
        return GENERATION if name[0] == c"h" and name[1] == c"g" else OTHER_NAME
    if n != 3:
        return OTHER_NAME
    if memcmp(name, b"src", 3) == 0:
        return SOURCE
    if memcmp(name, b"seq", 3) == 0:
        return SEQUENCE
    return STRONG_SIGNATURE if memcmp(name, b"mac", 3) == 0 else OTHER_NAME


cdef struct Span:
    # a field, where it lies in the octets of its message
    uint32_t name
    uint32_t name_size
    uint32_t value
    uint32_t size
    int kind


cdef inline void place(Span* span, Py_ssize_t name, Py_ssize_t name_size, Py_ssize_t end) noexcept:
    """Where its name begins, how long that is, and where all of it ends; between name and value is one octet."""
    span.name = <uint32_t>name
    span.name_size = <uint32_t>name_size
    span.value = <uint32_t>(name + name_size + 1)
    span.size = <uint32_t>(end - name - name_size - 1)


cdef inline void move(Span* span, Py_ssize_t by) noexcept:
    span.name += <uint32_t>by
    span.value += <uint32_t>by


cdef inline bint is_plain(const Span* span) noexcept:
    """It can be read when it is asked for: nothing in its value makes the message a bad one."""
    return span.kind != STRUCT and span.kind != LIST


cdef class Message:
    # None until somebody asks for all: then they are made, of the spans, or in one made by again() of its pattern
    cdef list _fields
    cdef Span* spans            # of one that was received: its fields, in `raw`
    cdef int spanned
    cdef bint classic           # the format of those octets
    cdef Pattern pattern        # once again() was called: of this one and those made by it
    cdef bint repeated          # made by again(): `sequence` and `ts` are what it differs in
    cdef uint64_t ts
    cdef uint32_t seen          # the known names that have been met
    cdef uint32_t macs          # how many fields are called mac
    cdef readonly str type
    cdef readonly str source
    cdef readonly uint64_t generation
    cdef readonly uint64_t sequence
    cdef readonly str medium
    cdef readonly bytes raw
    cdef readonly Message outer
    cdef readonly bint strong

    def __cinit__(self):
        self.medium = ""
        self.raw = b""

    def __dealloc__(self):
        PyMem_Free(self.spans)

    def __init__(self, fields):
        cdef str name
        cdef int kind
        cdef const uint8_t* octets
        cdef Py_ssize_t n
        self._fields = []
        for name, digit, value in fields:
            if name is None:
                raise TypeError("a field has a name")
            kind = kind_of(digit)
            value = checked_value(kind, value)
            self._fields.append((name, kind, value))
            octets = ascii_octets(name, &n)
            if octets == NULL:
                PyUnicode_AsLatin1String(name)
            else:
                self.notice(octets, n, kind, value)

    cdef int add(self, const uint8_t* name, Py_ssize_t n, int kind, object value) except -1:
        """Append a field."""
        self.fields().append((PyUnicode_DecodeLatin1(<const char*>name, n, NULL), kind, value))
        return self.notice(name, n, kind, value)

    cdef int notice(self, const uint8_t* name, Py_ssize_t n, int kind, object value) except -1:
        cdef bytes octets
        if kind == STRING:
            octets = value
            self.note(known_name(name, n), kind, octets_in(octets), len(octets))
        else:
            self.note(known_name(name, n), kind, NULL, 0)
        return 0

    cdef int note(self, Known name, int kind, const uint8_t* value, Py_ssize_t n) except -1:
        """Keep what everybody asks for, of the first field of its name. value: a string's."""
        if name == STRONG_SIGNATURE:
            self.macs += 1
        if name == OTHER_NAME or self.seen & name:
            return 0
        self.seen |= name
        if kind != STRING:
            return 0
        if name == TYPE:
            self.type = readable_octets(value, n)
        elif name == SOURCE:
            self.source = readable_octets(value, n)
        elif name == GENERATION:
            self.generation = hex_number(value, n)
        elif name == SEQUENCE:
            self.sequence = hex_number(value, n)
        return 0

    cdef list fields(self):
        cdef int i
        if self._fields is None:
            self._fields = []
            if self.repeated:
                self._fields += self.pattern.fields
                self._fields[self.pattern.seq_at] = ("seq", STRING, b"%x" % self.sequence)
                self._fields[self.pattern.ts_at] = ("ts", STRING, b"%x" % self.ts)
            for i in range(self.spanned):
                self._fields.append(self.field(i))
        return self._fields

    cdef tuple field(self, int i):
        """The field of a span."""
        cdef Span* span = &self.spans[i]
        cdef const uint8_t* octets = octets_in(self.raw)
        name = PyUnicode_DecodeLatin1(<const char*>octets + span.name, span.name_size, NULL)
        return name, span.kind, self.value_of(span)

    cdef bytes value_of(self, const Span* span):
        cdef const uint8_t* octets = octets_in(self.raw) + span.value
        if self.classic and span.kind == STRING:
            return classic_string(octets, span.size)
        if self.classic:
            return read_base64(octets, span.size)
        return PyBytes_FromStringAndSize(<const char*>octets, span.size)

    cpdef Message again(self, uint64_t sequence, uint64_t ts):
        if self.pattern is None:
            self.pattern = pattern_of(self.fields())
            self.pattern.type = self.type
            self.pattern.source = self.source
            self.pattern.generation = self.generation
        return self.pattern.message(sequence, ts)

    def __reduce__(self):
        if self.repeated:
            return _again, (self.pattern, self.sequence, self.ts)
        return Message, (self.fields(),), (self.medium, self.raw, self.outer, self.strong)

    def __setstate__(self, state):
        self.fields()
        self.spanned = 0  # they lie in what `raw` has been
        self.medium, self.raw, self.outer, self.strong = state

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self

    cdef Span* span(self, const uint8_t* name, Py_ssize_t n) noexcept:
        """The first of this name; NULL where there is none."""
        cdef const uint8_t* octets = octets_in(self.raw)
        cdef int i
        for i in range(self.spanned):
            if self.spans[i].name_size == <uint32_t>n and memcmp(octets + self.spans[i].name, name, n) == 0:
                return &self.spans[i]
        return NULL

    cdef tuple first(self, str name):
        """(type digit, value) of the first field of this name, None where there is none."""
        cdef tuple field
        cdef Span* span
        cdef const uint8_t* octets
        cdef Py_ssize_t n
        if self._fields is None and not self.repeated:
            octets = ascii_octets(name, &n)
            if octets != NULL:
                span = self.span(octets, n)
                return None if span == NULL else (span.kind, self.value_of(span))
        for field in self.fields():
            if <str>field[0] == name:
                return field[1:]
        return None

    def get(self, str name not None):
        cdef tuple found = self.first(name)
        if found is None or found[0] != STRING:
            return None
        return readable(found[1])

    def value(self, str name not None):
        cdef tuple found = self.first(name)
        return None if found is None else found[1]

    def expand(self, str name not None):
        cdef tuple found = self.first(name)
        if found is None:
            return None
        if found[0] == STRUCT:
            return found[1]
        return inflate(self, found[1]) if found[0] == COMPRESSED else None

    def items(self):
        return tuple(self.fields())

    def __eq__(self, other):
        return isinstance(other, Message) and self.fields() == (<Message>other).fields()

    def __repr__(self):
        return f"Message({self.fields()!r})"


# ---- compressed messages ---------------------------------------------------------------------------------------------

cdef Message inflate(Message m, bytes packed):
    """The message in a compressed value of m (protocol/wire.md §5); None where it is none or has more than 2 MiB."""
    cdef tuple algorithm = m.first("_compression_algorithm")
    cdef bytes octets
    if algorithm is None:
        return None
    try:
        if algorithm[1] == b"zlib":
            import zlib
            stream = zlib.decompressobj()
        elif algorithm[1] == b"bz2":
            import bz2
            stream = bz2.BZ2Decompressor()
        else:
            return None
        octets = stream.decompress(packed, INFLATED_LIMIT + 1)
    except Exception:
        # not compressed data, or a Python built without this module: nothing we could read, either way
        return None
    if len(octets) > INFLATED_LIMIT or not stream.eof or stream.unused_data:
        return None
    inner = <Message>Message.__new__(Message)
    return inner if unsigned_message(inner, octets_in(octets), len(octets)) else None


cdef bint unsigned_message(Message m, const uint8_t* p, Py_ssize_t n):
    """Read one whole message of either format without a trailer, classic with or without a last NUL."""
    if n >= MARKER and is_marker(p, c"#"):
        return netstring_message(m, p, n, -1) == n
    if n > 0 and p[n - 1] == 0:
        n -= 1
    return classic_message(m, p, n, -1)


# ---- octets → spans --------------------------------------------------------------------------------------------------
#
# Of most fields of most messages nobody wants to know. So a message keeps its octets and where its fields lie in them,
# and makes the objects that somebody asks for.

cdef enum:
    SPANS = 32                  # a message of more fields is read at once


cdef bint spanned_message(Message m, const uint8_t* p, Py_ssize_t n) except -1:
    """Read where the fields lie. False where it is no message, or one whose fields must be read to know that."""
    cdef Span[SPANS] spans
    cdef bint netstring = n >= MARKER and is_marker(p, c"#")
    cdef int i, found = netstring_spans(p, n, spans) if netstring else classic_spans(p, n, spans)
    cdef Span* span
    if found < 0:
        return False
    m.spans = <Span*>PyMem_Realloc(NULL, (found + 1) * sizeof(Span))
    if m.spans == NULL:
        raise MemoryError
    memcpy(m.spans, spans, found * sizeof(Span))
    m.spanned = found
    m.classic = not netstring
    for i in range(found):
        span = &spans[i]
        known = known_name(p + span.name, span.name_size)
        if known == OTHER_NAME:
            continue
        if m.classic and span.kind == STRING and find(p + span.value, span.size, HIDDEN_LF) >= 0:
            octets = classic_string(p + span.value, span.size)
            m.note(known, STRING, octets_in(octets), len(octets))
        else:
            m.note(known, span.kind, p + span.value, span.size)
    return True


# ---- octets → messages ----------------------------------------------------------------------------------------------
#
# On a stream any octets may stand between messages, be inside a broken one, or look like a beginning that is none. So
# every start marker opens a *candidate*, wherever it stands, and all candidates are followed side by side; the first
# that is complete and verifies is the message, and what lies before its end is done with. A candidate with a false
# length just waits, while the messages behind it complete and end it.
#
#     noise ### 999:… (cut) >>> t=status … auth=… <<<
#           └ waits for 999 octets
#                         └ complete, verifies: a message; the other one was truncated
#
# Whatever is decided follows from the octets up to a position, never from how they were cut into pieces: the scan goes
# from LF to LF, since every marker ends in one.

cdef enum:
    CANDIDATES = 64             # followed at the same time; a good message brings at most 17: itself and nested ones
    SLICE = 16384               # octets taken in at once, so that the buffer stays near the limit whatever feed() gets

cdef enum Verdict:
    GOOD
    BAD_AUTH
    MALFORMED
    OVERSIZE

cdef enum Progress:
    WAITING
    COMPLETE
    BROKEN
    TOO_LARGE

cdef struct Candidate:
    int64_t start               # position of its first octet
    int64_t next                # netstring: position of the length that is read next; behind it, once it is complete
    int64_t wake                # netstring: nothing happens to it before the octets up to here are there
    bint classic
    bint trailer                # next is the trailer's
    bint inside                 # began while another was open
    bint nested                 # unsigned streams: the value of a struct field, no message of its own


cdef class Decoder:
    cdef Authenticator auth
    cdef str medium
    cdef bint stream
    cdef Py_ssize_t limit
    cdef Verdict verdict        # of the last judge()
    # positions count from the beginning of the stream; buffer[0] is the octet at position base
    cdef uint8_t* buffer
    cdef Py_ssize_t room
    cdef int64_t base
    cdef int64_t end            # behind the last octet received
    cdef int64_t scanned        # all before this has been looked at
    cdef int64_t line           # where the line begins that `scanned` is in
    cdef int64_t floor          # behind the last message
    cdef Candidate[CANDIDATES] open
    cdef int opened             # open[:opened], in the order of their beginnings
    cdef uint64_t good, bad_auth, malformed, oversize, truncated, noise

    def __init__(self, str medium not None, Authenticator auth, *, bint stream, Py_ssize_t limit=MESSAGE_LIMIT):
        if limit < 2 * MARKER:
            raise ValueError("the limit leaves no room for a message")
        self.medium = medium
        self.auth = auth
        self.stream = stream
        self.limit = limit

    def __dealloc__(self):
        PyMem_Free(self.buffer)

    cdef bint is_idle(self) noexcept:
        """All that was received is part of delivered messages: the next octets begin one."""
        return self.floor == self.end

    @property
    def idle(self):
        return self.is_idle()

    @property
    def counters(self):
        return {
            "good": self.good,
            "bad_auth": self.bad_auth,
            "malformed": self.malformed,
            "oversize": self.oversize,
            "truncated": self.truncated,
            "noise_bytes": self.noise + <uint64_t>(self.needed() - self.floor),
        }

    def feed(self, data):
        cdef Py_buffer view
        cdef list messages = []
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            if self.stream:
                self.take_stream(<const uint8_t*>view.buf, view.len, messages)
            else:
                self.take_datagram(<const uint8_t*>view.buf, view.len, messages)
        finally:
            PyBuffer_Release(&view)
        return messages

    # -- one message, whole

    cdef Message judge(self, const uint8_t* p, Py_ssize_t n):
        """The message that all of p is, which begins with a start marker. self.verdict says why there is none."""
        cdef Message m
        cdef Py_ssize_t body = n
        self.verdict = MALFORMED
        if n > self.limit:
            self.verdict = OVERSIZE
            return None
        if is_marker(p, c"#"):
            body = self.signed_netstring(p, n)
        elif n < 2 * MARKER or not is_marker(p + n - MARKER, c"<") or p[n - MARKER - 1] != LF:
            return None
        elif self.auth is not None and not classic_verifies(self.auth, p, n):
            self.verdict = BAD_AUTH
            return None
        m = self.interpret(p, body, n) if body > 0 else None
        if m is not None:
            self.verdict = GOOD
        return m

    cdef Py_ssize_t signed_netstring(self, const uint8_t* p, Py_ssize_t n):
        """Where the trailer of a netstring begins whose trailer verifies; -1: there is none. Where nobody verifies, a
        message need not have one."""
        cdef Py_ssize_t size = 0
        cdef Py_ssize_t body = walk_fields(p, n)
        cdef Py_ssize_t text
        if body < 0 or (body == n and self.auth is None):
            return body
        text = read_trailer(p + body, n - body, &size)
        if text > 0 and body + text + size + 1 != n:
            return -1
        if text <= 0 and body < n:
            return -1
        if self.auth is None or (body < n and self.auth.check(p, body, NULL, 0, p + body + text, size)):
            return body
        self.verdict = BAD_AUTH
        return -1

    cdef Message interpret(self, const uint8_t* p, Py_ssize_t body, Py_ssize_t n):
        """The message that n octets are, unpacked where the whole of it is compressed. body: without the trailer."""
        cdef Message m = Message.__new__(Message)
        cdef Message inner
        cdef tuple payload
        if not spanned_message(m, p, body) and not unsigned_message(m, p, body):
            return None
        m.raw = PyBytes_FromStringAndSize(<const char*>p, n)
        if m.macs and self.auth is not None:
            m.strong = strong_verifies(m, self.auth)
            if not m.strong:
                self.verdict = BAD_AUTH
                return None
        m.medium = self.medium
        payload = m.first("_compressed_payload")
        if payload is None or payload[0] != BINARY:
            return m
        inner = inflate(m, payload[1])
        if inner is not None:
            inner.medium = self.medium
            inner.outer = m
            inner.strong = m.strong
        return inner

    cdef void count(self, Verdict verdict) noexcept:
        if verdict == GOOD:
            self.good += 1
        elif verdict == BAD_AUTH:
            self.bad_auth += 1
        elif verdict == OVERSIZE:
            self.oversize += 1
        else:
            self.malformed += 1

    cdef int take_datagram(self, const uint8_t* p, Py_ssize_t n, list messages) except -1:
        cdef Message m = None
        if n > 0 and p[0] == c">" and p[n - 1] == 0:
            n -= 1
        self.verdict = MALFORMED
        if n >= 2 * MARKER and (is_marker(p, c">") or is_marker(p, c"#")):
            m = self.judge(p, n)
        self.count(self.verdict)
        if m is not None:
            messages.append(m)
        return 0

    # -- the stream's buffer

    cdef inline uint8_t* at(self, int64_t position) noexcept:
        return self.buffer + (position - self.base)

    cdef int64_t needed(self) noexcept:
        """All before this position can no longer be part of a message."""
        if self.opened:
            return self.open[0].start
        return max(self.floor, self.end - (MARKER - 1))

    cdef int take_stream(self, const uint8_t* p, Py_ssize_t n, list messages) except -1:
        cdef Py_ssize_t part
        while n > 0:
            part = min(n, SLICE)
            self.append(p, part)
            self.scan(messages)
            p += part
            n -= part
        return 0

    cdef int append(self, const uint8_t* p, Py_ssize_t n) except -1:
        cdef int64_t needed
        cdef Py_ssize_t live
        cdef void* grown
        if self.end - self.base + n > self.room:
            needed = self.needed()
            live = self.end - needed
            if live > 0:
                memmove(self.buffer, self.at(needed), live)
            self.base = needed
            # as much free as in use: moving costs each octet a constant, however small the pieces are
            if self.room < 2 * live + n:
                grown = PyMem_Realloc(self.buffer, max(2 * live + n, 1024))
                if grown == NULL:
                    raise MemoryError
                self.buffer = <uint8_t*>grown
                self.room = max(2 * live + n, 1024)
        memcpy(self.at(self.end), p, n)
        self.end += n
        return 0

    # -- candidates

    cdef void open_candidate(self, int64_t start, bint classic) noexcept:
        cdef Candidate* c
        if self.opened == CANDIDATES:
            # one that is good is either among the newest, behind much that looks like beginnings, or among the
            # oldest, with much of that in its values
            self.close(CANDIDATES // 2)
        c = &self.open[self.opened]
        c.start = start
        c.next = start + MARKER
        c.wake = 0
        c.classic = classic
        c.trailer = False
        c.inside = self.opened > 0
        c.nested = self.auth is None and not classic and self.is_struct_value(start)
        self.opened += 1

    cdef void close(self, int i) noexcept:
        self.opened -= 1
        memmove(&self.open[i], &self.open[i + 1], (self.opened - i) * sizeof(Candidate))

    cdef void reject(self, int i, Verdict verdict) noexcept:
        """Close, and count unless it began inside another: there it may be part of a good message's value."""
        if not self.open[i].inside:
            self.count(verdict)
        self.close(i)

    cdef bint is_struct_value(self, int64_t position) noexcept:
        """Is position where the struct value begins that an open netstring is waiting for the end of? Without
        signatures only this tells a nested message from the next one."""
        cdef Py_ssize_t used, size, name
        cdef uint8_t* p
        cdef int i
        for i in range(self.opened):
            if self.open[i].classic:
                continue
            p = self.at(self.open[i].next)
            used = read_length(p, self.end - self.open[i].next, &size)
            if used <= 0 or self.open[i].next + used + 3 > position or memcmp(p + used, b"(2)", 3):
                continue
            name = find(p + used, position - self.open[i].next - used, c"=")
            if name >= 0 and self.open[i].next + used + name + 1 == position:
                return True
        return False

    cdef Progress follow(self, Candidate* c, int64_t visible) noexcept:
        """Walk on along the lengths of a netstring, as far as the octets before `visible` go."""
        cdef Py_ssize_t used, size, have
        cdef uint8_t* p
        while visible >= c.wake:
            p = self.at(c.next)
            have = visible - c.next
            if not c.trailer and have > 0 and p[0] == c"%":
                if memcmp(p, b"%%%\n", min(have, MARKER)):
                    return BROKEN
                if have < MARKER:
                    return WAITING
                c.next += MARKER
                c.trailer = True
                if self.auth is None:
                    return COMPLETE
                continue
            used = read_length(p, have, &size)
            if used < 0 or (c.trailer and size > TRAILER_LIMIT):
                return BROKEN
            if used > 0 and c.next + used + size + 1 - c.start > self.limit:
                return TOO_LARGE
            if used == 0:
                return WAITING
            if size >= have - used:
                c.wake = c.next + used + size + 1
                return WAITING
            if p[used + size] != c",":
                return BROKEN
            c.next += used + size + 1
            if c.trailer:
                return COMPLETE
        return WAITING

    # -- the scan

    cdef int scan(self, list messages) except -1:
        cdef Py_ssize_t size
        cdef int64_t visible
        while True:
            size = find(self.at(self.scanned), self.end - self.scanned, LF)
            visible = self.end if size < 0 else self.scanned + size + 1
            if self.opened:
                if self.finish_netstring(visible, messages):
                    continue
                self.reject_large(visible)
            if size < 0:
                self.scanned = self.end
                return 0
            if not self.finish_classic(visible - 1, messages):
                self.find_start(visible - 1)
                self.scanned = self.line = visible

    cdef void find_start(self, int64_t lf) noexcept:
        """Does a start marker end with the LF at this position?"""
        cdef uint8_t* p
        if lf - self.line < MARKER - 1:
            return
        p = self.at(lf - (MARKER - 1))
        if is_marker(p, c">") or is_marker(p, c"#"):
            self.open_candidate(lf - (MARKER - 1), p[0] == c">")

    cdef void reject_large(self, int64_t visible) noexcept:
        """Of the classic ones; a netstring is too large as soon as it says so."""
        cdef int i = 0
        while i < self.opened:
            if self.open[i].classic and visible - self.open[i].start > self.limit:
                self.reject(i, OVERSIZE)
            else:
                i += 1

    cdef int64_t first_end(self, int64_t visible) noexcept:
        """Where the first of the open netstrings completes; `visible` where none does before."""
        cdef Candidate ahead
        cdef int i
        for i in range(self.opened):
            ahead = self.open[i]
            if not ahead.classic and self.follow(&ahead, visible) == COMPLETE and ahead.next < visible:
                visible = ahead.next
        return visible

    cdef bint finish_netstring(self, int64_t visible, list messages) except -1:
        """Follow all netstrings as far as `visible`, and deliver the one that is a message first, if any. No further
        than to where one completes at a time: what lies behind a message has no part in anything before."""
        cdef Progress progress
        cdef Candidate* c
        cdef int64_t until = -1
        cdef int i
        while until < visible:
            until = self.first_end(visible)
            self.reject_large(until - 1)
            i = 0
            while i < self.opened:
                c = &self.open[i]
                progress = WAITING if c.classic else self.follow(c, until)
                if progress == WAITING:
                    i += 1
                elif progress == BROKEN:
                    self.reject(i, MALFORMED)
                elif progress == TOO_LARGE:
                    self.reject(i, OVERSIZE)
                elif c.nested:
                    self.close(i)
                elif self.deliver(c.start, c.next, messages):
                    return True
                else:
                    self.reject(i, self.verdict)
        return False

    cdef bint finish_classic(self, int64_t lf, list messages) except -1:
        """What the line that ends at lf means for the classic candidates; is it the end of a message?"""
        cdef uint8_t* text
        cdef Py_ssize_t size = lf - self.line
        cdef bint finished
        cdef int i = self.opened - 1
        while i >= 0 and not self.open[i].classic:
            i -= 1
        if i < 0 or size == 0:
            return False
        text = self.at(self.line)
        finished = size == MARKER - 1 and is_marker(text, c"<")
        if finished and self.deliver_classic(lf + 1, messages):
            return True
        if finished or find(text, size, c"=") < 1 or find(text, size, 0) >= 0:
            while i >= 0:
                if self.open[i].classic:
                    self.reject(i, self.verdict if finished else MALFORMED)
                i -= 1
        return False

    cdef bint deliver_classic(self, int64_t end, list messages) except -1:
        """All open classic candidates end here: which of them is a message? A signature tells. Without, it is the
        newest: rather that than a truncated message which has swallowed the next."""
        cdef int i, k
        cdef Verdict outermost = MALFORMED
        for k in range(self.opened):
            i = k if self.auth is not None else self.opened - 1 - k
            if self.open[i].classic:
                if self.deliver(self.open[i].start, end, messages):
                    return True
                if not self.open[i].inside:
                    outermost = self.verdict
        self.verdict = outermost
        return False

    cdef bint deliver(self, int64_t start, int64_t end, list messages) except -1:
        """Is this a message? Then it is delivered, and the scan goes on behind it."""
        cdef Message m = self.judge(self.at(start), end - start)
        if m is None:
            return False
        self.good += 1
        self.noise += start - self.floor
        self.truncated += self.open[0].start < start
        self.opened = 0
        self.floor = self.scanned = self.line = end
        messages.append(m)
        return True


# ---- messages → octets -----------------------------------------------------------------------------------------------

cdef bytes classic_octets(Message message, Authenticator auth):
    cdef Writer fields = Writer()
    cdef Writer w = Writer()
    cdef uint8_t[TOKEN_MAX] token
    cdef Py_ssize_t auth_at
    write_classic(fields, message, -1, auth is not None, &auth_at)
    if auth_at < 0:
        auth_at = fields.size
    w.put(b">>>\n", MARKER)
    w.put(fields.data, auth_at)
    if auth is not None:
        w.put(b"auth=", 5)
        w.put(token, auth.token(-1, fields.data, fields.size, NULL, 0, token))
        w.put_octet(LF)
    w.put(fields.data + auth_at, fields.size - auth_at)
    w.put(b"<<<\n", MARKER)
    return w.taken()


cdef int classic_token(Message message, Authenticator auth, uint8_t* token) except -1:
    """The signature that the message has in the classic format; its length."""
    cdef Writer fields = Writer()
    cdef Py_ssize_t unused
    write_classic(fields, message, -1, True, &unused)
    return auth.token(-1, fields.data, fields.size, NULL, 0, token)


cdef bint has_classic_form(list fields):
    """Would the original sign it in the classic format too? (protocol/wire.md §6.1)"""
    cdef tuple field
    cdef int kind
    for field in fields:
        kind = field[1]
        if kind != STRING and kind != BINARY and kind != LIST:
            return False
    return True


cdef bytes netstring_octets(Message message, Authenticator auth, bint inner_auth):
    cdef Writer fields = Writer()
    cdef Writer w = Writer()
    cdef uint8_t[TOKEN_MAX] token
    cdef Py_ssize_t auth_at
    cdef int n
    write_netstring(fields, message, -1, auth is not None, &auth_at)
    if auth_at < 0:
        auth_at = fields.size
    w.put(b"###\n", MARKER)
    w.put(fields.data, auth_at)
    if auth is not None and inner_auth and has_classic_form(message.fields()):
        n = classic_token(message, auth, token)
        put_netstring_field(w, b"auth", 4, STRING, token, n)
    w.put(fields.data + auth_at, fields.size - auth_at)
    w.put(b"%%%\n", MARKER)
    if auth is not None:
        n = auth.token(-1, w.data, w.size, NULL, 0, token)
        w.put_length(n)
        w.put(token, n)
        w.put(b",", 1)
    return w.taken()


include "beat.pxi"
include "repetition.pxi"


def encode(Message message not None, Authenticator auth, str format not None, *, bint inner_auth=True):
    cdef bytes octets
    cdef Layout layout
    if message.repeated and auth is not None and (format == "netstring" or format == "classic"):
        layout = message.pattern.layout(auth, format == "netstring", inner_auth)
        if layout is not None:
            return PyBytes_FromStringAndSize(<char*>layout.body.data, layout.write(message.sequence, message.ts))
    if auth is not None and auth.strong:
        message = with_mac(message, auth)
    if format == "netstring":
        octets = netstring_octets(message, auth, inner_auth)
    elif format == "classic":
        octets = classic_octets(message, auth)
    else:
        raise ValueError(f"no format is called {format!r}")
    if len(octets) > MESSAGE_LIMIT:
        raise ValueError(f"a message of {len(octets)} octets; {MESSAGE_LIMIT} is the limit")
    return octets


include "watch.pxi"
