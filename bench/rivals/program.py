"""The instruments' program, in C: compiled by gcc when it is first needed, once for each text of it.

    probe FD INTERFACE ADDRESS INTERVAL   an ICMP echo each INTERVAL ns by an absolute clock; FD: a Track (demo.track).
                                          Missed sendings are not made up for: an answer now says nothing about then
    tap FD                                every heartbeat, advertisement and announcement that passes the switch, to a
                                          table of Passed (instruments), with the kernel's stamp
    growth FD FILE INTERVAL               when FILE, a descriptor, has grown, and to how many octets
    hog SECONDS                           wants all of a processor
    churn SECONDS FOLDER                  fork, exec, and files that are written, synchronised and removed

Each says "ready" when it is, and dies with who started it. The first three are real-time, below every daemon that is.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from functools import cache
from pathlib import Path

from bench.rivals import ROOT

SOURCE = r"""
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CAPACITY = 1 << 20, HEADER = 64, BUFFER = 1 << 22, PORT = 694, VRRP = 112 };
enum { HEARTBEAT = 1, ADVERTISEMENT = 2, ANNOUNCEMENT = 3, NEIGHBOUR = 4, MESSAGE = 5 };

struct probe { uint64_t sent, arrived; uint8_t mac[6], padding[2]; };
struct passed { uint64_t at; uint32_t card; uint8_t out, kind, mac[6]; uint8_t address[4]; uint32_t extra, padding; };
struct grown { uint64_t at, octets; };

static void die(const char *what) { perror(what); exit(1); }

static uint64_t now(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static uint8_t *table(int fd, size_t record)
{
    void *found = mmap(NULL, HEADER + CAPACITY * record, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (found == MAP_FAILED) die("mmap");
    return found;
}

#define COUNT(t) (*(volatile uint64_t *)(t))

static void real_time(void)
{
    struct sched_param p = { .sched_priority = 1 };
    sched_setscheduler(0, SCHED_FIFO, &p); /* where it is forbidden it runs as it can */
    mlockall(MCL_CURRENT);
}

static void ready(void) { if (write(1, "ready\n", 6) < 0) exit(1); }

static int packets(int kind)
{
    int one = 1, size = BUFFER, fd = socket(AF_PACKET, kind, 0);
    if (fd < 0) die("packet socket");
    setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof one);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
    return fd;
}

static void bind_to(int fd, int protocol, int index)
{
    struct sockaddr_ll where = { .sll_family = AF_PACKET, .sll_protocol = htons(protocol), .sll_ifindex = index };
    if (bind(fd, (struct sockaddr *)&where, sizeof where)) die("bind");
}

/* One packet with its instant; 0: none waits. */
static ssize_t packet(int fd, uint8_t *data, size_t room, struct sockaddr_ll *from, uint64_t *at)
{
    char control[128];
    struct iovec vector = { data, room };
    struct msghdr message = { .msg_name = from, .msg_namelen = sizeof *from, .msg_iov = &vector, .msg_iovlen = 1,
                              .msg_control = control, .msg_controllen = sizeof control };
    ssize_t size = recvmsg(fd, &message, MSG_DONTWAIT);
    if (size <= 0) return 0;
    *at = now(CLOCK_BOOTTIME);
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c))
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
            struct timespec t;
            memcpy(&t, CMSG_DATA(c), sizeof t);
            /* the kernel stamps with wall time */
            *at -= now(CLOCK_REALTIME) - (t.tv_sec * 1000000000ull + t.tv_nsec);
        }
    return size;
}

static uint16_t checksum(const uint8_t *data, size_t size)
{
    uint32_t sum = 0;
    for (size_t n = 0; n + 1 < size; n += 2) sum += data[n] << 8 | data[n + 1];
    while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
    return htons(~sum);
}

static int ticking(uint64_t first, uint64_t interval)
{
    int fd = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK);
    struct itimerspec when = { { interval / 1000000000, interval % 1000000000 },
                               { first / 1000000000, first % 1000000000 } };
    if (fd < 0 || timerfd_settime(fd, TFD_TIMER_ABSTIME, &when, NULL)) die("timerfd");
    return fd;
}

