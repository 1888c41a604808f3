"""`heartbeat check`: what will hurt later, though the files are correct. Not loaded by the daemon.

Two sources: the files themselves (a serial line too slow for its keepalive, media that fail together) and this
machine's kernel (routes, addresses, forwarding). Advice never refuses anything.
"""

from __future__ import annotations

import ipaddress
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from heartbeat.config import load
from heartbeat.config.dump import dump
from heartbeat.config.problems import ConfigError, shown
from heartbeat.config.record import ADDRESS_AGENTS, BITS_PER_OCTET
from heartbeat.config.words import scan

if TYPE_CHECKING:
    from collections.abc import Iterator

    from heartbeat.config.record import Config, MediumConfig
    from heartbeat.core.settings import Resource

    Address = ipaddress.IPv4Address | ipaddress.IPv6Address
    Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# hex digits of a signature
TOKEN_DIGITS = {"crc": 8, "md5": 32, "sha1": 40, "sha256": 64, "blake2s": 64}
STATUS = """>>>
t=status
st=active
dt={deadtime_ms:x}
protocol=1
ext=1 01234567 01234567 01234567 s{groups}
src={node}
(1)srcuuid=0123456789ABCDEF0123456=
seq=123456
hg=01234567
ts=01234567
ld=n/a
ttl={ttl}
{mac}auth={index} {token}
<<<
"""
STRONG_DIGITS = 43  # of the strong signature, Base64
# <linux/rtnetlink.h>
RT_TABLE_MAIN, RTN_UNICAST, RTPROT_KERNEL = 254, 1, 2
PROC_NET = "/proc/sys/net"
STRICT = 1


class Report:
    """What `check` found. text: the effective settings, "" where there are errors; errors, warnings: `file:line: …`."""

    def __init__(self, config: Config | None, errors: tuple[str, ...], warnings: tuple[str, ...]) -> None:
        self.config = config
        self.text = dump(config) if config is not None else ""
        self.errors = errors
        self.warnings = warnings


class Service(NamedTuple):
    """A virtual address of haresources. device: None where haresources leaves it to the routes."""

    word: str
    address: Address
    device: str | None


class Route(NamedTuple):
    """A connected route: to a network on a wire, with no gateway. of_address: the kernel made it for an address."""

    network: Network
    device: str
    of_address: bool


class Kernel(NamedTuple):
    """addresses: device and address with its prefix; routes: connected ones alone."""

    addresses: list[tuple[str, ipaddress.IPv4Interface | ipaddress.IPv6Interface]]
    routes: list[Route]


def check(directory: str, *, node: str | None = None, machine: bool = True) -> Report:
    """All errors of the three files, or the settings and every warning. machine: as `load` takes it."""
    try:
        config = load(directory, node=node, machine=machine)
    except ConfigError as error:
        return Report(None, error.errors, error.warnings)
    services = list(_services(config))
    of_services = list(_of_services(services))
    if machine and services:
        of_services += _of_machine(services)
    advice = located(os.path.join(directory, "ha.cf"), list(_of_media(config)))
    advice += located(os.path.join(directory, "haresources"), of_services)
    return Report(config, (), (*config.warnings, *advice))


def status_frame_octets(config: Config) -> int:
    """The length of this node's status on a serial line, the same or a few octets more than it is."""
    method = config.keys[config.outbound][0]
    text = STATUS.format(
        deadtime_ms=config.deadtime_ms,
        groups=" 0123h" * len(config.groups),
        node=config.node,
        ttl=config.hopfudge + len(config.nodes),
        mac="" if method == "crc" else f"mac={config.outbound} {'0' * STRONG_DIGITS}\n",
        index=config.outbound,
        token="0" * TOKEN_DIGITS[method],
    )
    return len(text)


# ---- the files: (word to find the line by, text)


