"""cl_status as protocol/behaviour.md §12.2 has it: what is printed, and the exit code."""

from __future__ import annotations

import re

import pytest
import tiny_daemon

from heartbeat import __version__, clstatus


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    run_dir = str(tmp_path_factory.mktemp("run"))
    with tiny_daemon.running(run_dir):
        yield f"{run_dir}/control"


@pytest.fixture
def ask(path, capfd):
    """The command line as one string → exit code, stdout, stderr."""

    def ask(line: str, at: str = path) -> tuple[int, str, str]:
        code = clstatus.run(at, line.split())
        return (code, *capfd.readouterr())

    return ask


LOG_LINE = re.compile(r"\w{3} \d\d \d\d:\d\d:\d\d \S+ cl_status: \[\d+\]: ERROR: .+")
LISTED = (
    "\nbrutus\tdead\t(nodetype: normal)\n\t/dev/ttyS0\tdead\n"
    "\n10.0.0.1\tping\t(nodetype: ping)\n\t10.0.0.1\tup\n"
    "\ncaesar\tup\t(nodetype: normal)\n\teth0\tdead\n\t/dev/ttyS0\tup\n"
    "\njulius\tactive\t(nodetype: normal)\n\teth0\tup\n\t/dev/ttyS0\tdead\n"
)


@pytest.mark.parametrize(
    ("line", "code", "out"),
    [
        ("hbstatus", 0, "Heartbeat is running on this machine.\n"),
        ("hbstatus -m", 0, "Heartbeat is running on this machine.\n"),
        ("hbstatus -v", 0, f'version:\t{__version__}\nmanaged by:\t"haresources"\n{LISTED}'),
        ("listnodes", 0, "brutus\n10.0.0.1\ncaesar\njulius\n"),
        ("listnodes -n", 0, "brutus\ncaesar\njulius\n"),
        ("listnodes -p", 0, "10.0.0.1\n"),
        ("listnodes -v", 0, LISTED),
        ("listnodes -pv", 0, "\n10.0.0.1\tping\t(nodetype: ping)\n\t10.0.0.1\tup\n"),
        ("nodestatus julius", 0, "active\n"),
        ("nodestatus JULIUS", 0, "active\n"),
        ("nodestatus caesar", 0, "up\n"),
        ("nodestatus 10.0.0.1", 0, "ping\n"),
        ("nodestatus brutus", 1, "dead\n"),
        ("nodetype julius", 0, "normal\n"),
        ("nodetype 10.0.0.1", 0, "ping\n"),
        ("nodeweight julius", 0, "100\n"),
        ("nodesite julius", 0, "\n"),
        ("listhblinks caesar", 0, "\teth0\n\t/dev/ttyS0\n"),
        ("listhblinks caesar -v", 0, "\teth0\tdead\n\t/dev/ttyS0\tup\n"),
        ("listhblinks -v caesar", 0, "\teth0\tdead\n\t/dev/ttyS0\tup\n"),
        ("listhblinks julius", 0, "\teth0\n\t/dev/ttyS0\n"),
        ("hblinkstatus julius eth0", 0, "up\n"),
        ("hblinkstatus julius /dev/ttyS0", 1, "dead\n"),  # no line hears itself
        ("hblinkstatus caesar /dev/ttyS0", 0, "up\n"),
        ("hblinkstatus caesar eth0", 1, "dead\n"),
        ("clientstatus caesar ipfail", 1, "offline\n"),
        ("clientstatus julius ipfail", 0, "online\n"),
        ("clientstatus JULIUS ipfail", 0, "online\n"),
        ("clientstatus julius crmd", 1, "offline\n"),
        ("clientstatus caesar ipfail 2000", 1, "offline\n"),
        ("rscstatus", 0, "local\n"),
        ("hbparameter -p keepalive", 0, "5000ms\n"),
        ("hbparameter -pkeepalive", 0, "5000ms\n"),
        ("rscstatus too many words", 0, "local\n"),
        ("nodestatus julius caesar", 0, "active\n"),
        ("nodestatus -- julius", 0, "active\n"),
        ("hbstatus now", 0, "Heartbeat is running on this machine.\n"),
        ("listnodes -pn", 0, "brutus\ncaesar\njulius\n"),
    ],
)
def test_plain_answers(ask, line, code, out):
    assert ask(line) == (code, out, "")


@pytest.mark.parametrize(
    ("line", "code", "part"),
    [
        ("hbstatus -mv", 0, f'Heartbeat version {__version__}\nResources controlled by "haresources"\nThe nodes '),
        ("hbstatus -mv", 0, "\n\tthis node has the following heartbeat links:\n\teth0\tup\n\t/dev/ttyS0\tdead\n"),
        ("listnodes -m", 0, "The nodes are as follow:\nbrutus\n"),
        ("listnodes -mp", 0, "The nodes are as follow:\n10.0.0.1\n"),
        ("nodestatus -m brutus", 1, "The cluster node brutus is dead\n"),
        ("nodetype brutus -m", 0, "The node brutus's type: normal\n"),
        ("nodeweight brutus -m", 0, "The weight of the cluster node brutus is 100\n"),
        ("nodesite brutus -m", 0, "The site of the cluster node brutus is \n"),
        ("listhblinks caesar -m", 0, "\tthis node has the following heartbeat links:\n\teth0\n"),
        ("hblinkstatus caesar eth0 -m", 1, "The node caesar's heartbeat link eth0 is dead\n"),
        ("clientstatus caesar ipfail -m", 1, "offline\n"),
        ("rscstatus -m", 0, "This node is holding local resources.\n"),
        ("hbparameter -m -p keepalive", 0, "Heartbeat parameter keepalive's value: 5000ms\n"),
    ],
)
def test_answers_for_people(ask, line, code, part):
    given, out, err = ask(line)
    assert (given, err) == (code, "")
    assert part in out


