"""`cl_status` of both programs, each asked on its own node of a mixed pair: where the questions are the same, but for
the names of the nodes, so are the answers. Compared are what is printed, the exit code, and the form of what is said on
standard error: so many lines, each one of the log's or not.

HEARTBEAT_TEST_LONG=1 does it with the programs the other way round and other media, too.
"""

from __future__ import annotations

import re
import shlex
import time

import pytest
from interop.pair import playing
from interop.program import ORIGINAL, OURS
from interop.setting import LONG, NODES, Setting
from system.play import until

# OWN and PEER: names of the node that is asked, and of the other
QUESTIONS = """
--help
frobnicate
parameter -p keepalive
hbstatus
hbstatus -m
hbstatus -v
hbstatus -mv
hbstatus too many words
hbstatus -x
listnodes
listnodes -n
listnodes -p
listnodes -v
listnodes -nv
listnodes -pv
listnodes -pn
listnodes -m
listnodes -m -p
listnodes -m -v
listnodes -z
listnodes too many words
nodestatus
nodestatus OWN
nodestatus PEER
nodestatus -m PEER
nodestatus PEER -m
nodestatus OWN PEER
nodestatus nero
nodestatus -v OWN
nodetype
nodetype OWN
nodetype -m PEER
nodetype nero
nodeweight
nodeweight PEER
nodeweight -m PEER
nodeweight nero
nodesite
nodesite PEER
nodesite -m PEER
nodesite nero
listhblinks
listhblinks OWN
listhblinks OWN -v
listhblinks PEER
listhblinks -v PEER
listhblinks -m PEER
listhblinks -mv PEER
listhblinks nero
hblinkstatus
hblinkstatus PEER
hblinkstatus PEER eth0
hblinkstatus PEER /dev/ttyS0
hblinkstatus -m PEER eth0
hblinkstatus OWN eth0
hblinkstatus OWN /dev/ttyS0
hblinkstatus PEER eth7
hblinkstatus nero eth0
clientstatus
clientstatus PEER
clientstatus OWN ipfail
clientstatus OWN ipfail soon
clientstatus PEER ipfail 3000
clientstatus PEER ipfail soon
clientstatus -m OWN ipfail
clientstatus nero ipfail
rscstatus
rscstatus -m
rscstatus too many words
rscstatus -x
hbparameter
hbparameter -p
hbparameter keepalive
hbparameter -p keepalive
hbparameter -pkeepalive
hbparameter -m -p keepalive
hbparameter -p deadtime
hbparameter -p warntime
hbparameter -p initdead
hbparameter -p auto_failback
hbparameter -p udpport
hbparameter -p baud
hbparameter -p hopfudge
hbparameter -p deadping
hbparameter -p use_logd
hbparameter -p logfile
hbparameter -p node
hbparameter -p serial
hbparameter -p ucast
hbparameter -p ''
hbparameter -p nonsense
hbparameter -m -p nonsense
""".strip().splitlines()
# What is asked where the other node is gone, and where the daemon of this one is.
ABOUT = [each for each in QUESTIONS if "PEER" in each or each.startswith(("listnodes -v", "hbstatus -", "rscstatus"))]
WITHOUT = [
    "--help", "frobnicate", "hbstatus", "hbstatus -m", "hbstatus -v", "hbstatus -mv", "hbstatus -x",
    "hbstatus too many", "listnodes", "listnodes -z", "nodestatus", "nodestatus OWN", "nodetype nero", "nodeweight",
    "nodesite PEER",
    "listhblinks -v PEER", "hblinkstatus PEER eth0", "hblinkstatus", "clientstatus OWN ipfail", "clientstatus",
    "rscstatus -m", "rscstatus -x", "hbparameter", "hbparameter -p keepalive", "hbparameter -p nonsense",
]  # fmt: skip

LOG_LINE = re.compile(r"\w{3} \d\d \d\d:\d\d:\d\d \S+ cl_status: \[\d+\]: ERROR: .+|.+ REASON: ")
VERSION = re.compile(r"^(version:\t|Heartbeat version )\S.*$", re.MULTILINE)
PATIENCE_S = 40
SETTINGS = [
    Setting(OURS, ORIGINAL, media=("ucast", "serial")),
    Setting(ORIGINAL, OURS, media=("serial", "bcast"), failback="on"),
]


def answers(pair, name, questions):
    """question → (standard output, exit code, form of standard error), the names in it OWN and PEER."""
    node = pair.nodes[name]
    names = {"OWN": name, "PEER": pair.other(name)}
    found = {}
    for question in questions:
        words = [names.get(word, word) for word in shlex.split(question)]
        done = node.command("cl_status", *words)
        out = VERSION.sub(r"\1VERSION", done.stdout)
        for word, each in names.items():
            out = out.replace(each, word)
        form = ["log" if LOG_LINE.fullmatch(line) else "plain" for line in done.stderr.splitlines()]
        found[question] = (in_order(out, question), done.returncode, form)
    return found


def in_order(out, question):
    """Lists of nodes are in the order of ha.cf, which is not the one of OWN and PEER: that is tested by itself."""
    if not question.startswith(("listnodes", "hbstatus")):
        return out
    return sorted(each.strip("\n") for each in out.split("\n\n" if "\n\n" in out else "\n"))


def differing(ours, theirs):
    return {each: {"ours": ours[each], "theirs": theirs[each]} for each in theirs if ours[each] != theirs[each]}


def steady(pair, state, *, links=True):
    until(lambda: pair.state() == state and pair.done() and (not links or pair.links_up()), PATIENCE_S, state)


@pytest.mark.parametrize("setting", SETTINGS if LONG else SETTINGS[:1], ids=str)
def test_both_answer_alike(originals, setting):
    ours, theirs = NODES if setting.julius == OURS else NODES[::-1]
    with playing(setting) as pair:
        pair.do("start julius caesar")
        steady(pair, "jc")
        assert differing(answers(pair, ours, QUESTIONS), answers(pair, theirs, QUESTIONS)) == {}
        names = {name: pair.nodes[name].command("cl_status", "listnodes").stdout.split() for name in NODES}
        assert names[ours] == names[theirs] == ["caesar", "julius"]
        links = {name: pair.nodes[name].command("cl_status", "listhblinks", name).stdout for name in NODES}
        assert links[ours] == links[theirs]

        said = {}
        for name in (ours, theirs):
            pair.do(f"standby {name} all")
            steady(pair, {"julius": "cc", "caesar": "jj"}[name])
            said[name] = (
                answers(pair, name, ("rscstatus", "rscstatus -m")),
                answers(pair, pair.other(name), ("rscstatus", "rscstatus -m")),
            )
            assert said[name][0]["rscstatus"] == ("none\n", 0, [])
            assert said[name][1]["rscstatus"] == ("all\n", 0, [])
        assert said[ours] == said[theirs]

        about, without = {}, {}
        for name in (ours, theirs):
            pair.do(f"stop {name}")
            rest = pair.other(name)
            steady(pair, {"julius": "jj", "caesar": "cc"}[rest], links=False)
            # an original counts the links of a node that has left as up for its death time
            says = pair.nodes[rest].says
            until(lambda says=says, name=name: says("hblinkstatus", name, "eth0") == "dead", 20, "its links")
            time.sleep(1)
            about[rest] = answers(pair, rest, ABOUT)
            without[name] = answers(pair, name, WITHOUT)
            pair.do(f"start {name}")
            until(lambda: pair.done() and pair.links_up(), PATIENCE_S, "both")
        assert differing(about[ours], about[theirs]) == {}
        assert differing(without[ours], without[theirs]) == {}
