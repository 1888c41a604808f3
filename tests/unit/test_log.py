"""The log: the original's forms, and a writer that neither raises nor waits, whatever reads it."""

from __future__ import annotations

import os
import re
import select
import socket
import stat
import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heartbeat import log as log_module
from heartbeat.core.actions import CRIT, DEBUG, ERROR, INFO, NOTICE, WARN
from heartbeat.log import LINE_OCTETS, Log, printable, severity_of
from heartbeat.poller import Poller

STAMP = r"[A-Z][a-z]{2} \d\d \d\d:\d\d:\d\d"
OLD_STAMP = r"\d{4}/\d\d/\d\d_\d\d:\d\d:\d\d"
HOST = re.escape(os.uname().nodename)
PID = os.getpid()


@pytest.fixture(autouse=True)
def no_leftovers():
    yield
    deadline_s = time.monotonic() + 5
    while log_module._cats and time.monotonic() < deadline_s:
        log_module._reap_cats()
    assert log_module._cats == [], "processes behind files"


def lines(path) -> list[str]:
    with open(path, encoding="utf-8") as file:
        return file.read().splitlines()


def texts(path) -> list[str]:
    return [line.split(": ", 3)[-1] for line in lines(path)]


# files


def test_the_forms_of_a_file(tmp_path):
    log = Log(logfile=f"{tmp_path}/log")
    for severity in (INFO, NOTICE, WARN, ERROR, CRIT):
        log.write(severity, f"line {severity}")
    log.close()
    pattern = rf"{STAMP} {HOST} heartbeat: \[{PID}\]: (\w+): line \d"
    labels = [re.fullmatch(pattern, line) for line in lines(f"{tmp_path}/log")]
    assert [label and label[1] for label in labels] == ["info", "notice", "WARN", "ERROR", "CRIT"]


def test_the_day_has_two_digits(tmp_path, monkeypatch):
    monkeypatch.setattr(log_module.time, "time", lambda: 1_796_300_000)  # early in December
    log = Log(logfile=f"{tmp_path}/log")
    log.write(INFO, "x")
    log.close()
    assert lines(f"{tmp_path}/log")[0].startswith("Dec 03 ")


def test_the_forms_without_syslogmsgfmt(tmp_path):
    log = Log("ipfail", logfile=f"{tmp_path}/log", syslogmsgfmt=False)
    log.write(WARN, "line")
    log.close()
    assert re.fullmatch(rf"ipfail\[{PID}\]: {OLD_STAMP} WARN: line", lines(f"{tmp_path}/log")[0])


def test_the_log_file_gets_all_but_debugging_the_debug_file_all(tmp_path):
    log = Log(logfile=f"{tmp_path}/log", debugfile=f"{tmp_path}/debug", debug=1)
    log.write(DEBUG, "small")
    log.write(INFO, "large")
    log.close()
    assert texts(f"{tmp_path}/log") == ["large"]
    assert texts(f"{tmp_path}/debug") == ["small", "large"]


def test_debugging_is_off_until_it_is_wanted(tmp_path):
    log = Log(debugfile=f"{tmp_path}/debug")
    log.write(DEBUG, "one")
    log.debug = 1
    log.write(DEBUG, "two")
    log.close()
    assert texts(f"{tmp_path}/debug") == ["two"]


def test_a_file_is_appended_to_with_mode_0640(tmp_path):
    before = os.umask(0)
    try:
        for text in ("one", "two"):
            log = Log(logfile=f"{tmp_path}/log")
            log.write(INFO, text)
            log.close()
    finally:
        os.umask(before)
    assert texts(f"{tmp_path}/log") == ["one", "two"]
    assert stat.S_IMODE(os.stat(f"{tmp_path}/log").st_mode) == 0o640


def test_a_path_is_no_shell_word(tmp_path):
    path = f"{tmp_path}/a $(echo oops) 'b\" -n"
    log = Log(logfile=path)
    log.write(INFO, "x")
    log.close()
    assert texts(path) == ["x"]


