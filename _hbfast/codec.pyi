"""Messages and their octets (protocol/wire.md §1 to §5)."""

from collections.abc import Iterable
from typing import ClassVar, Literal

from _hbfast.auth import Authenticator

class Message:
    """An ordered list of fields, kept whole and never changed. Names may repeat; looking one up gives the first.

    Equal where the fields are equal; not hashable. Names are str of the characters U+0000 to U+00FF, one for an octet.
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

    def __eq__(self, other: object) -> bool: ...
    __hash__: ClassVar[None]  # type: ignore[assignment]

class Decoder:
    """Octets in, messages out. Nothing that is fed raises (MemoryError apart); what is rejected is counted.

    Both formats are taken on every medium. With an Authenticator, a message is delivered only if its signature is good,
    which is checked over the octets as they came before anything in them is interpreted: a netstring's trailer, the
    `auth` line of a classic message, of which there must be exactly one. A netstring's inner `auth` field is not looked
    at. Without one, every well-formed message is delivered.

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
    Without auth nothing is signed and fields called `auth` are written like any others.

    ValueError for what cannot be sent: an empty name, one with `=` or NUL, beginning with `>>>` LF, in the classic form
    also one with LF or beginning with `(`, `<<<` or `>>>`; a NUL in a string or list; nesting deeper than 16; a list
    that packs to 1024 octets or more (netstring) or has an LF (classic); type 5, or the octet that stands for LF at its
    depth in a nested message (classic); more than 262144 octets; an unknown format.

    A serial line loses the eighth bit: text other than ASCII survives only in binary fields there.
    """
