# What codec.pyx uses of auth.pyx without going through Python.

from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef enum:
    TOKEN_MAX = 3 + 64          # octets of the longest "index token": "15 " and 32 octets in hex
    STRONG_MAX = 3 + 43         # the same with 32 octets in Base64, without padding

cdef struct Digest:
    int kind
    int filled                  # octets waiting in block
    uint64_t length             # octets given so far
    uint32_t[8] state
    uint8_t[64] block

cdef struct Signing:            # a signature that has taken some of its octets; may be copied, and each copy goes on
    int index
    int method
    uint32_t crc
    Digest digest


cdef class Authenticator:
    cdef void* _keys            # 16 of auth.pyx's Key, by index
    cdef int _outbound
    cdef readonly bint strong
    # A signature begins; index -1 is the outbound one. False where the index has no key.
    cdef bint begin(self, int index, Signing* signing) noexcept
    # The same for the strong signature, which a key of method crc does not have either.
    cdef bint begin_strong(self, int index, Signing* signing) noexcept
    cdef void absorb(self, Signing* signing, const uint8_t* p, size_t n) noexcept
    # Ends it, and writes "index token" to out (TOKEN_MAX or STRONG_MAX octets); its length.
    cdef int finish(self, Signing* signing, uint8_t* out) noexcept
    # All three over the octets of a followed by those of b; 0 where the index has no key.
    cdef int token(self, int index, const uint8_t* a, size_t na, const uint8_t* b, size_t nb, uint8_t* out) noexcept
    cdef bint check(self, const uint8_t* a, size_t na, const uint8_t* b, size_t nb,
                    const uint8_t* token, size_t n) noexcept
    cdef int strong_token(self, int index, const uint8_t* p, size_t np, uint8_t* out) noexcept
    cdef bint check_strong(self, const uint8_t* p, size_t np, const uint8_t* token, size_t n) noexcept


# The index of "index token", decimal without leading zeros, one blank after it; -1 where it isn't.
cdef int stated_index(const uint8_t* token, size_t n) noexcept

# In the same time wherever they differ.
cdef bint equal_octets(const uint8_t* a, const uint8_t* b, size_t n) noexcept
