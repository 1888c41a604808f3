"""Any words as an agent's name and arguments: AgentError, or an agent whose doings stay within bounds. Looking for one
starts and writes nothing; what is run is an argument list of known first elements that holds the words unchanged, never
a shell; what reaches the kernel is a well-formed request; a letter has the headers that it should have, and no more.

    input   options, then name and arguments between separators (as octets of a file or of a command line)
"""

from __future__ import annotations

import email
import errno
import os
import struct
import sys

from fuzz import files
from fuzz.choices import SEPARATOR

from heartbeat.agents import Address, AgentError, SpawnedAgent, delivery, mailto, resolve
from heartbeat.agents import network as of_network
from heartbeat.agents.base import Builtin
from heartbeat.agents.netlink import RTM_GETADDR, RTM_GETLINK, attribute, attributes
from heartbeat.agents.network import Network
from heartbeat.agents.script import ocf_parameter_file
from heartbeat.config.words import WordError, resource

SCRIPTS_FIRST, AS_WORD, PARAMETERS, SERVER, OUTPUT = 1, 2, 4, 8, 16
WORDS = (SEPARATOR, b"\xff", b"\x80", *(
    word.encode() for word in (
        "IPaddr", "IPaddr2", "IPv6addr", "SendArp", "MailTo", "Delay", "apache", "script", "service", "unit@x", "OCF",
        "ocf:heartbeat:thing", "ocf:other:thing", "thing", "10.0.0.254", "10.0.0.254/24/eth0", "/eth0:1",
        "/255.255.255.0", "/0xffffff00", "2001:db8::9", "fe80::1%eth0", "::", "0.0.0.0", "255.255.255.255",
        "/10.0.0.255", "a=b", "root@localhost", "a@[10.0.0.1]", ",", "-oQ/tmp", "$(reboot)", "`reboot`", ";reboot",
        "\n", "\r\nBcc: x@y.z", "\0", "\u2028", "..", "/", "smtp://u:p@host:25", "smtps://[::1]", "HA_x",
        "export A='b'", '"', "'", "$A", "0.5", "9" * 400, "1e5", "%n", "running", "NOT running", "OK", "ä",
        "\U0001f600", "/eth0", "/lo", "/24", "/129", "/" + "x" * 16,
    )
))  # fmt: skip
ETH0 = 2
# what no look for an agent may do, as the interpreter names it
FORBIDDEN = ("subprocess", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "pty.", "socket.connect")
_watching: list[bool] = []


def watch(event: str, arguments: tuple[object, ...]) -> None:
    if not _watching:
        return
    writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    if event.startswith(FORBIDDEN) or writes:
        del _watching[:]
        raise AssertionError(f"{event}{arguments!r}")


sys.addaudithook(watch)


class Kernel:
    """Answers like one that has eth0 with 10.0.0.1/24 and 2001:db8::1/64, and takes well-formed requests alone."""

    def __init__(self) -> None:
        self.requests: list[tuple[int, bytes]] = []

    def ignore(self, other: object) -> None:
        pass

    def events(self) -> list[tuple[int, bytes]]:
        return []

    def get(self, kind: int, body: bytes) -> bytes:
        if kind != RTM_GETLINK:
            raise OSError(errno.ENETUNREACH, "unreachable")
        _, _, index, _, _ = struct.unpack_from("=BxHiII", body)
        name = attributes(body, 16).get(3, b"")
        assert name.count(b"\0") == bool(name)
        assert len(name) <= 16
        if index != ETH0 and name != b"eth0\0":
            raise OSError(errno.ENODEV, "No such device")
        answer = struct.pack("=BxHiII", 0, 1, ETH0, 0x1, 0)
        return answer + attribute(3, b"eth0\0") + attribute(1, b"\x02\0\0\0\0\1") + attribute(2, b"\xff" * 6)

    def dump(self, kind: int, body: bytes) -> list[bytes]:
        assert kind == RTM_GETADDR
        own = ((2, 24, b"\x0a\0\0\1"), (10, 64, b"\x20\1\x0d\xb8" + bytes(11) + b"\1"))
        return [
            struct.pack("=BBBBI", family, prefix, 0, 0, ETH0) + attribute(1, address) + attribute(2, address)
            for family, prefix, address in own
        ]

    def execute(self, requests: list[tuple[int, int, bytes]]) -> list[None]:
        for kind, _, body in requests:
            assert len(body) < 1000
            found = attributes(body, 16 if kind == RTM_GETLINK else 8)
            assert all(len(octets) <= 64 for octets in found.values())
            self.requests.append((kind, body))
        return [None] * len(requests)


class Packets:
    def send(self, packet: bytes, ethertype: int, interface: str, destination: bytes) -> None:
        assert (interface, len(destination)) == ("eth0", 6)
        assert ethertype in (0x0806, 0x86DD)
        assert 28 <= len(packet) <= 72


def machine() -> Network:
    network = object.__new__(Network)
    network.__init__ = None  # type: ignore[assignment]
    real = of_network.Netlink, of_network.PacketSocket
    of_network.Netlink, of_network.PacketSocket = lambda groups=0: Kernel(), Packets  # type: ignore[assignment,misc]
    try:
        return Network()
    finally:
        of_network.Netlink, of_network.PacketSocket = real  # type: ignore[misc]


