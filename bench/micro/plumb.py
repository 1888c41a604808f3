"""The original's own C library, libplumb2 of cluster-glue, as a rival: its exported functions, called through cffi on
the octets that ours is given. It comes with Debian's package `heartbeat`, is run here and never read.

    struct ha_msg *string2msg(const char *, size_t)          classic
    struct ha_msg *netstring2msg(const char *, size_t, int)  netstring; the last: is a signature demanded?
    void ha_msg_del(struct ha_msg *)

It makes structures of C and no object of Python. What the calls cost that Python makes for it is measured too, with
functions of the same shape that do nothing (`calls_alone`).
"""

from __future__ import annotations

from functools import cache
from itertools import repeat
from typing import Any

import cffi
from interop import package

from bench.micro.case import Batch

NAME = "libplumb.so.2"
DECLARATIONS = """
    void *string2msg(const char *octets, size_t size);
    void *netstring2msg(const char *octets, size_t size, int demand_signature);
    void ha_msg_del(void *message);
    const char *cl_get_string(void *message, const char *name);
    void *memchr(const void *octets, int value, size_t size);
"""


@cache
def library() -> tuple[Any, Any]:
    """cffi's FFI and the library, which is installed if it is missing. OSError where it cannot be had."""
    ffi = cffi.FFI()
    ffi.cdef(DECLARATIONS)
    try:
        return ffi, ffi.dlopen(NAME)
    except OSError:
        obstacle = package.obstacle()
        if obstacle:
            raise OSError(f"no {NAME}: {obstacle}") from None
        return ffi, ffi.dlopen(NAME)


def decoding(octets: bytes, number: int) -> Batch:
    """Parse, and let go. What it read is looked at once."""
    ffi, lib = library()
    buffer, size, release = ffi.new("char[]", octets), len(octets), lib.ha_msg_del

    def classic() -> None:
        parse = lib.string2msg
        for _ in repeat(None, number):
            release(parse(buffer, size))

    def netstring() -> None:
        parse = lib.netstring2msg
        for _ in repeat(None, number):
            release(parse(buffer, size, 0))

    is_classic = octets.startswith(b">>>")
    message = lib.string2msg(buffer, size) if is_classic else lib.netstring2msg(buffer, size, 0)
    assert message != ffi.NULL
    assert ffi.string(lib.cl_get_string(message, b"t")) == b"status"
    assert ffi.string(lib.cl_get_string(message, b"ttl")) in octets
    release(message)
    return Batch(classic if is_classic else netstring, number)


def calls_alone(number: int) -> Batch:
    """Two calls as for one message."""
    ffi, lib = library()
    buffer, release = ffi.new("char[]", b"octets"), lib.ha_msg_del
    nothing = ffi.dlopen(None).memchr

    def run() -> None:
        for _ in repeat(None, number):
            release(nothing(buffer, 0, 0))

    return Batch(run, number)
