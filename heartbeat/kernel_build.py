"""Builds `heartbeat._kernel`: the few kernel interfaces that Python 3.11's standard library lacks.

cffi in API mode: the C compiler reads the kernel's and libc's own headers, so no number here is copied by hand, and at
run time only `_cffi_backend` is loaded (0.4 MB; parsing declarations at run time would cost 6 MB). Used by `setup.py`
alone; the wheel leaves this file out. Everyone who imports `heartbeat._kernel` has a way to do without it.
"""

import cffi  # type: ignore[import-untyped]

ffibuilder = cffi.FFI()

ffibuilder.set_source(
    "heartbeat._kernel",
    """
    #include <errno.h>
    #include <stdint.h>
    #include <sys/mman.h>
    #include <sys/timerfd.h>
    #include <time.h>

    /* A descriptor, or -errno. */
    static int timer_create_boottime(void)
    {
        int fd = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
        return fd < 0 ? -errno : fd;
    }

    /* 0, or -errno. An instant of 0 disarms: that is the kernel's own convention. */
    static int timer_set_absolute(int fd, int64_t instant_ns)
    {
        struct itimerspec when = {
            .it_value = { .tv_sec = instant_ns / 1000000000, .tv_nsec = instant_ns % 1000000000 },
        };
        return timerfd_settime(fd, TFD_TIMER_ABSTIME, &when, NULL) < 0 ? -errno : 0;
    }

    /* 0, or -errno. Pages are locked when they are first touched, not before: see MCL_ONFAULT in mlockall(2). */
    static int lock_memory(void)
    {
        return mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) < 0 ? -errno : 0;
    }
    """,
    py_limited_api=True,
)

ffibuilder.cdef(
    """
    int timer_create_boottime(void);
    int timer_set_absolute(int fd, int64_t instant_ns);
    int lock_memory(void);
    """
)

if __name__ == "__main__":
    ffibuilder.compile(verbose=True)
