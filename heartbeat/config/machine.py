"""Facts about this machine that a configuration leans on: its name, ttys, interfaces, services, accounts.

Each function asks the kernel or a file once and keeps nothing. `heartbeat.config` calls none of them when it is told
that the files are another machine's.
"""

from __future__ import annotations

import _socket
import errno
import fcntl
import os
import stat
import sys

SERVICES = "/etc/services"

# <linux/sockios.h>, <linux/if.h>: the standard library does not name them
SIOCGIFFLAGS, SIOCGIFADDR, SIOCGIFBRDADDR = 0x8913, 0x8915, 0x8919
IFF_BROADCAST = 0x2
IFREQ_SIZE = 40
INTERFACE_NAME_MAX = 15  # octets, IFNAMSIZ less the final NUL


def own_name(directory: str) -> str:
    """The node's name, not yet lower-cased: nodeinfo's first line if it ends in a newline, else `uname -n`."""
    try:
        with open(os.path.join(directory, "nodeinfo"), "rb") as file:
            line = file.readline(256)
    except OSError:
        line = b""
    if line.endswith(b"\n") and line.strip():
        return os.fsdecode(line.strip())
    return os.uname().nodename


def tty_problem(path: str) -> str | None:
    """Why no serial medium can be opened on `path`, or None.

    A port that is there and held, or that we may not open, is no mistake in the file: opening it will say so.
    """
    try:
        if not stat.S_ISCHR(os.stat(path).st_mode):
            return "is not a character device"
        # O_NONBLOCK: never wait for a carrier
        fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (PermissionError, BlockingIOError):
        return None
    except OSError as error:
        return None if error.errno == errno.EBUSY else f"cannot be opened: {error.strerror}"
    except ValueError:
        return "is no path"
    try:
        return None if os.isatty(fd) else "is not a tty"
    finally:
        os.close(fd)


def interface_problem(name: str) -> str | None:
    try:
        _socket.if_nametoindex(name)
    except OSError:
        return f"there is no interface {name}"
    return None


def broadcast_problem(name: str) -> str | None:
    """Why no broadcast can leave by this interface, or None."""
    problem = interface_problem(name)
    if problem is not None:
        return problem
    flags = _interface_request(name, SIOCGIFFLAGS)
    if flags is None or not int.from_bytes(flags[16:18], sys.byteorder) & IFF_BROADCAST:
        return f"{name} cannot broadcast"
    address = _interface_request(name, SIOCGIFBRDADDR)
    if address is None or address[20:24] == b"\0\0\0\0":
        return f"{name} has no IPv4 broadcast address"
    return None


def has_ipv4(name: str) -> bool:
    return _interface_request(name, SIOCGIFADDR) is not None


def has_ipv6(name: str) -> bool:
    """One that cannot be used yet counts."""
    return any(name == device for device, _ in _ipv6_addresses())


def _ipv6_addresses() -> list[tuple[str, bytes]]:
    """(interface, address): all of this machine's, those that duplicate address detection still looks for, too."""
    try:
        with open("/proc/thread-self/net/if_inet6", encoding="ascii") as file:
            return [(words[-1], bytes.fromhex(words[0])) for words in map(str.split, file)]
    except OSError:
        return []  # a kernel without IPv6


def resolve(host: str) -> str | None:
    """The first IPv4 address of a host name, or None. Asks the resolver, which may take its time."""
    return _resolve(host, _socket.AF_INET)


def resolve_6(host: str) -> str | None:
    """The same of IPv6."""
    return _resolve(host, _socket.AF_INET6)


def _resolve(host: str, family: int) -> str | None:
    try:
        # octets: a str would load the IDNA tables, a megabyte that the daemon then keeps
        found = _socket.getaddrinfo(os.fsencode(host), None, family, _socket.SOCK_DGRAM)
    except (OSError, ValueError):
        return None
    address = found[0][4][0]
    return address if isinstance(address, str) else None


def is_local(address: str, device: str) -> bool:
    """Is this address one of this machine's own, of IPv6 one of that interface's? (Binding to it would not tell where
    ip_nonlocal_bind is on.)"""
    if ":" in address:
        return (device, _socket.inet_pton(_socket.AF_INET6, address)) in _ipv6_addresses()
    probe = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM)
    try:
        probe.connect((address, 9))
        own: str = probe.getsockname()[0]
    except OSError:
        return False
    finally:
        probe.close()
    return own == address


def service_port(name: str) -> int | None:
    """The UDP port of a service in /etc/services. Read by hand: the resolver's libraries would stay in memory."""
    for service, port in _services():
        if service == name:
            return port
    return None


def service_owner(port: int) -> str | None:
    for service, number in _services():
        if number == port:
            return service
    return None


def user_known(name: str, *, number: bool) -> bool:
    """number: a number that some account has counts as well."""
    import pwd  # noqa: PLC0415  only for respawn and apiauth lines

    try:
        pwd.getpwuid(int(name)) if number and name.isdecimal() else pwd.getpwnam(name)
    except (KeyError, ValueError, OverflowError):
        return False
    return True


def group_known(name: str) -> bool:
    import grp  # noqa: PLC0415  only for apiauth lines

    try:
        grp.getgrgid(int(name)) if name.isdecimal() else grp.getgrnam(name)
    except (KeyError, ValueError, OverflowError):
        return False
    return True


def executable_problem(path: str) -> str | None:
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        return f"cannot be run: {error.strerror}"
    except ValueError:
        return "is no path"
    if not stat.S_ISREG(mode):
        return "is not a file"
    return None if mode & 0o111 else "is not executable"


def _interface_request(name: str, request: int) -> bytes | None:
    """The kernel's struct ifreq for an interface; None where it has no such property."""
    sock = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC)
    try:
        return fcntl.ioctl(sock.fileno(), request, os.fsencode(name).ljust(IFREQ_SIZE, b"\0"))
    except OSError:
        return None
    finally:
        sock.close()


def _services() -> list[tuple[str, int]]:
    services: list[tuple[str, int]] = []
    try:
        with open(SERVICES, "rb") as file:
            for line in file:
                words = os.fsdecode(line).partition("#")[0].split()
                if len(words) < 2:
                    continue
                port, _, protocol = words[1].partition("/")
                if protocol == "udp" and port.isdecimal():
                    services += [(name, int(port)) for name in (words[0], *words[2:])]
    except OSError:
        pass  # no such file on a small machine: no service has a name
    return services