def root() -> str:
    """A machine's scripts and units, made once."""
    path = f"{files.folder()}/root"
    if not os.path.isdir(path):
        scripts = (
            "etc/ha.d/resource.d/script", "etc/ha.d/resource.d/IPaddr", "etc/ha.d/resource.d/MailTo",
            "etc/init.d/service", "usr/bin/systemctl", "usr/lib/ocf/resource.d/heartbeat/thing",
            "usr/lib/ocf/resource.d/heartbeat/apache", "usr/lib/ocf/resource.d/other/thing",
            "usr/lib/systemd/system/unit@.service", "etc/systemd/system/plain.service",
        )  # fmt: skip
        for script in scripts:
            os.makedirs(os.path.dirname(f"{path}/{script}"), exist_ok=True)
            with open(f"{path}/{script}", "w", opener=lambda name, flags: os.open(name, flags, 0o755)) as file:
                file.write("#!/bin/false\n")
    return path


def run(octets: bytes) -> None:
    options = octets[0] if octets else 0
    try:
        words = [piece.decode("utf-8", "surrogateescape") for piece in octets[1:].split(SEPARATOR)]
    except UnicodeDecodeError:  # pragma: no cover
        return
    if options & AS_WORD:
        try:
            found = resource(words[0])
        except WordError:
            return
        words = [found.name, *found.arguments]
    directory = root()
    _watching.append(True)
    try:
        judge(words[0], words[1:], directory, builtin_first=not options & SCRIPTS_FIRST)
        if options & SERVER:
            judge_server(words[-1])
        if options & OUTPUT:
            Builtin("Delay", [], detached=False).running(0, words[-1])
    finally:
        del _watching[:]
    if options & PARAMETERS:
        judge_parameters(octets[1:])


def judge(name: str, arguments: list[str], directory: str, *, builtin_first: bool) -> None:
    try:
        agent = resolve(
            name, arguments, builtin_first=builtin_first, config_dir=f"{directory}/etc/ha.d", root=directory
        )
        if agent is None:
            return
        if isinstance(agent, SpawnedAgent):
            judge_spawned(agent, arguments, directory)
        agent.validate()
        if isinstance(agent, Address):
            judge_inline(agent)
        elif isinstance(agent, Builtin) and name == "MailTo":
            judge_letter(arguments)
    except AgentError as error:
        judge_error(error)


def judge_error(error: AgentError) -> None:
    assert error.code in (1, 2)
    assert "\n" not in error.text
    error.text.encode("utf-8", "surrogateescape")


def judge_spawned(agent: SpawnedAgent, arguments: list[str], directory: str) -> None:
    for verb in ("start", "stop", "status"):
        argv = agent.command(verb)
        assert all(type(word) is str for word in argv)
        if argv[0] == sys.executable:
            assert argv == [sys.executable, "-I", "-m", "heartbeat.agents", agent.name, *arguments, verb]
        elif argv[0] in ("/usr/bin/systemctl", "/bin/systemctl"):
            assert argv[-2:] == ["--", f"{agent.name}.service"]
        else:
            assert argv[0].startswith(f"{directory}/")
            assert os.path.realpath(argv[0]).startswith(f"{os.path.realpath(directory)}/")
            assert argv[1:-1] in (arguments, [])
    for key, value in agent.environment.items():
        assert key.startswith("OCF_")
        assert "=" not in key
        assert "\0" not in key
        assert type(value) is str


def judge_inline(agent: Address) -> None:
    network = machine()
    agent._network = network  # type: ignore[attr-defined]
    for step in (agent.prepare, agent.start, agent.announce, agent.status, agent.restore, agent.guarded, agent.stop):
        try:
            step()
        except AgentError as error:
            judge_error(error)


def judge_letter(arguments: list[str]) -> None:
    recipients, subject = mailto.parse(arguments)
    letter = bytes(delivery.compose(recipients, subject, "acquired", "julius"))
    names = [name for name, _ in email.message_from_bytes(letter).items()]
    assert names[:6] == ["From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted"]
    assert set(names[6:]) <= {"Content-Type", "Content-Transfer-Encoding", "MIME-Version"}
    assert len(names) == len(set(names))
    assert all(recipient and recipient[0] != "-" for recipient in recipients)


def judge_server(url: str) -> None:
    try:
        server = delivery.Server(url)
    except AgentError as error:
        judge_error(error)
    else:
        assert server.host
        assert 0 < server.port < 65536


def judge_parameters(octets: bytes) -> None:
    path = f"{files.folder()}/parameters"
    with open(path, "wb") as file:
        file.write(octets.replace(SEPARATOR, b"\n"))
    try:
        found = ocf_parameter_file(path)
    except AgentError as error:
        judge_error(error)
    else:
        assert all(key.startswith("OCF_") and "\0" not in key + value for key, value in found.items())


def seeds() -> list[bytes]:
    calls = (
        "IPaddr 10.0.0.254", "IPaddr 10.0.0.254/24/eth0:1/10.0.0.255", "IPaddr2 10.0.0.9/255.255.255.0/eth0",
        "IPv6addr 2001:db8::9/64/eth0", "IPv6addr 2001:db8::9", "SendArp 10.0.0.254/eth0", "MailTo root@x.org subject",
        "MailTo a,b@c.de", "Delay 1 2", "Delay 0.5", "apache /etc/httpd.conf", "script a b", "service x", "unit@x",
        "plain", "ocf:heartbeat:thing a=b c=d", "ocf:other:thing", "OCF thing inst", "thing a=b",
        "IPaddr 10.0.0.254/0xffffff00",
    )  # fmt: skip
    words = [call.encode().replace(b" ", SEPARATOR) for call in calls]
    return [
        *(b"\0" + each for each in words), *(b"\x01" + each for each in words[::3]),
        *(b"\x02" + call.replace(" ", "::").encode() for call in calls[::2]), b"\x08smtp://u:p@host:25",
        b"\x08smtps://[::1]:465", b"\x08http://x", b"\x10is NOT running", b"\x10OK",
        b"\x04# c\nA=b\nexport B='c d'\nOCF_C=\"d\"\nD=$x",
    ]  # fmt: skip