def _of_media(config: Config) -> Iterator[tuple[str, str]]:
    octets = status_frame_octets(config)
    for medium in config.media:
        if medium.type == "serial":
            yield from _of_serial(medium, octets, config.keepalive_ms)
    by_device: dict[str, int] = {}
    for medium in config.media:
        by_device[medium.device] = by_device.get(medium.device, 0) + 1
    for device, media in by_device.items():
        if media > 1:
            yield device, f"{media} media on {device} fail together; put one on another interface or a serial line"
    if len(config.media) == 1:
        device = config.media[0].device
        yield device, f"{device} is the only medium: when it fails, both nodes take everything; add another"


def _of_serial(medium: MediumConfig, octets: int, keepalive_ms: int) -> Iterator[tuple[str, str]]:
    frame_ms = octets * BITS_PER_OCTET * 1000 / medium.baud
    if keepalive_ms >= 2 * frame_ms:
        return
    what = (
        "keepalive is shorter than one and a half times that"
        if keepalive_ms < 1.5 * frame_ms
        else "status messages fill more than half of the line"
    )
    yield (
        medium.device,
        f"at {medium.baud} baud a status of {octets} octets takes {frame_ms:.0f} ms on {medium.device}: {what};"
        f" write a keepalive of at least {2 * frame_ms:.0f}ms, or a higher baud",
    )


def _of_services(services: list[Service]) -> Iterator[tuple[str, str]]:
    words: dict[Address, str] = {}
    for service in services:
        other = words.setdefault(service.address, service.word)
        if other != service.word:
            yield service.word, f"{service.address} is the address of {shown(other)} as well; one of them is too many"


def _services(config: Config) -> Iterator[Service]:
    for group in config.groups:
        for resource in group.resources:
            if resource.name in ADDRESS_AGENTS and resource.arguments:
                service = _service(resource)
                if service is not None:
                    yield service


def _service(resource: Resource) -> Service | None:
    """`ip[/prefix[/nic[:label][/broadcast]]]` or `ip/prefix/broadcast`; None for what load() has warned of."""
    text, *rest = resource.arguments[0].split("/")
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    device = rest[1].partition(":")[0] if len(rest) > 1 and not rest[1][:1].isdecimal() else None
    return Service(resource.word, address, device or None)


# ---- the machine


def _of_machine(services: list[Service]) -> Iterator[tuple[str, str]]:
    kernel = _kernel()
    if kernel is None:
        yield services[0].word, "this machine's addresses and routes were not looked at: pyroute2 cannot be used"
        kernel = Kernel([], [])
    else:
        yield from _of_network(services, kernel)
    yield from _of_forwarding(services, kernel)


def _of_network(services: list[Service], kernel: Kernel) -> Iterator[tuple[str, str]]:
    virtual = {service.address for service in services}
    devices = {device for device, _ in kernel.addresses} | {route.device for route in kernel.routes}
    for service in services:
        if service.device is None and _route(service, kernel, virtual) is None:
            yield (
                service.word,
                f"no connected route to {service.address}, and a default route does not count: give an interface of"
                " this machine an address of that network, or name it, ADDRESS/PREFIX/INTERFACE",
            )
            continue
        if service.device is not None and service.device not in devices and not _exists(service.device):
            yield service.word, f"there is no interface {service.device}"
            continue
        static = [
            interface
            for _, interface in kernel.addresses
            if interface.ip not in virtual and service.address in interface.network
        ]
        if not static:
            yield (
                service.word,
                f"this machine has no address of its own on the network of {service.address}: while the other node"
                " holds it, that network is out of reach from here",
            )


