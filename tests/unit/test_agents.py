"""How an agent is found and told what to do; how its arguments are read. Nothing here touches the network."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from heartbeat import agents
from heartbeat.agents import Address, AgentError, SpawnedAgent, resolve
from heartbeat.agents.address import Target, parse_prefix
from heartbeat.agents.delay import seconds
from heartbeat.agents.mailto import parse
from heartbeat.agents.neighbour import arp_holder, arp_probe, checksum, gratuitous_arp, neighbour_advertisement
from heartbeat.agents.netlink import attribute, attributes
from heartbeat.agents.script import ocf_parameter_file, says_running

# Addresses


def text(packed):
    return None if packed is None else socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)


@pytest.mark.parametrize(
    ("argument", "address", "prefix", "nic", "label", "broadcast"),
    [
        ("10.0.0.254", "10.0.0.254", None, None, None, None),
        ("10.0.0.254/", "10.0.0.254", None, None, None, None),
        ("10.0.0.254/24", "10.0.0.254", 24, None, None, None),
        ("10.0.0.254/24/", "10.0.0.254", 24, None, None, None),
        ("10.0.0.254/24/eth0", "10.0.0.254", 24, "eth0", None, None),
        ("10.0.0.254//eth0", "10.0.0.254", None, "eth0", None, None),
        ("10.0.0.254/24/eth0:1", "10.0.0.254", 24, "eth0", "eth0:1", None),
        ("10.0.0.254/24/bond0.12:web", "10.0.0.254", 24, "bond0.12", "bond0.12:web", None),
        ("10.0.0.254/24/10.0.0.255", "10.0.0.254", 24, None, None, "10.0.0.255"),
        ("10.0.0.254/24/eth0/10.0.0.255", "10.0.0.254", 24, "eth0", None, "10.0.0.255"),
        ("10.0.0.254/24/eth0:0/255.255.255.255", "10.0.0.254", 24, "eth0", "eth0:0", "255.255.255.255"),
        ("10.0.0.254/24//10.0.0.127", "10.0.0.254", 24, None, None, "10.0.0.127"),
        ("fd00::fe", "fd00::fe", None, None, None, None),
        ("fd00::fe/64/eth0", "fd00::fe", 64, "eth0", None, None),
        ("FD00:0:0::FE/128", "fd00::fe", 128, None, None, None),
        ("fe80::1/64/eth0", "fe80::1", 64, "eth0", None, None),
    ],
)
def test_an_address_argument(argument, address, prefix, nic, label, broadcast):
    target = Target(argument)
    assert (text(target.address), target.prefix, target.nic, target.label, text(target.broadcast)) == (
        address, prefix, nic, label, broadcast,
    )  # fmt: skip


@pytest.mark.parametrize(
    "argument",
    [
        "", "/24", "10.0.0", "10.0.0.256", "10.0.0.254.1", "010.0.0.1", " 10.0.0.1", "10.0.0.1 ", "10.0.0.1\0", "eth0",
        "0.0.0.0", "0.1.2.3", "127.0.0.1", "224.0.0.18", "::", "::1", "ff02::1", "fd00::1%eth0",
        "10.0.0.254/0", "10.0.0.254/33", "10.0.0.254/-1", "10.0.0.254/+24", "10.0.0.254/٢٤", "10.0.0.254/eth0",
        "10.0.0.254/255.0.255.0", "10.0.0.254/0.0.0.255", "10.0.0.254/0.0.0.0", "10.0.0.254/0x0",
        "10.0.0.254/0x1ffffff00",
        "fd00::fe/0", "fd00::fe/129", "fd00::fe/255.255.255.0",
        "10.0.0.0/24", "10.0.0.255/24", "10.0.0.3/30",
        "10.0.0.254/24/:0", "10.0.0.254/24/eth0:", "10.0.0.254/24/eth0:0123456789ab", "10.0.0.254/24/sixteencharacter",
        "10.0.0.254/24/..", "10.0.0.254/24/e th", "10.0.0.254/24/eth\n0",
        "10.0.0.254/24/eth0/10.0.0.255/x", "10.0.0.254/24/10.0.0.255/10.0.0.255", "10.0.0.254/24/eth0/eth0",
        "10.0.0.254/24/eth0/fd00::1", "fd00::fe/64/eth0:0", "fd00::fe/64/eth0/10.0.0.255",
    ],
)  # fmt: skip
def test_an_argument_that_is_no_address_is_refused_before_anything_is_done(argument):
    with pytest.raises(AgentError) as caught:
        Target(argument)
    assert caught.value.code == 2
    agent = resolve("IPaddr", [argument])
    with pytest.raises(AgentError):
        agent.validate()
    with pytest.raises(AgentError):
        agent.prepare()
    with pytest.raises(AgentError):
        agent.start()
    assert agent.status() is False
    agent.stop()  # what cannot be started is not running


@pytest.mark.parametrize("prefix", range(1, 33))
def test_a_netmask_in_any_form(prefix):
    mask = 0xFFFFFFFF << 32 - prefix & 0xFFFFFFFF
    dotted = socket.inet_ntoa(mask.to_bytes(4, "big"))
    assert [parse_prefix(form, 32) for form in (str(prefix), dotted, f"0x{mask:08x}", f"0X{mask:08X}")] == [prefix] * 4


@pytest.mark.parametrize("arguments", [[], ["10.0.0.1", "24"]])
def test_an_address_agent_takes_one_argument(arguments):
    with pytest.raises(AgentError, match="takes one argument"):
        resolve("IPaddr", arguments).validate()


@pytest.mark.parametrize("argument", ["10.0.0.254", "/eth0", "10.0.0.254/", "10.0.0.254/24/eth0", "x/eth0"])
def test_sendarp_wants_an_address_and_an_interface(argument):
    with pytest.raises(AgentError):
        resolve("SendArp", [argument]).validate()


# Packets (the same, on the wire: tests/system/test_addresses.py)


def test_the_example_of_rfc_1071():
    """§3: the words 0001 f203 f4f5 f6f7 add up to ddf2."""
    assert checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0xFFFF - 0xDDF2


def test_packets_fit_other_links_than_ethernet():
    request, reply = gratuitous_arp(bytes((10, 0, 0, 254)), bytes.fromhex("0102030405060708"), 24)  # IEEE 1394
    assert request == bytes.fromhex("0018 0800 08 04 0001 0102030405060708 0a0000fe 0000000000000000 0a0000fe")
    assert reply == bytes.fromhex("0018 0800 08 04 0002 0102030405060708 0a0000fe 0102030405060708 0a0000fe")
    packet = neighbour_advertisement(socket.inet_pton(socket.AF_INET6, "fd00::fe"), bytes(range(8)), router=False)
    option = packet[64:]
    assert (len(option), option[:10]) == (16, bytes((2, 2)) + bytes(range(8))), "in units of eight octets, padded"
    assert int.from_bytes(packet[4:6]) == len(packet) - 40


HOLDER = bytes.fromhex("020000000002")
# RFC 826: Ethernet, IPv4, 6, 4, a reply; the sender's two addresses, and those of the one who asked with none
REPLY = (
    bytes.fromhex("0001 0800 06 04 0002") + HOLDER + bytes((10, 0, 0, 254)) + bytes.fromhex("020000000001") + bytes(4)
)


def test_a_probe_names_no_address_of_its_own():
    """RFC 5227 §2.1.1."""
    probe = arp_probe(bytes((10, 0, 0, 254)), bytes.fromhex("020000000001"), 1)
    assert probe == bytes.fromhex("0001 0800 06 04 0001 020000000001 00000000 000000000000 0a0000fe")


def test_the_holder_is_the_sender_of_a_reply():
    assert arp_holder(REPLY, bytes((10, 0, 0, 254)), 1, 6) == HOLDER
    assert arp_holder(REPLY + bytes(18), bytes((10, 0, 0, 254)), 1, 6) == HOLDER  # filled up to Ethernet's least


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        REPLY[:-1],
        REPLY[:7] + b"\x01" + REPLY[8:],  # a question
        REPLY[:5] + b"\x10" + REPLY[6:],  # longer addresses than there is room for
        REPLY[:1] + b"\x18" + REPLY[2:],  # of another link
        REPLY.replace(bytes((10, 0, 0, 254)), bytes((10, 0, 0, 253))),
        REPLY.replace(HOLDER, b"\xff" * 6),
        REPLY.replace(HOLDER, bytes.fromhex("0100 5e00 0001")),  # a group's
        REPLY.replace(HOLDER, bytes(6)),
    ],
)
def test_nothing_else_names_a_holder(packet):
    assert arp_holder(packet, bytes((10, 0, 0, 254)), 1, 6) is None


def test_attributes_survive_damage():
    assert attributes(attribute(1, b"abc") + attribute(2, b"") + attribute(0x8003, b"nested")) == {
        1: b"abc", 2: b"", 3: b"nested",
    }  # fmt: skip
    for damaged in (b"\0", b"\0\0\1\0", b"\3\0\1\0abc", b"\xff\xff\1\0x"):
        attributes(damaged)


# Which code runs for a name


@pytest.fixture
def machine(tmp_path):
    """(config_dir, root, write): a made-up machine's directories."""

    def write(path, mode=0o755, content="#!/bin/sh\n"):
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
        file.chmod(mode)
        return str(file)

    return str(tmp_path / "ha.d"), str(tmp_path), write


