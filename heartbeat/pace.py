"""When a serial line is worth a look: not for each of the twenty helpings in which its driver hands a frame over.

Waking up costs as much for eight octets as for a frame. So while a frame is on its way the line rests, until the
shortest of the last few frames would be complete; statuses are all of one length, so most are read in two helpings.
And it is handed on whole, so that one that repeats the last is known by its octets.

Rules: an idle line never rests, so the first octet of a frame is seen at once; no rest is longer than LONGEST_NS, and a
frame that is shorter than those before it waits that long at most; what is no frame is read as it comes.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _hbfast.codec import End

END = b"<<<\n"
# frames that are remembered; with ten statuses between two acknowledgements, which are shorter
FRAMES = 4
LONGEST_NS = 30_000_000
# of a frame that is on its way, that are kept here
HELD_OCTETS = 4096
# a driver hands over so many at a time, or somewhat later
LEAST_OCTETS = 8


class Pace:
    """octet_ns: of the line, in real time. longest_ns: as LONGEST_NS, where times run faster. rest_ns: after what was
    taken last, so long nothing need be read; 0: read as it comes."""

    __slots__ = ("_held", "_lengths", "_longest_ns", "_octet_ns", "_passed", "_tail", "rest_ns")

    def __init__(self, octet_ns: int, longest_ns: int = LONGEST_NS) -> None:
        self._octet_ns = octet_ns
        self._longest_ns = longest_ns
        self._lengths: list[int] = []
        self._held = b""
        # of a frame that is longer than expected, and has been handed on as far as it came: octets, and the last few
        self._passed = 0
        self._tail = b""
        self.rest_ns = 0

    def lend(self, end: End) -> bool:
        """To one that reads in its place. False: what is on its way is no status."""
        if self._passed:
            return False
        end.lengths = self._lengths
        end.held = self._held
        end.longest_ns = self._longest_ns
        return True

    def take_back(self, end: End) -> None:
        self._lengths = end.lengths
        self._held = end.held

    def take(self, octets: bytes) -> bytes:
        """These were read, b"" where none had come. What is to be decoded now: whole frames, or what is none."""
        known = len(self._tail)
        seen = self._tail + self._held + octets
        end = seen.rfind(END) + len(END)
        if end >= len(END):
            length = self._passed - known + seen.find(END) + len(END)
            self._lengths = [*self._lengths[1 - FRAMES :], length]
            self._passed, self._tail = 0, b""
            whole, self._held = seen[known:end], seen[end:]
        else:
            whole, self._held = b"", seen[known:]
        left = min(self._lengths, default=0) - self._passed - len(self._held)
        # where nothing came its sender has stopped in the middle
        if self._held and octets and left > 0 and len(self._held) <= HELD_OCTETS:
            self.rest_ns = min(max(left, LEAST_OCTETS) * self._octet_ns, self._longest_ns)
            return whole
        self.rest_ns = 0
        self._passed += len(self._held)
        self._tail = (self._tail + self._held)[1 - len(END) :]
        whole, self._held = whole + self._held, b""
        return whole
