# What codec.pyx uses of auth.pyx without going through Python.

from libc.stdint cimport uint8_t

cdef enum:
    TOKEN_MAX = 3 + 64          # octets of the longest "index token": "15 " and 32 octets in hex


cdef class Authenticator:
    cdef void* _keys            # 16 of auth.pyx's Key, by index
    cdef int _outbound
    # Writes "index token" over the octets of a followed by those of b to out (TOKEN_MAX octets); its length, 0 where
    # the index has no key. index -1 is the outbound one.
    cdef int token(self, int index, const uint8_t* a, size_t na, const uint8_t* b, size_t nb, uint8_t* out) noexcept
    cdef bint check(self, const uint8_t* a, size_t na, const uint8_t* b, size_t nb,
                    const uint8_t* token, size_t n) noexcept