def test_the_order_of_the_places(machine):
    config_dir, root, write = machine
    places = [
        write("ha.d/resource.d/web"),
        write("etc/init.d/web"),
        write("usr/lib/systemd/system/web.service", 0o644),
        write("usr/lib/ocf/resource.d/heartbeat/web"),
    ]
    write("usr/bin/systemctl")
    for place in places:
        assert resolve("web", [], config_dir=config_dir, root=root).origin == place
        os.unlink(place)
    assert resolve("web", [], config_dir=config_dir, root=root) is None


@pytest.mark.parametrize("name", ["IPaddr", "MailTo"])
def test_the_operators_script_comes_first_where_he_says_so(machine, name):
    config_dir, root, write = machine
    script = write(f"ha.d/resource.d/{name}")
    assert resolve(name, ["x"], config_dir=config_dir, root=root).origin == "built in"
    found = resolve(name, ["x"], config_dir=config_dir, root=root, builtin_first=False)
    assert (found.origin, found.kind) == (script, "spawned")
    os.unlink(script)
    assert resolve(name, ["x"], config_dir=config_dir, root=root, builtin_first=False).origin == "built in"


def test_only_executable_files_are_scripts(machine):
    config_dir, root, write = machine
    write("ha.d/resource.d/web", 0o644)
    os.mkdir(f"{config_dir}/resource.d/directory")
    assert resolve("web", [], config_dir=config_dir, root=root) is None
    assert resolve("directory", [], config_dir=config_dir, root=root) is None
    script = write("etc/init.d/web")
    assert resolve("web", [], config_dir=config_dir, root=root).origin == script
    os.symlink(script, f"{config_dir}/resource.d/linked")
    assert resolve("linked", [], config_dir=config_dir, root=root) is not None


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", ".hidden", "-k", "../etc/passwd", "/bin/sh", "a/b", "a b", "a\nb", "a;b", "a$b", "ünicode",
     "x" * 65, "a\0"],
)  # fmt: skip
def test_a_name_is_a_file_name_and_nothing_more(machine, name):
    config_dir, root, write = machine
    write("bin/sh")
    assert resolve(name, [], config_dir=config_dir, root=root) is None


