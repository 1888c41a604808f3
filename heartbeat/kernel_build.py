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
    #include <link.h>
    #include <linux/capability.h>
    #include <stdint.h>
    #include <sys/auxv.h>
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

    /* An object of code whose loader has written into it, where it cannot be read again from its file. */
    static int relocated(const struct dl_phdr_info *object)
    {
        const ElfW(Dyn) *entry;
        int i;

        for (i = 0; i < object->dlpi_phnum; i++) {
            if (object->dlpi_phdr[i].p_type != PT_DYNAMIC)
                continue;
            entry = (const ElfW(Dyn) *)(object->dlpi_addr + object->dlpi_phdr[i].p_vaddr);
            for (; entry->d_tag != DT_NULL; entry++)
                if (entry->d_tag == DT_TEXTREL || (entry->d_tag == DT_FLAGS && entry->d_un.d_val & DF_TEXTREL))
                    return 1;
        }
        return 0;
    }

    /* Octets. Of the machine's own programs and libraries, 500 pieces: 0.1 MB of the kernel's memory. */
    enum { PIECE = 16384 };

    static int forget_object(struct dl_phdr_info *object, size_t size, void *page)
    {
        const ElfW(Phdr) *part;
        uintptr_t begin, end, mask = *(uintptr_t *)page - 1;
        int i;

        if (relocated(object))
            return 0;
        for (i = 0; i < object->dlpi_phnum; i++) {
            part = &object->dlpi_phdr[i];
            begin = (object->dlpi_addr + part->p_vaddr) & ~mask;
            end = (object->dlpi_addr + part->p_vaddr + part->p_memsz + mask) & ~mask;
            /* the kernel's own has no file */
            if (part->p_type != PT_LOAD || part->p_flags & PF_W || begin == getauxval(AT_SYSINFO_EHDR))
                continue;
            madvise((void *)begin, end - begin, MADV_DONTNEED);
            if (end - begin > 4 * PIECE && mask < PIECE)
                /* every other one, but not the first, by whose head a debugger knows the object */
                for (begin += PIECE; begin + PIECE < end; begin += 2 * PIECE)
                    madvise((void *)begin, PIECE, MADV_DONTDUMP);
        }
        return 0;
    }

    /* The code that has run so far, most of it for the last time: what runs again is found in the page cache, and what
     * is locked then is what runs. Where one page of a file is touched the kernel maps sixteen, and would lock them,
     * as far as they are of one mapping: so the code becomes mappings of four, of which every other one differs in
     * what a dump of the process would not hold anyway. */
    static void forget_code(void)
    {
        uintptr_t page = sysconf(_SC_PAGESIZE);

        dl_iterate_phdr(forget_object, &page);
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
    void forget_code(void);
    int lock_memory(void);
    int drop_capabilities(void);
    int hide_memory(int hidden);
    """
)

if __name__ == "__main__":
    ffibuilder.compile(verbose=True)
