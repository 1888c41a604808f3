# The netstring format (protocol/wire.md §3): "###", each field behind its length, "%%%", and a trailer with the
# signature. Included by codec.pyx.

cdef enum:
    TRAILER_LIMIT = 256         # octets of a trailer's text; our longest has 67
    LIST_LIMIT = 1024           # a packed list of this size or more cannot be sent, protocol/wire.md §3.1


cdef Py_ssize_t netstring_message(Message m, const uint8_t* p, Py_ssize_t n, int depth):
    """Read from the first marker through the second, whatever follows; how many octets that are, -1: it isn't one."""
    cdef Py_ssize_t i = MARKER, used, size
    if n < 2 * MARKER or not is_marker(p, c"#"):
        return -1
    while True:
        if n - i >= MARKER and is_marker(p + i, c"%"):
            return i + MARKER
        used = read_length(p + i, n - i, &size)
        if used <= 0 or size >= n - i - used or p[i + used + size] != c",":
            return -1
        if not netstring_field(m, p + i + used, size, depth):
            return -1
        i += used + size + 1


cdef inline bint netstring_parts(const uint8_t* p, Py_ssize_t n, Span* span) noexcept:
    """Those of one field, from its bracket to the end of its value, counted from p. False where it is none."""
    cdef Py_ssize_t name
    if n < 5 or p[0] != c"(" or not c"0" <= p[1] <= c"5" or p[2] != c")":
        return False
    span.kind = p[1] - c"0"
    name = find(p + 3, n - 3, c"=")
    if name < 1 or find(p + 3, name, 0) >= 0 or (name >= MARKER and is_marker(p + 3, c">")):
        return False
    place(span, 3, name, n)
    return span.kind != STRING or find(p + span.value, span.size, 0) < 0


cdef int netstring_spans(const uint8_t* p, Py_ssize_t n, Span* spans) noexcept:
    """As netstring_message, of all n octets: where the fields lie, and how many there are. -1 where it has another
    field than strings and octets, too many, or is malformed."""
    cdef Py_ssize_t i = MARKER, used, size
    cdef int found = 0
    if n < 2 * MARKER or not is_marker(p, c"#"):
        return -1
    while n - i < MARKER or not is_marker(p + i, c"%"):
        used = read_length(p + i, n - i, &size)
        if used <= 0 or size >= n - i - used or p[i + used + size] != c",":
            return -1
        i += used
        if found == SPANS or not netstring_parts(p + i, size, &spans[found]) or not is_plain(&spans[found]):
            return -1
        move(&spans[found], i)
        found += 1
        i += size + 1
    return found if i + MARKER == n else -1


cdef bint netstring_field(Message m, const uint8_t* p, Py_ssize_t n, int depth):
    """Read one field, from its bracket to the end of its value."""
    cdef Span span
    cdef Message child
    cdef const uint8_t* octets
    cdef object value = None
    if not netstring_parts(p, n, &span):
        return False
    octets = p + span.value
    if span.kind == STRUCT:
        child = Message.__new__(Message)
        if depth + 1 < DEEPEST and netstring_message(child, octets, span.size, depth + 1) == span.size:
            value = child
    elif span.kind == LIST:
        value = read_list(octets, span.size)
    else:
        value = PyBytes_FromStringAndSize(<const char*>octets, span.size)
    if value is None:
        return False
    m.add(p + span.name, span.name_size, span.kind, value)
    return True


cdef list read_list(const uint8_t* p, Py_ssize_t n):
    """Elements behind their lengths, each followed by a comma; None where it isn't that."""
    cdef list found = []
    cdef Py_ssize_t i = 0, used, size
    while i < n:
        used = read_length(p + i, n - i, &size)
        if used <= 0 or size >= n - i - used or p[i + used + size] != c",":
            return None
        found.append(PyBytes_FromStringAndSize(<const char*>p + i + used, size))
        i += used + size + 1
    return found


cdef bytes pack_list(list elements, bint received=False):
    """received: it may hold what we would not send."""
    cdef Writer w = Writer()
    cdef bytes element
    for element in elements:
        if not received and find(octets_in(element), len(element), 0) >= 0:
            raise ValueError("a list holds strings: no NUL")
        w.put_length(len(element))
        w.put(octets_in(element), len(element))
        w.put(b",", 1)
    return w.taken()


cdef Py_ssize_t walk_fields(const uint8_t* p, Py_ssize_t n) noexcept:
    """Where the trailer of a netstring begins, found by the lengths alone; -1: there is no end marker."""
    cdef Py_ssize_t i = MARKER, used, size
    while n - i >= MARKER:
        if is_marker(p + i, c"%"):
            return i + MARKER
        used = read_length(p + i, n - i, &size)
        if used <= 0 or size >= n - i - used or p[i + used + size] != c",":
            return -1
        i += used + size + 1
    return -1


cdef Py_ssize_t read_trailer(const uint8_t* p, Py_ssize_t n, Py_ssize_t* size) noexcept:
    """A trailer at p: where its text begins, and its size; 0: more octets must come; -1: it isn't one."""
    cdef Py_ssize_t used = read_length(p, n, size)
    if used <= 0:
        return used
    if size[0] > TRAILER_LIMIT:
        return -1
    if size[0] >= n - used:
        return 0
    return used if p[used + size[0]] == c"," else -1


cdef int write_netstring(Writer w, Message m, int depth, bint signing, Py_ssize_t* auth_at) except -1:
    """The fields, as write_classic does it."""
    cdef tuple field
    cdef Name name = Name()
    cdef bytes octets
    cdef Writer nested
    cdef int kind
    auth_at[0] = -1
    for field in m.fields():
        name.use(field[0])
        if signing and name.called(b"auth", 4):
            if auth_at[0] < 0:
                auth_at[0] = w.size
            continue
        kind = field[1]
        if begins(name.octets, b">>>\n"):
            raise ValueError(f"no field is called {field[0]!r}")
        if kind == STRUCT:
            nested = netstring_nested(field[2], depth + 1)
            write_netstring_field(w, name, kind, nested.data, nested.size)
            continue
        if kind == LIST:
            octets = pack_list(field[2])
            if len(octets) >= LIST_LIMIT:
                raise ValueError(f"a list of {len(octets)} octets; must be less than {LIST_LIMIT}: {name.text!r}")
        else:
            octets = field[2]
            if kind == STRING:
                check_string(name, octets)
        write_netstring_field(w, name, kind, octets_in(octets), len(octets))
    return 0


cdef Writer netstring_nested(Message m, int depth):
    cdef Writer w = Writer()
    cdef Py_ssize_t unused
    if depth >= DEEPEST:
        raise ValueError(f"messages nest deeper than {DEEPEST}")
    w.put(b"###\n", MARKER)
    write_netstring(w, m, depth, False, &unused)
    w.put(b"%%%\n", MARKER)
    return w


cdef int write_netstring_field(Writer w, Name name, int kind, const uint8_t* value, Py_ssize_t n) except -1:
    return put_netstring_field(w, name.octets, name.size, kind, value, n)


cdef int put_netstring_field(Writer w, const uint8_t* name, Py_ssize_t size, int kind, const uint8_t* value,
                             Py_ssize_t n) except -1:
    cdef uint8_t* out
    w.put_length(3 + size + 1 + n)
    out = w.extend(3 + size + 1 + n + 1)
    out[0] = c"("
    out[1] = c"0" + <uint8_t>kind
    out[2] = c")"
    memcpy(out + 3, name, size)
    out[3 + size] = c"="
    memcpy(out + 4 + size, value, n)
    out[4 + size + n] = c","
    return 0
