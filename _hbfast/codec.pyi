"""Messages and their octets (protocol/wire.md §1 to §5)."""

from collections.abc import Iterable
from mmap import mmap
from typing import ClassVar, Literal

from _hbfast.auth import Authenticator
from _hbfast.wheel import TimerWheel

class Message:
    """An ordered list of fields, kept whole and never changed. Names may repeat; looking one up gives the first.

    Equal where the fields are equal; not hashable; may be pickled, and a copy is itself. Names are str of the
    characters U+0000 to U+00FF, one for an octet.
    """

    def __init__(self, fields: Iterable[tuple[str, int, bytes | Message | list[bytes]]]) -> None:
        """fields: (name, type digit, value): a Message for type 2, a list of bytes for 3, bytes for the others.

        TypeError where a value doesn't fit its digit, ValueError for another digit or a name of other characters.
        What else a field may be is checked by encode.
        """

    @property
    def type(self) -> str | None:
        """Field `t`, if it is a string."""

    @property
    def source(self) -> str | None:
        """Field `src`, if it is a string: the sender's name."""

    @property
    def generation(self) -> int:
        """Field `hg`, hex; 0 where it is absent or not 1 to 16 hex digits."""

    @property
    def sequence(self) -> int:
        """Field `seq`, hex; 0 likewise."""

    @property
    def medium(self) -> str:
        """What the Decoder was called; empty in messages that were not received, and in nested ones."""

    @property
    def raw(self) -> bytes:
        """The octets it was received as, from its start marker: a classic message without a trailing NUL, a netstring
        with its trailer where it has one. Empty in a message that was not received, or not as itself (see outer)."""

    @property
    def outer(self) -> Message | None:
        """Where the whole message came compressed: what it came in. Its inner `auth` field has not been verified; the
        outer's signature has."""

    @property
    def strong(self) -> bool:
        """It came with a strong signature (docs/protocol.md), and the Decoder has found that good."""

    def get(self, name: str) -> str | None:
        """The first field of this name as text, None where there is none or it isn't a string. Octets that are not
        UTF-8 are written \\xNN, so that the text can always be printed and encoded; `value` has them as they are."""

    def value(self, name: str) -> bytes | Message | list[bytes] | None:
        """The first field of this name as it is."""

    def expand(self, name: str) -> Message | None:
        """The message in a struct or a compressed field; None where there is none, or it cannot be unpacked, or has
        more than 2 MiB."""

    def items(self) -> tuple[tuple[str, int, bytes | Message | list[bytes]], ...]:
        """All fields, in order."""

    def again(self, sequence: int, ts: int) -> Message:
        """A message that differs in `seq` and `ts` alone (any numbers of 64 bits), and is neither received nor signed.

        It costs little, and so does encoding it: the frame is prepared when the first one is encoded, and kept with
        what all that come of one message have in common. ValueError unless there is just one `seq` and one `ts`, both
        text, and no `auth` or `mac`.
        """

    def __eq__(self, other: object) -> bool: ...
    __hash__: ClassVar[None]  # type: ignore[assignment]

class Decoder:
    """Octets in, messages out. Nothing that is fed raises (MemoryError apart); what is rejected is counted.

    Both formats are taken on every medium. With an Authenticator, a message is delivered only if its signature is good,
    which is checked over the octets as they came before anything in them is interpreted: a netstring's trailer, the
    `auth` line of a classic message, of which there must be exactly one. A netstring's inner `auth` field is not looked
    at. A strong signature is checked where there is one, and must then be good too. Without an Authenticator, every
    well-formed message is delivered.

    A *datagram* is exactly one message (classic: with or without one NUL behind it), or it is rejected.

    On a *stream* a start marker counts wherever it stands, also inside an unfinished message, and any cutting into
    pieces gives the same messages. Octets between messages cost none; nor do messages that were cut short, or claim a
    length they don't have. Without signatures two things are guesses: of several beginnings with one end, the last is
    the message; and a netstring inside another one is a nested message if it stands where a struct's value does.
    """

    def __init__(self, medium: str, auth: Authenticator | None, *, stream: bool, limit: int = 262144) -> None:
        """medium: the name that messages bear. limit: octets of the largest message, markers and trailer included; on
        a stream also of an unfinished one. ValueError for a limit under 8."""

    def feed(self, data: bytes | bytearray | memoryview) -> list[Message]:
        """A datagram, or the next octets of a stream, any number."""

    @property
    def idle(self) -> bool:
        """Nothing unfinished is waiting, and no noise: the next octets begin a message or are noise themselves. Always
        so between datagrams."""

    @property
    def counters(self) -> dict[str, int]:
        """What came of the input so far.

        good         messages delivered
        bad_auth     complete, but without a signature that one of our keys gives
        malformed    neither format; on a stream: a beginning that stopped being one before its end
        oversize     larger than the limit, or claims to be
        truncated    stream: an unfinished message, given up because a later one was good
        noise_bytes  stream: octets that are part of no delivered message, as far as that is settled

        On a stream, what begins inside an unfinished message is not counted: it may be part of a value.
        """

