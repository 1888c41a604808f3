"""Who has which addresses, as the machines' own kernels tell it: each kernel's address events, with their instants.

One thread, real-time where permitted, on a netlink socket in each machine's network namespace. It keeps what happened;
asking a kernel what it holds now is `Machine.addresses`.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import struct
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from heartbeat.demo.clock import INSTRUMENT, now_ns, run_real_time
from heartbeat.demo.namespaces import enlarge_receive_buffer

if TYPE_CHECKING:
    from heartbeat.demo.machine import Machine

# <linux/rtnetlink.h>
_RTM_NEWADDR, _RTM_DELADDR = 20, 21
_RTMGRP_IPV4_IFADDR, _RTMGRP_IPV6_IFADDR = 0x10, 0x100
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_MESSAGE = struct.Struct("=IHHII")
_IFADDRMSG = struct.Struct("=BBBBI")
_ATTRIBUTE = struct.Struct("=HH")
_RECEIVE_BUFFER_OCTETS = 1 << 20


@dataclass(frozen=True)
class Change:
    """A machine's kernel added (or removed) an address, "10.0.0.254"."""

    at_ns: int
    machine: str
    added: bool
    address: str


class Observer:
    """Watches machines while they are on. Static addresses, set before the watch begins, make no change."""

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self._lock = threading.Lock()
        self._watched: dict[int, tuple[str, socket.socket]] = {}
        self._epoll = select.epoll()
        self._wake, self._woken = os.pipe()
        self._epoll.register(self._wake, select.EPOLLIN)
        self._thread = threading.Thread(target=self._run, name="observer", daemon=True)
        self._thread.start()

    def watch(self, machine: Machine) -> None:
        with machine.inside():
            events = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE)
        enlarge_receive_buffer(events, _RECEIVE_BUFFER_OCTETS)
        events.bind((0, _RTMGRP_IPV4_IFADDR | _RTMGRP_IPV6_IFADDR))
        with self._lock:
            self._watched[events.fileno()] = (machine.name, events)
            self._epoll.register(events, select.EPOLLIN)

    def forget(self, machine: Machine) -> None:
        """Its network is about to go, and the socket would keep it."""
        with self._lock:
            for fd, (name, events) in list(self._watched.items()):
                if name == machine.name:
                    self._epoll.unregister(fd)
                    del self._watched[fd]
                    events.close()

    def since(self, instant_ns: int) -> list[Change]:
        """What a kernel has been asked about is in it: events are read here too, however late the thread is."""
        with self._lock:
            at_ns = now_ns()
            for fd in self._watched:
                self._read(fd, at_ns)
            return [change for change in self.changes if change.at_ns >= instant_ns]

    def first(self, instant_ns: int, machine: str, address: str, *, added: bool) -> int | None:
        """When that machine first added (or removed) the address, at or after an instant."""
        for change in self.since(instant_ns):
            if (change.machine, change.address, change.added) == (machine, address, added):
                return change.at_ns
        return None

    def close(self) -> None:
        os.close(self._woken)
        self._thread.join()
        for _, events in self._watched.values():
            events.close()
        self._epoll.close()
        os.close(self._wake)

    def _run(self) -> None:
        # they are the main thread's, which may have put them off
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        run_real_time(INSTRUMENT)
        while True:
            for fd, _ in self._epoll.poll():
                at_ns = now_ns()
                if fd == self._wake:
                    return
                with self._lock:
                    self._read(fd, at_ns)

    def _read(self, fd: int, at_ns: int) -> None:
        if fd not in self._watched:
            return
        name, events = self._watched[fd]
        with contextlib.suppress(BlockingIOError):
            while True:
                for added, address in _parse(events.recv(65536)):
                    self.changes.append(Change(at_ns, name, added, address))


def _parse(data: bytes) -> list[tuple[bool, str]]:
    """(added?, address) of each address message in what a netlink socket gave."""
    found = []
    offset = 0
    while offset < len(data):
        length, kind, _, _, _ = _MESSAGE.unpack_from(data, offset)
        if kind in (_RTM_NEWADDR, _RTM_DELADDR):
            body = data[offset + _MESSAGE.size : offset + length]
            found.append((kind == _RTM_NEWADDR, _address(body)))
        offset += (length + 3) & ~3
    return found


def _address(body: bytes) -> str:
    family = _IFADDRMSG.unpack_from(body)[0]
    attributes = {}
    offset = _IFADDRMSG.size
    while offset < len(body):
        length, kind = _ATTRIBUTE.unpack_from(body, offset)
        attributes[kind] = body[offset + _ATTRIBUTE.size : offset + length]
        offset += (length + 3) & ~3
    return socket.inet_ntop(family, attributes.get(_IFA_LOCAL, attributes[_IFA_ADDRESS]))