def test_the_kinds():
    for name in ("IPaddr", "IPaddr2", "IPv6addr", "SendArp"):
        agent = resolve(name, ["x"])
        assert isinstance(agent, Address)
        assert (agent.kind, agent.announcements_ns) == ("inline", (0, 200_000_000, 1_000_000_000, 2_000_000_000))
    mail, delay = resolve("MailTo", ["a@b.c"]), resolve("Delay", [])
    assert isinstance(mail, SpawnedAgent)
    assert (mail.detached, delay.detached) == (True, False)
    assert (mail.asks_status, delay.asks_status) == (False, False)
    assert mail.running(0, "") is None


# Scripts


def test_a_scripts_arguments_stand_before_the_action_and_no_shell_reads_them(machine):
    config_dir, root, write = machine
    script = write("ha.d/resource.d/web")
    agent = resolve("web", ["/etc/w.conf", "a b", "$(reboot)", ";"], config_dir=config_dir, root=root)
    for verb in ("start", "stop", "status"):
        assert agent.command(verb) == [script, "/etc/w.conf", "a b", "$(reboot)", ";", verb]
    assert agent.asks_status
    assert agent.running(3, "web is running")
    assert not agent.running(0, "web is stopped")


@pytest.mark.parametrize(
    ("output", "running"),
    [
        ("running", True), ("httpd (pid 12) is running...", True), ("Running", True), ("OK", True),
        ("... Running OK", True),
        ("not running", False), ("Not running", False), ("NOT Running", False), ("nOt running", False),
        ("not running OK", False), ("OK, but the other is not running", False), ("running; a is not running", False),
        ("stopped", False), ("", False), ("ok", False), ("RUNNING", False), ("is dead but pid file exists", False),
        ("isn't running", True), ("cannot running", False), ("not  running", True), ("notrunning", True),
        ("knot running", False), ("0 running", True), ("start/running, process 1", True), ("NOK", True),
    ],
)  # fmt: skip
def test_what_counts_as_running(output, running):
    """As the original: protocol/resources.md §4, oddities and all."""
    assert says_running(output) is running


