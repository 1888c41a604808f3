"""`cl_status`, the original's question-and-answer command: same sub-commands, options, output and exit codes
(protocol/behaviour.md §12.2), answered from the control socket.

Its rules: one answer on stdout, errors on stderr in the log's form, five seconds in all. A question about a node that
ha.cf does not name is a parameter error, one about a link that the node does not have is another error, as there.
"""

from __future__ import annotations

import os
import sys
import time

from heartbeat.control import NotRunning, ask

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

OK, FAILED, BAD_PARAMETER, TIMED_OUT, OTHER = 0, 1, 11, 12, 13

PROGRAM = "cl_status"
# the original's alarm clock
TIMEOUT_S = 5.0
# what hb_setweight and hb_setsite would change in clusters of another kind; here nothing depends on them
NODE_WEIGHT = 100
NODE_SITE = "default"

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
    """A question without an answer: exit code, and lines for stderr."""

    def __init__(self, code: int, *lines: str) -> None:
        super().__init__(*lines)
        self.code = code
        self.lines = lines


class Daemon:
    """The daemon's answers, asked for when needed, all within TIMEOUT_S of the start."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._deadline_s = time.monotonic() + TIMEOUT_S
        self._status: dict[str, Any] | None = None

    def _ask(self, request: str) -> Any:
        left_s = self._deadline_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        answer = ask(self._path, {"request": request}, left_s)
        if not answer.get("ok"):
            raise PermissionError(answer.get("error", "refused"))
        return answer[request]

    def status(self) -> dict[str, Any]:
        """The object of `status --json`."""
        if self._status is None:
            self._status = self._ask("status")
        return self._status

    def parameters(self) -> dict[str, str]:
        """Directive of ha.cf → value, for those that the original records."""
        return {name: str(value) for name, value in self._ask("parameters").items()}

    def node(self, name: str) -> dict[str, Any]:
        """What is known of a node."""
        found = self.status()["nodes"].get(name.lower())
        if found is None:
            raise Failure(BAD_PARAMETER, f"there is no node {name} in this cluster")
        return dict(found)


class Question:
    """A sub-command's arguments. human, more, kind: the options -m, -v, and `ping` or `normal` of -p and -n."""

    __slots__ = ("human", "kind", "more", "parameter", "words")

    def __init__(self) -> None:
        self.human = False
        self.more = False
        self.kind = ""
        self.parameter = ""
        self.words: list[str] = []

    def say(self, plain: str, sentence: str) -> None:
        print(sentence if self.human else plain)


def _question(name: str, argv: list[str]) -> Question:
    """Take the command line of sub-command `name` apart. Options may stand together (-mv) and anywhere."""
    question = Question()
    words = iter(argv)
    for word in words:
        if len(word) < 2 or not word.startswith("-"):
            question.words.append(word)
            continue
        for position, letter in enumerate(word[1:], 2):
            if letter == "m":
                question.human = True
            elif letter == "v":
                question.more = True
            elif letter == "p" and name == "hbparameter":
                question.parameter = word[position:] or next(words, "")
                break
            elif letter in "np" and name == "listnodes":
                question.kind = "ping" if letter == "p" else "normal"
            else:
                raise Failure(BAD_PARAMETER, f"{name} has no option -{letter}")
    least, most = COMMANDS[name][1:]
    if not least <= len(question.words) <= most:
        raise Failure(BAD_PARAMETER, f"{name} takes {COUNTS[least, most]}")
    return question


def _type_of(node: dict[str, Any]) -> str:
    return "ping" if node["status"] == "ping" else "normal"


def _hbstatus(daemon: Daemon, question: Question) -> int:
    try:
        status = daemon.status()
    except (NotRunning, ConnectionError):
        print("Heartbeat is stopped on this machine.")
        return FAILED
    except PermissionError:
        print("Heartbeat seems to run on this machine, but refuses to answer.")
        return OK
    if not question.more:
        print("Heartbeat is running on this machine.")
        return OK
    from heartbeat import __version__  # noqa: PLC0415

    if question.human:
        print(f"Heartbeat version {__version__} is running on this machine.")
        print("Resources are managed by haresources.")
    else:
        print(f'version:\t{__version__}\nmanaged by:\t"haresources"')
    _print_nodes(status, question)
    return OK


def _listnodes(daemon: Daemon, question: Question) -> int:
    _print_nodes(daemon.status(), question)
    return OK


def _print_nodes(status: dict[str, Any], question: Question) -> None:
    if question.human:
        print({"": "The nodes of this cluster:", "ping": "Ping nodes:", "normal": "Normal nodes:"}[question.kind])
    # the last of ha.cf first, as the original has it
    for name, node in reversed(status["nodes"].items()):
        kind = _type_of(node)
        if question.kind not in ("", kind):
            continue
        if not question.more:
            print(name)
            continue
        print(f"\n{name}\t{node['status']}\t(nodetype: {kind})")
        for link, state in node["links"].items():
            print(f"\t{link}\t{state}")


