"""`cl_status`, the original's question-and-answer command: same sub-commands, options, output and exit codes
(protocol/behaviour.md §12.2), answered from the control socket.

Its rules: one answer on stdout, letter for letter the original's; errors on stderr in words of its own, but as many
lines and in the form that the original gives them, the log's or plain; five seconds in all. A question about a node
that ha.cf does not name is a parameter error, one about a link that the node does not have is another error, as there.
"""

from __future__ import annotations

import os
import sys
import time

from heartbeat.control import NotRunning, ask

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

OK, FAILED, BAD_PARAMETER, TIMED_OUT, OTHER = 0, 1, 11, 12, 13

PROGRAM = "cl_status"
# the original's alarm clock
TIMEOUT_S = 5.0
# what hb_setweight and hb_setsite would change in clusters of another kind; here nothing depends on them
NODE_WEIGHT = 100
NODE_SITE = ""
# without a daemon; programs look for these words
NO_SIGNON = "Cannot signon with heartbeat"
NO_CONNECTION = "hb_api_signon: Can't initiate connection to heartbeat"

HELP = """\
usage: cl_status COMMAND [OPTION]... [ARGUMENT]...

commands:
  hbstatus [-v]                 does heartbeat run on this machine?
  listnodes [-p|-n] [-v]        the cluster's nodes; -p: ping nodes only, -n: the others only
  nodestatus NODE               init, up, active, dead or ping
  nodetype NODE                 normal or ping
  nodeweight NODE
  nodesite NODE
  listhblinks NODE [-v]         the links on which NODE is heard
  hblinkstatus NODE LINK        up or dead
  clientstatus NODE CLIENT [TIMEOUT_MS]
  rscstatus                     what this node holds: none, local, foreign, all or transition
  hbparameter -p NAME           the value of a directive of ha.cf

options:
  -m    for people
  -v    more of it
"""


class Failure(Exception):  # noqa: N818  not always an error: an answer may be `unset`
    """A question without an answer: exit code, and lines for stderr, in the log's form unless plain."""

    def __init__(self, code: int, *lines: str, plain: bool = False) -> None:
        super().__init__(*lines)
        self.code = code
        self.lines = lines
        self.plain = plain


class Daemon:
    """The daemon's answers, asked for when needed, all within TIMEOUT_S of the start."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._deadline_s = time.monotonic() + TIMEOUT_S
        self._answers: dict[str, dict[str, Any]] = {}

    def _ask(self, request: str) -> dict[str, Any]:
        if request not in self._answers:
            left_s = self._deadline_s - time.monotonic()
            if left_s <= 0:
                raise TimeoutError
            answer = ask(self._path, {"request": request}, left_s)
            if not answer.get("ok"):
                raise PermissionError(answer.get("error", "refused"))
            self._answers[request] = answer
        return self._answers[request]

    def status(self) -> dict[str, Any]:
        """The object of `status --json`."""
        status: dict[str, Any] = self._ask("status")["status"]
        return status

    def parameters(self) -> dict[str, str]:
        """Directive of ha.cf → value, for those that the original records."""
        return {name: str(value) for name, value in self._ask("parameters")["parameters"].items()}

    def node(self, name: str) -> dict[str, Any]:
        """What is known of a node."""
        found = self.status()["nodes"].get(name.lower())
        if found is None:
            raise Failure(BAD_PARAMETER, f"Error. There is no node {name} in this cluster", plain=True)
        return dict(found)

    def links(self, name: str) -> dict[str, str]:
        """Link → up or dead, the last of ha.cf first, as the original has them. What shares an interface is one link
        there, and its own link is up where it hears itself."""
        links = self.node(name)["links"]
        own = name.lower() == self.status()["node"]
        loops = self._ask("parameters").get("loops", ()) if own else ()
        merged: dict[str, str] = {}
        for medium, state in reversed(links.items()):
            up = state == "up" and (not own or medium in loops)
            link = medium.partition("#")[0]
            merged[link] = "up" if up or merged.get(link) == "up" else "dead"
        return merged


class Question:
    """A sub-command's arguments. human, more, kind: the options -m, -v, and `ping` or `normal` of -p and -n; parameter:
    that of hbparameter's -p, None without."""

    __slots__ = ("human", "kind", "more", "parameter", "words")

    def __init__(self) -> None:
        self.human = False
        self.more = False
        self.kind = ""
        self.parameter: str | None = None
        self.words: list[str] = []

    def say(self, plain: str, sentence: str) -> None:
        print(sentence if self.human else plain)