def test_after_logrotate_lines_go_to_the_new_file(tmp_path):
    log = Log(logfile=f"{tmp_path}/log")
    log.write(INFO, "one")
    until(lambda: os.path.exists(f"{tmp_path}/log"))
    os.rename(f"{tmp_path}/log", f"{tmp_path}/log.1")
    log.write(INFO, "two")
    log.reopen()
    log.write(INFO, "three")
    log.close()
    assert texts(f"{tmp_path}/log.1") == ["one", "two"]
    assert texts(f"{tmp_path}/log") == ["three"]


def test_a_file_on_a_hung_disk_holds_nobody(tmp_path):
    """Opening a FIFO without a reader blocks for ever, and so would writing to it."""
    path = f"{tmp_path}/log"
    os.mkfifo(path)
    poller = Poller()
    log = Log(logfile=path)
    log.attach(poller)
    for number in range(10_000):
        log.write(INFO, f"line {number} {'x' * 500}")
    reader = os.open(path, os.O_RDONLY)  # the disk is back
    octets = b""
    while b" 9999 " not in octets and b"lost" not in octets:
        assert select.select([reader], [], [], 5)[0]
        octets += os.read(reader, 65536)
        poller.wait(0)
        if poller._callbacks == {}:  # all that waited has gone
            log.write(INFO, "next")
    log.close()
    os.close(reader)
    poller.close()
    written = [line for line in octets.decode().splitlines() if " line " in line]
    assert len(written) >= log_module.WAITING_LINES
    assert [line.split()[-2] for line in written] == [str(number) for number in range(len(written))]
    assert f" {10_000 - len(written)} lines were lost here" in octets.decode()


def test_a_file_that_cannot_be_written_is_tried_again(tmp_path, monkeypatch):
    monkeypatch.setattr(log_module, "RETRY_S", 0.0)
    log = Log(logfile=f"{tmp_path}/missing/log")
    log.write(INFO, "lost")
    until(lambda: os.waitid(os.P_PID, log_module._cats[-1], os.WEXITED | os.WNOHANG | os.WNOWAIT))
    os.mkdir(f"{tmp_path}/missing")
    log.write(INFO, "one")
    log.write(INFO, "two")
    log.close()
    # the first line waits for the next `cat`, where it found this one gone already
    assert texts(f"{tmp_path}/missing/log")[-2:] == ["one", "two"]


def test_configure_moves_the_log(tmp_path):
    log = Log(logfile=f"{tmp_path}/one")
    log.write(INFO, "1")
    log.configure(logfile=f"{tmp_path}/two", debug=1)
    log.write(DEBUG, "2")
    log.write(INFO, "3")
    log.close()
    assert texts(f"{tmp_path}/one") == ["1"]
    assert texts(f"{tmp_path}/two") == ["3"]


# what a line may be


@settings(max_examples=50)
@given(st.text())
def test_a_line_is_one_line_of_printable_text(text):
    shown = printable(text)
    assert shown.splitlines() in ([shown], [])
    assert not any(ord(letter) < 32 or 127 <= ord(letter) < 160 for letter in shown)


def test_control_characters_are_written_out(tmp_path):
    log = Log(logfile=f"{tmp_path}/log")
    log.write(INFO, "a\nJan 01 00:00:00 host forged: ERROR\t\r\x1b[2J\x00\x7f\x9b\u2028é")
    log.close()
    assert texts(f"{tmp_path}/log") == [r"a\nJan 01 00:00:00 host forged: ERROR\t\r\x1b[2J\x00\x7f\x9b\u2028é"]


def test_a_text_that_is_no_unicode_is_written_out(tmp_path):
    log = Log(logfile=f"{tmp_path}/log")
    log.write(INFO, b"caf\xe9".decode("utf-8", "surrogateescape"))
    log.close()
    assert texts(f"{tmp_path}/log") == [r"caf\udce9"]


