# cython: language_level=3, binding=False, boundscheck=False, wraparound=False, cdivision=True, auto_pickle=False
"""Timers: who is due, and when must somebody look again?

A hierarchy of four rings of 64 slots, one slot of the lowest being a tick of 1 ms, and a list for all that is further
away than 4.6 hours. It is passive: it has no clock and calls nobody. Its rules: nodes are allocated once; arming,
disarming and re-arming are O(1) and allocate nothing; instants are kept in full, so the ticks only sort and never
round.

A timer's place follows from the highest group of 6 bits in which its tick differs from the wheel's:

    tick  = at / 1 ms         ...| far | ring 3 | ring 2 | ring 1 | ring 0 |
                                          6 bits   6 bits   6 bits   6 bits

So all of a ring is earlier than anything in a higher one, slots of a ring are in the order of time, and the first bit
set in the lowest occupied ring is the earliest slot. When the wheel's tick enters a slot of a higher ring, that slot's
timers move down; each does so at most four times.
"""

from cpython.mem cimport PyMem_Calloc, PyMem_Free
from libc.stdint cimport INT64_MAX
from libc.stdlib cimport qsort

cdef extern from *:
    int lowest_bit "__builtin_ctzll"(unsigned long long) nogil
    int leading_zeros "__builtin_clzll"(unsigned long long) nogil

cdef enum:
    TICK_NS = 1_000_000
    NONE = -1


cdef int earlier(const void* a, const void* b) noexcept nogil:
    """Order of due instants; of two that are due together the lower key comes first."""
    cdef const Due* x = <const Due*>a
    cdef const Due* y = <const Due*>b
    if x.at != y.at:
        return -1 if x.at < y.at else 1
    return (x.key > y.key) - (x.key < y.key)


