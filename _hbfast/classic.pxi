# The classic format (protocol/wire.md §2): ">>>", a line for each field, "<<<". Included by codec.pyx.
#
# A nested message is written in the same way, with one octet in place of each LF, chosen by its depth.

cdef enum:
    DEEPEST = 16                # nested levels below a message, protocol/wire.md §3.3
    HIDDEN_LF = 0x13            # stands for LF inside a string


cdef inline uint8_t line_end(int depth) noexcept:
    """What ends a line: LF in a message (depth -1), in one nested at depth 0 to 15 another octet."""
    if depth < 0:
        return LF
    return <uint8_t>(0x14 + depth if depth < 12 else 0x0f + depth - 12)


cdef bint classic_message(Message m, const uint8_t* p, Py_ssize_t n, int depth):
    """Read from the first marker through the second one's line end."""
    cdef uint8_t end = line_end(depth)
    cdef Py_ssize_t last = n - MARKER
    cdef Py_ssize_t i = MARKER, size
    if last < MARKER or memcmp(p, b">>>", 3) or p[3] != end or memcmp(p + last, b"<<<", 3) or p[n - 1] != end:
        return False
    if p[last - 1] != end or find(p, n, 0) >= 0:
        return False
    while i < last:
        size = find(p + i, last - i, end)
        if size > 0 and not classic_field(m, p + i, size, depth):
            return False
        i += size + 1
    return True


cdef inline bint classic_line(const uint8_t* p, Py_ssize_t n, Span* span) noexcept:
    """The parts of one line, without its end, counted from p. False where it is no field."""
    cdef Py_ssize_t start = 0, name
    span.kind = STRING
    if n >= 3 and memcmp(p, b"<<<", 3) == 0:
        return False
    if p[0] == c"(":
        if n < 3 or not c"1" <= p[1] <= c"5" or p[2] != c")":
            return False
        span.kind = p[1] - c"0"
        start = 3
    name = find(p + start, n - start, c"=")
    if name < 1 or p[start] == c"(":
        return False
    place(span, start, name, n)
    return True


cdef int classic_spans(const uint8_t* p, Py_ssize_t n, Span* spans) noexcept:
    """As classic_message, in a message that is not nested: where its fields lie, and how many there are. -1 where it
    has another field than strings and octets, too many, or is malformed."""
    cdef Py_ssize_t last = n - MARKER
    cdef Py_ssize_t i = MARKER, size
    cdef int found = 0
    if last < MARKER or not is_marker(p, c">") or not is_marker(p + last, c"<") or p[last - 1] != LF:
        return -1
    if find(p, n, 0) >= 0:
        return -1
    while i < last:
        size = find(p + i, last - i, LF)
        if size > 0:
            if found == SPANS or not classic_line(p + i, size, &spans[found]) or not is_plain(&spans[found]):
                return -1
            move(&spans[found], i)
            found += 1
        i += size + 1
    return found


cdef bint classic_field(Message m, const uint8_t* p, Py_ssize_t n, int depth):
    """Read one line, without its end."""
    cdef Span span
    cdef Message child
    cdef const uint8_t* octets
    cdef object value = None
    if not classic_line(p, n, &span):
        return False
    octets = p + span.value
    if span.kind == STRING:
        value = classic_string(octets, span.size)
    elif span.kind == LIST:
        value = read_list(octets, span.size)
    elif span.kind != STRUCT:
        value = read_base64(octets, span.size)
    elif depth + 1 < DEEPEST:
        child = Message.__new__(Message)
        if classic_message(child, octets, span.size, depth + 1):
            value = child
    if value is None:
        return False
    m.add(p + span.name, span.name_size, span.kind, value)
    return True


cdef bytes classic_string(const uint8_t* p, Py_ssize_t n):
    cdef bytes text = PyBytes_FromStringAndSize(<const char*>p, n)
    return text if find(p, n, HIDDEN_LF) < 0 else text.replace(b"\x13", b"\n")