static void probe(int fd, const char *card, const char *address, uint64_t interval)
{
    uint8_t *t = table(fd, sizeof(struct probe));
    struct probe *probes = (struct probe *)(t + HEADER);
    struct sockaddr_in target = { .sin_family = AF_INET };
    uint32_t nothing = 0xffffffff;
    uint16_t identity = getpid();
    int out = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP), in = packets(SOCK_DGRAM);
    if (out < 0 || !inet_aton(address, &target.sin_addr)) die(address);
    /* answers are taken where the sender's card shows */
    setsockopt(out, SOL_RAW, 1 /* ICMP_FILTER */, &nothing, sizeof nothing);
    if (connect(out, (struct sockaddr *)&target, sizeof target)) die("connect");
    bind_to(in, ETH_P_IP, if_nametoindex(card));
    real_time();
    struct pollfd watched[2] = { { ticking(now(CLOCK_BOOTTIME) + interval, interval), POLLIN }, { in, POLLIN } };
    ready();
    for (;;) {
        uint8_t data[256];
        struct sockaddr_ll from;
        uint64_t at, ticks;
        poll(watched, 2, -1);
        ssize_t size;
        while ((size = packet(in, data, sizeof data, &from, &at))) {
            size_t head = (data[0] & 15) * 4;
            uint64_t number;
            if (from.sll_pkttype == PACKET_OUTGOING || data[9] != IPPROTO_ICMP || (size_t)size < head + 16) continue;
            if (data[head] != ICMP_ECHOREPLY || memcmp(data + head + 4, &identity, 2)) continue;
            memcpy(&number, data + head + 8, 8);
            if (number < COUNT(t) && !probes[number].arrived) {
                memcpy(probes[number].mac, from.sll_addr, 6);
                probes[number].arrived = at;
                ((volatile uint64_t *)t)[1] = at;
            }
        }
        if (read(watched[0].fd, &ticks, 8) == 8 && COUNT(t) < CAPACITY) {
            uint64_t number = COUNT(t);
            uint8_t echo[16] = { ICMP_ECHO };
            uint16_t sum;
            memcpy(echo + 4, &identity, 2);
            memcpy(echo + 8, &number, 8);
            sum = checksum(echo, sizeof echo);
            memcpy(echo + 2, &sum, 2);
            probes[number].sent = now(CLOCK_BOOTTIME);
            COUNT(t) = number + 1;
            if (send(out, echo, sizeof echo, MSG_DONTWAIT) < 0) { /* lost, as its record says */ }
        }
    }
}

static void tap(int fd)
{
    uint8_t *t = table(fd, sizeof(struct passed));
    struct passed *all = (struct passed *)(t + HEADER);
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 12),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_ARP, 11, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IPV6, 0, 4),
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 20),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_ICMPV6, 0, 9),
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 54),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 136, 6, 7),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IP, 0, 6),
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 23),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, VRRP, 3, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 0, 3),
        BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 36), /* no IP options in what is measured here */
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PORT, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 250),
        BPF_STMT(BPF_RET | BPF_K, 0),
    };
    struct sock_fprog program = { sizeof code / sizeof *code, code };
    int in = packets(SOCK_RAW);
    if (setsockopt(in, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program)) die("filter");
    bind_to(in, ETH_P_ALL, 0);
    real_time();
    struct pollfd watched = { in, POLLIN };
    ready();
    for (;;) {
        uint8_t data[256];
        struct sockaddr_ll from;
        uint64_t at;
        ssize_t size;
        poll(&watched, 1, -1);
        while ((size = packet(in, data, sizeof data, &from, &at))) {
            uint64_t number = COUNT(t);
            struct passed one = { .at = at, .card = from.sll_ifindex, .out = from.sll_pkttype == PACKET_OUTGOING };
            int type = data[12] << 8 | data[13];
            if (size < 42 || number == CAPACITY) continue;
            memcpy(one.mac, data + 6, 6);
            if (type == ETH_P_ARP) {
                /* who tells of itself: sender's and target's address are one */
                if (size < 42 || memcmp(data + 28, data + 38, 4)) continue;
                one.kind = ANNOUNCEMENT;
                memcpy(one.address, data + 28, 4);
                memcpy(one.mac, data + 22, 6);
            } else if (type == ETH_P_IPV6) {
                if (size < 78) continue;
                one.kind = NEIGHBOUR;
                memcpy(one.address, data + 74, 4); /* the last four octets of the target */
            } else {
                one.kind = data[23] == VRRP ? ADVERTISEMENT
                         : memmem(data + 42, size - 42, "t=status", 8) ? HEARTBEAT : MESSAGE;
                memcpy(one.address, data + 26, 4);
                if (one.kind == ADVERTISEMENT) one.extra = data[36]; /* the priority */
            }
            all[number] = one;
            COUNT(t) = number + 1;
        }
    }
}

