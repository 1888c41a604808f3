"""What a journal recorded is decided again, exactly; and what is decided otherwise is noticed."""

import gzip
import io
import json
import re

import pytest
from journalled import World, replayed
from pair import CAESAR, JULIUS, SEED_GROUP, Reload, settings

from heartbeat import __version__, cli, journalfile
from heartbeat.core.actions import CRIT, Note
from heartbeat.core.history import History
from heartbeat.core.membership import Membership
from heartbeat.core.outbox import Outbox
from heartbeat.core.settings import FAILBACK_ON, SECOND, Group, Resource

FIRST, SECOND_ADDRESS, MAIL = (resource.word for resource in SEED_GROUP.resources)


def take_over(world):
    world.both()
    world.run(60)
    world.kill(JULIUS)
    world.run(100)
    world.boot(JULIUS)
    world.run(60)


def hand_over(world):
    julius, caesar = world.both()
    assert world.ask(julius, "standby")[0]
    world.run(30)
    assert world.ask(julius, "takeover")[0]
    assert not world.ask(caesar, "standby", "nonsense")[0]
    world.run(30)


def fail_back(world):
    caesar = world.boot(CAESAR, auto_failback=FAILBACK_ON)
    world.run(40)
    world.boot(JULIUS, auto_failback=FAILBACK_ON)
    world.run(60)
    assert caesar.up == []


def reload(world):
    julius, caesar = world.both()
    for node in (julius, caesar):
        same = Group(FIRST, JULIUS, [Resource(FIRST, "IPaddr", ["10.0.0.254"])])  # made anew, as from a file
        more = Group("Other", CAESAR, [Resource("Other", "Other"), Resource("More", "More")])
        node.tell(Reload(settings(node.name, groups=(same, more), keepalive_ns=2 * SECOND)))
    world.run(60)
    for node in (julius, caesar):
        node.tell(Reload(settings(node.name, groups=(), media=("ttyS0", "eth0"))))
    world.run(30)


def failing_agents(world):
    julius, _ = world.both()
    julius.failing.add(("start", SECOND_ADDRESS))
    julius.failing.add(("stop", FIRST))
    assert world.ask(julius, "standby")[0]
    world.ask(julius, "takeover", within=60)
    world.run(60)
    julius.hanging.add(("start", FIRST))
    world.ask(julius, "takeover", within=100)
    world.run(120)


def losses(world):
    """Every third frame of each side is lost: requests for what is missing, and their answers."""
    counts = {}

    def drop(sender, message, medium):
        counts[sender] = counts.get(sender, 0) + 1
        return counts[sender] % 3 == 0

    world.drop = drop
    world.both()
    world.run(300)
    world.drop = None
    world.run(60)


def partition(world):
    world.both()
    world.cut |= {(JULIUS, CAESAR, "ttyS0"), (CAESAR, JULIUS, "ttyS0")}
    world.run(90)
    world.cut.clear()
    world.run(60)


def stop(world):
    julius, _ = world.both()
    world.ask(julius, "stop")
    world.run(40)


LIVES = [take_over, hand_over, fail_back, reload, failing_agents, losses, partition, stop]


@pytest.fixture(scope="module", params=LIVES, ids=lambda live: live.__name__)
def journals(request):
    """Of every life of both nodes."""
    world = World(every=2000)
    request.param(world)
    found = [journal for each in world.journals.values() for journal in each]
    assert len(found) >= 2
    assert [journal.problem for journal in found] == [None] * len(found)
    return found


def test_every_decision_is_made_again(journals):
    for journal in journals:
        steps = replayed(journal.lines())
        assert [(step.number, step.trouble, step.error) for step in steps if step.trouble or step.error] == []
        assert sum(bool(step.actions) for step in steps) > 5


def test_it_can_begin_at_every_snapshot(journals):
    for journal in journals:
        head, *lines = journal.lines()
        begins = [number for number, line in enumerate(lines) if "snapshot" in line]
        for begin in begins:
            assert [step.trouble for step in replayed([head, *lines[begin:]]) if step.trouble] == []
    assert sum(len(journal.images()) for journal in journals) > len(journals), "no journal began a second buffer"


