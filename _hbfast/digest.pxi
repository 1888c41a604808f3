# Digests: MD5 (RFC 1321), SHA-1 and SHA-256 (FIPS 180-4), BLAKE2s (RFC 7693) and the CRC of protocol/wire.md §4.1.
#
# Written out here, because hashlib costs 3.8 MB of memory and OpenSSL may forbid MD5 and SHA-1, which the original's
# clusters need. All four work on blocks of 64 octets and 32-bit words, so one state serves them all. A full block is
# compressed when the next octet arrives, not before: BLAKE2s must know its last block.
#
# Included by auth.pyx. Plain numbers and memory: nothing here can fail, allocate or touch Python.

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

cdef extern from *:
    """
    static const uint32_t MD5_K[64] = {
        0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
        0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
        0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
        0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
        0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
        0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
        0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
        0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391,
    };
    static const uint32_t SHA256_K[64] = {
        0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
        0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
        0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
        0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
        0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
        0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
        0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
        0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
    };
    static const uint32_t SHA256_H[8] = {
        0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
    };
    static const uint32_t SHA1_H[5] = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0 };
    static const uint8_t MD5_ROTATION[4][4] = { {7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21} };
    static const uint8_t BLAKE2S_SIGMA[10][16] = {
        { 0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14, 15},
        {14, 10,  4,  8,  9, 15, 13,  6,  1, 12,  0,  2, 11,  7,  5,  3},
        {11,  8, 12,  0,  5,  2, 15, 13, 10, 14,  3,  6,  7,  1,  9,  4},
        { 7,  9,  3,  1, 13, 12, 11, 14,  2,  6,  5, 10,  4,  0, 15,  8},
        { 9,  0,  5,  7,  2,  4, 10, 15, 14,  1, 11, 12,  6,  8,  3, 13},
        { 2, 12,  6, 10,  0, 11,  8,  3,  4, 13,  7,  5, 15, 14,  1,  9},
        {12,  5,  1, 15, 14, 13,  4, 10,  0,  7,  6,  3,  9,  2,  8, 11},
        {13, 11,  7, 14, 12,  1,  3,  9,  5,  0, 15,  4,  8,  6,  2, 10},
        { 6, 15, 14,  9, 11,  3,  0,  8, 12,  2, 13,  7,  1,  4, 10,  5},
        {10,  2,  8,  4,  7,  6,  1,  5, 15, 11,  9, 14,  3, 12, 13,  0},
    };
    """
    const uint32_t[64] MD5_K
    const uint32_t[64] SHA256_K
    const uint32_t[8] SHA256_H
    const uint32_t[5] SHA1_H
    const uint8_t[4][4] MD5_ROTATION
    const uint8_t[10][16] BLAKE2S_SIGMA

cdef enum:
    MD5 = 1
    SHA1 = 2
    SHA256 = 3
    BLAKE2S = 4
    BLOCK = 64


cdef inline uint32_t rotate_left(uint32_t x, int n) noexcept nogil:
    return (x << n) | (x >> (32 - n))


cdef inline uint32_t rotate_right(uint32_t x, int n) noexcept nogil:
    return (x >> n) | (x << (32 - n))


cdef inline uint32_t load_little(const uint8_t* p) noexcept nogil:
    return <uint32_t>p[0] | <uint32_t>p[1] << 8 | <uint32_t>p[2] << 16 | <uint32_t>p[3] << 24


cdef inline uint32_t load_big(const uint8_t* p) noexcept nogil:
    return <uint32_t>p[3] | <uint32_t>p[2] << 8 | <uint32_t>p[1] << 16 | <uint32_t>p[0] << 24


cdef void md5_block(uint32_t* h, const uint8_t* p) noexcept nogil:
    cdef uint32_t[16] w
    cdef uint32_t a = h[0], b = h[1], c = h[2], d = h[3], f
    cdef int i, g
    for i in range(16):
        w[i] = load_little(p + 4 * i)
    for i in range(64):
        if i < 16:
            f = d ^ (b & (c ^ d))
            g = i
        elif i < 32:
            f = c ^ (d & (b ^ c))
            g = (5 * i + 1) & 15
        elif i < 48:
            f = b ^ c ^ d
            g = (3 * i + 5) & 15
        else:
            f = c ^ (b | ~d)
            g = (7 * i) & 15
        f += a + MD5_K[i] + w[g]
        a = d
        d = c
        c = b
        b += rotate_left(f, MD5_ROTATION[i >> 4][i & 3])
    h[0] += a
    h[1] += b
    h[2] += c
    h[3] += d