def test_what_our_own_agents_print_is_judged_rightly():
    assert says_running("running\n")
    assert not says_running("stopped\n")


def test_a_systemd_unit(machine):
    config_dir, root, write = machine
    write("usr/lib/systemd/system/web.service", 0o644)
    assert resolve("web", [], config_dir=config_dir, root=root) is None, "no systemctl, no systemd"
    write("usr/bin/systemctl")
    agent = resolve("web", [], config_dir=config_dir, root=root)
    assert agent.command("start") == ["/usr/bin/systemctl", "start", "--", "web.service"]
    assert agent.command("stop") == ["/usr/bin/systemctl", "stop", "--", "web.service"]
    assert agent.command("status") == ["/usr/bin/systemctl", "is-active", "--quiet", "--", "web.service"]
    assert (agent.asks_status, agent.running(0, ""), agent.running(3, "")) == (False, True, False)
    assert resolve("web", ["argument"], config_dir=config_dir, root=root) is None


def test_a_masked_unit_and_a_template(machine):
    config_dir, root, write = machine
    write("usr/bin/systemctl")
    write("usr/lib/systemd/system/web.service", 0o644)
    write("usr/lib/systemd/system/vpn@.service", 0o644)
    os.makedirs(f"{root}/etc/systemd/system")
    os.symlink("/dev/null", f"{root}/etc/systemd/system/web.service")
    assert resolve("web", [], config_dir=config_dir, root=root) is None
    assert resolve("vpn@office", [], config_dir=config_dir, root=root).command("start")[-1] == "vpn@office.service"
    assert resolve("other@office", [], config_dir=config_dir, root=root) is None


# OCF