# --- what differs


@pytest.fixture
def taken_over():
    """caesar's journal of a take-over, as lines."""
    world = World()
    take_over(world)
    return world.journals[CAESAR][0].lines()


def troubles(lines) -> list[str]:
    return [step.trouble for step in replayed(lines) if step.trouble]


def test_another_decision_is_noticed_where_it_is_made(taken_over, monkeypatch):
    """A core that announces the death of the other node under another severity decides otherwise, once."""
    assert troubles(taken_over) == []
    note = Outbox.note
    monkeypatch.setattr(
        Outbox, "note", lambda self, severity, text: note(self, CRIT if text.endswith("is dead") else severity, text)
    )
    differing = [step for step in replayed(taken_over) if step.trouble]
    assert [[action.text for action in step.actions if isinstance(action, Note)][1] for step in differing] == [
        "node julius is dead"
    ]
    assert "another decision than recorded" in differing[0].trouble


def test_a_decision_that_is_left_out_is_noticed(taken_over, monkeypatch):
    monkeypatch.setattr(Outbox, "run", lambda self, group, resource, verb, answered=True: 1)
    assert "actions NNNHR, now actions NNNH" in troubles(taken_over)[0]


def test_another_state_is_noticed_at_the_next_snapshot(monkeypatch):
    """Nothing that it does differs, but what it knows: and from the recorded state on it goes on."""
    world = World(every=3000)
    world.both()
    world.run(500)
    lines = world.journals[JULIUS][0].lines()
    assert troubles(lines) == []
    monkeypatch.setattr(History, "acknowledged", lambda self, sequence: None)
    found = troubles(lines)
    assert found
    assert set(found) == {"the cluster is not in the state that was recorded here; going on with the recorded one"}


def test_a_core_that_raises_now_is_noticed(taken_over, monkeypatch):
    def broken(self, peer, **options):
        raise AssertionError("planted")

    monkeypatch.setattr(Membership, "death", broken)
    assert troubles(taken_over)[0] == "the core raises AssertionError where it answered"


def test_what_ended_the_daemon_ends_the_replay(tmp_path, capsys, monkeypatch):
    """The last event was never answered; the core raises again, and that is as recorded."""
    monkeypatch.setattr(Membership, "death", lambda self, peer, **options: self.enter(99))
    world = World()
    world.both()
    world.kill(JULIUS)
    with pytest.raises(AttributeError):
        world.run(100)
    path = journalfile.write(str(tmp_path), world.journals[CAESAR][0].lines(), name="crash")
    assert cli.main(["replay", path]) == 0
    said = capsys.readouterr()
    assert said.out.splitlines()[-1].split()[2:4] == ["raises", "AttributeError:"]
    assert "all as recorded" in said.err


# --- the command


@pytest.fixture
def file(taken_over, tmp_path):
    return journalfile.write(str(tmp_path), taken_over, name="take-over")


def rewritten(file, change) -> str:
    """The file with its lines changed, not compressed."""
    with gzip.open(file, "rt") as packed:
        lines = [json.loads(line) for line in packed]
    other = f"{file}.changed"
    with open(other, "w") as plain:
        plain.writelines(json.dumps(line) + "\n" for line in change(lines))
    return other


def test_it_prints_every_decision_in_columns(file, capsys):
    assert cli.main(["replay", file]) == 0
    said = capsys.readouterr()
    rows = [(int(line[:7]), float(line[7:22]), line[24:36].rstrip(), line[37:]) for line in said.out.splitlines()]
    (dead,) = [row for row in rows if row[3] == "WARN: node julius is dead"]
    assert [row[2:] for row in rows if row[0] == dead[0]][-2:] == [
        ("  hold", "alone=True ending=() keys=('IPaddr::10.0.0.254',)"),
        ("  run", "1 start IPaddr::10.0.0.254"),
    ]
    assert 70 < dead[1] < 90
    assert re.search(r"^caesar, heartbeat \S+, written \S+ \(test\), 0 is 1970-01-01T00:16:40Z: events \d+, ", said.err)
    assert said.err.endswith("all as recorded\n")