def test_a_line_is_cut_at_a_kibibyte_between_two_characters(tmp_path):
    log = Log(logfile=f"{tmp_path}/log")
    for pad in range(4):
        log.write(INFO, "x" * pad + "€" * 2000)
    log.close()
    for line in lines(f"{tmp_path}/log"):
        assert LINE_OCTETS - 3 <= len(line.encode()) <= LINE_OCTETS
        assert line.endswith("€...")


@pytest.mark.parametrize(
    ("line", "severity"),
    [
        ("ERROR: no such interface", ERROR),
        ("2026/11/22 WARN: slow", WARN),
        ("WARNING slow", WARN),
        ("CRIT: fire", CRIT),
        ("DEBUG: x", DEBUG),
        ("INFO: fine", INFO),
        ("done, no error", INFO),
    ],
)
def test_the_severity_of_an_agents_line_is_in_its_words(line, severity):
    assert severity_of(line) == severity


def test_the_output_of_an_agent_has_its_name(tmp_path):
    log = Log(logfile=f"{tmp_path}/log")
    log.output("apache", "ERROR: no port")
    log.close()
    assert lines(f"{tmp_path}/log")[0].endswith("ERROR: apache: ERROR: no port")


# how often


def test_the_same_line_is_written_a_few_times_and_then_counted(tmp_path):
    log = Log(logfile=f"{tmp_path}/log")
    for _ in range(1000):
        log.write(WARN, "token mismatch")
        log.write(INFO, "something else happens in between")
    log.close()
    told = texts(f"{tmp_path}/log")
    assert told.count("token mismatch") == log_module.BURST_LINES
    assert f"last line repeated {1000 - log_module.BURST_LINES} times: token mismatch" in told
    assert len(told) == 2 * log_module.BURST_LINES + 2


def test_after_a_while_the_count_is_told_and_the_line_is_written_again(tmp_path, monkeypatch):
    log = Log(logfile=f"{tmp_path}/log")
    for _ in range(log_module.BURST_LINES + 2):
        log.write(WARN, "again")
    monkeypatch.setattr(log_module, "WINDOW_S", 0.0)
    log.write(WARN, "another")
    log.write(WARN, "again")
    log.close()
    assert texts(f"{tmp_path}/log")[log_module.BURST_LINES :] == [
        "last line repeated 2 times: again",
        "another",
        "again",
    ]


def test_lines_of_one_cause_are_limited_though_they_differ(tmp_path):
    log = Log(logfile=f"{tmp_path}/log")
    for number in range(1000):
        log.write(WARN, f"bad packet {number}", cause="bad packet")
    log.close()
    told = texts(f"{tmp_path}/log")
    assert len(told) == log_module.BURST_LINES + 1
    assert told[-1] == f"{1000 - log_module.BURST_LINES} more lines like this one: bad packet 999"


def test_different_lines_are_all_written(tmp_path):
    log = Log(logfile=f"{tmp_path}/log")
    for number in range(1000):
        log.write(INFO, f"taking address {number}")
    log.close()
    assert len(lines(f"{tmp_path}/log")) == 1000
    assert len(log._causes) == 0


def test_what_is_counted_is_bounded():
    log = Log(logfile="/dev/null")
    for number in range(5000):
        log.write(INFO, f"line {number}")
    assert len(log._causes) == log_module.CAUSES
    log.close()


def test_an_agent_that_prints_a_megabyte_drowns_nobody(tmp_path):
    log = Log(logfile=f"{tmp_path}/log")
    for number in range(20_000):
        log.output("noisy", f"{number} {'x' * 50}")
    log.output("quiet", "important")
    log.close()
    told = texts(f"{tmp_path}/log")
    assert len(told) == log_module.OUTPUT_BURST_LINES + 2
    assert "quiet: important" in told


# syslog


@pytest.fixture
def syslogd(tmp_path, monkeypatch):
    path = f"{tmp_path}/dev-log"
    monkeypatch.setattr(log_module, "SYSLOG_SOCKET", path)
    return listening(path)


