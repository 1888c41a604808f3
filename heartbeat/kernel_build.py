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
    #include <linux/capability.h>
    #include <stdint.h>
    #include <sys/mman.h>
    #include <sys/prctl.h>
    #include <sys/syscall.h>
    #include <sys/timerfd.h>
    #include <time.h>
    #include <unistd.h>

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

    static const int kept_capabilities[] = {
        CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_IPC_LOCK, CAP_KILL, CAP_NET_ADMIN, CAP_NET_BIND_SERVICE, CAP_NET_RAW,
        CAP_SYS_NICE,
    };

    /* 0, or -errno. Of what this process may do now only these are left, for good; exec as root gives all back. */
    static int drop_capabilities(void)
    {
        struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct held[_LINUX_CAPABILITY_U32S_3], kept[_LINUX_CAPABILITY_U32S_3] = { 0 };
        unsigned i;

        if (syscall(SYS_capget, &head, held) < 0)
            return -errno;
        for (i = 0; i < sizeof kept_capabilities / sizeof *kept_capabilities; i++)
            kept[CAP_TO_INDEX(kept_capabilities[i])].permitted |= CAP_TO_MASK(kept_capabilities[i]);
        for (i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
            held[i].permitted &= kept[i].permitted;
            held[i].effective &= kept[i].permitted;
            held[i].inheritable &= kept[i].permitted;
        }
        return syscall(SYS_capset, &head, held) < 0 ? -errno : 0;
    }

    /* 0, or -errno. No core dump of this process, and nobody but a tracer with CAP_SYS_PTRACE looks into it. */
    static int hide_memory(int hidden)
    {
        return prctl(PR_SET_DUMPABLE, !hidden, 0, 0, 0) < 0 ? -errno : 0;
    }
    """,
    py_limited_api=True,
)

ffibuilder.cdef(
    """
    int timer_create_boottime(void);
    int timer_set_absolute(int fd, int64_t instant_ns);
    int lock_memory(void);
    int drop_capabilities(void);
    int hide_memory(int hidden);
    """
)

if __name__ == "__main__":
    ffibuilder.compile(verbose=True)