def _of_forwarding(services: list[Service], kernel: Kernel) -> Iterator[tuple[str, str]]:
    virtual = {service.address for service in services}
    for version, switch in ((4, "ipv4/ip_forward"), (6, "ipv6/conf/all/forwarding")):
        words = [service.word for service in services if service.address.version == version]
        if words and _setting(switch) == 0:
            name = "net." + switch.replace("/", ".")
            yield words[0], f"{name} is 0: this machine forwards nothing for others; set it to 1 if it is their router"
    asked: set[str] = set()
    for service in services:
        route = _route(service, kernel, virtual)
        device = service.device or (route.device if route is not None else None)
        if device is None or device in asked or service.address.version == 6:
            continue
        asked.add(device)
        # the kernel takes the larger of the two
        if max(_setting("ipv4/conf/all/rp_filter"), _setting(f"ipv4/conf/{device}/rp_filter")) == STRICT:
            yield (
                service.word,
                f"rp_filter on {device} is 1, strict: while the groups are on different nodes, packets that come in"
                " another way than answers would leave are dropped; set it to 2 or 0",
            )


def _route(service: Service, kernel: Kernel, virtual: set[Address]) -> Route | None:
    """The narrowest connected route to a service's address that is there without the virtual addresses."""
    own = [(device, interface.ip) for device, interface in kernel.addresses if interface.ip not in virtual]
    routes = [
        route
        for route in kernel.routes
        if service.address in route.network
        and (not route.of_address or any(device == route.device and ip in route.network for device, ip in own))
    ]
    return max(routes, key=lambda route: route.network.prefixlen, default=None)


def _exists(device: str) -> bool:
    return os.path.exists(os.path.join(PROC_NET, "ipv4/conf", device))


def _setting(name: str) -> int:
    """A number below /proc/sys/net, of the network namespace that the calling thread is in; -1 where there is none."""
    try:
        with open(os.path.join(PROC_NET, name), encoding="ascii") as file:
            return int(file.read())
    except (OSError, ValueError):
        return -1


def _kernel() -> Kernel | None:
    """None without pyroute2, or where the kernel does not let us ask."""
    try:
        from pyroute2 import IPRoute  # noqa: PLC0415  may be absent; everything else is checked all the same

        ip = IPRoute()
    except (ImportError, OSError):
        return None
    with ip:
        names = {link["index"]: dict(link["attrs"]).get("IFLA_IFNAME", "") for link in ip.get_links()}
        addresses = []
        for found in ip.get_addr():
            attributes = dict(found["attrs"])
            # of a point-to-point link IFA_ADDRESS is the other end
            text = attributes.get("IFA_LOCAL") or attributes["IFA_ADDRESS"]
            interface = ipaddress.ip_interface(f"{text}/{found['prefixlen']}")
            addresses.append((names.get(found["index"], ""), interface))
        routes = [route for found in ip.get_routes() if (route := _connected(found, names)) is not None]
    return Kernel(addresses, routes)


def _connected(found: Any, names: dict[int, str]) -> Route | None:
    """A route message of pyroute2 as a Route; None for one of another table or kind, by a gateway, or to everywhere."""
    attributes = dict(found["attrs"])
    if (
        attributes.get("RTA_TABLE", found["table"]) != RT_TABLE_MAIN
        or found["type"] != RTN_UNICAST
        or found["dst_len"] == 0
        or any(name in attributes for name in ("RTA_GATEWAY", "RTA_VIA", "RTA_MULTIPATH"))
        or "RTA_OIF" not in attributes
    ):
        return None
    network = ipaddress.ip_network(f"{attributes['RTA_DST']}/{found['dst_len']}", strict=False)
    return Route(network, names.get(attributes["RTA_OIF"], ""), found["proto"] == RTPROT_KERNEL)


# ---- where


def located(path: str, advice: list[tuple[str, str]]) -> list[str]:
    """Each text with the file and the first line that has its word, 1 where none has."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = [scan(line.rstrip("\r\n"))[0] + scan(line.replace(",", " "))[0] for line in file]
    except OSError:
        lines = []
    texts = []
    for word, text in advice:
        number = next((number for number, words in enumerate(lines, 1) if word in words), 1)
        texts.append(f"{path}:{number}: {text}")
    return texts
