"""The watch: what it takes for itself is done as the daemon's own parts do it, and everything else is handed over
whole.

Its descriptors are real (datagrams on the loopback, a pty); nobody sleeps, because each stay ends at an instant that
has passed. That a whole daemon's journal tells the same with it is in tests/system/test_replay.py."""

import errno
import os
import pty
import select
import socket
import struct
import time
import tty
from types import SimpleNamespace

import pytest

from _hbfast.auth import Authenticator
from _hbfast.codec import Beat, Decoder, End, Message, Repetition, Watch, encode
from _hbfast.wheel import TimerWheel
from heartbeat import journal, realtime
from heartbeat.core.actions import STATUS, Transmit
from heartbeat.core.events import Tick

S, MS = 1_000_000_000, 1_000_000
AUTH = Authenticator({1: ("sha1", b"TestKey123")}, 1, strong=True)
BEAT, TRIGGERED, DEATH, LINK, ANOTHER = range(5)  # keys of timers
NEVER = (1 << 63) - 1
OCTET_NS = 86_806  # of a line at 115200
PLACE = 77


def clock():
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def status(node, sequence, stamp=0x6B02CAB7, **more):
    fields = {"t": b"status", "st": b"active", "dt": b"7530", "protocol": b"1", "src": node}
    fields |= {"seq": b"%x" % sequence, "hg": b"6b02c88b", "ts": b"%x" % stamp, "ttl": b"3"}
    fields |= more
    return Message([(name, 0, value) for name, value in fields.items()])


class Station:
    """A node that has heard number 9 of the other on eth0 and the line, said number 5, and has to say 6 soon."""

    def __init__(self) -> None:
        self.wheel = TimerWheel(8, 0)
        self.now = clock()
        self.own = Beat(self.wheel, BEAT, TRIGGERED)
        self.own.ends = self.now + 1000 * S
        self.own.length_ns = 1000 * S
        self.own.follow(status(b"julius", 5), 5, self.now, self.now + 100 * S, 1000 * S)
        self.wheel.arm(BEAT, self.now + 100 * S)
        self.repetition = Repetition(self.wheel, self.own)
        self.repetition.timer, self.repetition.deadtime_ns = DEATH, 30 * S
        self.wheel.arm(DEATH, self.now + 30 * S)
        self.wheel.arm(LINK, self.now + 30 * S)
        self.epoll = select.epoll()
        self.timer = realtime.Timer()
        self.epoll.register(self.timer.fileno(), select.EPOLLIN)
        self.watch = Watch(self.own, self.repetition, self.epoll.fileno(), self.timer.fileno())
        self.watch.auth = AUTH
        self.watch.until = 1
        self.watch.signed_ns = -1
        self.watch.lease_ns = self.watch.slack_ns = 1000 * S
        self.records = bytearray(4096)
        self.watch.journal = memoryview(self.records)
        self.watch.at, self.watch.half = journal.RECORDS_AT, 2048
        self.sockets = []

    def bound(self):
        found = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        found.bind(("127.0.0.1", 0))
        self.sockets.append(found)
        return found

    def ethernet(self, name="eth0", **options):
        """An end, the socket that it receives by and that of the other node."""
        reader, other = self.bound(), self.bound()
        address, port = other.getsockname()
        target = struct.pack("=H2s4s8x", socket.AF_INET, port.to_bytes(2, "big"), socket.inet_aton(address))
        decoder = Decoder(name, AUTH, stream=False)
        end = End(decoder, reader.fileno(), reader.fileno(), netstring=True, target=target, **options)
        end.check_ns, end.heard_ns, end.place = NEVER, -1, PLACE
        self.add(end, decoder, "netstring")
        return end, reader, other

    def line(self):
        """An end, and the descriptor of the other one's."""
        master, slave = pty.openpty()
        tty.setraw(slave)
        os.set_blocking(slave, False)
        os.set_blocking(master, False)
        self.descriptors = master, slave
        decoder = Decoder("ttyS0", AUTH, stream=True)
        end = End(decoder, slave, slave, netstring=False)
        end.octet_ns, end.longest_ns, end.place = OCTET_NS, 20 * MS, PLACE
        self.add(end, decoder, "classic", slave)
        return end, master

    def add(self, end, decoder, form, fd=None):
        self.epoll.register(self.sockets[-2].fileno() if fd is None else fd, select.EPOLLIN)
        self.watch.ends = [*self.watch.ends, end]
        [heard] = decoder.feed(encode(status(b"caesar", 9), AUTH, form))
        assert self.repetition.teach(heard, self.now, LINK)
        end.repeated = 9

    def beat(self, after_ns=0):
        """It is time to say 6."""
        self.own.follow(status(b"julius", 5), 5, self.now, self.now + after_ns, 1000 * S)
        self.wheel.arm(BEAT, self.now + after_ns)

    def noted(self):
        return list(journal.records(bytes(self.records)))