# as many lines on standard error as the original's, and in its form: the log's (l) or plain (p)
@pytest.mark.parametrize(
    ("line", "code", "form"),
    [
        ("parameter -p keepalive", 11, "l"),  # the manual's name for it
        ("frobnicate", 11, "l"),
        ("--help", 11, "l"),
        ("listnodes -z", 11, "pl"),
        ("nodestatus", 11, "p"),
        ("nodestatus -p julius", 11, "pl"),
        ("nodestatus nero", 11, "p"),
        ("nodetype nero", 11, "p"),
        ("nodeweight nero", 11, "p"),
        ("nodesite nero", 11, "p"),
        ("listhblinks nero", 13, "ll"),
        ("listhblinks", 11, "p"),
        ("hblinkstatus caesar", 11, "p"),
        ("hblinkstatus caesar eth7", 13, "ll"),
        ("hblinkstatus nero eth0", 13, "ll"),
        ("clientstatus nero ipfail", 13, "ll"),
        ("clientstatus caesar", 11, "p"),
        ("clientstatus caesar ipfail soon", 13, "ll"),
        ("hbparameter", 11, "l"),
        ("hbparameter -p", 11, "pl"),
        ("hbparameter -p nosuch", 1, "ll"),
    ],
)
def test_errors(ask, line, code, form):
    given, out, err = ask(line)
    assert (given, out) == (code, "")
    assert "".join("l" if LOG_LINE.fullmatch(each) else "p" for each in err.splitlines()) == form


def test_a_bad_option_does_not_keep_hbstatus_from_answering(ask):
    answer = "Heartbeat is running on this machine.\n"
    assert ask("hbstatus -x") == (0, answer, "hbstatus: invalid option -- 'x'\n")


def test_what_shares_an_interface_is_one_link(changed):
    nodes = {"caesar": {"status": "up", "generation": 1, "links": {"eth0": "up", "eth1": "dead", "eth0#2": "dead"}}}
    assert changed("listhblinks -v caesar", nodes=nodes) == (0, "\teth0\tup\n\teth1\tdead\n", "")


@pytest.mark.parametrize("line", ["", "-h"])
def test_help(ask, line):
    code, out, err = ask(line)
    assert (code, err) == (0, "")
    assert all(name in out for name in clstatus.COMMANDS)


@pytest.fixture
def changed(tmp_path, ask):
    """The same with a daemon that answers `status` otherwise."""

    def changed(line: str, **changes):
        answer = {"ok": True, "status": {**tiny_daemon.STATUS, **changes}}
        with tiny_daemon.running(str(tmp_path), answers={"status": answer}):
            return ask(line, f"{tmp_path}/control")

    return changed


def test_resources_on_the_move(changed):
    assert changed("rscstatus", stable=False) == (0, "transition\n", "")


# daemons that do not answer


def test_without_a_daemon(ask, tmp_path):
    assert ask("hbstatus", f"{tmp_path}/control") == (1, "Heartbeat is stopped on this machine.\n", "")
    why = "(hb_api_signon: Can't initiate connection to heartbeat)\n"
    assert ask("hbstatus -v", f"{tmp_path}/control")[:2] == (1, f"Heartbeat is stopped on this machine.\n{why}")
    for line in ("rscstatus", "listnodes", "nodestatus julius", "hbparameter -p keepalive", "hbparameter", "nodetype"):
        code, out, err = ask(line, f"{tmp_path}/control")
        assert (code, out) == (1, "")
        assert err.count(" cl_status: ") == err.count("\n") == 2
    assert ask("frobnicate", f"{tmp_path}/control")[0] == 11


def test_a_daemon_that_is_silent(ask, tmp_path, monkeypatch):
    monkeypatch.setattr(clstatus, "TIMEOUT_S", 0.05)
    with tiny_daemon.running(str(tmp_path), "silent"):
        for line in ("rscstatus", "hbstatus"):
            code, out, err = ask(line, f"{tmp_path}/control")
            assert (code, out) == (12, "")
            assert err.count("\n") == 1


def test_a_daemon_that_refuses(ask, tmp_path):
    refusal = {"ok": False, "error": "permission denied"}
    with tiny_daemon.running(str(tmp_path), answers={"status": refusal, "parameters": refusal}):
        code, out, err = ask("hbstatus", f"{tmp_path}/control")
        assert (code, err) == (0, "")
        assert "refuses" in out
        for line in ("rscstatus", "hbparameter -p keepalive"):
            code, out, err = ask(line, f"{tmp_path}/control")
            assert (code, out) == (1, "")
            assert err.count("\n") == 2
