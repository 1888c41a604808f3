"""The operator's scripts in rc.d, of both programs side by side in one cluster: the same scripts on both nodes run on
the same events, in the same order, with the same argument and the same HA_*, of those that ours lets through.

What happens to one node is done to the other later; what the first program's node saw of it must be what the second's
saw then, but for the names.

HEARTBEAT_TEST_LONG=1 does it with the programs the other way round, too.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from pathlib import Path

import pytest
from interop.pair import playing
from interop.program import ORIGINAL, OURS
from interop.setting import DEADTIME_S, GROUPS, LONG, NODES, Setting
from interop.trial import ATTEMPTS, MOVE_S
from system.play import until

from heartbeat.config.scripts import SHIPPED
from heartbeat.core.hooks import FIELDS

# What is told of the moment, and differs between any two events; and of the message, where ours has sent none.
MOMENT = ("seq", "hg", "ts", "dt", "ttl")
# Beside the five, some of those that run for what a node sees, and one for which nobody has a use but the operator.
NAMES = (*SHIPPED, "ifstat", "stonith", "mytype", "starting", "resource", "shutdone", "repnodes")
FOLDER = "var/log/rc"
# What it is told, in a file that has its name when it is whole; then what the original's own script of that name does.
SCRIPT = f"""#!/bin/sh
name=${{0##*/}}
mkdir -p /{FOLDER}
file=/{FOLDER}/$(date +%s.%N).$name
{{ printf '%s\\0' "$#" "$@"; env -0; }} > $file.part
mv $file.part $file
echo "this is $name"
[ ! -e /etc/ha.d/as-shipped/$name ] || exec /etc/ha.d/as-shipped/$name "$@"
"""
PATIENCE_S = 40
SETTINGS = [Setting(OURS, ORIGINAL), Setting(ORIGINAL, OURS, failback="on")]


def equip(node, *, shipped):
    """Put the scripts into its rc.d. shipped: the original's go on doing their work."""
    folder = Path(f"{node.disk}/etc/ha.d/rc.d")
    for name in NAMES:
        path = folder / name
        if path.exists() and shipped:
            (folder.parent / "as-shipped").mkdir(exist_ok=True)
            shutil.move(path, folder.parent / "as-shipped" / name)
        path.write_text(SCRIPT)
        path.chmod(0o755)


def events(node, names):
    """What has run since this was last asked: (script, argument, what it was told). names: word → name of a node."""
    found = []
    folder = Path(f"{node.disk}/{FOLDER}")
    for path in sorted(folder.iterdir()) if folder.exists() else []:
        if path.name.endswith(".part"):
            continue
        octets = path.read_bytes()
        path.unlink()
        count, argument, *environment = octets.decode().split("\0")
        assert count == "1"
        told = dict(each.split("=", 1) for each in environment if "=" in each)
        assert told["HA_OSTATUS"] in ("init", "up", "active")
        fields = {name: told[f"HA_{name}"] for name in FIELDS if f"HA_{name}" in told and name not in MOMENT}
        for word, name in names.items():
            fields = {field: value.replace(name, word) for field, value in fields.items()}
        found.append((path.name.split(".")[-1], argument, fields))
    return found


def split(found):
    """Apart from each other: who is heard on which link, and all else. An original tells of links when it has the time,
    and of its own, too."""
    links = [each for each in found if each[0] == "ifstat" and each[2]["node"] != "OWN"]
    return [each for each in found if each[0] != "ifstat"], sorted(links, key=repr)


class Watch:
    """Of a pair: what each node's scripts were told."""

    def __init__(self, pair):
        self.pair = pair

    def names(self, name):
        own, others = sorted(GROUPS, key=lambda each: each[0] != name)
        return {"OWN": name, "PEER": self.pair.other(name), "OWN-GROUP": own[1], "PEERS-GROUP": others[1]}

    def take(self, name):
        return split(events(self.pair.nodes[name], self.names(name)))

    def forget(self):
        for name in NODES:
            self.take(name)

    def seen_of(self, name, action, state):
        """What the other node's scripts were told when this was done to this one."""
        self.forget()
        self.pair.do(f"{action} {name}")
        if state:
            until(lambda: self.pair.state() == state[name] and self.pair.done(), PATIENCE_S, state[name])
            says = self.pair.nodes[self.pair.other(name)].says
            until(lambda: says("hblinkstatus", name, "eth0") == "dead", PATIENCE_S, "its links")
        else:
            until(lambda: self.pair.done() and self.pair.links_up(), PATIENCE_S, "both")
        time.sleep(3)  # an original's queue
        assert state is None or self.pair.nodes[name].running is False
        return self.take(self.pair.other(name))

    def seen_of_both(self, first, second):
        """A clean stop of the first, its start, a power failure of the second, its start."""
        seen = [self.seen_of(first, "stop", ALONE), self.seen_of(first, "start", None)]
        return [*seen, self.seen_of(second, "power-off", ALONE), self.seen_of(second, "start", None)]


def post(node, text):
    """As the original's own tools post a message."""
    fifo = os.open(f"{node.disk}/var/lib/heartbeat/fifo", os.O_WRONLY | os.O_NONBLOCK)
    try:
        os.write(fifo, f">>>\n{text}<<<\n".encode())
    finally:
        os.close(fifo)


ALONE = {"julius": "cc", "caesar": "jj"}  # by who is gone


@pytest.mark.parametrize("setting", SETTINGS if LONG else SETTINGS[:1], ids=str)
def test_the_same_scripts_run_on_the_same_events(originals, setting):
    ours, theirs = NODES if setting.julius == OURS else NODES[::-1]
    with playing(setting) as pair:
        for name in NODES:
            equip(pair.nodes[name], shipped=name == theirs)
        watch = Watch(pair)
        pair.do("start julius caesar")
        until(lambda: pair.state() == "jc" and pair.done() and pair.links_up(), PATIENCE_S, "both")
        time.sleep(3)
        told = {name: watch.take(name) for name in NODES}
        assert told[ours] == told[theirs]
        assert {each[0] for each in told[ours][0]} == {"status", "ip-request-resp"}

        # a take-over by an operator runs on both nodes, whoever asks
        for name in NODES:
            watch.forget()
            move(pair, f"takeover {name} foreign", ALONE[pair.other(name)])
            told = {each: events(pair.nodes[each], {}) for each in NODES}
            assert told[ours] == told[theirs]
            assert {each[:2] for each in told[ours]} == {("hb_takeover", "hb_takeover")}
            move(pair, f"takeover {pair.other(name)} local", "jc")

        # a message that nobody knows; of what is in it ours tells less
        watch.forget()
        post(pair.nodes[theirs], "t=mytype\ninfo=hello\nfoo=bar\nok=$(reboot)\n")
        until(lambda: "this is mytype" in pair.nodes[ours].log(), 10, "the script")
        time.sleep(2)
        told = {name: events(pair.nodes[name], {}) for name in NODES}
        assert told[theirs][0][2].pop("ok") == "$(reboot)"
        expected = {"t": "mytype", "src": theirs, "info": "hello"}
        assert told[ours] == told[theirs] == [("mytype", "mytype", expected)]

        first = watch.seen_of_both(ours, theirs)
        home(pair)
        assert first == watch.seen_of_both(theirs, ours)
        names = [[each[0] for each in found] for found, _ in first]
        assert names[0] == ["status", "stonith"], "a clean stop"
        assert names[2] == ["stonith", "status"] + ["ip-request-resp"] * (setting.failback == "off")
        links = [[each[2]["st"] for each in found] for _, found in first]
        assert links == [["dead"], ["up"], ["dead"], ["up"]]
        log = pair.nodes[ours].log()
        for name in SHIPPED:
            assert f"rc.d/{name}:1: is not the script '{name}' of Heartbeat 3.0.6" in log


def move(pair, action, state):
    """As an operator does, several times: an original that is busy with itself drops a request."""
    for _ in range(ATTEMPTS):
        pair.do(action)
        with contextlib.suppress(TimeoutError):
            until(lambda: pair.state() == state and pair.done(), MOVE_S, action)
            time.sleep(2)
            return
    raise TimeoutError(f"{action}: {ATTEMPTS} times, and it is not {state}")


def home(pair):
    """Each node has its own again."""
    for number, name in enumerate(NODES):
        has = pair.state()
        if has[number] != "jc"[number]:
            move(pair, f"takeover {name} local", "j" + has[1] if number == 0 else has[0] + "c")


def test_what_the_package_ships_does_not_run_and_a_script_that_hangs_holds_up_nothing(originals):
    """With the original, who hangs holds up the take-over, for ever."""
    with playing(Setting(OURS, ORIGINAL)) as pair:
        ours, theirs = (pair.nodes[name] for name in NODES)
        hangs = Path(f"{ours.disk}/etc/ha.d/rc.d/mytype")
        hangs.write_text("#!/bin/sh\necho it hangs\nexec sleep 1000\n")
        hangs.chmod(0o755)
        pair.do("start julius caesar")
        until(lambda: pair.state() == "jc" and pair.done() and pair.links_up(), PATIENCE_S, "both")
        post(theirs, "t=mytype\n")
        until(lambda: "it hangs" in ours.log(), 10, "the script")
        pair.do("power-off caesar")
        until(lambda: pair.state() == "jj", DEADTIME_S + 3, "the take-over")
        lines = [line.partition("running ")[2] for line in ours.log().splitlines() if "running /etc/ha.d/rc.d/" in line]
        assert lines == ["/etc/ha.d/rc.d/mytype mytype"]
        assert "is not the script" not in ours.log()
        pair.do("stop julius")
        assert ["sleep", "1000"] not in ours.processes().values()
