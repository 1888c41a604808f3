"""When leases are granted, renewed and ended, with a clock that only the test moves; a kernel of paper obeys frames as
the rules of the table do (tests/system/test_lease.py has the real one). And what the next run finds in the files."""

import os
import random
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from pair import JULIUS, settings

from heartbeat import gate, gatekeeper, held
from heartbeat.core.events import LeaseLapsed
from heartbeat.core.settings import MILLISECOND, SECOND
from heartbeat.held import HeldGroups, LastSign
from heartbeat.lease import NFTABLES, NONE, VALID_LFT, Lease
from heartbeat.schedule import Schedule

ONE, TWO, THREE = (bytes((10, 0, 0, number)) for number in (1, 2, 3))
SIX = bytes.fromhex("fd0000000000000000000000000000fe")
# deadtime 500 ms, a heartbeat each 100 ms: a lease is 450 ms, a grant 350
# and one that is cut, at a hand-over, 242
TIMES = {"keepalive_ns": 100 * MILLISECOND, "deadtime_ns": 500 * MILLISECOND, "overlapping": ("IPaddr",)}
LEASE_MS, GRANT_MS, CUT_MS = 450, 350, 242


class Log:
    def __init__(self):
        self.lines = []

    def write(self, severity, text, **_):
        self.lines.append(text)


class Loop:
    """A clock that stands still."""

    def __init__(self):
        self.time = 1000 * SECOND
        self.schedule = Schedule()
        self.poller = SimpleNamespace(add=lambda *_: None, remove=lambda *_: None)
        self.log = Log()
        self.events = []

    def now(self):
        return self.time

    def push(self, event, instant=None):
        self.events.append(type(event))

    def wait(self, milliseconds):
        self.time += round(milliseconds * MILLISECOND)
        self.schedule.run(self.time)