def listening(path: str) -> socket.socket:
    server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    server.bind(path)
    server.setblocking(False)
    return server


def datagrams(server: socket.socket) -> list[str]:
    found = []
    while True:
        try:
            found.append(server.recv(4096).decode())
        except BlockingIOError:
            return found


@pytest.mark.parametrize(
    ("severity", "priority", "label"),
    [(DEBUG, 7, "debug"), (INFO, 6, "info"), (NOTICE, 5, "notice"), (WARN, 4, "WARN"), (ERROR, 3, "ERROR"),
     (CRIT, 2, "CRIT")],
)  # fmt: skip
def test_the_form_of_syslog(syslogd, severity, priority, label):
    log = Log(logfacility="local3", debug=1)
    log.write(severity, "line")
    pattern = rf"<{19 * 8 + priority}>[A-Z][a-z]{{2}} [ \d]\d \d\d:\d\d:\d\d heartbeat: \[{PID}\]: {label}: line"
    assert [re.fullmatch(pattern, one) is not None for one in datagrams(syslogd)] == [True]
    log.close()


def test_in_the_background_without_directives_syslogs_daemon_facility(syslogd):
    log = Log(foreground=False)
    log.write(INFO, "line")
    assert datagrams(syslogd)[0].startswith("<30>")
    log.close()


def test_a_syslog_daemon_that_does_not_read_holds_nobody(syslogd):
    poller = Poller()
    log = Log(logfacility="daemon")
    log.attach(poller)
    for number in range(5000):
        log.write(INFO, f"line {number}")
    told: list[str] = []
    while True:
        read = datagrams(syslogd)
        told += read
        if not read:
            break
        poller.wait(0.1)  # what waits comes by itself as soon as there is room
    assert len(told) > log_module.WAITING_LINES
    assert told[0].endswith("line 0")
    assert f"line {len(told) - 1}" in told[-1], "in order, without a hole"
    log.write(INFO, "next")
    told += datagrams(syslogd)
    assert told[-1].endswith(f"{5000 - (len(told) - 2)} lines were lost here: the log could not keep up")
    poller.wait(0)
    assert poller._callbacks == {}, "nothing waits, so nothing is watched"
    log.close()
    poller.close()


def test_a_syslog_daemon_that_is_restarted_gets_the_next_lines(syslogd):
    log = Log(logfacility="daemon")
    log.write(INFO, "one")
    path = syslogd.getsockname()
    syslogd.close()
    os.unlink(path)
    log.write(INFO, "two")
    log.write(INFO, "three")
    again = listening(path)
    log._destinations[0]._retry_s = 0.0  # five seconds later
    log.write(INFO, "four")
    assert [one.rpartition(" ")[2] for one in datagrams(again)] == ["two", "three", "four"]
    log.close()


def test_without_a_syslog_daemon_lines_go_to_stderr_and_wait(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(log_module, "SYSLOG_SOCKET", f"{tmp_path}/none")
    log = Log(logfacility="daemon")
    log.write(INFO, "line")
    server = listening(f"{tmp_path}/none")
    log._destinations[0]._retry_s = 0.0
    log.close()
    assert "info: line" in capfd.readouterr().err
    assert len(datagrams(server)) == 1


def test_logfacility_none_is_no_syslog(syslogd, capfd):
    log = Log(logfacility="none")
    log.write(INFO, "line")
    log.close()
    assert datagrams(syslogd) == []
    assert capfd.readouterr().err.endswith("info: line\n")


# stderr


def run(code: str, stderr: int, **environment: str) -> subprocess.Popen[str]:
    """A process of its own, whose descriptor 2 is what the test made."""
    return subprocess.Popen(
        [sys.executable, "-c", f"from heartbeat.log import *\nfrom heartbeat.core.actions import *\n{code}"],
        stderr=stderr, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment},
    )  # fmt: skip


WRITE_MANY = "log = Log()\nfor n in range(20000): log.write(INFO, f'line {n}')\nprint('written')\n"