class Repetition:
    """A peer's status, heard again: the next number, and nothing new in it. Such frames need not be decoded.

    It is taught a status that was decoded and believed, and is then offered whole frames before they are decoded. One
    is a repetition only if it is, octet by octet, what its sender would write for the taught message with another `seq`
    and `ts`: so its signature is good, and a Decoder would deliver it. All else, and whatever somebody may have to
    judge, is left to the Decoder: another number than the next, a late one, one whose timer has run out, a `ts` of 0.

    Whoever handles the other messages of this peer reads `sequence` and `last_ns` before judging one.
    """

    def __init__(self, wheel: TimerWheel, own: Beat | None = None) -> None:
        """wheel: whose timers are armed again. own: after whose `ends` all is left to the Decoder."""

    @property
    def wheel(self) -> TimerWheel: ...
    @property
    def generation(self) -> int:
        """The sender's, as taught; 0: nothing is."""

    sequence: int
    """The newest number that was taught or heard."""
    last_ns: int
    """When: the instant given with it."""
    count: int
    """Repetitions so far, copies not counted."""
    awaited: int
    """A number that somebody waits for, to acknowledge it for example."""
    warntime_ns: int
    """What comes later than this after `last_ns` is left to the Decoder."""
    deadtime_ns: int
    """What the timers are armed for, from the instant of hearing."""
    timer: int
    """The key of the peer's own timer; -1: none."""

    def teach(self, message: Message, now: int, link: int = -1) -> bool:
        """A message that a Decoder delivered, and that its receiver has believed: what is repeated on its medium.

        link: the key of the timer of that medium's link, -1: none. What differs from the messages that the other media
        were taught ends those. False, and nothing is taught: an older one than the newest, one that was not received as
        itself, one without a number, one that holds a start marker, a 65th medium.
        """

    def forget(self, medium: str | None = None) -> None:
        """What was taught on this medium, or everything."""

    def hear(self, decoder: Decoder, frame: bytes, now: int) -> int:
        """A datagram, or what was read of a stream. decoder: that of the medium it came from.

        0  something else: feed it to the decoder
        1  the next one: `sequence`, `last_ns` and `count` are set, the peer's and the link's timers are armed again
        2  the newest one again: the link's timer is armed again
        3  as 1, and its number is `awaited` or above
        But for the first the decoder has counted it as good, and must not be fed with it. 0 also where one of these
        timers is not armed or is due, where the decoder has no keys, or on a stream holds something unfinished.
        """

    def take(self, message: Message, now: int) -> int:
        """The same of one that a Decoder delivered: it differs from what was taught on its medium in `seq`, `ts` and
        the signatures alone."""

class Beat:
    """A node's own status, said again when its time has come and nothing else is due."""

    def __init__(self, wheel: TimerWheel, timer: int, other: int) -> None:
        """timer: the beat's key; other: that of one which each beat disarms. IndexError where they are none."""

    ends: int
    """After this instant nothing is said by this way, and nothing heard by `Repetition`; 0 at first."""
    length_ns: int
    """From a status to that."""

    @property
    def follows(self) -> bool:
        """There is a status to repeat."""

    def follow(self, status: Message, sequence: int, now: int, next_ns: int, keepalive_ns: int) -> None:
        """What is said from now on. sequence: the newest number that was sent; next_ns: what the timer is armed for."""

    def stop(self) -> None:
        """Nothing is."""

    def again(self, now: int, ts: int) -> Message | None:
        """The status under its next number, with this `ts`, at least 1; the timer is armed again. None, and nothing has
        happened: there is none to repeat, another timer is due, or this one is not or was more than a keepalive ago,
        nobody has taken the last 256, or `now` is after `ends` or before what was `now` last."""

    def taken(self) -> list[Message]:
        """What was said since this was asked last, in order."""

    @property
    def last_ns(self) -> int:
        """When the newest of these was said."""

    @property
    def ts(self) -> int:
        """What its `ts` is, 0 where that was given."""

    @property
    def next_ns(self) -> int:
        """What the timer is armed for."""