class Blank(journal.Journal):
    """Of a cluster of which nothing need be told."""

    def _snapshot(self):
        return b""


@pytest.fixture
def station():
    made = Station()
    made.descriptors = ()
    yield made
    for each in made.sockets:
        each.close()
    for fd in made.descriptors:
        os.close(fd)
    made.timer.close()
    made.epoll.close()


def frame(sequence, form="netstring", **options):
    return encode(status(b"caesar", sequence, **options), AUTH, form)


# ---- heard ----


def test_a_repetition_is_taken(station):
    end, reader, other = station.ethernet()
    other.sendto(frame(10), reader.getsockname())
    assert station.watch.keep() == []
    assert (station.watch.left, station.watch.useless, station.watch.late) == (None, None, [])
    assert (station.repetition.sequence, station.repetition.count, end.repeated) == (10, 1, 10)
    assert station.now <= end.heard_ns == station.repetition.last_ns <= clock()
    assert station.wheel.next_due() == end.heard_ns + 30 * S  # both the peer's and the link's timer


def test_repetitions_are_noted_as_one(station):
    end, reader, other = station.ethernet()
    for number in (10, 11, 12):
        other.sendto(frame(number), reader.getsockname())
        station.watch.keep()
    noted = station.noted()
    assert [each.kind for each in noted] == [journal.REPEATED] * 3  # a stay begins its own
    assert [journal.repetition_in(each.body) for each in noted] == [(1, number, PLACE) for number in (10, 11, 12)]
    assert noted[-1].instant == end.heard_ns
    for octets in (frame(13), frame(14), b"the end of this stay"):
        other.sendto(octets, reader.getsockname())
    station.watch.until = NEVER
    station.watch.keep()
    assert journal.repetition_in(station.noted()[-1].body) == (2, 14, PLACE)
    assert station.noted()[-1].instant == end.heard_ns


def test_what_is_no_repetition_is_handed_over(station):
    end, reader, other = station.ethernet()
    for octets in (b"rubbish", frame(12), encode(status(b"caesar", 10), None, "netstring"), frame(8)):
        other.sendto(octets, reader.getsockname())
        assert station.watch.keep() == []
        found, taken, now = station.watch.left
        assert (found, taken) == (end, octets)
        assert station.now <= now <= clock()
    assert station.repetition.sequence == 9
    assert station.noted() == []


def test_a_number_that_is_awaited_is_handed_over(station):
    _, reader, other = station.ethernet()
    station.repetition.awaited = 10
    other.sendto(frame(10), reader.getsockname())
    station.watch.keep()
    assert station.watch.left[1] == frame(10)
    assert station.repetition.sequence == 9


def test_what_comes_after_that_waits(station):
    _, first, other = station.ethernet("eth0")
    _, second, _ = station.ethernet("eth1")
    other.sendto(b"rubbish", first.getsockname())
    other.sendto(frame(10), second.getsockname())
    ready = station.watch.keep()
    left = station.watch.left
    if left is None:  # the other one was looked at first
        assert station.repetition.sequence == 10
        assert station.watch.keep() == []
        assert station.watch.left[1] == b"rubbish"
    else:
        assert left[1] == b"rubbish"
        assert ready == [(second.fileno(), select.EPOLLIN)]
        assert station.repetition.sequence == 9
        assert second.recv(1000) == frame(10)


def test_a_copy_counts_once_on_each_medium(station):
    eth0, first, other = station.ethernet("eth0")
    eth1, second, _ = station.ethernet("eth1")
    other.sendto(frame(10), first.getsockname())
    station.watch.keep()
    other.sendto(frame(10), second.getsockname())
    station.watch.keep()
    assert (eth0.repeated, eth1.repeated, station.repetition.count) == (10, 10, 1)
    assert eth1.heard_ns >= eth0.heard_ns > 0
    assert station.watch.useless is None
    before = eth1.heard_ns
    other.sendto(frame(10), second.getsockname())
    station.watch.keep()
    assert station.watch.useless is eth1  # a recording, for what it is worth: it is no sign of life
    assert eth1.heard_ns == before


def test_others_are_told_of_what_is_theirs(station):
    station.ethernet()
    reader, writer = os.pipe()
    station.descriptors = reader, writer
    station.epoll.register(reader, select.EPOLLIN)
    station.watch.until = NEVER
    os.write(writer, b"!")
    assert station.watch.keep() == [(reader, select.EPOLLIN)]


def test_a_silent_medium_ends_the_stay(station):
    end, _, _ = station.ethernet()
    station.watch.until = NEVER
    end.heard_ns, end.patience_ns = 1, 1
    assert station.watch.keep() == []