static void growth(int fd, int file, uint64_t interval)
{
    uint8_t *t = table(fd, sizeof(struct grown));
    struct grown *all = (struct grown *)(t + HEADER);
    uint64_t size = 0, ticks;
    struct stat found;
    real_time();
    int clock = ticking(now(CLOCK_BOOTTIME) + interval, interval);
    struct pollfd watched = { clock, POLLIN };
    ready();
    for (;;) {
        poll(&watched, 1, -1);
        if (read(clock, &ticks, 8) != 8 || fstat(file, &found)) continue;
        if ((uint64_t)found.st_size != size && COUNT(t) < CAPACITY) {
            size = found.st_size;
            all[COUNT(t)] = (struct grown){ now(CLOCK_BOOTTIME), size };
            COUNT(t) = COUNT(t) + 1;
        }
    }
}

static void hog(void)
{
    ready();
    for (volatile unsigned n = 0;; n++) {}
}

static void churn(const char *folder)
{
    static char block[1 << 20];
    char path[4096];
    snprintf(path, sizeof path, "%s/churn%d", folder, getpid());
    ready();
    for (;;) {
        pid_t child = fork();
        if (child == 0) {
            execl("/bin/true", "true", (char *)NULL);
            _exit(1);
        }
        if (child > 0) waitpid(child, NULL, 0);
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        if (fd < 0) die(path);
        for (int n = 0; n < 4; n++) if (write(fd, block, sizeof block) < 0) break;
        fsync(fd);
        close(fd);
        unlink(path);
    }
}

int main(int count, char **words)
{
    const char *what = count > 2 ? words[1] : "";
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (!strcmp(what, "probe") && count == 6) probe(atoi(words[2]), words[3], words[4], strtoull(words[5], NULL, 10));
    if (!strcmp(what, "tap")) tap(atoi(words[2]));
    if (!strcmp(what, "growth") && count == 5) growth(atoi(words[2]), atoi(words[3]), strtoull(words[4], NULL, 10));
    /* bounded, whatever becomes of who started it */
    if (*what) alarm(atoi(words[2]));
    if (!strcmp(what, "hog")) hog();
    if (!strcmp(what, "churn") && count == 4) churn(words[3]);
    return 2;
}
"""


@cache
def path() -> Path:
    """Of the program, compiled. OSError says why it can't be."""
    made = ROOT / "build" / f"instruments-{hashlib.sha256(SOURCE.encode()).hexdigest()[:16]}"
    if not made.exists():
        made.parent.mkdir(exist_ok=True)
        new = made.with_suffix(f".{os.getpid()}")
        strict = ("-Wall", "-Wextra", "-Wno-missing-field-initializers", "-Werror")
        argv = ["gcc", "-O2", *strict, "-x", "c", "-o", str(new), "-"]
        done = subprocess.run(argv, input=SOURCE, text=True, capture_output=True, check=False)
        if done.returncode:
            raise OSError(f"gcc cannot compile the instruments: {done.stderr.strip()}")
        new.rename(made)  # whole or not at all
    return made