cdef bint find_auth_line(const uint8_t* p, Py_ssize_t n, Py_ssize_t* start, Py_ssize_t* end) noexcept:
    """The line "auth=…" among the lines of p, from its first octet to behind its LF. False unless there is exactly
    one: a second one would be octets that nobody signed."""
    cdef Py_ssize_t i = 0, size
    start[0] = -1
    while i < n:
        size = find(p + i, n - i, LF)
        if size < 0:
            return False
        if size >= 5 and memcmp(p + i, b"auth=", 5) == 0:
            if start[0] >= 0:
                return False
            start[0] = i
            end[0] = i + size + 1
        i += size + 1
    return start[0] >= 0


cdef bint classic_verifies(Authenticator auth, const uint8_t* p, Py_ssize_t n) noexcept:
    """Is the message, markers included, signed with a key of ours? Nothing of it is interpreted: the signed octets are
    those between the markers but the line of the signature, which is what re-serialising the fields gives for every
    message that the original writes (protocol/wire.md §4.2)."""
    cdef const uint8_t* body = p + MARKER
    cdef Py_ssize_t size = n - 2 * MARKER
    cdef Py_ssize_t start, end
    if size <= 0 or not find_auth_line(body, size, &start, &end):
        return False
    return auth.check(body, start, body + end, size - end, body + start + 5, end - start - 6)


cdef int write_classic(Writer w, Message m, int depth, bint signing, Py_ssize_t* auth_at) except -1:
    """The lines of the fields. Signing leaves fields called auth out and tells where the first one was, -1: nowhere."""
    cdef tuple field
    cdef Name name = Name()
    cdef const uint8_t* p
    auth_at[0] = -1
    for field in m.fields():
        name.use(field[0])
        if signing and name.called(b"auth", 4):
            if auth_at[0] < 0:
                auth_at[0] = w.size
            continue
        p = name.octets
        if find(p, name.size, LF) >= 0 or p[0] == c"(" or begins(p, b"<<<") or begins(p, b">>>"):
            raise ValueError(f"the classic format has no field called {field[0]!r}")
        write_classic_field(w, name, field[1], field[2], depth)
    return 0


cdef int write_classic_field(Writer w, Name name, int kind, value, int depth) except -1:
    cdef bytes octets
    if kind == UNCOMPRESSED:
        raise ValueError(f"the classic format has no fields of type 5: {name.text!r}")
    if kind != STRING:
        w.put(b"(", 1)
        w.put_octet(c"0" + <uint8_t>kind)
        w.put(b")", 1)
    w.put(name.octets, name.size)
    w.put(b"=", 1)
    if kind == STRUCT:
        write_classic_nested(w, value, depth + 1)
    elif kind == LIST:
        octets = pack_list(value)
        if find(octets_in(octets), len(octets), LF) >= 0:
            raise ValueError(f"the classic format has no LF in a list: {name.text!r}")
        w.put(octets_in(octets), len(octets))
    elif kind == STRING:
        octets = value
        check_string(name, octets)
        w.put_replaced(octets_in(octets), len(octets), HIDDEN_LF)
    else:
        octets = value
        w.put_base64(octets_in(octets), len(octets))
    w.put_octet(LF)
    return 0


cdef int write_classic_nested(Writer w, Message m, int depth) except -1:
    cdef Py_ssize_t start = w.size, unused
    cdef uint8_t end
    if depth >= DEEPEST:
        raise ValueError(f"messages nest deeper than {DEEPEST}")
    end = line_end(depth)
    w.put(b">>>\n", MARKER)
    write_classic(w, m, depth, False, &unused)
    w.put(b"<<<\n", MARKER)
    if find(w.data + start, w.size - start, end) >= 0:
        raise ValueError(f"a nested message holds octet {end:#x}, which stands for LF at its depth")
    replace_lf(w.data + start, w.size - start, end)
    return 0
