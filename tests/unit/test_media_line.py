"""Serial lines: real ptys through both backends, and a UART in virtual time for what a pty lacks (rate, CTS, BREAK).

Instants are arguments, so nothing here waits for a clock.
"""

import errno
import fcntl
import os
import pty
import select
import subprocess
import sys
import termios
import tty
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heartbeat import media
from heartbeat.core.actions import NORMAL, STATUS, URGENT
from heartbeat.media import line as line_module
from heartbeat.media.line import BREAK_NS, LOOK_OCTETS, RESYNC, SPEEDS, STALL_NS
from heartbeat.media.tty import TermiosLine

try:
    from heartbeat.media.serial import PyserialLine
except ImportError:
    PyserialLine = None

SECOND = 1_000_000_000
START = 1_000 * SECOND

BACKENDS = [
    pytest.param(TermiosLine, id="termios"),
    pytest.param(PyserialLine, id="pyserial", marks=pytest.mark.skipif(not PyserialLine, reason="no pyserial here")),
]


def configured(device, baud=19200, divisor=1):
    return SimpleNamespace(name=device, type="serial", device=device, baud=baud, rate_bits_per_s=baud * divisor)


def frame_of(text, size=0):
    """A frame of at least `size` octets. Its last field stands for the signature."""
    end = b"\nauth=good\n<<<\n"
    return (b">>>\nn=%s" % text.encode()).ljust(size - len(end), b"x") + end


def frames_in(stream):
    """The names of the frames that a reader like the original's finds (protocol/wire.md §10.3): lines are skipped up
    to one that starts with `>>>` and collected up to one that starts with `<<<`; a start within is no start."""
    names, block = [], None
    for text in stream.split(b"\n"):
        if block is None:
            block = [] if text.startswith(b">>>") else None
        elif not text.startswith(b"<<<"):
            block.append(text)
        else:
            if block[-1:] == [b"auth=good"] and all(b"=" in field for field in block):
                names.append(block[0].removeprefix(b"n=").rstrip(b"x").decode())
            block = None
    return names


class Port:
    """The device under a Line is a pty's slave; `far` is what is at the other end of the cable."""

    def __init__(self):
        self.far, slave = pty.openpty()
        tty.setraw(self.far)
        os.set_blocking(self.far, False)
        self.device = os.ttyname(slave)
        os.close(slave)

    def unplug(self):
        if self.far >= 0:
            os.close(self.far)
            self.far = -1

    def arrived(self):
        """What arrived at the far end; b"" where nothing has."""
        data = b""
        while True:
            try:
                data += os.read(self.far, 65536)
            except BlockingIOError:
                return data


@pytest.fixture
def port():
    port = Port()
    yield port
    port.unplug()


@pytest.fixture
def opened(tmp_path):
    """opened(backend, device, …) → an open medium, closed after the test."""
    media_open = []

    def make(backend, device, **options):
        medium = backend(configured(device, **options), str(tmp_path))
        medium.open()
        media_open.append(medium)
        return medium

    yield make
    for medium in media_open:
        medium.close()


def run_out(medium, now=START):
    """Let virtual time pass until the medium wants nothing more; returns when that was."""
    for _ in range(10_000):
        due = medium.deadline()
        if due is None:
            return now
        now = max(now, due)
        medium.flush(now)
    raise AssertionError("the medium never comes to rest")


def wait_readable(fd, seconds=5):
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    return bool(poller.poll(seconds * 1000))