cdef class TimerWheel:
    def __cinit__(self, capacity, now):
        cdef int i
        if capacity < 0 or now < 0:
            raise ValueError("capacity and now are not negative")
        self.capacity = capacity
        self.tick = <int64_t>now // TICK_NS
        # One piece, all zeros: so large a one comes straight from the kernel, and what is never used is never there.
        self.nodes = <Node*>PyMem_Calloc(self.capacity + 1, sizeof(Node) + sizeof(Due))
        if self.nodes == NULL:
            raise MemoryError
        self.found = <Due*>(self.nodes + self.capacity + 1)
        for i in range(FAR + 1):
            self.heads[i] = NONE

    def __dealloc__(self):
        PyMem_Free(self.nodes)

    def __reduce__(self):
        """What is armed; the rings follow from it."""
        cdef int32_t i
        cdef list armed = [(i, self.nodes[i].at) for i in range(self.capacity) if self.nodes[i].place]
        return TimerWheel, (self.capacity, self.tick * TICK_NS), armed

    def __setstate__(self, armed):
        for key, at in armed:
            self.arm(key, at)

    cdef void link(self, int32_t key) noexcept:
        """Hang an unlinked node where its instant belongs, seen from the wheel's tick."""
        cdef Node* node = &self.nodes[key]
        # an instant that has passed already belongs to the present
        cdef int64_t tick = max(node.at // TICK_NS if node.at > 0 else 0, self.tick)
        cdef uint64_t differs = <uint64_t>(tick ^ self.tick) | 1
        cdef int ring = (63 - leading_zeros(differs)) // 6
        cdef int slot = FAR
        if ring < RINGS:
            slot = ring * 64 + <int>((tick >> (6 * ring)) & 63)
            self.occupied[ring] |= <uint64_t>1 << (slot & 63)
        node.place = slot + 1
        node.previous = NONE
        node.next = self.heads[slot]
        if node.next != NONE:
            self.nodes[node.next].previous = key
        self.heads[slot] = key

    cdef void unlink(self, int32_t key) noexcept:
        cdef Node* node = &self.nodes[key]
        cdef int slot = node.place - 1
        if node.next != NONE:
            self.nodes[node.next].previous = node.previous
        if node.previous != NONE:
            self.nodes[node.previous].next = node.next
        else:
            self.heads[slot] = node.next
            if node.next == NONE and slot < FAR:
                self.occupied[slot >> 6] &= ~(<uint64_t>1 << (slot & 63))
        node.place = 0

    cdef int first_slot(self) noexcept:
        """The slot whose timers are the earliest; FAR where the rings are empty."""
        cdef int ring
        for ring in range(RINGS):
            if self.occupied[ring]:
                return ring * 64 + lowest_bit(self.occupied[ring])
        return FAR

    cdef int64_t slot_start(self, int slot) noexcept:
        """The first tick of a slot of the rings."""
        cdef int shift = 6 * (slot >> 6)
        return (self.tick >> (shift + 6) << (shift + 6)) + (<int64_t>(slot & 63) << shift)

    cdef int64_t slot_minimum(self, int slot) noexcept:
        """The earliest instant in a slot that isn't empty."""
        cdef int32_t key = self.heads[slot]
        cdef int64_t least = self.nodes[key].at
        while key != NONE:
            least = min(least, self.nodes[key].at)
            key = self.nodes[key].next
        return least

    cdef void hang_again(self, int slot) noexcept:
        """After the tick has moved: each timer of the slot goes where it now belongs."""
        cdef int32_t key = self.heads[slot]
        cdef int32_t following
        self.heads[slot] = NONE
        if slot < FAR:
            self.occupied[slot >> 6] &= ~(<uint64_t>1 << (slot & 63))
        while key != NONE:
            following = self.nodes[key].next
            self.link(key)
            key = following

    cdef int32_t take(self, int slot, int64_t now, int32_t n) noexcept:
        """Move the slot's timers that are due to self.found[n:]; the new n."""
        cdef int32_t key = self.heads[slot]
        cdef int32_t following
        while key != NONE:
            following = self.nodes[key].next
            if self.nodes[key].at <= now:
                self.unlink(key)
                self.found[n].at = self.nodes[key].at
                self.found[n].key = key
                n += 1
            key = following
        return n

    cdef int32_t advance(self, int64_t now) noexcept:
        """Move the tick to now and all that is due to self.found; how many. Empty time costs nothing, however long."""
        cdef int64_t target = max(now // TICK_NS, self.tick)
        cdef int64_t start
        cdef int32_t n = 0
        cdef int slot
        while True:
            slot = self.first_slot()
            if slot < FAR:
                start = self.slot_start(slot)
                if start > target:
                    break
                self.tick = start
                if slot >= 64:
                    self.hang_again(slot)
                    continue
                n = self.take(slot, now, n)
                if start == target:
                    break
            elif self.heads[FAR] != NONE and target >> (6 * RINGS) > self.tick >> (6 * RINGS):
                # the rings are empty, so nothing is skipped; what has become due hangs at the new tick
                self.tick = target
                self.hang_again(FAR)
            else:
                break
        self.tick = target
        return n

    cdef bint waits(self, int32_t key, int64_t now) noexcept:
        return 0 <= key < self.capacity and self.nodes[key].place and self.nodes[key].at > now

    cdef void set(self, int32_t key, int64_t at) noexcept:
        cdef Node* node = &self.nodes[key]
        if node.place:
            self.forget(node.at)
            self.unlink(key)
        node.at = at
        self.link(key)
        if self.known and at < self.earliest:
            self.earliest = at

    def arm(self, key, at):
        cdef int64_t instant = at
        cdef int32_t k = key
        if not 0 <= k < self.capacity:
            raise IndexError(f"timer {key} is not 0 to {self.capacity - 1}")
        self.set(k, instant)

    def disarm(self, key):
        cdef int32_t k = key
        if not 0 <= k < self.capacity:
            raise IndexError(f"timer {key} is not 0 to {self.capacity - 1}")
        self.unset(k)

    cdef void unset(self, int32_t key) noexcept:
        if self.nodes[key].place:
            self.forget(self.nodes[key].at)
            self.unlink(key)

    cdef bint only(self, int32_t key, int64_t now) noexcept:
        cdef int32_t i, n = self.advance(now)
        if n == 0:
            return False
        self.known = False
        if n == 1 and self.found[0].key == key:
            return True
        for i in range(n):
            self.link(self.found[i].key)
        return False

    cdef void forget(self, int64_t at) noexcept:
        """A timer leaves: if it was the earliest, the earliest must be looked for again."""
        if self.known and at == self.earliest:
            self.known = False

    def due(self, now):
        cdef int32_t i, n = self.advance(now)
        cdef list keys = []
        if n == 0:
            return keys
        self.known = False
        qsort(self.found, n, sizeof(Due), earlier)
        for i in range(n):
            keys.append(self.found[i].key)
        return keys

    cdef int64_t first(self) noexcept:
        cdef int slot
        if not self.known:
            slot = self.first_slot()
            if self.heads[slot] == NONE:
                return INT64_MAX
            self.earliest = self.slot_minimum(slot)
            self.known = True
        return self.earliest

    def next_due(self):
        cdef int64_t earliest = self.first()
        return earliest if self.known else None
