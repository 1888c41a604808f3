# cython: language_level=3, binding=False, boundscheck=False, wraparound=False, cdivision=True, auto_pickle=False
"""Signatures of messages: who shares our key?

Its rules: the key of the *stated* index decides; tokens are compared in constant time; a key appears in no repr and no
error. A HMAC's two key blocks are absorbed once, here at the start, not once a message. Trouble in a token is a False.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.mem cimport PyMem_Calloc, PyMem_Free

include "digest.pxi"

cdef enum:
    INDICES = 16                # protocol/wire.md §3.3: indices 0 to 15
    CRC = 5                     # beside the kinds of digest.pxi
    STRONG = 6                  # keyed BLAKE2s-256 again, with a key of its own and in Base64

cdef struct Key:
    int method                  # 0: no key here
    Digest inner
    Digest outer                # unused by crc and blake2s
    Digest strong               # unused by crc

crc_prepare()

# What the strong key is derived with (docs/protocol.md). No message has these octets, so no signature of method blake2s
# gives the key away.
cdef bytes STRONG_LABEL = b"heartbeat strong signature 1"

cdef dict METHODS = {"crc": CRC, "md5": MD5, "sha1": SHA1, "sha256": SHA256, "blake2s": BLAKE2S}


cdef void absorb_padded(Digest* d, int kind, const uint8_t* key, size_t n, uint8_t mask) noexcept:
    """A digest that has taken the key, padded to a block, each octet xor mask (RFC 2104)."""
    cdef uint8_t[BLOCK] pad
    cdef size_t i
    for i in range(BLOCK):
        pad[i] = (key[i] if i < n else 0) ^ mask
    digest_start(d, kind, <int>n)
    digest_update(d, pad, BLOCK)


cdef void set_key(Key* slot, int method, const uint8_t* key, size_t n) noexcept:
    cdef uint8_t[32] short_key
    cdef size_t longest = 32 if method == BLAKE2S else BLOCK
    slot.method = method
    if method == CRC:
        return
    if n > longest:
        digest_start(&slot.inner, method, 0)
        digest_update(&slot.inner, key, n)
        digest_finish(&slot.inner, short_key)
        key = short_key
        n = digest_size(method)
    if method == BLAKE2S:
        absorb_padded(&slot.inner, method, key, n, 0)       # keyed by itself, RFC 7693 §2.9
        return
    absorb_padded(&slot.inner, method, key, n, 0x36)
    absorb_padded(&slot.outer, method, key, n, 0x5c)
    # compress the key's block now, so that it isn't done again for each message
    digest_block(&slot.inner, slot.inner.block, False)
    digest_block(&slot.outer, slot.outer.block, False)
    slot.inner.filled = slot.outer.filled = 0


cdef void set_strong_key(Key* slot, const uint8_t* key, size_t n) noexcept:
    """Keyed BLAKE2s-256 over the label is the key; a key of more than 32 octets is hashed first."""
    cdef Key deriving
    cdef uint8_t[32] derived
    set_key(&deriving, BLAKE2S, key, n)
    digest_update(&deriving.inner, STRONG_LABEL, len(STRONG_LABEL))
    digest_finish(&deriving.inner, derived)
    absorb_padded(&slot.strong, BLAKE2S, derived, sizeof(derived), 0)


cdef int write_base64(uint8_t* out, const uint8_t* p) noexcept:
    """32 octets, without the padding: 43 characters."""
    cdef const char* alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    cdef uint32_t bits = 0
    cdef int i, n = 0, have = 0
    for i in range(32):
        bits = bits << 8 | p[i]
        have += 8
        while have >= 6:
            have -= 6
            out[n] = alphabet[bits >> have & 63]
            n += 1
    out[n] = alphabet[bits << (6 - have) & 63]
    return n + 1


cdef int write_hex(uint8_t* out, const uint8_t* p, int n) noexcept:
    cdef const char* digits = b"0123456789abcdef"
    cdef int i
    for i in range(n):
        out[2 * i] = digits[p[i] >> 4]
        out[2 * i + 1] = digits[p[i] & 15]
    return 2 * n


cdef int write_crc(uint8_t* out, uint32_t crc) noexcept:
    """As printf's %x: no leading zeros."""
    cdef uint8_t[4] big
    cdef uint8_t[8] text
    cdef int i, zeros = 0
    for i in range(4):
        big[i] = <uint8_t>(crc >> (24 - 8 * i))
    write_hex(text, big, 4)
    while zeros < 7 and text[zeros] == c"0":
        zeros += 1
    memcpy(out, text + zeros, 8 - zeros)
    return 8 - zeros


cdef int write_index(uint8_t* out, int index) noexcept:
    """An index and the blank behind it."""
    cdef int n = 0
    if index > 9:
        out[0] = c"1"
        n = 1
    out[n] = c"0" + index % 10
    out[n + 1] = c" "
    return n + 2


cdef int stated_index(const uint8_t* token, size_t n) noexcept:
    if n > 2 and c"0" <= token[0] <= c"9" and token[1] == c" ":
        return token[0] - c"0"
    if n > 3 and token[0] == c"1" and c"0" <= token[1] <= c"5" and token[2] == c" ":
        return 10 + token[1] - c"0"
    return -1