def _question(name: str, argv: list[str]) -> Question:
    """Take the command line of sub-command `name` apart, as getopt does: options may stand together (-mv) and anywhere.
    Words too many are nobody's, as with the original."""
    question = Question()
    words = iter(argv)
    for word in words:
        if word == "--":
            question.words.extend(words)
        elif len(word) < 2 or not word.startswith("-"):
            question.words.append(word)
        else:
            _options(name, word[1:], words, question)
    least = COMMANDS[name][1]
    if len(question.words) < least:
        raise Failure(BAD_PARAMETER, f"Not enough parameters: {name} takes {COUNTS[least]}", plain=True)
    return question


def _options(name: str, letters: str, words: Iterator[str], question: Question) -> None:
    known = COMMANDS[name][2]
    for position, letter in enumerate(letters, 1):
        if letter not in known:
            _bad_option(name, f"invalid option -- '{letter}'")
        elif letter == "m":
            question.human = True
        elif letter == "v":
            question.more = True
        elif name == "listnodes":
            question.kind = "ping" if letter == "p" else "normal"
        else:
            question.parameter = letters[position:] or next(words, None)
            if question.parameter is None:
                _bad_option(name, f"option requires an argument -- '{letter}'")
            return


def _bad_option(name: str, what: str) -> None:
    """The C library says it, and then cl_status; but hbstatus answers all the same."""
    print(f"{name}: {what}", file=sys.stderr, flush=True)
    if name != "hbstatus":
        raise Failure(BAD_PARAMETER, f"{name} does not take this option")


def _type_of(node: dict[str, Any]) -> str:
    return str(node.get("type", "normal"))


def _hbstatus(daemon: Daemon, question: Question) -> int:
    try:
        daemon.status()
    except (NotRunning, ConnectionError):
        print("Heartbeat is stopped on this machine.")
        if question.more:
            print(f"({NO_CONNECTION})")
        return FAILED
    except PermissionError:
        print("Heartbeat seems to run on this machine, but refuses to answer.")
        return OK
    if not question.more:
        print("Heartbeat is running on this machine.")
        return OK
    from heartbeat import __version__  # noqa: PLC0415

    question.say(f"version:\t{__version__}", f"Heartbeat version {__version__}")
    question.say('managed by:\t"haresources"', 'Resources controlled by "haresources"')
    return _listnodes(daemon, question)


def _listnodes(daemon: Daemon, question: Question) -> int:
    if question.human:
        print("The nodes are as follow:")
    # the last of ha.cf first, as the original has it
    for name, node in reversed(daemon.status()["nodes"].items()):
        kind = _type_of(node)
        if question.kind not in ("", kind):
            continue
        if not question.more:
            print(name)
            continue
        print(f"\n{name}\t{node['status']}\t(nodetype: {kind})")
        _print_links(daemon.links(name), question)
    return OK


def _print_links(links: dict[str, str], question: Question) -> None:
    if question.human:
        print("\tthis node has the following heartbeat links:")
    for link, state in links.items():
        print(f"\t{link}\t{state}" if question.more else f"\t{link}")


def _nodestatus(daemon: Daemon, question: Question) -> int:
    status = daemon.node(question.words[0])["status"]
    question.say(status, f"The cluster node {question.words[0]} is {status}")
    return OK if status in ("active", "up", "ping") else FAILED


def _nodetype(daemon: Daemon, question: Question) -> int:
    kind = _type_of(daemon.node(question.words[0]))
    question.say(kind, f"The node {question.words[0]}'s type: {kind}")
    return OK


def _nodeweight(daemon: Daemon, question: Question) -> int:
    daemon.node(question.words[0])
    question.say(str(NODE_WEIGHT), f"The weight of the cluster node {question.words[0]} is {NODE_WEIGHT}")
    return OK


def _nodesite(daemon: Daemon, question: Question) -> int:
    daemon.node(question.words[0])
    question.say(NODE_SITE, f"The site of the cluster node {question.words[0]} is {NODE_SITE}")
    return OK


def _links(daemon: Daemon, name: str, what: str) -> dict[str, str]:
    try:
        return daemon.links(name)
    except Failure:
        raise Failure(OTHER, f"Cannot get {what}", f"REASON: there is no node {name} in this cluster") from None