def test_an_ocf_agent_by_its_full_name(machine):
    config_dir, root, write = machine
    path = write("usr/lib/ocf/resource.d/linbit/drbd")
    agent = resolve("ocf:linbit:drbd", ["drbd_resource=r0", "note=a=b c"], config_dir=config_dir, root=root)
    assert agent.origin == path
    assert [agent.command(verb) for verb in ("start", "stop", "status")] == [
        [path, "start"], [path, "stop"], [path, "monitor"],
    ]  # fmt: skip
    told = agent.environment
    assert told["OCF_RESKEY_drbd_resource"] == "r0"
    assert told["OCF_RESKEY_note"] == "a=b c"
    assert (told["OCF_RESOURCE_PROVIDER"], told["OCF_RESOURCE_TYPE"]) == ("linbit", "drbd")
    assert (told["OCF_ROOT"], told["OCF_RA_VERSION_MAJOR"]) == ("/usr/lib/ocf", "1")
    assert told["OCF_RESOURCE_INSTANCE"].replace("_", "").isalnum(), "agents make file names of it"
    assert agent.asks_status
    assert [agent.running(code, "") for code in (0, 7, 8, 1, 5)] == [True, False, True, None, None]


def test_the_originals_positional_arguments(machine):
    config_dir, root, write = machine
    write("usr/lib/ocf/resource.d/heartbeat/Filesystem")
    agent = resolve("Filesystem", ["/dev/sda1", "/srv", "ext4"], config_dir=config_dir, root=root)
    given = {key: value for key, value in agent.environment.items() if key.startswith("OCF_RESKEY_")}
    assert given == {
        "OCF_RESKEY_device": "/dev/sda1", "OCF_RESKEY_directory": "/srv", "OCF_RESKEY_fstype": "ext4",
    }  # fmt: skip
    with pytest.raises(AgentError, match="write parameter 'e' as name=value"):
        resolve("Filesystem", ["a", "b", "c", "d", "e"], config_dir=config_dir, root=root)
    write("usr/lib/ocf/resource.d/heartbeat/Dummy")
    with pytest.raises(AgentError):
        resolve("ocf:heartbeat:Dummy", ["value"], config_dir=config_dir, root=root)


@pytest.mark.parametrize("name", ["ocf:heartbeat", "ocf:a:b:c", "lsb:heartbeat:web", "ocf:..:web", "ocf::web"])
def test_other_names_with_colons_are_nobodys(machine, name):
    config_dir, root, write = machine
    write("usr/lib/ocf/resource.d/heartbeat/web")
    write("usr/lib/ocf/resource.d/web")
    assert resolve(name, [], config_dir=config_dir, root=root) is None


def test_the_originals_ocf_wrapper(machine):
    config_dir, root, write = machine
    path = write("usr/lib/ocf/resource.d/acme/web")
    assignments = (
        '# a comment\n\nOCF_RESKEY_port=8080\nexport OCF_RESKEY_root="/srv/my web"\n'
        "OCF_RESKEY_note='costs $5'   \nstatusurl=http://localhost/ # where to look\n"
    )
    write("ha.d/conf/OCF/web/one", 0o644, assignments)
    agent = resolve("OCF", ["web", "one"], config_dir=config_dir, root=root)
    assert agent.command("start") == [path, "start"]
    given = {key: value for key, value in agent.environment.items() if key.startswith("OCF_RESKEY_")}
    assert given == {
        "OCF_RESKEY_port": "8080", "OCF_RESKEY_root": "/srv/my web", "OCF_RESKEY_note": "costs $5",
        "OCF_RESKEY_statusurl": "http://localhost/",
    }  # fmt: skip
    assert resolve("OCF", ["absent", "one"], config_dir=config_dir, root=root) is None
    assert resolve("OCF", ["web", "../one"], config_dir=config_dir, root=root) is None
    with pytest.raises(AgentError, match="No such file"):
        resolve("OCF", ["web", "two"], config_dir=config_dir, root=root)


@pytest.mark.parametrize(
    "line", ["a=$(reboot)", 'a="$HOME"', "a=`id`", "a=b c", "if true", "a-b=c", "rm -rf /", "a=b;c", "=x"]
)
def test_a_parameter_file_is_not_a_program(tmp_path, line):
    file = tmp_path / "one"
    file.write_text(f"good=1\n{line}\n")
    with pytest.raises(AgentError, match=f"{file}:2: "):
        ocf_parameter_file(str(file))


