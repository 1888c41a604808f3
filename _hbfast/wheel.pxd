# What codec.pyx uses of wheel.pyx without going through Python.

from libc.stdint cimport int16_t, int32_t, int64_t, uint64_t

cdef enum:
    RINGS = 4
    FAR = RINGS * 64            # the list behind the rings

cdef struct Node:
    int64_t at
    int32_t next
    int32_t previous
    int16_t place               # 1 + its slot, which is ring * 64 + slot or FAR; 0: not armed

cdef struct Due:
    int64_t at
    int32_t key


cdef class TimerWheel:
    cdef int32_t capacity
    cdef int64_t tick           # the wheel's own; never goes back
    cdef int64_t earliest       # the answer of next_due, while known
    cdef bint known
    cdef Node* nodes
    cdef Due* found             # behind them: room for due(), so that it allocates its answer alone
    cdef uint64_t[RINGS] occupied
    cdef int32_t[FAR + 1] heads

    cdef void link(self, int32_t key) noexcept
    cdef void unlink(self, int32_t key) noexcept
    cdef int first_slot(self) noexcept
    cdef int64_t slot_start(self, int slot) noexcept
    cdef int64_t slot_minimum(self, int slot) noexcept
    cdef void hang_again(self, int slot) noexcept
    cdef int32_t take(self, int slot, int64_t now, int32_t n) noexcept
    cdef int32_t advance(self, int64_t now) noexcept
    cdef void forget(self, int64_t at) noexcept
    # These are for others. Is the key armed, for an instant that has not come?
    cdef bint waits(self, int32_t key, int64_t now) noexcept
    # arm(), for a key in range
    cdef void set(self, int32_t key, int64_t at) noexcept
    # disarm(), likewise
    cdef void unset(self, int32_t key) noexcept
    # Is this one due, and no other? Then it is disarmed.
    cdef bint only(self, int32_t key, int64_t now) noexcept
    # next_due(), INT64_MAX where nothing is armed
    cdef int64_t first(self) noexcept