class End:
    """One medium's, as `Watch` uses it. Instants and lengths of time in nanoseconds."""

    repeated: int
    """The number of the status that it has brought last."""
    place: int
    """Where in the journal the record of that status is."""
    heard_ns: int
    """When it has brought a new one; less than 0: never."""
    patience_ns: int
    """How long after that somebody has to look at it; 0: nobody has."""
    check_ns: int
    """When to see whether its interface is still the one of `index`."""
    lengths: list[int]
    """Of a line: those of its last frames, as `heartbeat.pace` has it. So are `held` and `longest_ns`."""
    held: bytes
    longest_ns: int
    look_ns: int
    """When a line that rests is to be read; 2**63 - 1: it is listened to."""
    octet_ns: int
    """Of a line, as `heartbeat.media.line` has them, so as the rest: when there is something to do for what is written,
    when it will have left, when the frame begun moved last, how many octets of it the port has taken, and the others.
    """
    wake_ns: int
    clear_ns: int
    moved_ns: int
    unsent: int
    rest: bytes

    def __init__(
        self, decoder: Decoder, reader: int, writer: int, *, netstring: bool, target: bytes = b"",
        interface: bytes = b"", index: int = 0,
    ) -> None:  # fmt: skip
        """decoder: of its medium. reader, writer: descriptors that do not block. target: a struct sockaddr, where it
        sends datagrams. interface: its name, without one there is always something to check."""

    @property
    def medium(self) -> str: ...

class Watch:
    """What a daemon does in a steady time: hears `repetition`, says `own`, keeps the leases and notes both in the
    journal. What it is lent, and how that is meant: `heartbeat.watch` and the `lend` of each part."""

    ends: list[End]
    until: int
    set_for: int
    """What the timer is set for; less than 0: it is to be set."""
    auth: Authenticator
    inner_auth: bool
    holds: bool
    """There are leases, and to each status taken by a medium belong the frames of `renewals`, sent with `gate`."""
    signed_ns: int
    patience_ns: int
    lease_ns: int
    guard_ns: int
    slack_ns: int
    gate: int
    renewals: list[bytes]
    sign: bytearray | mmap | None
    """Where, from the octet `sign_at` on, the instant of the last sign of life is kept."""
    sign_at: int
    journal: memoryview | None
    at: int
    half: int

    def __init__(self, own: Beat, repetition: Repetition, epoll: int, timer: int) -> None:
        """epoll: a set that has the ends' readers and the timer, an absolute one of CLOCK_BOOTTIME."""

    def keep(self) -> list[tuple[int, int]]:
        """Until something else is to be done than this, or a signal comes. The descriptors that are ready, and for
        what; perhaps none."""

    @property
    def left(self) -> tuple[End, bytes, int] | None:
        """What an end has read at this instant, and is no repetition, or belongs to `held`."""

    @property
    def useless(self) -> End | None:
        """It brings again what it has brought."""

    @property
    def failed(self) -> list[tuple[End, int]]:
        """Those that refused a status, and why."""

    @property
    def late(self) -> list[int]:
        """How late each status was."""

    @property
    def lapsed(self) -> bool:
        """The leases were renewed too late, or not."""

    @property
    def refused(self) -> bool:
        """A renewal could not be sent."""

def encode(
    message: Message,
    auth: Authenticator | None,
    format: Literal["classic", "netstring"],  # noqa: A002 - the documented word
    *,
    inner_auth: bool = True,
) -> bytes:
    """The octets of message, signed with auth's outbound key, exactly as the original writes them.

    classic: field `auth` holds the signature; no NUL behind it (a UDP sender that wants one adds it).
    netstring: the trailer holds the signature and, with inner_auth, field `auth` the one of the classic form, unless
    a field has type 2, 4 or 5. `auth` takes the place of the first field of that name, else it is the last.
    Where auth is strong, `mac` holds the strong signature, in the place of the first field of that name, else behind
    the others. Without auth nothing is signed and fields called `auth` and `mac` are written like any others.

    ValueError for what cannot be sent: an empty name, one with `=` or NUL, beginning with `>>>` LF, in the classic form
    also one with LF or beginning with `(`, `<<<` or `>>>`; a NUL in a string or list; nesting deeper than 16; a list
    that packs to 1024 octets or more (netstring) or has an LF (classic); type 5, or the octet that stands for LF at its
    depth in a nested message (classic); more than 262144 octets; an unknown format.

    A serial line loses the eighth bit: text other than ASCII survives only in binary fields there.
    """