cdef bint equal_octets(const uint8_t* a, const uint8_t* b, size_t n) noexcept:
    cdef uint64_t difference = 0, x, y
    while n >= 8:
        memcpy(&x, a, 8)
        memcpy(&y, b, 8)
        difference |= x ^ y
        a += 8
        b += 8
        n -= 8
    while n > 0:
        difference |= a[0] ^ b[0]
        a += 1
        b += 1
        n -= 1
    return difference == 0


cdef class Authenticator:
    def __cinit__(self, *args, **kwargs):
        self._keys = PyMem_Calloc(INDICES, sizeof(Key))
        if self._keys == NULL:
            raise MemoryError

    def __dealloc__(self):
        PyMem_Free(self._keys)

    def __init__(self, keys, outbound, *, bint strong=False):
        cdef Key* slots = <Key*>self._keys
        cdef int index
        cdef bytes secret
        for number, (method, key) in keys.items():
            if not 0 <= number < INDICES:
                raise ValueError(f"key index {number} is not 0 to {INDICES - 1}")
            if method not in METHODS:
                raise ValueError(f"key {number}: unknown method {method!r}")
            index = number
            secret = key
            if (method == "crc") == bool(secret):
                raise ValueError(f"key {number}: {method} {'takes no' if secret else 'needs a'} key")
            set_key(&slots[index], METHODS[method], secret, len(secret))
            if secret:
                set_strong_key(&slots[index], secret, len(secret))
        if outbound not in keys:
            raise ValueError(f"no key has the outbound index {outbound}")
        self._outbound = outbound
        self.strong = strong and slots[self._outbound].method != CRC

    cdef bint begin(self, int index, Signing* signing) noexcept:
        cdef Key* key
        if index == -1:
            index = self._outbound
        key = <Key*>self._keys + index
        signing.index = index
        signing.method = key.method
        signing.crc = 0
        signing.digest = key.inner
        return key.method != 0

    cdef bint begin_strong(self, int index, Signing* signing) noexcept:
        cdef Key* key
        if index == -1:
            index = self._outbound
        key = <Key*>self._keys + index
        signing.index = index
        signing.method = STRONG
        signing.digest = key.strong
        return key.method != 0 and key.method != CRC

    cdef void absorb(self, Signing* signing, const uint8_t* p, size_t n) noexcept:
        if signing.method == CRC:
            signing.crc = crc_update(signing.crc, p, n)
        else:
            digest_update(&signing.digest, p, n)

    cdef int finish(self, Signing* signing, uint8_t* out) noexcept:
        cdef uint8_t[32] raw
        cdef int n = write_index(out, signing.index)
        cdef int size
        if signing.method == CRC:
            return n + write_crc(out + n, ~signing.crc)
        if signing.method == STRONG:
            digest_finish(&signing.digest, raw)
            return n + write_base64(out + n, raw)
        size = digest_size(signing.method)
        digest_finish(&signing.digest, raw)
        if signing.method != BLAKE2S:
            signing.digest = (<Key*>self._keys + signing.index).outer
            digest_update(&signing.digest, raw, size)
            digest_finish(&signing.digest, raw)
        return n + write_hex(out + n, raw, size)

    cdef int token(self, int index, const uint8_t* a, size_t na, const uint8_t* b, size_t nb, uint8_t* out) noexcept:
        cdef Signing signing
        if not self.begin(index, &signing):
            return 0
        self.absorb(&signing, a, na)
        self.absorb(&signing, b, nb)
        return self.finish(&signing, out)

    cdef bint check(self, const uint8_t* a, size_t na, const uint8_t* b, size_t nb,
                    const uint8_t* token, size_t n) noexcept:
        cdef uint8_t[TOKEN_MAX] expected
        cdef int index = stated_index(token, n)
        return (
            index >= 0 and <size_t>self.token(index, a, na, b, nb, expected) == n
            and equal_octets(expected, token, n)
        )

    cdef int strong_token(self, int index, const uint8_t* p, size_t np, uint8_t* out) noexcept:
        cdef Signing signing
        if not self.begin_strong(index, &signing):
            return 0
        self.absorb(&signing, p, np)
        return self.finish(&signing, out)

    cdef bint check_strong(self, const uint8_t* p, size_t np, const uint8_t* token, size_t n) noexcept:
        cdef uint8_t[STRONG_MAX] expected
        cdef int index = stated_index(token, n)
        return (
            index >= 0 and <size_t>self.strong_token(index, p, np, expected) == n
            and equal_octets(expected, token, n)
        )

    def sign(self, body):
        cdef Py_buffer view
        cdef uint8_t[TOKEN_MAX] out
        cdef int n
        PyObject_GetBuffer(body, &view, PyBUF_SIMPLE)
        n = self.token(-1, <const uint8_t*>view.buf, view.len, NULL, 0, out)
        PyBuffer_Release(&view)
        return PyBytes_FromStringAndSize(<char*>out, n)

    def verify(self, body, bytes token not None):
        cdef Py_buffer view
        cdef bint good
        PyObject_GetBuffer(body, &view, PyBUF_SIMPLE)
        good = self.check(<const uint8_t*>view.buf, view.len, NULL, 0, token, len(token))
        PyBuffer_Release(&view)
        return good
