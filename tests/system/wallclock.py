"""A wall clock that tests can step without touching the machine's: a library to be preloaded into a daemon.

HEARTBEAT_TEST_WALLCLOCK names a file of eight octets, the offset in nanoseconds; it is mapped at the start and obeyed
at each look at the clock. Only wall time is changed: whatever measures intervals by another clock sees nothing.
"""

from __future__ import annotations

import mmap
import struct
import subprocess
import tempfile
from functools import cache
from pathlib import Path

VARIABLE = "HEARTBEAT_TEST_WALLCLOCK"
_SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t *offset_ns;
static int (*real_clock_gettime)(clockid_t, struct timespec *);

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("HEARTBEAT_TEST_WALLCLOCK");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;

    real_clock_gettime = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    if (file >= 0) {
        void *map = mmap(NULL, sizeof *offset_ns, PROT_READ, MAP_SHARED, file, 0);
        offset_ns = map == MAP_FAILED ? NULL : map;
        close(file);
    }
}

int clock_gettime(clockid_t clock, struct timespec *at)
{
    int result;

    if (!real_clock_gettime)
        begin();
    result = real_clock_gettime(clock, at);
    if (result == 0 && offset_ns && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        int64_t ns = at->tv_sec * INT64_C(1000000000) + at->tv_nsec + *offset_ns;
        at->tv_sec = ns / INT64_C(1000000000);
        at->tv_nsec = ns % INT64_C(1000000000);
    }
    return result;
}

time_t time(time_t *at)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    if (at)
        *at = now.tv_sec;
    return now.tv_sec;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone)
{
    struct timespec now;

    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    at->tv_sec = now.tv_sec;
    at->tv_usec = now.tv_nsec / 1000;
    return 0;
}
"""
# The library lives as long as this process.
_FOLDERS: list[tempfile.TemporaryDirectory[str]] = []


@cache
def library() -> str:
    """Its path, compiled when it is first needed. subprocess.CalledProcessError."""
    _FOLDERS.append(tempfile.TemporaryDirectory(prefix="heartbeat-wallclock-"))
    made = Path(_FOLDERS[-1].name, "wallclock.so")
    argv = ["cc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-x", "c", "-o", str(made), "-", "-ldl"]
    subprocess.run(argv, input=_SOURCE, text=True, check=True)
    return str(made)


class Offset:
    """The file in which the library looks."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        path.write_bytes(bytes(8))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 8)

    def set(self, seconds: float) -> None:
        self._map[:] = struct.pack("=q", round(seconds * 1_000_000_000))