# Delay


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [([], (10, 30)), (["5"], (5, 30)), (["5", "1.5"], (5, 1.5)), (["", "2"], (10, 2)), (["0", "0"], (0, 0))],
)
def test_the_times_of_a_delay(arguments, expected):
    assert seconds(arguments) == expected


@pytest.mark.parametrize("arguments", [["x"], ["-1"], ["1e9"], ["1.2.3"], ["."], ["86401"], ["1", "2", "3"], ["inf"]])
def test_a_bad_delay_is_refused(arguments):
    with pytest.raises(AgentError):
        seconds(arguments)


def test_a_delay_waits_and_is_divided():
    def run(*words, divisor="1"):
        begun = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-I", "-m", "heartbeat.agents", "Delay", *words],
            env={"HEARTBEAT_TIME_DIVISOR": divisor},
            capture_output=True,
            text=True,
            timeout=25,
            check=False,
        )
        return done.returncode, done.stdout, time.monotonic() - begun

    code, _, took_s = run("30", "0", "start", divisor="100")
    assert code == 0
    assert took_s >= 0.3
    assert run("30", "30", "stop", divisor="1000")[0] == 0
    assert run("30", "30", "status")[:2] == (7, "stopped\n")
    assert run("many", "start")[0] == 2


# MailTo's arguments (its mails: test_agents_mail.py)


@pytest.mark.parametrize(
    ("arguments", "recipients", "subject"),
    [
        (["root"], ["root"], "Resource Group"),
        (["alerts@myworkaddress.com", "JuliusCaesar"], ["alerts@myworkaddress.com"], "JuliusCaesar"),
        (["a@b.c, d+e@f.example,,g@[10.0.0.1]", ""], ["a@b.c", "d+e@f.example", "g@[10.0.0.1]"], "Resource Group"),
        (["a@b.c", "Zürich\r\nBcc: all@b.c"], ["a@b.c"], "Zürich  Bcc: all@b.c"),
        (["a@b.c", "x" * 500], ["a@b.c"], "x" * 200),
        (["a@b.c", "\udcff"], ["a@b.c"], " "),
    ],
)
def test_mail_arguments(arguments, recipients, subject):
    assert parse(arguments) == (recipients, subject)


@pytest.mark.parametrize(
    "address",
    ["", ",", "a b@c.d", "a@b@c", "@b.c", "a@", "-oQ/tmp", "-f@b.c", "a@b.c\nBcc: x@y.z", "a@b.c\r", "a;b@c.d",
     "a@b.c>", "<a@b.c>", '"a"@b.c', "a@b.c(x)", "ä@b.c", "a" * 255],
)  # fmt: skip
def test_an_address_that_could_be_something_else_is_refused(address):
    with pytest.raises(AgentError) as caught:
        parse([address])
    assert caught.value.code == 2
    with pytest.raises(AgentError):
        resolve("MailTo", [address]).validate()


# The daemon's memory


def test_what_the_daemon_imports_is_small():
    """Whatever costs a megabyte stays out of the process that has to be small and ready."""
    large = {
        "asyncio", "ctypes", "dataclasses", "email", "enum", "hashlib", "inspect", "ipaddress", "logging", "pathlib",
        "pyroute2", "re", "shutil", "smtplib", "socket", "ssl", "subprocess", "typing", "urllib",
    }  # fmt: skip
    code = (
        f"import sys; sys.path[:0] = {[str(Path(__file__).parents[2]), *filter(None, sys.path)]!r}\n"
        "from heartbeat import agents\n"
        "agents.resolve('MailTo', ['a@b.c']).validate()\n"
        "agents.resolve('Delay', []).validate()\n"
        "agents.resolve('IPaddr', ['10.255.255.254']).status()\n"
        f"print(*sorted(sys.modules.keys() & {large!r}))"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_the_package_says_what_it_offers():
    assert all(hasattr(agents, name) for name in agents.__all__)