def test_a_pipe_that_nobody_reads_holds_nobody():
    reader, writer = os.pipe()
    process = run(WRITE_MANY, writer)
    assert process.stdout is not None
    assert process.stdout.readline() == "written\n"
    assert process.wait() == 0
    assert os.get_blocking(writer), "the descriptor is shared: its flags are not ours to change"
    os.close(writer)
    os.set_blocking(reader, False)
    assert b"info: line 0\n" in os.read(reader, 65536)
    os.close(reader)


def test_a_terminal_that_is_stopped_holds_nobody():
    """Ctrl-S in the operator's terminal: nothing is read from the other side."""
    master, slave = os.openpty()
    process = run(WRITE_MANY, slave)
    assert process.stdout is not None
    assert process.stdout.readline() == "written\n"
    assert process.wait() == 0
    assert b"info: line 0\r\n" in os.read(master, 65536)
    os.close(master)
    os.close(slave)


def test_the_journal_gets_priorities_and_no_time_and_holds_nobody():
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    found = os.fstat(theirs.fileno())
    process = run(
        f"log = Log()\nlog.write(CRIT, 'fire')\n{WRITE_MANY}",
        theirs.fileno(),
        JOURNAL_STREAM=f"{found.st_dev}:{found.st_ino}",
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "written\n"
    assert process.wait() == 0
    assert ours.recv(65536).decode().splitlines()[:2] == ["<2>CRIT: fire", "<6>info: line 0"]


def test_a_journal_that_is_not_ours_is_none():
    """A child of a service, with a stderr of its own, inherits the variable."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    process = run("Log().write(CRIT, 'fire')", theirs.fileno(), JOURNAL_STREAM="8:1234")
    assert process.wait() == 0
    assert re.fullmatch(rf"{STAMP} {HOST} heartbeat: \[{process.pid}\]: CRIT: fire\n", ours.recv(65536).decode())


def test_a_plain_file_is_shared_with_others_who_write_to_it(tmp_path):
    with open(f"{tmp_path}/err", "w") as file:
        process = run(
            "import os\nos.write(2, b'theirs 1\\n')\nlog = Log()\nlog.write(INFO, 'ours 1')\n"
            "os.write(2, b'theirs 2\\n')\nlog.write(INFO, 'ours 2')",
            file.fileno(),
        )
        assert process.wait() == 0
    assert [line.split(": ")[-1] for line in lines(f"{tmp_path}/err")] == ["theirs 1", "ours 1", "theirs 2", "ours 2"]


def test_a_closed_stderr_raises_nothing():
    process = run("import os\nos.close(2)\nlog = Log()\nlog.write(INFO, 'x')\nlog.close()\nprint('ok')", 2)
    assert process.stdout is not None
    assert process.stdout.read() == "ok\n"
    assert process.wait() == 0


def test_lines_that_wait_for_a_pipe_go_when_it_is_read():
    reader, writer = os.pipe()
    saved = os.dup(2)
    os.dup2(writer, 2)
    try:
        poller = Poller()
        log = Log()
        log.attach(poller)
        for number in range(2000):
            log.write(INFO, f"line {number}")
        octets = b""
        while b"line 1999\n" not in octets:
            assert select.select([reader], [], [], 5)[0]
            octets += os.read(reader, 65536)
            poller.wait(0)
        log.close()
    finally:
        os.dup2(saved, 2)
        for fd in (saved, reader, writer):
            os.close(fd)
    assert octets.count(b"\n") == 2000


# as a part of the daemon


def test_the_daemon_pays_for_no_logging_package():
    code = (
        "import sys, heartbeat.log\n"
        "heavy = {'logging', 'subprocess', 'asyncio', 'typing', 'dataclasses', 'pathlib', 'contextlib', 're'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    # -S: site may load some of them for its own sake
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    shown = subprocess.run([sys.executable, "-S", "-c", code], env=environment, stdout=subprocess.PIPE, check=True)
    assert shown.stdout == b"[]\n"


def until(condition, timeout_s: float = 5.0) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.001)