# opening


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("baud", SPEEDS)
def test_the_line_is_set_as_the_original_sets_it(backend, baud, port, opened):
    slave = os.open(port.device, os.O_RDWR | os.O_NOCTTY)
    try:
        before = termios.tcgetattr(slave)
        before[0] |= termios.IXON | termios.IXOFF | termios.ICRNL | termios.IGNBRK | termios.PARMRK
        before[1] |= termios.OPOST
        before[2] |= termios.CSTOPB
        before[3] |= termios.ICANON | termios.ECHO | termios.ISIG
        termios.tcsetattr(slave, termios.TCSANOW, before)
        medium = opened(backend, port.device, baud=baud)
        iflag, oflag, cflag, lflag, ispeed, ospeed, cc = termios.tcgetattr(slave)
    finally:
        os.close(slave)
    assert (ispeed, ospeed) == (getattr(termios, f"B{baud}"),) * 2
    assert iflag & (termios.INPCK | termios.ISTRIP | termios.IGNCR | termios.BRKINT) == (
        termios.INPCK | termios.ISTRIP | termios.IGNCR | termios.BRKINT
    )
    assert not iflag & (termios.IGNBRK | termios.IUCLC | termios.IXANY | termios.IXOFF | termios.IXON | termios.ICRNL)
    assert not iflag & termios.PARMRK
    assert not oflag & termios.OPOST
    assert cflag & termios.CSIZE == termios.CS8
    assert cflag & (termios.CREAD | termios.CLOCAL | termios.CRTSCTS) == (
        termios.CREAD | termios.CLOCAL | termios.CRTSCTS
    )
    assert not cflag & (termios.PARENB | termios.CSTOPB)
    assert not lflag & (termios.ICANON | termios.ECHO | termios.ISIG)
    assert (cc[termios.VMIN], cc[termios.VTIME]) == (1, 1)
    fd = medium.fileno()
    assert not os.get_blocking(fd)
    assert not os.get_inheritable(fd)


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_waited_before_it_was_opened_is_forgotten(backend, port, opened):
    slave = os.open(port.device, os.O_RDWR | os.O_NOCTTY)
    tty.setraw(slave)
    os.write(port.far, b"old")
    assert wait_readable(slave)
    medium = opened(backend, port.device)
    os.close(slave)
    os.write(port.far, b"new\n")
    assert wait_readable(medium.fileno())
    assert medium.receive() == [b"new\n"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_it_does_not_become_the_controlling_terminal(backend, port, tmp_path):
    code = f"""
import os
from types import SimpleNamespace
from {backend.__module__} import {backend.__name__}
os.setsid()
medium = {backend.__name__}(SimpleNamespace(**{vars(configured(port.device))!r}), {str(tmp_path)!r})
medium.open()
try:
    os.open("/dev/tty", os.O_RDWR)
except OSError as error:
    print(error.errno)
"""
    # in a new process group of the test's session, so that setsid() is allowed
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == f"{errno.ENXIO}\n"


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("device", "number", "text"),
    [
        ("/dev/no-such-tty", errno.ENOENT, "no such device"),
        ("/dev/null", errno.ENOTTY, "not a serial port"),
        ("/etc/passwd", errno.ENOTTY, "not a serial port"),
    ],
)
def test_a_device_that_is_absent_or_no_tty_is_refused_in_plain_words(backend, device, number, text, tmp_path):
    medium = backend(configured(device), str(tmp_path))
    for _ in range(2):
        with pytest.raises(OSError) as caught:
            medium.open()
        assert caught.value.errno == number
        assert caught.value.strerror.startswith(f"{device}: ")
        assert text in caught.value.strerror
        assert medium.fileno() == -1
        assert os.listdir(tmp_path) == []
    medium.close()


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_driver_that_cannot_do_the_speed_is_found_out(backend, port, tmp_path, monkeypatch):
    def half_done(fd, when, attributes):
        termios.tcsetattr(fd, when, [*attributes[:4], termios.B9600, termios.B9600, attributes[6]])

    monkeypatch.setattr(line_module, "termios", Patched(termios, tcsetattr=half_done))
    medium = backend(configured(port.device, baud=460800), str(tmp_path))
    with pytest.raises(OSError, match="refuses these settings") as caught:
        medium.open()
    assert caught.value.errno == errno.EINVAL
    assert os.listdir(tmp_path) == []


# exclusive use

HOLDER = """
import sys
from types import SimpleNamespace
from heartbeat.media.tty import TermiosLine
medium = TermiosLine(SimpleNamespace(name="x", device=sys.argv[1], baud=9600, rate_bits_per_s=9600), sys.argv[2])
medium.open()
print("open", flush=True)
input()
"""


@pytest.fixture
def holder(port):
    """holder(lock_dir): another process has the port open."""
    running = []

    def start(lock_dir):
        argv = [sys.executable, "-c", HOLDER, port.device, str(lock_dir)]
        process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        running.append(process)
        assert process.stdout.readline() == "open\n"
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_port_that_another_process_has_is_refused_and_the_process_named(backend, port, holder, tmp_path):
    other = holder(tmp_path)
    medium = backend(configured(port.device), str(tmp_path))
    with pytest.raises(OSError) as caught:
        medium.open()
    assert caught.value.errno == errno.EBUSY
    assert f"process {other.pid} " in caught.value.strerror
    # killed, it leaves its lock file behind
    other.kill()
    other.wait()
    assert len(os.listdir(tmp_path)) == 1
    medium.open()
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"%10d\n" % os.getpid()]
    medium.close()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_port_is_refused_also_where_the_lock_directories_differ(backend, port, holder, tmp_path):
    holder(tmp_path / "theirs")
    slave = os.open(port.device, os.O_RDWR | os.O_NOCTTY)
    before = termios.tcgetattr(slave)
    medium = backend(configured(port.device, baud=115200), str(tmp_path / "ours"))
    with pytest.raises(OSError) as caught:
        medium.open()
    assert caught.value.errno == errno.EAGAIN
    assert "another program" in caught.value.strerror
    # and the owner's settings are as they were
    assert termios.tcgetattr(slave) == before
    os.close(slave)
    assert os.listdir(tmp_path / "ours") == []