cdef inline uint32_t sha1_word(uint32_t* w, int i) noexcept nogil:
    w[i & 15] = rotate_left(w[(i + 13) & 15] ^ w[(i + 8) & 15] ^ w[(i + 2) & 15] ^ w[i & 15], 1)
    return w[i & 15]


cdef void sha1_block(uint32_t* h, const uint8_t* p) noexcept nogil:
    cdef uint32_t[16] w
    cdef uint32_t a = h[0], b = h[1], c = h[2], d = h[3], e = h[4], t
    cdef int i
    for i in range(16):
        w[i] = load_big(p + 4 * i)
    for i in range(80):
        t = rotate_left(a, 5) + e + (w[i] if i < 16 else sha1_word(w, i))
        if i < 20:
            t += (d ^ (b & (c ^ d))) + <uint32_t>0x5a827999
        elif i < 40:
            t += (b ^ c ^ d) + <uint32_t>0x6ed9eba1
        elif i < 60:
            t += ((b & c) | (d & (b | c))) + <uint32_t>0x8f1bbcdc
        else:
            t += (b ^ c ^ d) + <uint32_t>0xca62c1d6
        e = d
        d = c
        c = rotate_left(b, 30)
        b = a
        a = t
    h[0] += a
    h[1] += b
    h[2] += c
    h[3] += d
    h[4] += e


cdef void sha256_block(uint32_t* h, const uint8_t* p) noexcept nogil:
    cdef uint32_t[64] w
    cdef uint32_t[8] v
    cdef uint32_t s0, s1, t
    cdef int i
    for i in range(16):
        w[i] = load_big(p + 4 * i)
    for i in range(16, 64):
        s0 = rotate_right(w[i - 15], 7) ^ rotate_right(w[i - 15], 18) ^ (w[i - 15] >> 3)
        s1 = rotate_right(w[i - 2], 17) ^ rotate_right(w[i - 2], 19) ^ (w[i - 2] >> 10)
        w[i] = w[i - 16] + s0 + w[i - 7] + s1
    memcpy(v, h, sizeof(v))
    for i in range(64):
        s1 = rotate_right(v[4], 6) ^ rotate_right(v[4], 11) ^ rotate_right(v[4], 25)
        t = v[7] + s1 + (v[6] ^ (v[4] & (v[5] ^ v[6]))) + SHA256_K[i] + w[i]
        s0 = rotate_right(v[0], 2) ^ rotate_right(v[0], 13) ^ rotate_right(v[0], 22)
        s0 += (v[0] & v[1]) | (v[2] & (v[0] | v[1]))
        v[7] = v[6]
        v[6] = v[5]
        v[5] = v[4]
        v[4] = v[3] + t
        v[3] = v[2]
        v[2] = v[1]
        v[1] = v[0]
        v[0] = t + s0
    for i in range(8):
        h[i] += v[i]


cdef inline void blake2s_mix(uint32_t* v, int a, int b, int c, int d, uint32_t x, uint32_t y) noexcept nogil:
    v[a] += v[b] + x
    v[d] = rotate_right(v[d] ^ v[a], 16)
    v[c] += v[d]
    v[b] = rotate_right(v[b] ^ v[c], 12)
    v[a] += v[b] + y
    v[d] = rotate_right(v[d] ^ v[a], 8)
    v[c] += v[d]
    v[b] = rotate_right(v[b] ^ v[c], 7)


cdef void blake2s_block(uint32_t* h, const uint8_t* p, uint64_t length, bint last) noexcept nogil:
    cdef uint32_t[16] m
    cdef uint32_t[16] v
    cdef const uint8_t* s
    cdef int i
    for i in range(16):
        m[i] = load_little(p + 4 * i)
    memcpy(v, h, 32)
    memcpy(&v[8], SHA256_H, 32)     # BLAKE2s starts from SHA-256's constants
    v[12] ^= <uint32_t>length
    v[13] ^= <uint32_t>(length >> 32)
    if last:
        v[14] = ~v[14]
    for i in range(10):
        s = BLAKE2S_SIGMA[i]
        blake2s_mix(v, 0, 4, 8, 12, m[s[0]], m[s[1]])
        blake2s_mix(v, 1, 5, 9, 13, m[s[2]], m[s[3]])
        blake2s_mix(v, 2, 6, 10, 14, m[s[4]], m[s[5]])
        blake2s_mix(v, 3, 7, 11, 15, m[s[6]], m[s[7]])
        blake2s_mix(v, 0, 5, 10, 15, m[s[8]], m[s[9]])
        blake2s_mix(v, 1, 6, 11, 12, m[s[10]], m[s[11]])
        blake2s_mix(v, 2, 7, 8, 13, m[s[12]], m[s[13]])
        blake2s_mix(v, 3, 4, 9, 14, m[s[14]], m[s[15]])
    for i in range(8):
        h[i] ^= v[i] ^ v[i + 8]


