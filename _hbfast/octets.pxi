# Octets in and out: decimal numbers, Base64, and a buffer that grows. Included by codec.pyx.
#
# Readers take a range, never look outside it, and say "no" by a return value; nothing here raises but for memory.

from cpython.bytes cimport PyBytes_AsString, PyBytes_FromStringAndSize
from cpython.mem cimport PyMem_Free, PyMem_Realloc
from libc.stdint cimport INT64_MAX, int8_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memchr, memcmp, memcpy, memmove, strlen, strncmp

cdef extern from "Python.h":
    # of the Limited API since 3.10; NULL, and an exception, where it has no such form
    const char* PyUnicode_AsUTF8AndSize(object text, Py_ssize_t* size)
    void PyErr_Clear()

cdef enum:
    LF = 10
    MARKER = 4                  # octets of ">>>\n" and its like
    LENGTH_DIGITS = 7           # of the longest length that can be in range: 2 MiB has seven


cdef inline bint is_marker(const uint8_t* p, uint8_t c) noexcept:
    return p[0] == c and p[1] == c and p[2] == c and p[3] == LF


cdef Py_ssize_t find(const uint8_t* p, Py_ssize_t n, uint8_t c) noexcept:
    """Where c first occurs, or -1."""
    cdef const uint8_t* hit = <const uint8_t*>memchr(p, c, n)
    return -1 if hit == NULL else hit - p


cdef inline const uint8_t* octets_in(bytes value) noexcept:
    """Those of a bytes object and the NUL behind them, as long as it lives."""
    return <const uint8_t*>PyBytes_AsString(value)


cdef inline bint begins(const uint8_t* p, const char* prefix) noexcept:
    """For octets that end in a NUL."""
    return strncmp(<const char*>p, prefix, strlen(prefix)) == 0


cdef void replace_lf(uint8_t* p, Py_ssize_t n, uint8_t c) noexcept:
    cdef Py_ssize_t i
    for i in range(n):
        if p[i] == LF:
            p[i] = c


cdef Py_ssize_t read_length(const uint8_t* p, Py_ssize_t n, Py_ssize_t* value) noexcept:
    """A decimal length without leading zeros and its colon. How many octets that took; 0: all n are digits so far,
    more may follow; -1: it isn't one."""
    cdef Py_ssize_t i = 0
    value[0] = 0
    while i < n and c"0" <= p[i] <= c"9":
        if i == LENGTH_DIGITS or (i == 1 and p[0] == c"0"):
            return -1
        value[0] = 10 * value[0] + (p[i] - c"0")
        i += 1
    if i == n:
        return 0
    return i + 1 if i > 0 and p[i] == c":" else -1


cdef inline int base64_value(uint8_t c) noexcept:
    if c"A" <= c <= c"Z":
        return c - c"A"
    if c"a" <= c <= c"z":
        return c - c"a" + 26
    if c"0" <= c <= c"9":
        return c - c"0" + 52
    return 62 if c == c"+" else 63 if c == c"/" else -1


cdef bytes read_base64(const uint8_t* p, Py_ssize_t n):
    """The octets; none where it isn't Base64, as the original does it (protocol/wire.md §2.2)."""
    cdef Py_ssize_t padding = 0, i
    cdef int v
    cdef uint32_t bits = 0
    cdef bytes out
    cdef uint8_t* o
    if n == 0 or n % 4:
        return b""
    while padding < 2 and p[n - 1 - padding] == c"=":
        padding += 1
    n -= padding
    out = PyBytes_FromStringAndSize(NULL, n - (n + 3) // 4)
    o = <uint8_t*>octets_in(out)
    for i in range(n):
        v = base64_value(p[i])
        if v < 0:
            return b""
        bits = bits << 6 | <uint32_t>v
        if i % 4:
            o[0] = <uint8_t>(bits >> (6 - 2 * (i % 4)))
            o += 1
    return out


cdef class Writer:
    """A buffer that grows."""
    cdef uint8_t* data
    cdef Py_ssize_t size
    cdef Py_ssize_t room

    def __dealloc__(self):
        PyMem_Free(self.data)

    cdef uint8_t* extend(self, Py_ssize_t n) except NULL:
        """Room for n more octets, which then belong to it."""
        cdef Py_ssize_t room = max(2 * self.room, self.size + n, 512)
        cdef void* grown
        if self.size + n > self.room or self.data == NULL:
            grown = PyMem_Realloc(self.data, room)
            if grown == NULL:
                raise MemoryError
            self.data = <uint8_t*>grown
            self.room = room
        self.size += n
        return self.data + self.size - n

    cdef int put(self, const void* p, Py_ssize_t n) except -1:
        if n > 0:
            memcpy(self.extend(n), p, n)
        return 0

    cdef int put_replaced(self, const void* p, Py_ssize_t n, uint8_t c) except -1:
        """With c for each LF."""
        self.put(p, n)
        replace_lf(self.data + self.size - n, n, c)
        return 0

    cdef int put_octet(self, uint8_t c) except -1:
        self.extend(1)[0] = c
        return 0

    cdef int put_length(self, Py_ssize_t n) except -1:
        """A decimal number and a colon."""
        cdef uint8_t[24] text
        cdef int i = 23
        text[i] = c":"
        while True:
            i -= 1
            text[i] = c"0" + <uint8_t>(n % 10)
            n //= 10
            if n == 0:
                break
        return self.put(text + i, 24 - i)

    cdef int put_base64(self, const uint8_t* p, Py_ssize_t n) except -1:
        cdef const char* alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
        cdef uint8_t* o = self.extend((n + 2) // 3 * 4)
        cdef uint32_t bits
        while n > 0:
            bits = <uint32_t>p[0] << 16 | (<uint32_t>p[1] << 8 if n > 1 else 0) | (p[2] if n > 2 else 0)
            o[0] = alphabet[bits >> 18]
            o[1] = alphabet[bits >> 12 & 63]
            o[2] = alphabet[bits >> 6 & 63] if n > 1 else c"="
            o[3] = alphabet[bits & 63] if n > 2 else c"="
            p += 3
            o += 4
            n -= 3
        return 0

    cdef bytes taken(self):
        return PyBytes_FromStringAndSize(<char*>self.data, self.size)