def _listhblinks(daemon: Daemon, question: Question) -> int:
    _print_links(_links(daemon, question.words[0], "heartbeat links"), question)
    return OK


def _hblinkstatus(daemon: Daemon, question: Question) -> int:
    name, link = question.words[:2]
    state = _links(daemon, name, "heartbeat link status").get(link)
    if state is None:
        raise Failure(OTHER, "Cannot get heartbeat link status", f"REASON: node {name} has no link {link}")
    question.say(state, f"The node {name}'s heartbeat link {link} is {state}")
    return OK if state == "up" else FAILED


def _clientstatus(daemon: Daemon, question: Question) -> int:
    """No program registers with a daemon of ours, which is ipfail itself (core/ipfail.py): every other client is
    offline. A time-out that is no number is none, as there: then no answer is in time."""
    name, client = question.words[:2]
    given = question.words[2] if len(question.words) > 2 else "500"
    hurried = not given.isascii() or not given.isdigit() or int(given) == 0
    if hurried or name.lower() not in daemon.status()["nodes"]:
        raise Failure(OTHER, f"Cannot get heartbeat client {client}'s status", "REASON: No timely response.")
    online = client == "ipfail" and name.lower() in daemon.status()["ipfail"]
    print("online" if online else "offline")
    return OK if online else FAILED


def _rscstatus(daemon: Daemon, question: Question) -> int:
    status = daemon.status()
    holds = status["holds"] if status["stable"] else "transition"
    question.say(holds, f"This node is holding {holds} resources.")
    return OK


def _hbparameter(daemon: Daemon, question: Question) -> int:
    name = question.parameter
    if name is None:
        raise Failure(BAD_PARAMETER, "parameter name required: -p NAME")
    value = daemon.parameters().get(name)
    if value is None:
        raise Failure(FAILED, f"Cannot get parameter {name}'s value", f"REASON: {name or 'nothing'} is not set")
    question.say(value, f"Heartbeat parameter {name}'s value: {value}")
    return OK


# sub-command → who answers it, fewest arguments, options
COMMANDS: dict[str, tuple[Callable[[Daemon, Question], int], int, str]] = {
    "hbstatus": (_hbstatus, 0, "mv"),
    "listnodes": (_listnodes, 0, "mnpv"),
    "nodestatus": (_nodestatus, 1, "m"),
    "nodetype": (_nodetype, 1, "m"),
    "nodeweight": (_nodeweight, 1, "m"),
    "nodesite": (_nodesite, 1, "m"),
    "listhblinks": (_listhblinks, 1, "mv"),
    "hblinkstatus": (_hblinkstatus, 2, "m"),
    "clientstatus": (_clientstatus, 2, "m"),
    "rscstatus": (_rscstatus, 0, "m"),
    "hbparameter": (_hbparameter, 0, "mp"),
}
COUNTS = {1: "the name of a node", 2: "a node, and a link or a client"}


def run(path: str, argv: list[str]) -> int:
    """Answer one question. path: the control socket. The exit code of behaviour.md §12.2."""
    if not argv or argv[0] == "-h":
        sys.stdout.write(HELP)
        return OK
    name, rest = argv[0], argv[1:]
    if name not in COMMANDS:
        return parameter_error(f"{name}: invalid sub-command; cl_status -h lists them")
    try:
        daemon = Daemon(path)
        if name != "hbstatus":
            daemon.status()  # without a daemon nobody looks at the rest of the line
        code = COMMANDS[name][0](daemon, _question(name, rest))
        sys.stdout.flush()
        return code
    except Failure as failure:
        return _fail(failure.code, *failure.lines, plain=failure.plain)
    except TimeoutError:
        return _fail(TIMED_OUT, "the heartbeat daemon does not answer in time")
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the reader has gone, and so has what we would flush
        return FAILED
    except NotRunning:
        return _fail(FAILED, NO_SIGNON, f"REASON: {NO_CONNECTION}")
    except OSError as error:
        return _fail(FAILED, NO_SIGNON, f"REASON: {error.strerror or error}")


def parameter_error(text: str) -> int:
    return _fail(BAD_PARAMETER, text)


def _fail(code: int, *lines: str, plain: bool = False) -> int:
    from heartbeat.log import emergency, printable  # noqa: PLC0415

    for line in lines:
        if plain:
            print(printable(line), file=sys.stderr)
        else:
            emergency(PROGRAM, line)
    return code
