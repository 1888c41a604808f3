# A message of which only `seq` and `ts` change, with its octets prepared. Included by codec.pyx.
#
# A status is repeated for hours. What never changes is written once, and what a signature makes of the octets before
# the first change is computed once:
#
#     ###  t=status … srcuuid=…  seq=…  hg=…  ts=…  ld=… ttl=…  auth=…  %%%  trailer
#     └────────── head ────────┘ └ written each time, and then signed ────────────┘
#
# The octets are those that encode writes for an equal message: there is one definition of a frame, and this is a faster
# way to it. Who receives compares with what a sender would write.

cdef enum:
    NUMBER_ROOM = 32            # octets of a changing field: "23:(0)seq=", 16 digits, and its end
    TAIL_ROOM = 256             # of what stands behind the fields: signatures and the end marker
    PREPARED_LIMIT = 16384      # octets of a body; larger ones are written the ordinary way


cdef uint8_t* put_digits(uint8_t* out, uint64_t number) noexcept:
    """Hex without leading zeros; what follows it."""
    cdef const char* digits = b"0123456789abcdef"
    cdef int shift = 0
    while shift < 60 and number >> (shift + 4):
        shift += 4
    while shift >= 0:
        out[0] = digits[number >> shift & 15]
        out += 1
        shift -= 4
    return out


cdef Py_ssize_t read_digits(const uint8_t* p, Py_ssize_t n, uint64_t* number) noexcept:
    """Hex as put_digits writes it: how many octets it has; 0: it isn't that."""
    cdef Py_ssize_t i = 0
    number[0] = 0
    while i < n:
        if c"0" <= p[i] <= c"9":
            number[0] = number[0] << 4 | <uint64_t>(p[i] - c"0")
        elif c"a" <= p[i] <= c"f":
            number[0] = number[0] << 4 | <uint64_t>(p[i] - c"a" + 10)
        else:
            break
        i += 1
        if i > 16:
            return 0
    return 0 if i > 1 and p[0] == c"0" else i