@pytest.mark.parametrize("backend", BACKENDS)
def test_who_asks_no_lock_is_kept_out_by_the_driver_while_the_port_is_open(backend, port, opened):
    """Root alone is let in by TIOCEXCL, so the flag itself is looked at, and an ordinary user is tried."""
    medium = opened(backend, port.device)
    tiocgexcl = 0x80045440

    def exclusive(fd):
        return bool(int.from_bytes(fcntl.ioctl(fd, tiocgexcl, bytes(4)), sys.byteorder))

    assert exclusive(medium.fileno())
    if os.geteuid() == 0:
        os.chmod(port.device, 0o666)
        code = f"import os\nos.setgid(65534); os.setuid(65534)\ntry: os.open({port.device!r}, os.O_RDWR | os.O_NOCTTY)"
        code += "\nexcept OSError as error: print(error.errno)"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout == f"{errno.EBUSY}\n"
    keep = os.dup(medium.fileno())
    medium.close()
    assert not exclusive(keep)
    os.close(keep)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_port_known_by_a_link_is_locked_by_both_names(backend, port, tmp_path):
    link = tmp_path / "by-id"
    link.symlink_to(port.device)
    locks = tmp_path / "locks"
    medium = backend(configured(str(link)), str(locks))
    medium.open()
    kernels_name = "LCK..pts" + port.device.rpartition("/")[2]
    assert kernels_name in os.listdir(locks)
    assert len(os.listdir(locks)) == 2
    medium.close()
    assert os.listdir(locks) == []


# sending and receiving


@pytest.mark.parametrize("backend", BACKENDS)
def test_frames_arrive_and_what_the_far_end_sends_is_received(backend, port, opened):
    medium = opened(backend, port.device)
    medium.send(frame_of("1"), NORMAL, START)
    medium.send(frame_of("2"), NORMAL, START)
    end = run_out(medium)
    assert port.arrived() == frame_of("1") + frame_of("2")
    assert medium.quiet(end + SECOND)
    assert medium.receive() == []
    os.write(port.far, b">>>\r\na=\xe1\r\n<<<\r\n")
    assert wait_readable(medium.fileno())
    # the eighth bit and carriage returns are stripped by the driver
    assert medium.receive() == [b">>>\na=a\n<<<\n"]
    assert medium.receive() == []


@pytest.mark.parametrize("backend", BACKENDS)
def test_receive_is_bounded_per_call(backend, port, opened):
    medium = opened(backend, port.device)
    sent = received = 0
    while True:
        try:
            sent += os.write(port.far, b"x" * 1000)
        except BlockingIOError:
            break
    while received < sent:
        assert wait_readable(medium.fileno())
        chunks = medium.receive()
        assert len(chunks) <= 1
        assert all(len(chunk) <= 4096 for chunk in chunks)
        received += sum(map(len, chunks))
    assert received == sent
    assert sent > 4096


@pytest.mark.parametrize("backend", BACKENDS)
def test_hang_up_is_an_error_and_the_port_can_be_opened_again_when_it_is_back(backend, tmp_path):
    port = Port()
    link = tmp_path / "tty"
    link.symlink_to(port.device)
    medium = backend(configured(str(link)), str(tmp_path / "locks"))
    medium.open()
    medium.send(frame_of("1"), STATUS, START)
    run_out(medium)
    port.unplug()
    link.unlink()
    assert wait_readable(medium.fileno())
    with pytest.raises(OSError, match="hung up"):
        medium.receive()
    with pytest.raises(OSError, match="hung up"):
        medium.send(frame_of("2"), STATUS, START + SECOND)
    medium.close()
    medium.close()
    assert medium.fileno() == -1
    assert medium.deadline() is None
    with pytest.raises(OSError, match="no such device"):
        medium.open()
    other = Port()
    link.symlink_to(other.device)
    medium.open()
    medium.send(frame_of("3"), STATUS, START + 2 * SECOND)
    run_out(medium)
    # the frame that was cut is ended first, wherever it was cut
    assert other.arrived() == RESYNC + frame_of("3")
    assert os.listdir(tmp_path / "locks") != []
    medium.close()
    other.unplug()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("number", [errno.EIO, errno.ENODEV, errno.ENXIO])