def test_part_of_it(file, capsys):
    assert cli.main(["replay", file, "--from", "60", "--to=70", "--all"]) == 0
    seconds = [float(line[7:22]) for line in capsys.readouterr().out.splitlines()]
    assert 60 <= min(seconds) < max(seconds) <= 70


def test_all_of_it_has_a_line_for_each_event(file, taken_over, capsys):
    assert cli.main(["replay", file, "--all", "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["number"] for line in lines] == list(range(1, len(lines) + 1))
    assert len(lines) == sum("event" in line for line in taken_over)
    assert {"number", "seconds", "event", "actions", "error", "trouble"} == set(lines[0])


def test_a_journal_that_was_changed_does_not_hold(file, capsys):
    def delayed(lines):
        tick = next(line for line in lines if line.get("event") == "Tick" and "R" in line.get("actions", ""))
        tick["at"] -= SECOND
        return lines

    assert cli.main(["replay", rewritten(file, delayed)]) == 1
    said = capsys.readouterr()
    assert "DIFFERS" in said.out
    assert "not as recorded" in said.err


@pytest.mark.parametrize(("typed", "code"), [("p event.medium\ncontinue\n", 0), ("quit\n", 130), ("", 130)])
def test_the_debugger_stops_before_the_event(typed, code, file, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    assert cli.main(["replay", file, "--debug", "1"]) == code
    said = capsys.readouterr().out
    assert "handle(" in said
    assert ("'ttyS0'" in said) == (code == 0)


def test_no_debugger_without_its_event(file, capsys):
    assert cli.main(["replay", file, "--debug", "9999"]) == 0
    assert "(Pdb)" not in capsys.readouterr().out


@pytest.mark.parametrize("words", [[], ["a", "b"], ["--from", "x", "f"], ["--debug", "1.5", "f"], ["--what", "f"]])
def test_a_command_line_that_makes_no_sense(words):
    assert cli.main(["replay", *words]) == 2


# --- files that are none, and files from strangers

HEAD = json.dumps({"heartbeat journal": 1, "program": __version__}).encode() + b"\n"


def refused(path, capsys) -> str:
    assert cli.main(["replay", str(path)]) == 1
    said = capsys.readouterr()
    assert said.err.startswith(f"heartbeat replay: {path}: ")
    return said.err.removeprefix(f"heartbeat replay: {path}: ")


def test_another_version_is_named(file, capsys):
    def older(lines):
        lines[0]["program"] = "3.9.1"
        attributes = lines[1]["snapshot"][0]["peer.Peer"]
        attributes[attributes.index("heard")] = "was_heard"
        return lines

    said = refused(rewritten(file, older), capsys)
    assert "written by heartbeat 3.9.1" in said
    assert "pip install heartbeat-ha==3.9.1" in said


def test_another_version_that_decides_the_same_is_no_obstacle(file):
    assert cli.main(["replay", rewritten(file, lambda lines: [{**lines[0], "program": "4.9"}, *lines[1:]])]) == 0


def test_another_version_that_decides_otherwise_is_named(file, capsys, monkeypatch):
    monkeypatch.setattr(Outbox, "run", lambda self, group, resource, verb, answered=True: 1)
    other = rewritten(file, lambda lines: [{**lines[0], "program": "4.9"}, *lines[1:]])
    assert cli.main(["replay", other]) == 1
    assert "may decide otherwise on purpose" in capsys.readouterr().err


def test_another_format_is_named(file, capsys):
    said = refused(rewritten(file, lambda lines: [{**lines[0], "heartbeat journal": 2}, *lines[1:]]), capsys)
    assert re.search(r"another format \(2\): replay it with heartbeat 4", said)


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\n", b"{}\n", b"[]\n", b"null\n", b"\x00" * 100, b"\x1f\x8b", b"\x1f\x8bgarbage", b"node julius\n",
        b"[" * 100_000, HEAD, b'{"heartbeat journal": 1}\n', b'{"heartbeat journal": 1, "program": "4 or so"}\n',
        HEAD + b'{"at": -1, "event": "Tick"}\n', HEAD + b'{"at": true, "event": "Tick"}\n',
        HEAD + b'{"at": 1, "event": "Tick", "wall_s": 1}\n', HEAD + b'{"at": 1, "snapshot": []}\n',
        HEAD + b'{"at": 1, "snapshot": [{}, ["list"]]}\n',
        gzip.compress(HEAD + b'{"at": 1, "snapshot": 5}\n', mtime=0)[:-9],
    ],
)  # fmt: skip
def test_what_is_no_journal_is_refused(content, tmp_path, capsys):
    path = tmp_path / "some file"
    path.write_bytes(content)
    assert refused(path, capsys).count("\n") == 1


def test_a_file_that_is_not_there(tmp_path, capsys):
    assert "No such file" in refused(tmp_path / "nothing", capsys)


def test_a_file_that_unpacks_to_more_than_any_journal(tmp_path, capsys):
    path = tmp_path / "bomb"
    line = b'{"at": 1, "event": "' + b"x" * 4_000_000 + b'"}\n'
    path.write_bytes(gzip.compress(HEAD + line * 30))
    assert path.stat().st_size < 1_000_000
    assert "does not begin with a snapshot" in refused(path, capsys)
    path.write_bytes(gzip.compress(b"x" * (journalfile.LINE_OCTETS + 2)))
    assert "no journal is as large" in refused(path, capsys)


EVENTS = [
    {"event": "Message", "medium": "ttyS0", "frame": "no frame"},
    {"event": "Message", "medium": 5, "frame": ">>>\nt=x\n<<<\n"},
    {"event": "Message", "medium": "ttyS0", "frame": "\u20ac"},
    {"event": "Tick"},
    {"event": "Tick", "wall_s": "soon"},
    {"event": "Tick", "wall_s": []},
    {"event": "Repeated", "medium": "ttyS0", "frame": ">>>\nt=x\n<<<\n", "count": 10**12, "sequence": 10**12},
    {"event": "Repeated", "medium": "ttyS0", "frame": ">>>\nt=x\n<<<\n", "count": -1, "sequence": 1},
    {"event": "Request", "table": [{"cluster.Cluster": []}, ["cluster.Cluster"]]},
    {"event": "Request", "table": [{"settings.Settings": ["node"]}, ["settings.Settings", "x"]]},
    {"event": "Request", "table": [{}, ["list", 1]]},
    {"event": "Request"},
    {},
]


@pytest.mark.parametrize("event", EVENTS, ids=str)
def test_an_event_that_is_none_is_refused(event, file, capsys):
    refused(rewritten(file, lambda lines: [*lines[:2], {"at": lines[1]["at"], **event}]), capsys)


def test_text_from_a_stranger_moves_no_cursor(file, capsys):
    def shouting(lines):
        lines[0]["node"] = lines[0]["reason"] = lines[0]["written"] = "\x1b[2J"
        event = {"at": lines[1]["at"], "event": "MediumDown", "digest": "00000001"}
        table = [{"events.MediumDown": ["medium", "reason"]}, ["events.MediumDown", "\x1b[2J", "\x07"]]
        return [*lines[:2], {**event, "table": table, "actions": "\x1b"}]

    assert cli.main(["replay", rewritten(file, shouting)]) == 1
    said = capsys.readouterr()
    assert "\x1b" not in said.out + said.err
    assert "\\x1b[2J" in said.out


@pytest.mark.parametrize("seed", range(40))
def test_damage_anywhere_is_refused_or_differs(file, seed, tmp_path, capsys):
    """Of the plain lines some octets are changed: it ends, with an exit code, and nothing else happens."""
    with gzip.open(file) as packed:
        octets = bytearray(packed.read())
    for step in range(1, 4):
        place = (seed * 7919 + step * 104729) % len(octets)
        octets[place] = (octets[place] + seed + step) % 256
    path = tmp_path / "damaged"
    path.write_bytes(octets)
    assert cli.main(["replay", str(path)]) in (0, 1)
    capsys.readouterr()