cdef int digest_size(int kind) noexcept nogil:
    """Octets of the finished digest."""
    return 16 if kind == MD5 else 20 if kind == SHA1 else 32


cdef void digest_start(Digest* d, int kind, int key_octets) noexcept nogil:
    """Begin. key_octets is for BLAKE2s alone: how long the key is that is given as the first block (0: none)."""
    memset(d, 0, sizeof(Digest))
    d.kind = kind
    if kind == SHA1 or kind == MD5:
        memcpy(d.state, SHA1_H, 20)     # MD5's four words are the first four of SHA-1
    else:
        memcpy(d.state, SHA256_H, 32)
    if kind == BLAKE2S:
        d.state[0] ^= <uint32_t>0x01010000 ^ (<uint32_t>key_octets << 8) ^ 32


cdef void digest_block(Digest* d, const uint8_t* p, bint last) noexcept nogil:
    """One block of 64 octets. For BLAKE2s d.length must stand behind it."""
    if d.kind == SHA1:
        sha1_block(d.state, p)
    elif d.kind == MD5:
        md5_block(d.state, p)
    elif d.kind == SHA256:
        sha256_block(d.state, p)
    else:
        blake2s_block(d.state, p, d.length, last)


cdef void digest_update(Digest* d, const uint8_t* p, size_t n) noexcept nogil:
    cdef size_t part
    while n > 0:
        if d.filled == BLOCK:
            digest_block(d, d.block, False)
            d.filled = 0
        if d.filled == 0 and n > BLOCK:
            d.length += BLOCK
            digest_block(d, p, False)
            part = BLOCK
        else:
            part = min(<size_t>(BLOCK - d.filled), n)
            memcpy(d.block + d.filled, p, part)
            d.filled += <int>part
            d.length += part
        p += part
        n -= part


cdef void digest_finish(Digest* d, uint8_t* out) noexcept nogil:
    """Pad, and write digest_size(kind) octets to out."""
    cdef uint64_t bits = d.length << 3
    cdef bint little = d.kind == MD5 or d.kind == BLAKE2S
    cdef int i
    if d.kind != BLAKE2S:
        digest_update(d, <const uint8_t*>b"\x80", 1)
        if d.filled > BLOCK - 8:
            memset(d.block + d.filled, 0, BLOCK - d.filled)
            digest_block(d, d.block, False)
            d.filled = 0
    memset(d.block + d.filled, 0, BLOCK - d.filled)
    if d.kind != BLAKE2S:
        for i in range(8):
            d.block[56 + i] = <uint8_t>(bits >> (8 * i if little else 56 - 8 * i))
    digest_block(d, d.block, True)
    for i in range(digest_size(d.kind)):
        out[i] = <uint8_t>(d.state[i >> 2] >> (8 * (i & 3) if little else 24 - 8 * (i & 3)))


# crc_tables[k][octet]: what the octet does to the remainder when k more octets have followed it, so that eight octets
# take eight independent look-ups instead of a chain of eight (8 KiB)
cdef uint32_t[8][256] crc_tables


cdef void crc_prepare() noexcept nogil:
    cdef uint32_t c
    cdef int i, k
    for i in range(256):
        c = <uint32_t>i << 24
        for k in range(8):
            c = (c << 1) ^ (<uint32_t>0x04c11db7 if c >> 31 else 0)
        crc_tables[0][i] = c
    for k in range(1, 8):
        for i in range(256):
            c = crc_tables[k - 1][i]
            crc_tables[k][i] = (c << 8) ^ crc_tables[0][c >> 24]


cdef uint32_t crc_update(uint32_t c, const uint8_t* p, size_t n) noexcept nogil:
    """MSB first, polynomial 04c11db7, started at 0; the caller complements the end (cksum without the length)."""
    cdef uint32_t d
    while n >= 8:
        c ^= load_big(p)
        d = load_big(p + 4)
        c = (
            crc_tables[7][c >> 24] ^ crc_tables[6][c >> 16 & 255] ^ crc_tables[5][c >> 8 & 255]
            ^ crc_tables[4][c & 255] ^ crc_tables[3][d >> 24] ^ crc_tables[2][d >> 16 & 255]
            ^ crc_tables[1][d >> 8 & 255] ^ crc_tables[0][d & 255]
        )
        p += 8
        n -= 8
    while n > 0:
        c = (c << 8) ^ crc_tables[0][(c >> 24) ^ p[0]]
        p += 1
        n -= 1
    return c