def test_an_adapter_that_is_pulled_out_is_an_error_wherever_it_is_met(backend, number, port, opened, monkeypatch):
    """A pty hangs up with an empty read; a driver may say it by errors, of any of its calls."""
    medium = opened(backend, port.device)
    medium.send(frame_of("1"), STATUS, START)
    now = run_out(medium)

    def fail(*arguments):
        raise OSError(number, os.strerror(number))

    def fail_in_termios(*arguments):
        raise termios.error(number, os.strerror(number))

    medium.send(frame_of("2"), STATUS, now)
    medium.send(frame_of("3"), STATUS, now)
    due = medium.deadline()
    monkeypatch.setattr(line_module, "os", Patched(os, read=fail, write=fail))
    attempts = [medium.receive, lambda: medium.flush(due)]
    monkeypatch.setattr(line_module, "termios", Patched(termios, tcflush=fail_in_termios))
    for attempt in attempts:
        with pytest.raises(OSError, match="hung up") as caught:
            attempt()
        assert caught.value.errno == number
    monkeypatch.setattr(line_module, "os", os)
    medium.flush(due)
    medium.send(frame_of("4"), STATUS, due)
    monkeypatch.setattr(line_module, "fcntl", Patched(fcntl, ioctl=fail))
    with pytest.raises(OSError, match="hung up"):
        run_out(medium, due)
    medium.close()
    assert medium.fileno() == -1
    assert medium.quiet(due)


def test_a_port_that_hung_up_is_quiet(bench, monkeypatch):
    it = bench()

    def fail(*arguments):
        raise OSError(errno.EIO, "gone")

    monkeypatch.setattr(line_module, "fcntl", Patched(fcntl, ioctl=fail))
    assert it.line.quiet(it.now)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_far_end_that_does_not_read_never_blocks_us_and_finds_the_newest_status(backend, port, opened):
    """A pty that nobody reads takes some 12,000 octets and then nothing, as a UART whose CTS is down."""
    medium = opened(backend, port.device, baud=115200)
    now = START
    for number in range(300):
        medium.send(frame_of(f"{number}", 150), STATUS, now)
        now = run_out(medium, now) + SECOND
        if medium.dropped:
            break
    else:
        raise AssertionError("the pty took everything")
    stalled_at = number
    assert medium.dropped == 1
    first = port.arrived()
    medium.send(frame_of("after", 150), STATUS, now)
    run_out(medium, now)
    second = port.arrived()
    assert second == RESYNC + frame_of("after", 150)
    names = frames_in(first + second)
    assert names[-1] == "after"
    assert str(stalled_at) not in names


def test_two_backends_understand_each_other(opened):
    """A cable between two ports, both ways, whatever the backends."""
    ports = [Port(), Port()]
    backends = [TermiosLine, PyserialLine or TermiosLine]
    ends = [opened(backend, port.device) for backend, port in zip(backends, ports, strict=True)]
    received = [b"", b""]
    sent = [0, 0]
    now = START
    for number in range(20):
        for end in ends:
            end.send(frame_of(f"{end.device}.{number}"), STATUS, now)
        now = max(run_out(end, now) for end in ends) + SECOND
        for i in (0, 1):
            data = ports[i].arrived()
            sent[i] += os.write(ports[1 - i].far, data)
            while len(received[1 - i]) < sent[i]:
                assert wait_readable(ends[1 - i].fileno())
                received[1 - i] += b"".join(ends[1 - i].receive())
    for i in (0, 1):
        assert frames_in(received[i]) == [f"{ends[1 - i].device}.{number}" for number in range(20)]
    for port in ports:
        port.unplug()


# the choice of the backend


