"""rtnetlink, raw: one socket, requests in, answers out, and no knowledge of what they are for.

Rules: the socket never blocks. The kernel handles a request while we are still inside `send`, so the answer is there
when `send` returns; if it is not, that is an error and not something to wait for. A batch goes out in one `send` and is
handled in one go: nothing of ours, not even our death, comes between its requests. Of a batch the last request is
acknowledged, and of the others only what fails.

Layouts are those of rtnetlink(7) and netlink(7): a header of 16 octets, a fixed body for the kind, then attributes
(length, type, value, padded to four octets), everything in the machine's byte order.
"""

from __future__ import annotations

import _socket
import array
import errno
import os
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    # kind (RTM_…), flags beyond NLM_F_REQUEST and NLM_F_ACK, body
    Request = tuple[int, int, bytes]

RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK, RTM_SETLINK = 16, 17, 18, 19
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
RTM_GETROUTE = 26
RTMGRP_LINK, RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR = 0x1, 0x10, 0x100

NLM_F_REPLACE, NLM_F_CREATE = 0x100, 0x400
_REQUEST, _ACK, _DUMP = 0x1, 0x4, 0x300
_DUMP_INTERRUPTED, _CAPPED, _ACK_TLVS = 0x10, 0x100, 0x200
_ERROR, _DONE = 2, 3

# classic BPF, linux/filter.h: load a word of the message, compare it, return how much of it is to be kept
_SO_ATTACH_FILTER = 26
_BPF_LOAD, _BPF_UNLESS_EQUAL, _BPF_RETURN = 0x20, 0x15, 0x06
_PORT_AT = 12
_BPF_STEP = struct.Struct("=HBBI")  # code, steps to skip if true, if false, value
_BPF_PROGRAM = struct.Struct("@HP")  # how many steps, where they are

_SOL_NETLINK = 270
_CAP_ACK, _EXT_ACK = 10, 11
_EXT_ACK_TEXT = 1  # NLMSGERR_ATTR_MSG

HEADER = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, port
_ATTRIBUTE = struct.Struct("=HH")
_NESTED_MASK = 0x3FFF  # an attribute's type without NLA_F_NESTED and NLA_F_NET_BYTEORDER
_ERROR_CODE = struct.Struct("=i")

_SEQUENCE_LIMIT = 0xFFFF0000  # the field has 32 bits
_RECEIVE_BYTES = 32768  # what the kernel puts at most into one part of a dump
_DUMP_TRIES = 8  # a dump during which the tables changed is asked for again


def attribute(kind: int, value: bytes) -> bytes:
    return _ATTRIBUTE.pack(4 + len(value), kind) + value + bytes(-len(value) % 4)


def attributes(data: bytes, offset: int = 0) -> dict[int, bytes]:
    """{type: value} of the attributes from `offset` to the end; of a type that comes twice, the last."""
    found = {}
    while offset + 4 <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        if length < 4:
            break
        found[kind & _NESTED_MASK] = data[offset + 4 : offset + length]
        offset += length + -length % 4
    return found