# ---- said ----


def test_the_status_is_said(station):
    _, reader, other = station.ethernet()
    station.beat()
    assert station.watch.keep() == []
    [said] = station.own.taken()
    assert said == status(b"julius", 5).again(6, station.own.ts)
    assert other.recv(1000) == encode(said, AUTH, "netstring", inner_auth=False)
    assert abs(station.own.ts - time.time()) < 100
    assert station.watch.signed_ns == station.own.last_ns
    assert station.watch.late == [station.own.last_ns - station.now]
    with pytest.raises(BlockingIOError):
        reader.recv(1)


def test_it_is_noted_as_the_journal_has_it(station):
    """Octet by octet what Journal writes for the Tick of that instant and what the core answers."""
    station.ethernet()
    station.beat()
    station.watch.keep()
    [said] = station.own.taken()
    steady = SimpleNamespace(handle=lambda event, now: [Transmit(said, STATUS)])
    buffers = [bytearray(4096), bytearray(4096)]
    theirs = Blank(steady, [memoryview(each) for each in buffers], now=0, program="")
    theirs.tell(Tick(station.own.ts), station.own.last_ns)
    [mine] = station.noted()
    other = list(journal.records(bytes(buffers[0])))[-1]
    assert (mine.kind, mine.instant, mine.body, mine.digest, mine.letters) == (
        other.kind, other.instant, other.body, other.digest, other.letters
    )  # fmt: skip
    assert (mine.kind, mine.letters) == (journal.TICK, "T")


def test_the_own_status_that_comes_back_is_nothing(station):
    _, reader, other = station.ethernet()
    station.beat()
    station.watch.keep()
    octets = other.recv(1000)
    other.sendto(octets, reader.getsockname())
    assert station.watch.keep() == []
    assert station.watch.left is None
    other.sendto(octets[:-1], reader.getsockname())
    station.watch.keep()
    assert station.watch.left[1] == octets[:-1]


def test_it_is_said_on_all_media(station):
    _, _, other = station.ethernet()
    line, master = station.line()
    station.beat()
    station.watch.keep()
    [said] = station.own.taken()
    assert other.recv(1000) == encode(said, AUTH, "netstring", inner_auth=False)
    written = encode(said, AUTH, "classic")
    assert os.read(master, 1000) == written
    assert (line.unsent, line.rest, line.moved_ns) == (len(written), b"", station.own.last_ns)
    assert line.wake_ns == line.clear_ns == station.own.last_ns + len(written) * OCTET_NS


def test_what_a_line_has_not_taken_is_for_the_daemon_to_see_to(station):
    """A frame that is longer than all that a pseudo-terminal takes (8,192 octets, and 4,096 for its reader):
    nothing else is said over its rest."""
    line, _ = station.line()
    station.beat()
    long = status(b"julius", 5, more=b"x" * 16_000)
    station.own.follow(long, 5, station.now, station.now, 1000 * S)
    station.watch.until = station.now + 5 * S
    assert station.watch.keep() == []
    assert clock() < station.watch.until  # it has returned because of the line
    [said] = station.own.taken()
    written = encode(said, AUTH, "classic")
    assert 0 < len(line.rest) < len(written)
    assert line.unsent == len(written) - len(line.rest)
    assert line.rest == written[line.unsent :]
    assert line.wake_ns == station.own.last_ns + line.unsent // 2 * OCTET_NS


@pytest.mark.parametrize("why", ["late", "busy", "judged", "interface"])
def test_what_is_not_plain_is_not_said(station, why):
    end, _, other = station.ethernet(interface=b"lo", index=socket.if_nametoindex("lo") + (why == "interface"))
    line, master = station.line()
    station.beat()
    if why == "late":
        station.watch.holds, station.watch.signed_ns, station.watch.patience_ns = True, 1, S
    elif why == "busy":
        line.wake_ns = NEVER
    elif why == "judged":
        station.wheel.arm(ANOTHER, station.now)
    else:
        end.check_ns = 0
    assert station.watch.keep() == []
    assert station.own.taken() == []
    assert station.wheel.next_due() == station.now  # the beat is still to be made
    assert station.noted() == []
    for receive in (lambda: other.recv(1000), lambda: os.read(master, 1000)):
        with pytest.raises(BlockingIOError):
            receive()


def test_the_interface_is_looked_at_once_a_second(station):
    end, _, _ = station.ethernet(interface=b"lo", index=socket.if_nametoindex("lo"))
    end.check_ns = 0
    station.beat()
    station.watch.keep()
    assert end.check_ns == station.own.last_ns + S