@pytest.mark.parametrize("absent", [False, True])
def test_pyserial_is_used_where_it_is_installed_and_termios_where_it_is_not(absent, port, tmp_path):
    if not absent and not PyserialLine:
        pytest.skip("no pyserial here")
    code = f"""
import sys
from types import SimpleNamespace
if {absent}:
    sys.modules["serial"] = None      # import serial → ModuleNotFoundError
from heartbeat import media
medium = media.create(SimpleNamespace(**{vars(configured(port.device))!r}), {str(tmp_path)!r})
medium.open()
print(medium.backend, medium.type, medium.format, medium.stream, medium.name)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == f"{'termios' if absent else 'pyserial'} serial classic True {port.device}\n"


def test_the_media_keep_the_process_small():
    """What the daemon must not import (all of it costs more than the media do)."""
    code = """
import sys
before = set(sys.modules)
import heartbeat.media, heartbeat.media.tty
heavy = {"asyncio", "contextlib", "dataclasses", "enum", "logging", "pathlib", "selectors", "socket", "subprocess",
         "tempfile", "threading", "typing"}
print(sorted(heavy & set(sys.modules) - before))
"""
    path = os.path.dirname(os.path.dirname(os.path.dirname(media.__file__)))
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {path!r})\n{code}"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "[]\n"


# in virtual time


class Patched:
    """A module with some names replaced."""

    def __init__(self, module, **names):
        self.__dict__.update(names)
        self.__module = module

    def __getattr__(self, name):
        return getattr(self.__module, name)


class Uart:
    """What is under a Line, in virtual time: a queue that empties at the line's rate while CTS is up.

    wire: what has left; worst: the most octets that were ever queued at a write of a new frame.
    """

    def __init__(self, monkeypatch, rate_bits_per_s, capacity=4096, tells=True):
        self.now = START
        self.octet_ns = 10 * SECOND / rate_bits_per_s
        self.capacity = capacity
        self.tells = tells
        self.cts = True
        self.queue = b""
        self.wire = b""
        self.broken_at = []
        self._credit_ns = 0.0
        self.breaking = False
        self.writes = []
        monkeypatch.setattr(line_module, "os", Patched(os, write=self._write))
        monkeypatch.setattr(line_module, "fcntl", Patched(fcntl, ioctl=self._ioctl))
        monkeypatch.setattr(line_module, "termios", Patched(termios, tcflush=self._tcflush, tcsetattr=self._tcsetattr))

    def pass_time(self, until):
        passed, self.now = until - self.now, until
        assert passed >= 0
        if not self.cts or not self.queue or self.breaking:
            self._credit_ns = 0.0
            return
        self._credit_ns += passed
        octets = min(len(self.queue), int((self._credit_ns + 1) / self.octet_ns))
        self._credit_ns = self._credit_ns - octets * self.octet_ns if octets < len(self.queue) else 0.0
        self.wire += self.queue[:octets]
        self.queue = self.queue[octets:]

    def _write(self, fd, data):
        assert not self.breaking, "written into a BREAK"
        self.writes.append((self.now, bytes(data), len(self.queue)))
        room = self.capacity - len(self.queue)
        if not room:
            raise BlockingIOError(errno.EAGAIN, "full")
        self.queue += data[:room]
        return min(room, len(data))

    def _ioctl(self, fd, request, argument=0):
        if request == termios.TIOCOUTQ:
            return (len(self.queue) if self.tells else 0).to_bytes(4, sys.byteorder)
        if request in (line_module.TIOCSBRK, line_module.TIOCCBRK):
            assert not self.queue, "the ioctl would wait"
            self.breaking = request == line_module.TIOCSBRK
            self.broken_at.append(self.now)
            return 0
        return fcntl.ioctl(fd, request, argument)

    def _tcsetattr(self, fd, when, attributes):
        assert when == termios.TCSANOW, "the others wait until the output has left"
        termios.tcsetattr(fd, when, attributes)

    def _tcflush(self, fd, which):
        if which in (termios.TCOFLUSH, termios.TCIOFLUSH):
            self.queue = b""
        termios.tcflush(fd, which)


class Bench:
    """A Line over a Uart, greeted, and the clock that both live by."""

    def __init__(self, monkeypatch, tmp_path, port, baud=19200, divisor=1, **uart):
        self.uart = Uart(monkeypatch, baud * divisor, **uart)
        self.line = TermiosLine(configured(port.device, baud=baud, divisor=divisor), str(tmp_path))
        self.line.open()
        self.sent = 0

    @property
    def now(self):
        return self.uart.now

    def send(self, frame, priority=STATUS):
        self.sent += 1
        self.line.send(frame, priority, self.now)

    def run(self, until):
        """Let time pass until then, with a flush at each deadline."""
        for _ in range(100_000):
            due = self.line.deadline()
            if due is None or due > until:
                self.uart.pass_time(until)
                return
            assert due > self.now, "a deadline that has passed already: the loop would spin"
            self.uart.pass_time(due)
            self.line.flush(due)
        raise AssertionError("too many wake-ups")

    def rest(self, limit_ns=3600 * SECOND):
        """Let time pass until all is quiet."""
        end = self.now + limit_ns
        while self.line.deadline() is not None and self.now < end:
            self.run(self.line.deadline())
        self.run(self.now + 30 * SECOND)


@pytest.fixture
def bench(monkeypatch, tmp_path, port):
    benches = []

    def make(greeted=True, **options):
        bench = Bench(monkeypatch, tmp_path, port, **options)
        if greeted:
            bench.send(frame_of("hello"))
            bench.rest()
            bench.uart.wire = b""
            bench.uart.writes.clear()
        benches.append(bench)
        return bench

    yield make
    for bench in benches:
        bench.line.close()


@pytest.mark.parametrize("divisor", [1, 50])
def test_a_break_precedes_the_first_frame_without_stopping_anybody(bench, divisor):
    it = bench(greeted=False, divisor=divisor)
    assert it.line.deadline() is None
    it.send(frame_of("1"))
    begun = it.now
    assert it.uart.breaking
    assert it.line.deadline() == begun + BREAK_NS // divisor
    assert not it.line.quiet(it.now)
    it.line.flush(it.line.deadline() - 1)
    assert it.uart.breaking
    it.rest()
    assert it.uart.broken_at == [begun, begun + BREAK_NS // divisor]
    assert it.uart.wire == frame_of("1")
    it.send(frame_of("2"))
    it.rest()
    assert len(it.uart.broken_at) == 2


def test_a_port_that_knows_no_break_goes_without(bench, monkeypatch):
    it = bench(greeted=False)
    ioctl = line_module.fcntl.ioctl

    def refuse(fd, request, argument=0):
        if request in (line_module.TIOCSBRK, line_module.TIOCCBRK):
            raise OSError(errno.ENOTTY, "no")
        return ioctl(fd, request, argument)

    monkeypatch.setattr(line_module, "fcntl", Patched(fcntl, ioctl=refuse))
    it.send(frame_of("1"))
    it.run(it.now + SECOND)
    assert it.uart.wire == frame_of("1")


def test_closed_in_its_break_it_ends_the_break(bench):
    it = bench(greeted=False)
    it.send(frame_of("1"))
    it.line.close()
    assert not it.uart.breaking
    assert it.line.dropped == 1


@pytest.mark.parametrize("tells", [True, False], ids=["a port that tells its queue", "a pty"])
@pytest.mark.parametrize("baud", SPEEDS)
def test_the_next_frame_is_given_when_the_last_has_left_and_not_before(bench, baud, tells):
    it = bench(baud=baud, tells=tells)
    begun = it.now
    frames = [frame_of(f"{number}", 100) for number in range(5)]
    for frame in frames:
        it.send(frame, NORMAL)
    octet_ns = -(-10 * SECOND // baud)
    assert it.line.deadline() == begun + 100 * octet_ns
    it.line.flush(it.line.deadline() - 1)
    assert it.line.deadline() == begun + 100 * octet_ns
    it.rest()
    assert [data for _, data, _ in it.uart.writes] == frames
    assert [at for at, _, _ in it.uart.writes] == [begun + number * 100 * octet_ns for number in range(5)]
    assert [queued for _, _, queued in it.uart.writes] == [0] * 5
    assert it.uart.wire == b"".join(frames)
    assert it.line.dropped == 0


def test_what_is_urgent_waits_for_one_frame_at_most_and_the_newest_status_for_two(bench):
    it = bench()
    for number in range(4):
        it.send(frame_of(f"normal{number}", 200), NORMAL)
    for number in range(3):
        it.send(frame_of(f"status{number}", 200), STATUS)
    it.run(it.now + SECOND // 20)
    it.send(frame_of("urgent", 200), URGENT)
    it.rest()
    assert frames_in(it.uart.wire) == ["normal0", "urgent", "normal1", "status2", "normal2", "normal3"]
    assert it.line.dropped == 2


@pytest.mark.parametrize("tells", [True, False], ids=["a port that tells its queue", "one that does not"])
def test_a_frame_larger_than_the_queue_goes_in_pieces_without_a_pause_or_a_guest(bench, tells):
    it = bench(capacity=512, tells=tells)
    begun = it.now
    it.send(frame_of("large", 5000), NORMAL)
    it.send(frame_of("urgent"), URGENT)
    it.run(begun + 100_000_000)
    it.send(frame_of("status"), STATUS)
    octet_ns = -(-10 * SECOND // 19200)
    it.run(begun + 5001 * octet_ns)
    assert frames_in(it.uart.wire) == ["large"]
    it.rest()
    assert frames_in(it.uart.wire) == ["large", "urgent", "status"]
    assert it.uart.wire == frame_of("large", 5000) + frame_of("urgent") + frame_of("status")
    assert [queued for _, data, queued in it.uart.writes if data.startswith(b">>>")] == [0, 0, 0]


def test_a_slower_line_than_stated_is_waited_for(bench):
    """The driver's queue says so: an adapter that rounds the speed, a peer that holds CTS down now and then."""
    it = bench()
    it.uart.octet_ns *= 20
    for number in range(6):
        it.send(frame_of(f"{number}", 200), NORMAL)
    it.rest()
    assert frames_in(it.uart.wire) == [f"{number}" for number in range(6)]
    assert [queued for _, _, queued in it.uart.writes] == [0] * 6
    assert it.line.dropped == 0