class Netlink:
    """A socket for NETLINK_ROUTE. groups: RTMGRP_… to be told about; 0 for one that only asks.

    OSError from every method: the socket itself failed; its strerror is for people.
    """

    def __init__(self, groups: int = 0) -> None:
        self._socket = _socket.socket(_socket.AF_NETLINK, _socket.SOCK_RAW, 0)
        self._socket.setblocking(False)
        self._socket.bind((0, groups))
        self._socket.setsockopt(_SOL_NETLINK, _CAP_ACK, 1)
        self._socket.setsockopt(_SOL_NETLINK, _EXT_ACK, 1)
        self._sequence = 0

    def fileno(self) -> int:
        return self._socket.fileno()

    def ignore(self, other: Netlink) -> None:
        """From now on nothing is heard of what `other` has changed: to read a thousand notices of a thousand addresses
        takes a millisecond or two, and a socket does not even hold that many."""
        port: int = other._socket.getsockname()[0]
        steps = (
            (_BPF_LOAD, 0, 0, _PORT_AT),
            (_BPF_UNLESS_EQUAL, 0, 1, _socket.htonl(port)),
            (_BPF_RETURN, 0, 0, 0),
            (_BPF_RETURN, 0, 0, 0xFFFFFFFF),
        )
        program = array.array("Q", b"".join(_BPF_STEP.pack(*step) for step in steps))
        address, count = program.buffer_info()
        self._socket.setsockopt(_socket.SOL_SOCKET, _SO_ATTACH_FILTER, _BPF_PROGRAM.pack(count, address))

    def close(self) -> None:
        self._socket.close()

    def execute(self, requests: Sequence[Request]) -> list[OSError | None]:
        """Do these, in this order; one that fails does not stop the next. For each: None, or what the kernel said."""
        if not requests:
            return []
        first = self._begin()
        frames = [self._frame(kind, flags, body) for kind, flags, body in requests[:-1]]
        kind, flags, body = requests[-1]
        frames.append(self._frame(kind, flags | _ACK, body))
        self._socket.send(b"".join(frames))
        answers: dict[int, OSError | None] = {}
        while self._sequence not in answers:
            for kind, flags, sequence, body in self._answers():
                if kind == _ERROR and first <= sequence <= self._sequence:
                    answers[sequence] = _refusal(flags, body)
        return [answers.get(first + position) for position in range(len(requests))]

    def get(self, kind: int, body: bytes) -> bytes:
        """The body of the one object asked for. OSError: there is none, or another refusal."""
        wanted = self._begin()
        self._socket.send(self._frame(kind, 0, body))
        while True:
            for answer, flags, sequence, answer_body in self._answers():
                if sequence != wanted:
                    continue  # left over from a request that failed half-way
                if answer == _ERROR:
                    raise _refusal(flags, answer_body) or OSError(errno.ENOENT, os.strerror(errno.ENOENT))
                return answer_body

    def dump(self, kind: int, body: bytes) -> list[bytes]:
        """The bodies of all objects of a table."""
        for _ in range(_DUMP_TRIES):
            objects = self._dump_once(kind, body)
            if objects is not None:
                return objects
        raise OSError(errno.EAGAIN, "the kernel's tables change faster than they can be read")

    def _dump_once(self, kind: int, body: bytes) -> list[bytes] | None:
        """None: the table changed meanwhile."""
        wanted = self._begin()
        self._socket.send(self._frame(kind, _DUMP, body))
        objects: list[bytes] = []
        whole = True
        while True:
            for answer, flags, sequence, answer_body in self._answers():
                if sequence != wanted:
                    continue
                if flags & _DUMP_INTERRUPTED:
                    whole = False
                if answer == _DONE:
                    return objects if whole else None
                if answer == _ERROR:
                    raise _refusal(flags, answer_body) or OSError(errno.EIO, os.strerror(errno.EIO))
                objects.append(answer_body)

    def events(self) -> list[tuple[int, bytes]] | None:
        """(kind, body) of what happened since the last call, in the groups given; None: so much that some of it was
        lost."""
        happened: list[tuple[int, bytes]] = []
        while True:
            try:
                happened.extend((kind, body) for kind, _, _, body in self._receive())
            except BlockingIOError:
                return happened
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                self._discard()
                return None

    def _frame(self, kind: int, flags: int, body: bytes) -> bytes:
        self._sequence += 1
        return HEADER.pack(HEADER.size + len(body), kind, flags | _REQUEST, self._sequence, 0) + body

    def _begin(self) -> int:
        """The sequence number of the next request."""
        if self._sequence > _SEQUENCE_LIMIT:
            self._discard()
            self._sequence = 0
        return self._sequence + 1

    def _answers(self) -> Iterator[tuple[int, int, int, bytes]]:
        try:
            yield from self._receive()
        except BlockingIOError:
            raise OSError(errno.EIO, "the kernel gave no answer") from None

    def _discard(self) -> None:
        while True:
            try:
                self._socket.recv(_RECEIVE_BYTES)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise

    def _receive(self) -> Iterator[tuple[int, int, int, bytes]]:
        """(kind, flags, sequence, body) of the messages in one datagram; BlockingIOError: there is none."""
        data = self._socket.recv(_RECEIVE_BYTES)
        offset = 0
        while offset + HEADER.size <= len(data):
            length, kind, flags, sequence, _ = HEADER.unpack_from(data, offset)
            if length < HEADER.size:
                break
            yield kind, flags, sequence, data[offset + HEADER.size : offset + length]
            offset += length + -length % 4


def _refusal(flags: int, body: bytes) -> OSError | None:
    """What an NLMSG_ERROR says: None (code 0 is the acknowledgement), or the error in the kernel's own words."""
    code = -_ERROR_CODE.unpack_from(body)[0]
    if code == 0:
        return None
    text = os.strerror(code)
    if flags & _ACK_TLVS and flags & _CAPPED:
        # behind the code stands the header of our request, then the attributes
        said = attributes(body, _ERROR_CODE.size + HEADER.size).get(_EXT_ACK_TEXT, b"")
        if said:
            text = f"{said.rstrip(bytes(1)).decode('ascii', 'replace').rstrip('. ')} ({text})"
    return OSError(code, text)