def test_an_end_that_refuses_is_told_and_the_others_serve(station):
    _, reader, _ = station.ethernet("eth0")
    _, _, other = station.ethernet("eth1")
    broken = End(
        Decoder("eth2", AUTH, stream=False), reader.fileno(), reader.fileno(), netstring=True, target=b"\xff" * 16
    )
    broken.check_ns = NEVER
    station.watch.ends = [broken, *station.watch.ends]
    station.beat()
    station.watch.keep()
    assert station.watch.failed == [(broken, errno.EAFNOSUPPORT)]
    assert other.recv(1000)
    assert station.watch.signed_ns == station.own.last_ns


def test_where_all_refuse_nothing_is_a_sign_of_life(station):
    _, reader, _ = station.ethernet()
    broken = End(
        Decoder("eth0", AUTH, stream=False), reader.fileno(), reader.fileno(), netstring=True, target=b"\xff" * 16
    )
    broken.check_ns = NEVER
    sign = bytearray(16)
    station.watch.ends, station.watch.sign = [broken], sign
    station.watch.holds, station.watch.renewals = True, [b"renewed"]
    station.beat()
    station.watch.keep()
    assert (station.watch.signed_ns, sign) == (-1, bytes(16))


# ---- leases ----


@pytest.fixture
def holder(station):
    station.ethernet()
    ours, kernel = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    kernel.setblocking(False)
    station.sockets += [ours, kernel]
    station.kernel = kernel
    station.sign = bytearray(32)
    station.watch.holds, station.watch.gate, station.watch.renewals = True, ours.fileno(), [b"one", b"two"]
    station.watch.signed_ns, station.watch.patience_ns = station.now, 1000 * S
    station.watch.sign, station.watch.sign_at = station.sign, 16
    station.beat()
    return station


def test_the_leases_are_renewed(holder):
    holder.watch.keep()
    assert [holder.kernel.recv(100), holder.kernel.recv(100)] == [b"one", b"two"]
    assert struct.unpack_from("=Q", holder.sign, 16) == (holder.own.last_ns,) == (holder.watch.signed_ns,)
    assert holder.sign[:16] + holder.sign[24:] == bytes(24)
    assert (holder.watch.lapsed, holder.watch.refused) == (False, False)


def test_a_renewal_that_is_refused_is_told(holder):
    holder.sockets[-1].close()
    holder.watch.keep()
    assert (holder.watch.lapsed, holder.watch.refused) == (False, True)


def test_what_took_too_long_renews_nothing(holder):
    """No time passes that is less than none."""
    holder.watch.slack_ns = -1
    holder.watch.keep()
    with pytest.raises(BlockingIOError):
        holder.kernel.recv(100)
    assert not holder.watch.lapsed


def test_leases_that_have_run_out_meanwhile_are_told(holder):
    holder.watch.lease_ns, holder.watch.patience_ns = -1, 1000 * S
    holder.watch.keep()
    assert holder.watch.lapsed


# ---- a line ----


def test_a_frame_that_comes_in_pieces_is_one(station):
    end, master = station.line()
    octets = frame(10, "classic")
    end.lengths = [len(octets)]
    os.write(master, octets[:20])
    station.watch.until = 1
    while not end.held:  # a pty hands over when it likes
        station.watch.keep()
    now = clock()
    assert (end.held, station.watch.left) == (octets[:20], None)
    assert now < end.look_ns <= now + (len(octets) - 20) * OCTET_NS
    os.write(master, octets[20:])
    assert station.epoll.poll(0.2) == [(station.timer.fileno(), select.EPOLLIN)]  # it rests
    end.look_ns = 1
    assert station.watch.keep() == []
    assert (station.repetition.sequence, end.held, end.look_ns) == (10, b"", NEVER)
    assert end.lengths == [len(octets), len(octets)]
    os.write(master, octets[:1])
    station.epoll.unregister(station.timer.fileno())
    assert station.epoll.poll(1) == [(station.descriptors[1], select.EPOLLIN)]  # and is listened to again


def test_what_is_no_frame_is_handed_over(station):
    end, master = station.line()
    octets = frame(10, "classic")
    end.lengths = [len(octets)]
    station.watch.until = NEVER
    os.write(master, octets + b"and more")
    station.watch.keep()
    found, came, _ = station.watch.left
    assert (found, came, end.held) == (end, octets + b"and more", b"")
    end.held = octets[:20]
    os.write(master, b"<<<\n")
    station.watch.keep()
    assert station.watch.left[1] == b"<<<\n"
    assert end.held == octets[:20]


def test_a_line_that_hangs_up_is_for_the_daemon(station):
    _, master = station.line()
    fd = station.descriptors[1]
    station.watch.until = NEVER
    os.close(master)
    station.descriptors = (fd,)
    [(ready, _)] = station.watch.keep()
    assert ready == fd