cdef uint8_t* put_short_length(uint8_t* out, int n) noexcept:
    """As Writer.put_length, for less than a hundred."""
    if n > 9:
        out[0] = c"0" + <uint8_t>(n // 10)
        out += 1
    out[0] = c"0" + <uint8_t>(n % 10)
    out[1] = c":"
    return out + 2


cdef inline uint8_t* put_text(uint8_t* out, const void* p, Py_ssize_t n) noexcept:
    memcpy(out, p, n)
    return out + n


cdef class Body:
    """A start marker and the fields of a message in one format. What may follow them is written behind, see TAIL_ROOM.
    """
    cdef bint netstring
    cdef bint seq_first         # which of the two stands first
    cdef bytes middle           # between the two
    cdef bytes rest             # behind them
    cdef uint8_t* data
    cdef Py_ssize_t head        # octets before the first of the two
    cdef Py_ssize_t size        # as written last

    def __dealloc__(self):
        PyMem_Free(self.data)

    cdef int prepare(self, Pattern pattern, bint netstring) except -1:
        """ValueError for what this format has no way to write, or what is too large."""
        cdef int a = min(pattern.seq_at, pattern.ts_at)
        cdef int b = max(pattern.seq_at, pattern.ts_at)
        cdef bytes first
        self.netstring = netstring
        self.seq_first = pattern.seq_at < pattern.ts_at
        first = fields_octets(pattern.fields[:a], netstring)
        self.middle = fields_octets(pattern.fields[a + 1:b], netstring)
        self.rest = fields_octets(pattern.fields[b + 1:], netstring)
        self.head = MARKER + len(first)
        self.size = self.head + len(self.middle) + len(self.rest) + 2 * NUMBER_ROOM
        if self.size > PREPARED_LIMIT:
            raise ValueError("larger than what is prepared")
        self.data = <uint8_t*>PyMem_Realloc(NULL, self.size + TAIL_ROOM)
        if self.data == NULL:
            raise MemoryError
        memcpy(self.data, b"###\n" if netstring else b">>>\n", MARKER)
        memcpy(self.data + MARKER, octets_in(first), len(first))
        return 0

    cdef uint8_t* put_number(self, uint8_t* out, bint seq, uint64_t number) noexcept:
        cdef uint8_t[16] digits
        cdef Py_ssize_t n
        if not self.netstring:
            out = put_digits(put_text(out, b"seq=" if seq else b"ts=", 3 + seq), number)
            out[0] = LF
            return out + 1
        n = put_digits(digits, number) - digits
        out = put_short_length(out, 3 + 3 + seq + <int>n)
        out = put_text(out, b"(0)seq=" if seq else b"(0)ts=", 6 + seq)
        out = put_text(out, digits, n)
        out[0] = c","
        return out + 1

    cdef uint8_t* write(self, uint64_t sequence, uint64_t ts) noexcept:
        """All of it, and what follows."""
        cdef uint8_t* out
        out = self.put_number(self.data + self.head, self.seq_first, sequence if self.seq_first else ts)
        out = put_text(out, octets_in(self.middle), len(self.middle))
        out = self.put_number(out, not self.seq_first, ts if self.seq_first else sequence)
        out = put_text(out, octets_in(self.rest), len(self.rest))
        self.size = out - self.data
        return out

    cdef Py_ssize_t read_number(self, const uint8_t* p, Py_ssize_t n, bint seq, uint64_t* number) noexcept:
        """As put_number writes it; how many octets that are, 0: it isn't that."""
        cdef Py_ssize_t used = 0, size, name = 3 + seq
        if self.netstring:
            used = read_length(p, n, &size)
            if used <= 0 or n - used < 3 or memcmp(p + used, b"(0)", 3):
                return 0
            used += 3
        if n - used <= name or memcmp(p + used, b"seq=" if seq else b"ts=", name):
            return 0
        used += name
        size = read_digits(p + used, n - used, number)
        return used + size + 1 if size > 0 and used + size < n else 0

    cdef bint read(self, const uint8_t* p, Py_ssize_t n, uint64_t* sequence, uint64_t* ts) noexcept:
        """Do n octets begin as a body would with these two? What is not looked at here is compared with a whole frame.
        """
        cdef Py_ssize_t used
        if n < self.head or memcmp(p, self.data, self.head):
            return False
        p += self.head
        n -= self.head
        used = self.read_number(p, n, self.seq_first, sequence if self.seq_first else ts)
        if used == 0 or n - used < len(self.middle):
            return False
        used += len(self.middle)
        return self.read_number(p + used, n - used, not self.seq_first, ts if self.seq_first else sequence) > 0


cdef bytes fields_octets(list fields, bint netstring):
    """Some fields of a message, without markers."""
    cdef Writer w = Writer()
    cdef Message m = Message.__new__(Message)
    cdef Py_ssize_t unused
    m._fields = fields
    if netstring:
        write_netstring(w, m, -1, False, &unused)
    else:
        write_classic(w, m, -1, False, &unused)
    return w.taken()


cdef uint8_t* put_mac_line(uint8_t* out, const uint8_t* mac, int n) noexcept:
    """Of n octets, 0: there is none."""
    if n == 0:
        return out
    return put_text(put_text(put_text(out, b"mac=", 4), mac, n), b"\n", 1)


cdef class Layout:
    """A signed frame. index: the key's; -1 the outbound one."""
    cdef Authenticator auth
    cdef bint inner_auth
    cdef Body body              # the frame is written behind it
    cdef Body inner             # netstring with inner_auth: the classic form, of which the field `auth` is made
    cdef Body covered           # what the strong signature covers, where there is one: the body of a netstring
    cdef Signing begun          # the frame's signature, with the head taken
    cdef Signing inner_begun
    cdef Signing strong_begun

    cdef int prepare(self, Pattern pattern, Authenticator auth, int index, bint netstring, bint inner_auth,
                     bint strong) except -1:
        """ValueError where this message has no such frame."""
        self.auth = auth
        self.inner_auth = inner_auth
        self.body = Body()
        self.body.prepare(pattern, netstring)
        if netstring and inner_auth and has_classic_form(pattern.fields):
            self.inner = Body()
            self.inner.prepare(pattern, False)
        if not auth.begin(index, &self.begun) or not auth.begin(index, &self.inner_begun):
            raise ValueError("no such key")
        if netstring:
            auth.absorb(&self.begun, self.body.data, self.body.head)
        else:
            auth.absorb(&self.begun, self.body.data + MARKER, self.body.head - MARKER)
        if self.inner is not None:
            auth.absorb(&self.inner_begun, self.inner.data + MARKER, self.inner.head - MARKER)
        if strong:
            self.prepare_strong(pattern, index)
        return 0

    cdef int prepare_strong(self, Pattern pattern, int index) except -1:
        if not is_same_in_strong(pattern.fields) or not self.auth.begin_strong(index, &self.strong_begun):
            raise ValueError("no strong signature, or none that is prepared")
        self.covered = self.body
        if not self.body.netstring:
            self.covered = Body()
            self.covered.prepare(pattern, True)
        self.auth.absorb(&self.strong_begun, self.covered.data + MARKER, self.covered.head - MARKER)
        return 0

    cdef int strong_token(self, uint64_t sequence, uint64_t ts, uint8_t* out) noexcept:
        """The value of `mac`; its length. The body of a netstring is written already."""
        cdef Signing signing = self.strong_begun
        if self.covered is not self.body:
            self.covered.write(sequence, ts)
        self.auth.absorb(&signing, self.covered.data + self.covered.head, self.covered.size - self.covered.head)
        return self.auth.finish(&signing, out)

    cdef Py_ssize_t write(self, uint64_t sequence, uint64_t ts) noexcept:
        """The frame, to body.data; its size."""
        cdef uint8_t[STRONG_MAX] mac
        cdef uint8_t[TOKEN_MAX] token
        cdef Signing signing
        cdef uint8_t* data = self.body.data
        cdef uint8_t* out = self.body.write(sequence, ts)
        cdef uint8_t* end
        cdef int n, m = 0
        if self.covered is not None:
            m = self.strong_token(sequence, ts, mac)
        if not self.body.netstring:
            out = put_mac_line(out, mac, m)
            signing = self.begun
            self.auth.absorb(&signing, data + self.body.head, out - data - self.body.head)
            out = put_text(out, b"auth=", 5)
            out += self.auth.finish(&signing, out)
            return put_text(out, b"\n<<<\n", MARKER + 1) - data
        if m:
            out = put_text(put_short_length(out, 7 + m), b"(0)mac=", 7)
            out = put_text(put_text(out, mac, m), b",", 1)
        if self.inner is not None:
            end = put_mac_line(self.inner.write(sequence, ts), mac, m)
            signing = self.inner_begun
            self.auth.absorb(&signing, self.inner.data + self.inner.head, end - self.inner.data - self.inner.head)
            n = self.auth.finish(&signing, token)
            out = put_text(put_short_length(out, 8 + n), b"(0)auth=", 8)
            out = put_text(put_text(out, token, n), b",", 1)
        out = put_text(out, b"%%%\n", MARKER)
        signing = self.begun
        self.auth.absorb(&signing, data + self.body.head, out - data - self.body.head)
        n = self.auth.finish(&signing, token)
        out = put_text(put_text(put_short_length(out, n), token, n), b",", 1)
        return out - data


cdef class Pattern:
    """The fields of a message, two of which change: those called `seq` and `ts`. Both formats' layouts are kept, as
    they were asked for last."""
    cdef list fields
    cdef int seq_at
    cdef int ts_at
    # what everybody asks a message for
    cdef str type
    cdef str source
    cdef uint64_t generation
    cdef Layout classic
    cdef Layout netstring

    cdef Message message(self, uint64_t sequence, uint64_t ts):
        cdef Message m = Message.__new__(Message)
        m.pattern = self
        m.repeated = True
        m.type = self.type
        m.source = self.source
        m.generation = self.generation
        m.sequence = sequence
        m.ts = ts
        return m

    def __reduce__(self):
        return _pattern, (self.fields,)

    cdef Layout layout(self, Authenticator auth, bint netstring, bint inner_auth):
        """None where such a frame is written the ordinary way."""
        cdef Layout found = self.netstring if netstring else self.classic
        if found is not None and found.auth is auth and (not netstring or found.inner_auth == inner_auth):
            return found
        found = Layout()
        try:
            found.prepare(self, auth, -1, netstring, inner_auth, auth.strong)
        except ValueError:
            return None
        if netstring:
            self.netstring = found
        else:
            self.classic = found
        return found


cdef Pattern pattern_of(list fields):
    """ValueError unless there is just one `seq` and one `ts`, both text, and no signature."""
    cdef Pattern pattern = Pattern()
    cdef tuple field
    cdef int i, numbers = 0
    for i in range(len(fields)):
        field = fields[i]
        if field[0] == "auth" or field[0] == "mac":
            raise ValueError("a message that holds a signature is not repeated")
        if field[0] == "seq" or field[0] == "ts":
            if field[1] != STRING:
                raise ValueError(f"{field[0]} is text")
            if field[0] == "seq":
                pattern.seq_at = i
                numbers += 1
            else:
                pattern.ts_at = i
                numbers += 16
    if numbers != 17:
        raise ValueError("what is repeated has one seq and one ts")
    pattern.fields = fields
    return pattern


def _pattern(fields):
    """Unpickled."""
    cdef Message m = Message(fields)
    m.again(0, 0)
    return m.pattern


def _again(Pattern pattern not None, uint64_t sequence, uint64_t ts):
    return pattern.message(sequence, ts)