class Paper:
    """The kernel: slot → the instant at which its lease ends. said: what nft has loaded last."""

    def __init__(self, loop):
        self.loop = loop
        self.ends = {}
        self.plan = None
        self.sent = 0
        self.before_send = lambda: None
        self.gone = False
        self.closed = False

    def load(self, said):
        plan = gate.recorded(said)
        if "delete table" in said:
            self.ends = {}
        self.plan = plan
        for line in said.splitlines():
            if line.startswith("add element"):
                words = line.split()
                self.ends.setdefault(int(words[6]), self.loop.time + int(words[8][:-2]) * MILLISECOND)

    # what Gatekeeper asks of it

    def fileno(self):
        return -1

    def leases(self):
        if self.plan is None:
            return None
        running = {slot: end for slot, end in self.ends.items() if end > self.loop.time}
        return {slot: (end - self.loop.time) // MILLISECOND for slot, end in running.items()}

    def table_gone(self):
        return self.gone

    def delete_table(self):
        self.plan = None

    def close(self):
        self.closed = True

    def send(self, frame):
        self.before_send()
        self.sent += 1
        token, block, states = frame[14:30], frame[30], frame[31:]
        if self.plan is None or token != self.plan.token:
            return
        known = set(self.plan.slots.values())
        for position, what in enumerate(states):
            slot = block * gate.BLOCK_SLOTS + position
            if slot not in known:
                continue
            if what == gate.GRANT:
                self.ends[slot] = self.loop.time + self.plan.grant_ms * MILLISECOND
            elif what == gate.RENEW and self.ends.get(slot, 0) > self.loop.time:
                self.ends[slot] = self.loop.time + self.plan.lease_ms * MILLISECOND
            elif what == gate.CUT and self.ends.get(slot, 0) > self.loop.time:
                self.ends[slot] = self.loop.time + self.plan.cut_ms * MILLISECOND
            elif what == gate.REVOKE:
                self.ends.pop(slot, None)


class Bench:
    """A lease and all that stands around it."""

    def __init__(self, monkeypatch, tmp_path):
        self.loop = Loop()
        self.kernel = Paper(self.loop)
        self.path = tmp_path
        self.runs = []
        self.extended = []
        self.nft = "/bin/true"
        monkeypatch.setattr(gate, "Kernel", lambda: self.kernel)
        monkeypatch.setattr(gate, "NFT", (self.nft,))
        self.monkeypatch = monkeypatch
        self.lease = self.new()

    def new(self):
        """As a daemon makes it at its start."""
        self.sign = LastSign(str(self.path), self.loop.log.lines.append)
        return Lease(
            str(self.path), self.loop, self.sign, self.run, lambda keys, s: self.extended.append((list(keys), s))
        )

    def run(self, argv, done):
        assert argv[:2] == [self.nft, "-f"]
        self.runs.append((Path(argv[2]).read_text(), done))

    def loaded(self, code=0):
        """nft ends."""
        said, done = self.runs.pop(0)
        if not code:
            self.kernel.load(said)
        done(code, "")

    def configure(self, groups, interfaces=None, **changes):
        where = {"eth0": 2} if interfaces is None else interfaces
        self.lease.configure(settings(JULIUS, **{**TIMES, **changes}), groups, where)

    def ready(self, *keys, alone=False):
        """Loaded, and these are held since now."""
        self.configure({"a": (ONE,), "b": (TWO, SIX)})
        self.lease.start()
        self.loaded()
        self.hold(*keys, alone=alone)
        return self

    def hold(self, *keys, alone=False, instant=None, ending=()):
        self.lease.hold(keys, alone=alone, instant=self.loop.time if instant is None else instant, ending=ending)

    def beat(self, *, taken=True, sent=None, instant=None):
        sent = self.loop.time if sent is None else sent
        self.lease.beat(sent, taken=taken, instant=sent if instant is None else instant)

    @property
    def running(self):
        return sorted(self.lease.running())

    def left(self, key="a"):
        """Milliseconds."""
        assert self.kernel.plan
        return self.kernel.leases().get(self.kernel.plan.slots[key])

    @property
    def lapsed(self):
        return self.loop.events.count(LeaseLapsed)


@pytest.fixture
def bench(monkeypatch, tmp_path):
    return Bench(monkeypatch, tmp_path)


# --- granted and renewed


def test_what_is_held_is_granted_at_once_and_nothing_else(bench):
    bench.ready("a")
    assert bench.running == ["a"]
    assert bench.left() == GRANT_MS


def test_each_status_that_a_medium_took_renews(bench):
    bench.ready("a")
    for _ in range(20):
        bench.loop.wait(100)
        bench.beat()
        assert bench.left() == LEASE_MS
    assert bench.lapsed == 0


def test_all_groups_are_renewed_by_one_frame(bench):
    groups = {f"group{number}": (bytes((10, 1, 0, number)),) for number in range(gate.BLOCK_SLOTS)}
    bench.configure(groups)
    bench.lease.start()
    bench.loaded()
    bench.hold(*groups)
    for _ in range(3):  # the first ones repeat the grant
        bench.beat()
    before = bench.kernel.sent
    bench.beat()
    assert bench.kernel.sent - before == 1
    assert len(bench.running) == gate.BLOCK_SLOTS


def test_what_is_not_held_any_more_ends_at_once(bench):
    bench.ready("a", "b")
    bench.hold("b")
    assert bench.running == ["b"]
    bench.beat()
    assert bench.running == ["b"]


def test_what_no_medium_took_renews_nothing_and_is_told_in_time(bench):
    bench.ready("a")
    bench.beat()
    for _ in range(5):
        bench.loop.wait(100)
        bench.beat(taken=False)
    assert bench.running == []
    assert bench.lapsed == 1


def test_a_node_that_is_alone_renews_regardless(bench):
    bench.ready("a", alone=True)
    for _ in range(10):
        bench.loop.wait(100)
        bench.beat(taken=False)
    assert bench.running == ["a"]
    assert bench.lapsed == 0


# --- cut, for a hand-over


def test_what_is_to_end_soon_runs_for_a_moment_and_is_renewed_no_more(bench):
    bench.ready("a", "b")
    bench.beat()
    bench.hold("b", ending=("a",))
    assert (bench.left("a"), bench.left("b")) == (CUT_MS, LEASE_MS)
    for _ in range(3):  # grants are repeated, too
        bench.loop.wait(50)
        bench.beat()
    assert (bench.left("a"), bench.left("b")) == (CUT_MS - 150, LEASE_MS)
    bench.loop.wait(CUT_MS - 150)
    bench.beat()
    assert bench.running == ["b"]
    assert bench.lapsed == 0


def test_what_is_to_end_soon_ends_at_once_when_it_is_released(bench):
    bench.ready("a", "b")
    bench.hold("b", ending=("a",))
    bench.hold("b")
    assert bench.running == ["b"]


def test_what_was_to_end_soon_and_stays_is_granted_anew(bench):
    bench.ready("a")
    bench.hold(ending=("a",))
    bench.loop.wait(100)
    bench.hold("a")
    assert bench.left() == GRANT_MS
    bench.beat()
    bench.beat()
    bench.beat()
    assert bench.left() == LEASE_MS


def test_nothing_that_does_not_run_is_started_by_a_cut(bench):
    bench.ready("b")
    bench.hold("b", ending=("a",))
    assert bench.running == ["b"]
    bench.hold("b", ending=("a",))
    assert bench.running == ["b"]


def test_a_cut_that_is_said_again_is_not_made_again(bench):
    bench.ready("a", "b")
    bench.hold("b", ending=("a",))
    bench.loop.wait(100)
    bench.hold(ending=("a",))
    assert bench.left("a") == CUT_MS - 100
    assert bench.running == ["a"]


def test_a_cut_prolongs_nothing(bench):
    """The last sign of life is old, so what is left of the lease may be less than what a cut leaves of it."""
    bench.ready("a")
    bench.beat()
    bench.loop.wait(300)
    bench.hold(ending=("a",))
    assert bench.running == []


def test_a_cut_behind_which_this_process_was_stopped_ends(bench):
    bench.ready("a")
    bench.beat()
    bench.kernel.before_send = lambda: bench.loop.wait(100) if bench.kernel.sent == before else None
    before = bench.kernel.sent
    bench.hold(ending=("a",))
    assert bench.running == []


def test_what_lapses_takes_with_it_what_was_cut(bench):
    bench.ready("a", "b")
    bench.beat()
    bench.hold("b", ending=("a",))
    bench.loop.wait(10)
    bench.beat(instant=bench.loop.time - LEASE_MS * MILLISECOND)
    assert bench.running == []
    assert bench.lapsed == 1


# --- what must not be


@pytest.mark.parametrize("alone", [False, True])
def test_a_renewal_does_not_revive(bench, alone):
    """In the kernel itself, whatever the clock said here."""
    bench.ready("a", alone=alone)
    for _ in range(3):
        bench.beat()
    bench.kernel.before_send = lambda: bench.loop.wait(LEASE_MS + 1)  # stopped behind the last look at the clock
    bench.beat()
    assert bench.running == []


def test_a_status_long_after_the_last_one_renews_nothing(bench):
    bench.ready("a")
    bench.beat()
    bench.loop.wait(LEASE_MS - 5)
    bench.beat()
    assert bench.running == []
    assert bench.lapsed == 1
    # it had just reached the peer, so what the core decides next counts from here
    bench.lease.told()
    bench.hold()
    bench.hold("a")
    assert bench.running == ["a"]


@pytest.mark.parametrize(("before", "after", "lapses"), [(3, 1, False), (1, 3, True)])
def test_the_first_status_after_a_reload_is_judged_by_the_length_before_it(bench, before, after, lapses):
    """So long the peer had been told to be patient."""
    groups = {"a": (ONE,), "b": (TWO, SIX)}
    bench.configure(groups, deadtime_ns=before * TIMES["deadtime_ns"])
    bench.lease.start()
    bench.loaded()
    bench.hold("a")
    bench.beat()
    bench.loop.wait(3 * LEASE_MS // 2)
    bench.configure(groups, deadtime_ns=after * TIMES["deadtime_ns"])
    if bench.runs:
        bench.loaded()
    bench.beat()
    assert bench.lapsed == lapses
    assert bench.running == ([] if lapses else ["a"])
    if not lapses:
        bench.loop.wait(3 * LEASE_MS // 2)
        bench.beat()
        assert bench.lapsed


def test_a_lapse_is_told_once(bench):
    bench.ready("a")
    bench.beat()
    bench.loop.wait(LEASE_MS)
    for _ in range(3):
        bench.beat()
    assert bench.lapsed == 1


def test_what_the_core_wants_before_it_is_told_of_a_lapse_is_not_granted(bench):
    """A group of several was released meanwhile, say: the rest is not to be held because of that."""
    bench.ready("a", "b")
    bench.beat()
    bench.loop.wait(LEASE_MS)
    bench.beat()
    assert bench.lapsed == 1
    bench.hold("a")
    bench.loop.wait(50)
    bench.beat()
    assert bench.running == []
    bench.lease.told()
    bench.hold()
    bench.hold("a")
    assert bench.running == ["a"]


def test_nothing_is_granted_on_a_decision_that_is_old(bench):
    bench.ready()
    decided = bench.loop.time
    bench.beat()
    bench.loop.wait(LEASE_MS)
    bench.hold("a", instant=decided)
    bench.beat(instant=decided)
    assert bench.running == []
    assert bench.lapsed == 1


def test_nor_on_an_old_one_of_a_node_that_was_alone(bench):
    bench.ready()
    decided = bench.loop.time
    bench.loop.wait(LEASE_MS)
    bench.hold("a", alone=True, instant=decided)
    assert bench.running == []
    bench.lease.told()
    bench.hold("a", alone=True)
    bench.loop.wait(50)
    bench.beat(instant=decided)
    assert bench.running == []
    assert bench.lapsed == 2


def test_a_grant_after_which_too_much_time_has_passed_is_taken_back(bench):
    bench.ready()
    bench.beat()

    def stop_once():
        bench.kernel.before_send = lambda: None
        bench.loop.wait(100)

    bench.kernel.before_send = stop_once
    bench.hold("a")
    assert bench.running == []
    assert bench.lapsed == 1


def test_a_renewal_long_after_its_status_is_left_out(bench):
    """The lease would outlast what the peer has heard."""
    bench.ready("a")
    bench.beat()
    sent = bench.loop.time
    bench.loop.wait(100)
    bench.beat(sent=sent)
    assert bench.left() == LEASE_MS - 100
    assert bench.lapsed == 0


def test_a_grant_between_two_signs_of_life_waits_for_the_next_where_the_last_is_long_ago(bench):
    bench.ready()
    bench.beat()
    bench.loop.wait(200)
    bench.hold("a")
    assert bench.running == []
    bench.beat()
    assert bench.running == ["a"]


def test_no_lease_outlasts_the_peers_patience(bench):
    """Whatever the order of statuses, grants and stops between two of them: silent deadtime after the last status that
    a medium took."""
    draw = random.Random(7)
    bench.ready()
    heard = bench.loop.time
    held_now = False
    lapses = 0

    def stop_somewhere():
        bench.loop.wait(draw.choice((0, 0, 0, 0, 1, 100)))

    bench.kernel.before_send = stop_somewhere
    for _ in range(20000):
        stopped = draw.random() < 0.1
        bench.loop.wait(draw.uniform(0, 600) if stopped else draw.uniform(0, 100))
        instant = bench.loop.time
        if draw.random() < 0.3:
            bench.loop.wait(draw.choice((0, 0, 0, 20, 460)))
            held_now = not held_now
            bench.hold(*(["a"] if held_now else []), instant=instant)
        sent = bench.loop.time
        taken = draw.random() < 0.9
        heard = sent if taken else heard
        bench.loop.wait(draw.choice((0, 0, 0, 1, 30, 300)))
        bench.beat(sent=sent, taken=taken, instant=instant)
        if bench.lapsed:
            bench.loop.events.clear()
            lapses += 1
            bench.lease.told()
            bench.hold()
            held_now = False
        if bench.running:
            assert bench.loop.time + bench.left() * MILLISECOND <= heard + TIMES["deadtime_ns"]
    assert lapses > 1000
    assert bench.kernel.sent > 5000


# --- the table


def test_until_the_table_is_loaded_nothing_is_sent_and_then_what_is_held_is_granted(bench):
    bench.configure({"a": (ONE,)})
    bench.lease.start()
    assert bench.lease.backend == NFTABLES
    bench.hold("a")
    assert bench.kernel.sent == 0
    bench.loaded()
    assert bench.running == ["a"]


def test_a_reload_that_exchanges_the_first_address_changes_nothing_for_the_others(bench):
    """The group's key changes with it. The core holds on to the old one until it has replanned."""
    bench.ready("a", "b")
    bench.beat()
    bench.configure({"c": (ONE, THREE), "b": (TWO,)})
    bench.loop.wait(50)
    bench.beat()
    assert bench.runs  # nft works
    assert bench.left("a") == LEASE_MS
    bench.loaded()
    assert bench.left("c") is not None
    bench.beat()
    bench.hold("b", "c")
    assert bench.running == ["b", "c"]
    bench.loop.wait(100)
    bench.beat()
    assert bench.left("c") == LEASE_MS


def test_a_group_that_takes_an_address_out_of_another_is_never_without_lease(bench):
    bench.ready("b")
    bench.configure({"b": (SIX,), "c": (TWO,)})
    bench.hold("b", "c")
    bench.loop.wait(20)
    said, done = bench.runs.pop(0)
    bench.kernel.load(said)
    assert bench.left("c") is not None  # before nft has ended
    done(0, "")
    bench.beat()
    assert bench.running == ["b", "c"]


def test_a_group_that_went_leaves_no_lease_to_whoever_gets_its_slot(bench):
    bench.ready("a", "b")
    bench.configure({"b": (TWO,)})
    bench.hold("b")
    bench.loop.wait(20)
    bench.loaded()
    bench.configure({"b": (TWO,), "c": (THREE,)})
    bench.loop.wait(20)
    bench.loaded()
    assert bench.running == ["b"]


def test_an_interface_that_is_made_anew_gets_its_chains_again(bench):
    bench.ready("a")
    bench.configure({"a": (ONE,), "b": (TWO, SIX)}, {"eth0": 7})
    bench.loop.wait(20)
    bench.loaded()
    assert bench.running == ["a"]
    bench.configure({"a": (ONE,), "b": (TWO, SIX)}, {"eth0": 7})
    bench.loop.wait(20)
    assert bench.runs == []


def test_a_table_that_somebody_deletes_is_loaded_again_but_not_for_ever(bench):
    bench.ready("a")
    loads = 0
    for _ in range(20):
        bench.kernel.plan, bench.kernel.gone = None, True
        bench.lease._gate._noticed(bench.kernel)
        bench.kernel.gone = False
        if bench.runs:
            bench.loaded()
            loads += 1
            bench.beat()
            assert bench.running == ["a"]
        bench.loop.wait(100)
    assert loads < gatekeeper.LOADS_AT_ONCE
    for _ in range(4):
        bench.loop.wait(10_000)
        bench.beat()
    assert bench.runs


def test_where_nft_fails_it_is_tried_otherwise_and_then_said(bench):
    bench.configure({"a": (ONE,)})
    bench.lease.start()
    assert "egress" in bench.runs[0][0]
    bench.loaded(code=1)
    assert "egress" not in bench.runs[0][0].partition("\n")[2]
    bench.loaded(code=1)
    assert bench.lease.backend == NONE
    assert ["go on answering" in warning for warning in bench.lease.warnings] == [True]
    bench.loop.wait(gatekeeper.RETRY_NS / MILLISECOND)
    bench.loaded()
    assert bench.lease.backend == NFTABLES
    assert bench.lease.warnings == []


def test_a_running_table_stays_where_a_new_one_fails(bench):
    bench.ready("a")
    bench.configure({"a": (ONE, THREE)})
    bench.loop.wait(20)
    for _ in range(3):
        bench.loaded(code=1)
    assert bench.lease.backend == NFTABLES
    assert bench.running == ["a"]
    assert any("as before" in warning for warning in bench.lease.warnings)


def test_without_the_program_there_is_no_table(bench, monkeypatch):
    monkeypatch.setattr(gate, "NFT", ("/nonexistent/nft",))
    bench.configure({"a": (ONE,)})
    bench.lease.start()
    assert bench.lease.backend == NONE
    assert bench.lease.lifetime_s == 0
    bench.configure({"a": (ONE,)}, deadtime_ns=3 * SECOND)
    assert (bench.lease.backend, bench.lease.lifetime_s) == (VALID_LFT, 2)
    bench.hold("a")
    for _ in range(20):
        bench.loop.wait(100)
        bench.beat()
    # of a lifetime of two seconds, each half second; and when nft was looked for once more
    assert [each for each in bench.extended if each[0]] == [(["a"], 2)] * (4 + 1)


def test_a_name_that_nft_cannot_say_is_left_out_and_said(bench):
    bench.configure({"a": (ONE,)}, {"eth0": 2, 'x"y': 3, "é0": 4})
    bench.lease.start()
    assert list(gate.recorded(bench.runs[0][0]).interfaces) == ["eth0"]
    assert len([warning for warning in bench.lease.warnings if "no word" in warning]) == 2


def test_a_clean_end_leaves_nothing(bench):
    bench.ready("a")
    bench.lease.close(clean=True)
    assert bench.kernel.plan is None
    assert "lease.nft" not in os.listdir(bench.path)


def test_the_token_is_for_root_alone(bench):
    bench.ready("a")
    assert os.stat(bench.path / "lease.nft").st_mode & 0o777 == 0o600
    assert bench.kernel.plan.token.hex() not in "".join(bench.loop.log.lines)


# --- the next run


def crashed(bench, keys=("a",), alone=False):
    """A run that held these has died; the next one is configured alike."""
    bench.ready(*keys, alone=alone)
    bench.beat()
    bench.lease = bench.new()
    bench.configure({"a": (ONE,), "b": (TWO, SIX)})


def test_within_the_lease_what_runs_is_renewed_and_not_granted(bench):
    crashed(bench, ("a", "b"))
    bench.loop.wait(200)
    assert bench.lease.survivors(["a", "b"]) == {"a", "b"}
    bench.lease.adopt(["a"])
    assert bench.running == ["a"]
    bench.hold("a")
    assert bench.left() == LEASE_MS - 200
    bench.beat()
    assert bench.left() == LEASE_MS
    assert bench.lapsed == 0


def test_the_table_stays_as_it_is_until_the_new_one_takes_its_place(bench):
    crashed(bench)
    token = bench.kernel.plan.token
    bench.lease.adopt(["a"])
    bench.hold("a")
    bench.lease.start()
    said = bench.runs[0][0]
    assert "delete table" not in said
    bench.loaded()
    assert bench.kernel.plan.token == token
    assert bench.running == ["a"]


def test_after_the_lease_nothing_survives(bench):
    crashed(bench)
    bench.loop.wait(LEASE_MS - 20)
    assert bench.lease.survivors(["a"]) == set()
    bench.lease.adopt([])
    bench.hold("a", alone=True)  # the peer is dead, say
    assert bench.running == ["a"]


def test_too_late_after_all_is_a_lapse(bench):
    crashed(bench)
    bench.lease.adopt(bench.lease.survivors(["a"]))
    bench.hold("a")
    bench.loop.wait(LEASE_MS)
    bench.beat()
    assert bench.running == []
    assert bench.lapsed == 1


def test_what_the_kernel_has_let_go_does_not_survive(bench):
    crashed(bench)
    bench.kernel.ends.clear()
    assert bench.lease.survivors(["a"]) == set()


def test_where_no_table_is_the_clock_says_it(bench):
    crashed(bench)
    bench.kernel.plan = None
    bench.lease = bench.new()
    bench.configure({"a": (ONE,)})
    assert bench.lease.survivors(["a"]) == {"a"}
    bench.loop.wait(LEASE_MS)
    assert bench.lease.survivors(["a"]) == set()


@pytest.mark.parametrize("content", ["", "x", "# {}", "# []", '# {"token": "00", "groups": {}, "interfaces": {}}'])
def test_a_damaged_record_is_none(content):
    assert gate.recorded(content) is None


def test_a_plan_is_read_back_as_it_was():
    plan = gate.Plan(bytes(range(16)), {"a b": (0, (ONE, SIX)), "c": (300, ())}, {"eth0": 2}, lease_ms=1, grant_ms=1)
    assert gate.recorded(gate.text(plan)) == plan
    assert gate.recorded(gate.text(plan.watching(egress=False))).egress is False


# --- the files


def test_what_was_started_is_read_back(tmp_path):
    first = HeldGroups(str(tmp_path), print)
    first.add("one")
    first.started("IPaddr::10.0.0.1")
    first.started('a "word"')
    first.add("two")
    first.stopping('a "word"')
    second = HeldGroups(str(tmp_path), print)
    second.read()
    assert (second.begun, second.up) == ({"one", "two"}, {"IPaddr::10.0.0.1"})
    second.clear()
    assert os.listdir(tmp_path) == []


def test_a_line_that_was_cut_short_is_passed_over(tmp_path):
    (tmp_path / "held").write_bytes(b'["begun", "one"]\n["up", "x"]\n[1]\n{}\n["up", 7]\n\xff\n["up", "y')
    read = HeldGroups(str(tmp_path), print)
    read.read()
    assert (read.begun, read.up) == ({"one"}, {"x"})


def test_the_file_does_not_grow_for_ever(tmp_path):
    record = HeldGroups(str(tmp_path), print)
    record.add("one")
    for _ in range(held.COMPACT_NAMES):
        record.started("x")
        record.stopping("x")
    record.started("y")
    assert (tmp_path / "held").stat().st_size < held.COMPACT_NAMES * 20
    read = HeldGroups(str(tmp_path), print)
    read.read()
    assert (read.begun, read.up) == ({"one"}, {"y"})


def test_a_file_that_cannot_be_written_is_said_once(tmp_path):
    told = []
    record = HeldGroups(str(tmp_path / "absent"), told.append)
    record.add("one")
    record.started("x")
    assert len(told) == 1


def test_the_last_sign_is_read_back_and_belongs_to_this_boot(tmp_path, monkeypatch):
    sign = LastSign(str(tmp_path), print)
    assert sign.last_ns is None
    sign.keep(7, alone=True)
    sign.begin(5)
    again = LastSign(str(tmp_path), print)
    assert (again.last_ns, again.was_alone, again.generation) == (7, True, 5)
    again = LastSign(str(tmp_path), print)
    assert again.generation == 5
    monkeypatch.setattr(held, "_boot_id", lambda: b"x" * 36)
    later = LastSign(str(tmp_path), print)
    assert (later.last_ns, later.generation) == (None, 0)
    later.clear()
    later.keep(9, alone=False)
    assert os.listdir(tmp_path) == []


def test_without_its_file_a_sign_is_kept_nowhere(tmp_path):
    told = []
    sign = LastSign(str(tmp_path / "absent"), told.append)
    sign.keep(7, alone=False)
    assert len(told) == 1
    assert sign.last_ns is None


# --- lent


def lent(bench):
    """What a watch is told; None: nothing."""
    watch = SimpleNamespace()
    bench.kernel.outlet = lambda: 77
    return watch if bench.lease.lend(watch) else None


def test_a_lease_that_has_nothing_else_to_do_is_lent(bench):
    bench.ready("a")
    while lent(bench) is None:
        bench.loop.wait(100)
        bench.beat()
    watch = lent(bench)
    assert (watch.holds, watch.signed_ns, watch.gate) == (True, bench.loop.time, 77)
    assert (watch.lease_ns, watch.patience_ns) == (LEASE_MS * MILLISECOND,) * 2
    assert watch.sign[watch.sign_at : watch.sign_at + 8] == bench.loop.time.to_bytes(8, sys.byteorder)
    bench.loop.wait(100)
    [renewal] = watch.renewals
    bench.kernel.send(renewal)
    assert bench.left() == LEASE_MS


def test_without_leases_there_is_nothing_to_renew(bench):
    bench.ready()
    bench.beat()
    watch = lent(bench)
    assert (watch.holds, watch.renewals) == (False, [])


@pytest.mark.parametrize("why", ["never signed", "alone", "granted just now", "cut", "lives"])
def test_a_lease_that_has_more_to_do_is_not_lent(bench, why):
    if why == "never signed":
        bench.ready()
    elif why == "lives":
        bench.monkeypatch.setattr(gate, "NFT", ())
        bench.configure({"a": (ONE,)}, deadtime_ns=5 * SECOND, keepalive_ns=SECOND)
        bench.lease.start()
        bench.hold("a")
        assert bench.lease.lifetime_s
    else:
        bench.ready("a", "b", alone=why == "alone")
    if why != "never signed":
        for _ in range(1 if why == "granted just now" else 4):
            bench.beat()
    if why == "cut":
        bench.hold("a", ending=("b",))
    assert lent(bench) is None


def test_what_has_become_of_it_counts(bench):
    bench.ready("a")
    for _ in range(4):
        bench.beat()
    watch = lent(bench)
    bench.loop.wait(400)
    watch.signed_ns += 400 * MILLISECOND
    watch.refused = watch.lapsed = False
    bench.lease.take_back(watch)
    bench.loop.wait(400)
    bench.beat()
    assert bench.lapsed == 0  # the last sign is 400 ms old, not 800
    watch = lent(bench)
    watch.refused, watch.lapsed = True, True
    sent = bench.kernel.sent
    bench.lease.take_back(watch)
    assert bench.lapsed == 1
    assert bench.running == []
    assert bench.kernel.sent == sent + 2  # renewed once more, for the log, and then ended