@pytest.mark.parametrize("divisor", [1, 50])
def test_a_line_that_does_not_move_costs_the_frame_and_the_next_resynchronises(bench, divisor):
    it = bench(divisor=divisor)
    it.send(frame_of("1", 200))
    it.run(it.now + 50_000_000 // divisor)
    it.uart.cts = False
    it.run(it.now + 50_000_000 // divisor)
    stalled_at = it.now
    it.send(frame_of("2", 200))
    it.send(frame_of("3", 200))
    # the stall is found out when the frame should long have left, and STALL_NS from its last progress
    it.run(stalled_at + 3 * STALL_NS // divisor)
    assert it.line.dropped >= 2
    assert frames_in(it.uart.wire) == []
    assert len(it.uart.queue) <= 200 + len(RESYNC)
    it.uart.cts = True
    it.send(frame_of("4", 200))
    it.rest()
    assert frames_in(it.uart.wire)[-1] == "4"
    assert it.uart.wire.endswith(RESYNC + frame_of("4", 200))
    assert len(frames_in(it.uart.wire)) + it.line.dropped == 4


def test_the_stall_is_over_exactly_when_its_time_is(bench):
    """A long frame of which little has left: the next look would come much later than the end of the stall."""
    it = bench(baud=9600)
    it.send(frame_of("long", 4000), NORMAL)
    it.send(frame_of("next"))
    octet_ns = -(-10 * SECOND // 9600)
    it.run(it.now + 100 * octet_ns)
    it.uart.cts = False
    due = it.line.deadline()
    it.run(due)
    assert it.line.deadline() == due + STALL_NS
    it.run(due + STALL_NS - 1)
    assert it.line.dropped == 0
    it.run(due + STALL_NS)
    assert it.line.dropped == 1
    assert it.uart.queue == RESYNC + frame_of("next")


def test_quiet_goes_by_time_where_the_port_does_not_tell(bench):
    it = bench(tells=False)
    it.send(frame_of("1", 200))
    octet_ns = -(-10 * SECOND // 19200)
    assert not it.line.quiet(it.now + 200 * octet_ns - 1)
    assert it.line.quiet(it.now + 200 * octet_ns)


def test_a_short_pause_of_the_peer_costs_nothing(bench):
    it = bench()
    it.send(frame_of("1", 200))
    it.send(frame_of("2", 200), NORMAL)
    it.run(it.now + 50_000_000)
    it.uart.cts = False
    it.run(it.now + STALL_NS // 2)
    it.uart.cts = True
    it.rest()
    assert frames_in(it.uart.wire) == ["1", "2"]
    assert it.line.dropped == 0


def test_a_switched_off_peer_leaves_no_backlog_and_few_wake_ups(bench):
    """CTS down for an hour: one frame in the queue, one waiting at most; the first that leaves is fresh."""
    it = bench()
    it.uart.cts = False
    writes = len(it.uart.writes)
    for number in range(720):
        it.send(frame_of(f"{number}", 200))
        assert len(it.uart.queue) <= 200 + len(RESYNC)
        it.run(it.now + 5 * SECOND)
    assert it.line.deadline() is None
    assert len(it.uart.writes) - writes == 720
    it.uart.cts = True
    it.run(it.now + SECOND)
    assert frames_in(it.uart.wire) == ["719"]
    assert it.line.dropped == 719


def test_close_discards_what_the_peer_does_not_take_and_quiet_says_when_it_need_not(bench):
    it = bench()
    it.send(frame_of("1", 200))
    it.run(it.now + 50_000_000)
    assert not it.line.quiet(it.now)
    it.run(it.now + 60_000_000)
    assert it.line.quiet(it.now)
    it.uart.cts = False
    it.send(frame_of("2", 200))
    it.run(it.now + 30 * SECOND)
    # a close with octets queued would wait for CTS
    assert not it.line.quiet(it.now)
    it.line.close()
    assert it.uart.queue == b""
    assert it.line.quiet(it.now)
    it.uart.cts = True
    it.line.open()
    it.send(frame_of("3", 200))
    it.rest()
    assert it.uart.wire == frame_of("1", 200) + RESYNC + frame_of("3", 200)


def test_frames_that_wait_when_the_port_is_closed_are_counted(bench):
    it = bench(capacity=100)
    for number in range(3):
        it.send(frame_of(f"{number}", 200), NORMAL)
    it.send(frame_of("s", 200), STATUS)
    it.line.close()
    assert it.line.dropped == 4
    assert it.line.deadline() is None


def test_an_interrupted_large_frame_is_finished_before_anything_else(bench):
    it = bench(capacity=512)
    it.send(frame_of("large", 2000), NORMAL)
    it.run(it.now + 200_000_000)
    it.uart.cts = False
    it.run(it.now + STALL_NS // 2)
    it.uart.cts = True
    it.send(frame_of("urgent", 100), URGENT)
    it.rest()
    assert it.uart.wire == frame_of("large", 2000) + frame_of("urgent", 100)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.sampled_from([STATUS, NORMAL, URGENT]), st.integers(20, 700)),
        st.tuples(st.just("time"), st.integers(1, 2 * SECOND), st.just(0)),
        st.tuples(st.just("cts"), st.booleans(), st.just(0)),
    ),
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(
    steps=STEPS, baud=st.sampled_from(sorted(SPEEDS)), capacity=st.sampled_from([16, 256, 4096]), tells=st.booleans()
)
def test_whatever_happens_frames_are_whole_single_and_accounted_for(steps, baud, capacity, tells, tmp_path_factory):
    with pytest.MonkeyPatch.context() as monkeypatch:
        port = Port()
        it = Bench(monkeypatch, tmp_path_factory.mktemp("locks"), port, baud=baud, capacity=capacity, tells=tells)
        try:
            frames = {}
            for number, (what, first, size) in enumerate(steps):
                if what == "send":
                    frames[f"{number}."] = frame_of(f"{number}.", size)
                    it.send(frames[f"{number}."], first)
                elif what == "time":
                    it.run(it.now + first)
                else:
                    it.uart.cts = first
            it.uart.cts = True
            it.send(frame_of("last"))
            it.rest()
            frames["last"] = frame_of("last")
            names = frames_in(it.uart.wire)
            normal = {f"{number}." for number, step in enumerate(steps) if step[:2] == ("send", NORMAL)}
            assert set(names[names.index("last") + 1 :]) <= normal, "what is urgent, and older statuses, go before"
            assert len(set(names)) == len(names)
            # nothing but whole frames and the ends of those given up
            rest = it.uart.wire
            for name in names:
                before, frame, rest = rest.partition(frames[name])
                assert frame
                assert before == b"" or before.endswith(RESYNC)
            assert rest == b""
            if tells:
                assert len(names) + it.line.dropped == it.sent
                # never more than one frame in the queue
                begins = (b">>>", RESYNC + b">>>")  # the end of a frame may look like RESYNC alone
                given = [queued for _, data, queued in it.uart.writes if data.startswith(begins)]
                assert not any(given)
            assert it.line.quiet(it.now)
        finally:
            it.line.close()
            port.unplug()


def test_while_it_looks_at_a_stalled_queue_it_lets_the_processor_sleep(bench):
    it = bench(baud=460800)
    it.uart.cts = False
    it.send(frame_of("1", 100))
    it.send(frame_of("2", 100))
    looks = 0
    while it.line.dropped == 0:
        due = it.line.deadline()
        looks += 1
        it.uart.pass_time(due)
        it.line.flush(due)
    assert looks <= STALL_NS // (LOOK_OCTETS * 10 * SECOND // 460800) + 3