def _nodestatus(daemon: Daemon, question: Question) -> int:
    status = daemon.node(question.words[0])["status"]
    question.say(status, f"The status of node {question.words[0]} is {status}.")
    return OK if status in ("active", "up", "ping") else FAILED


def _nodetype(daemon: Daemon, question: Question) -> int:
    kind = _type_of(daemon.node(question.words[0]))
    question.say(kind, f"Node {question.words[0]} is a {kind} node.")
    return OK


def _nodeweight(daemon: Daemon, question: Question) -> int:
    daemon.node(question.words[0])
    question.say(str(NODE_WEIGHT), f"The weight of node {question.words[0]} is {NODE_WEIGHT}.")
    return OK


def _nodesite(daemon: Daemon, question: Question) -> int:
    daemon.node(question.words[0])
    question.say(NODE_SITE, f"The site of node {question.words[0]} is {NODE_SITE}.")
    return OK


def _links(daemon: Daemon, name: str) -> dict[str, str]:
    try:
        return dict(daemon.node(name)["links"])
    except Failure as failure:
        raise Failure(OTHER, *failure.lines) from None


def _listhblinks(daemon: Daemon, question: Question) -> int:
    links = _links(daemon, question.words[0])
    if question.human:
        print(f"Heartbeat links of node {question.words[0]}:")
    for link, state in links.items():
        print(f"\t{link}\t{state}" if question.more else f"\t{link}")
    return OK


def _hblinkstatus(daemon: Daemon, question: Question) -> int:
    name, link = question.words
    state = _links(daemon, name).get(link)
    if state is None:
        raise Failure(OTHER, f"node {name} has no link {link}")
    question.say(state, f"The link {link} to node {name} is {state}.")
    return OK if state == "up" else FAILED


def _clientstatus(daemon: Daemon, question: Question) -> int:
    """No program registers with this daemon, so each client is offline on each node."""
    name, client = question.words[:2]
    if len(question.words) > 2 and not question.words[2].isdigit():
        raise Failure(BAD_PARAMETER, f"{question.words[2]} is no time-out in milliseconds")
    try:
        daemon.node(name)
    except Failure as failure:
        raise Failure(OTHER, *failure.lines) from None
    question.say("offline", f"Client {client} on node {name} is offline.")
    return FAILED


def _rscstatus(daemon: Daemon, question: Question) -> int:
    status = daemon.status()
    holds = status["holds"] if status["stable"] else "transition"
    question.say(holds, f"This node is holding {holds} resources.")
    return OK


def _hbparameter(daemon: Daemon, question: Question) -> int:
    name = question.parameter
    if not name:
        raise Failure(BAD_PARAMETER, "hbparameter needs the name of a directive: -p NAME")
    value = daemon.parameters().get(name)
    if value is None:
        raise Failure(FAILED, f"the parameter {name} is not set")
    question.say(value, f"The value of {name} is {value}.")
    return OK


# sub-command → who answers it, fewest and most arguments
COMMANDS: dict[str, tuple[Callable[[Daemon, Question], int], int, int]] = {
    "hbstatus": (_hbstatus, 0, 0),
    "listnodes": (_listnodes, 0, 0),
    "nodestatus": (_nodestatus, 1, 1),
    "nodetype": (_nodetype, 1, 1),
    "nodeweight": (_nodeweight, 1, 1),
    "nodesite": (_nodesite, 1, 1),
    "listhblinks": (_listhblinks, 1, 1),
    "hblinkstatus": (_hblinkstatus, 2, 2),
    "clientstatus": (_clientstatus, 2, 3),
    "rscstatus": (_rscstatus, 0, 0),
    "hbparameter": (_hbparameter, 0, 0),
}
COUNTS = {
    (0, 0): "no arguments",
    (1, 1): "the name of a node",
    (2, 2): "a node and a link",
    (2, 3): "a node, a client and perhaps a time-out in milliseconds",
}


def run(path: str, argv: list[str]) -> int:
    """Answer one question. path: the control socket. The exit code of behaviour.md §12.2."""
    if not argv or argv[0] in ("-h", "--help"):
        sys.stdout.write(HELP)
        return OK
    name, rest = argv[0], argv[1:]
    if name not in COMMANDS:
        return parameter_error(f"unknown command: {name}")
    try:
        code = COMMANDS[name][0](Daemon(path), _question(name, rest))
        sys.stdout.flush()
        return code
    except Failure as failure:
        return _fail(failure.code, *failure.lines)
    except TimeoutError:
        return _fail(TIMED_OUT, "the heartbeat daemon does not answer in time")
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the reader has gone, and so has what we would flush
        return FAILED
    except NotRunning as error:
        return _fail(FAILED, "cannot reach the heartbeat daemon", str(error))
    except OSError as error:
        return _fail(FAILED, "the heartbeat daemon refuses to answer", error.strerror or str(error))


def parameter_error(text: str) -> int:
    return _fail(BAD_PARAMETER, text)


def _fail(code: int, *lines: str) -> int:
    from heartbeat.log import emergency  # noqa: PLC0415

    for line in lines:
        emergency(PROGRAM, line)
    return code
