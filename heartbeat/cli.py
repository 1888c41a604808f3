"""The commands: arguments in, exit code out (the table of exit codes is in the manual page heartbeat(8)).

Its rules: nothing is decided here, and nothing is imported before it is needed. `heartbeat run` is the daemon's own
process for years, so its way through this file loads neither an argument parser nor anything of the other commands;
`heartbeat status` loads nothing of the daemon.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from heartbeat.paths import Paths

# exit codes with one meaning in all our own commands
OK, FAILED, USAGE, NOT_RUNNING = 0, 1, 2, 3

SETS = ("all", "local", "foreign", "failback")

# a daemon that lives answers within milliseconds
STATUS_TIMEOUT_S = 5.0
# releasing waits for each agent at most its stop time-out (30 s), acquiring for its start time-out (60 s)
HANDOVER_TIMEOUT_S = 90.0
# files are read, media opened and interfaces looked up
RELOAD_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 45.0

HELP = """\
usage: heartbeat COMMAND [OPTION]...

two Linux routers that act as one

commands:
  run        run this node in the foreground
  check      print the effective settings, or every error of the configuration
  bench      how late this box is, and the smallest keepalive and deadtime that
             are safe [--json] [--seconds N]
  status     show nodes, links, groups and media [--json]
  standby    let the other node take [all|local|foreign|failback]
  takeover   take from the other node [all|local|foreign|failback]
  stop       stop the daemon, which hands over, and wait until it is gone
  reload     let the daemon read its configuration again
  accept     believe a quarantined NODE, whose files were set back
  decode     show a capture message by message [--authkeys FILE] FILE...
  demo       two routers, a client and a null-modem cable on this machine
             [--json] [--seed-times]
  simulate   years of this configuration under faults [--years N] [--lives N]
             [--seed N]
  journal    write down what this node's daemon was told and decided
  replay     decide it again, and compare [--json] [--all] [--from S] [--to S]
             [--debug N] FILE

options of every command, and the variables that stand for them:
  --config-dir DIR   /etc/ha.d            HEARTBEAT_CONFIG_DIR
  --run-dir DIR      /run/heartbeat       HEARTBEAT_RUN_DIR
  --state-dir DIR    /var/lib/heartbeat   HEARTBEAT_STATE_DIR
  --lock-dir DIR     /var/lock            HEARTBEAT_LOCK_DIR
  --help  --version

heartbeat(8) tells more.
"""


class UsageError(Exception):
    """The command line makes no sense; the text says why."""


class Arguments:
    """A command line taken apart. flags: option → its value, "" for one that takes none."""

    __slots__ = ("flags", "words")

    def __init__(self, flags: dict[str, str], words: list[str]) -> None:
        self.flags = flags
        self.words = words

    def words_at_most(self, count: int) -> None:
        if len(self.words) > count:
            raise UsageError(f"too many arguments: {' '.join(self.words[count:])}")


def find_paths(argv: list[str]) -> tuple[Paths, list[str]]:
    """Take the four directory options out of `argv`, wherever they stand before `--`. UsageError."""
    from heartbeat.paths import DEFAULTS, Paths

    found = {name: os.environ.get(f"HEARTBEAT_{name.upper()}_DIR") or default for name, default in DEFAULTS.items()}
    rest: list[str] = []
    words = iter(argv)
    for word in words:
        if word == "--":
            rest += [word, *words]
            break
        option, equals, value = word.partition("=")
        name = option.removeprefix("--").removesuffix("-dir")
        if name in found and option == f"--{name}-dir":
            if not equals:
                value = next(words, "")
            if not value:
                raise UsageError(f"{option} needs a directory")
            found[name] = value
        else:
            rest.append(word)
    return Paths(*(os.path.abspath(directory) for directory in found.values())), rest


def parse(argv: list[str], flags: tuple[str, ...] = (), valued: tuple[str, ...] = ()) -> Arguments:
    """flags, valued: the long options that take no value and that take one. UsageError."""
    found: dict[str, str] = {}
    plain: list[str] = []
    words = iter(argv)
    for word in words:
        if word == "--":
            plain += words
            break
        option, equals, value = word.partition("=")
        if not word.startswith("-") or word == "-":
            plain.append(word)
        elif word in flags:
            found[word] = ""
        elif option in valued:
            value = value if equals else next(words, "")
            if not value:
                raise UsageError(f"{option} needs a value")
            found[option] = value
        else:
            raise UsageError(f"unknown option: {word}")
    return Arguments(found, plain)


def _complain(text: str, program: str = "heartbeat") -> None:
    print(f"{program}: {text}", file=sys.stderr)


# ---------------------------------------------------------------------------------------------------------- the daemon


def _run(paths: Paths, argv: list[str]) -> int:
    arguments = parse(argv, valued=("--time-divisor",))
    arguments.words_at_most(0)
    text = arguments.flags.get("--time-divisor", "1")
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 1000):
        raise UsageError("--time-divisor takes a number from 1 to 1000")
    # What a crashed run has left waits for this one. Until the daemon has its real-time class, loading what it needs
    # would take a multiple of the time on a busy machine.
    from heartbeat import launch, precedence

    precedence.go_first()
    return launch.begin_anew(paths, int(text))


def _reason(error: OSError) -> str:
    return f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error)


# ------------------------------------------------------------------------------------------------ asking a daemon


def _ask(
    paths: Paths, request: dict[str, Any], timeout_s: float, program: str = "heartbeat"
) -> tuple[int, dict[str, Any]]:
    """(exit code, answer); what went wrong has been said."""
    from heartbeat.control import NotRunning, ask

    try:
        answer = ask(paths.control, request, timeout_s)
    except NotRunning as error:
        _complain(f"not running: {error}", program)
        return NOT_RUNNING, {}
    except PermissionError:
        _complain(f"permission denied at {paths.control}: be root, or for status a member of its group", program)
        return FAILED, {}
    except OSError as error:
        _complain(_reason(error), program)
        return FAILED, {}
    if not answer.get("ok"):
        _complain(str(answer.get("error", "refused without a reason")), program)
        return FAILED, answer
    return OK, answer


def _status(paths: Paths, argv: list[str]) -> int:
    arguments = parse(argv, flags=("--json",))
    arguments.words_at_most(0)
    code, answer = _ask(paths, {"request": "status"}, STATUS_TIMEOUT_S)
    if code != OK:
        return code
    status = answer["status"]
    if "--json" in arguments.flags:
        import json

        print(json.dumps(status))
    else:
        from heartbeat.report import text

        sys.stdout.write(text(status))
    return OK if status["stable"] else FAILED


def _hand_over(paths: Paths, verb: str, argv: list[str]) -> int:
    arguments = parse(argv)
    arguments.words_at_most(1)
    which = arguments.words[0] if arguments.words else "all"
    if which not in SETS:
        raise UsageError(f"{which!r} is no set of resources: {', '.join(SETS)}")
    code, answer = _ask(paths, {"request": verb, "set": which}, HANDOVER_TIMEOUT_S)
    if answer.get("text") and code == OK:
        print(answer["text"])
    return code


def _standby(paths: Paths, argv: list[str]) -> int:
    return _hand_over(paths, "standby", argv)


def _takeover(paths: Paths, argv: list[str]) -> int:
    return _hand_over(paths, "takeover", argv)


def _reload(paths: Paths, argv: list[str]) -> int:
    arguments = parse(argv)
    arguments.words_at_most(0)
    return _ask(paths, {"request": "reload"}, RELOAD_TIMEOUT_S)[0]


def _accept(paths: Paths, argv: list[str]) -> int:
    arguments = parse(argv)
    arguments.words_at_most(1)
    if not arguments.words:
        raise UsageError("accept needs the name of a node")
    code, answer = _ask(paths, {"request": "accept", "node": arguments.words[0].lower()}, STATUS_TIMEOUT_S)
    if answer.get("text") and code == OK:
        print(answer["text"])
    return code


def _stop(paths: Paths, argv: list[str]) -> int:
    """SIGTERM, and wait for the process itself: its socket may be gone long before its addresses are."""
    arguments = parse(argv)
    arguments.words_at_most(0)
    import select
    import signal

    from heartbeat.persist import daemon_pidfd

    try:
        pidfd = daemon_pidfd(paths.pidfile)
        if pidfd is None:
            return OK
        signal.pidfd_send_signal(pidfd, signal.SIGTERM)
    except ProcessLookupError:
        return OK
    except OSError as error:
        _complain(f"cannot stop the daemon: {_reason(error)}")
        return FAILED
    waiting = select.poll()
    waiting.register(pidfd, select.POLLIN)
    if waiting.poll(STOP_TIMEOUT_S * 1000):
        return OK
    _complain(f"the daemon is still there after {STOP_TIMEOUT_S:g} s; its log says what it waits for")
    return FAILED


# -------------------------------------------------------------------------------------------------- without a daemon


def _check(paths: Paths, argv: list[str]) -> int:
    arguments = parse(argv)
    arguments.words_at_most(0)
    from heartbeat.config import check

    report = check(paths.config_dir)
    warnings = list(report.warnings)
    if report.config is not None:
        from heartbeat import advised

        warnings += advised.warnings(paths.state_dir, report.config)
    # octets of the files that are no UTF-8 come out as they went in: the settings parse again
    sys.stdout.buffer.write(report.text.encode("utf-8", "surrogateescape"))
    sys.stdout.flush()
    for line in (*report.errors, *warnings):
        print(line, file=sys.stderr)
    return FAILED if report.errors else OK


def _bench(paths: Paths, argv: list[str]) -> int:
    arguments = parse(argv, flags=("--json",), valued=("--seconds",))
    arguments.words_at_most(0)
    from heartbeat import bench

    try:
        seconds = float(arguments.flags.get("--seconds", bench.DURATION_S))
    except ValueError:
        seconds = 0.0
    if not bench.LEAST_S <= seconds <= bench.MOST_S:
        raise UsageError(f"--seconds takes a number from {bench.LEAST_S:g} to {bench.MOST_S:g}")
    as_json = "--json" in arguments.flags
    return bench.main(paths, seconds=seconds, as_json=as_json, out=sys.stdout.write, complain=_complain)


def _decode(paths: Paths, argv: list[str]) -> int:
    arguments = parse(argv, valued=("--authkeys",))
    if not arguments.words:
        raise UsageError("decode needs a file")
    from heartbeat import decode
    from heartbeat.config import ConfigError

    path = arguments.flags.get("--authkeys")
    try:
        keys = None if path is None else _keys(path)
    except ConfigError as error:
        for line in error.errors:
            print(line, file=sys.stderr)
        return FAILED
    return decode.main(arguments.words, keys, sys.stdout)


def _keys(path: str) -> dict[int, tuple[str, bytes]]:
    """The keys of an authkeys file, whoever may read it: a capture is often looked at elsewhere. ConfigError."""
    from heartbeat.config import ConfigError
    from heartbeat.config.authkeys import Keys
    from heartbeat.config.lines import LINE_MAX, read, text_lines
    from heartbeat.config.problems import Problems

    problems = Problems(path)
    found = read(problems, "name the file of the keys that the capture was signed with")
    keys = Keys(problems)
    if found is not None:
        keys.read(text_lines(found[0], problems, line_max=LINE_MAX, encoding="latin-1"))
    if problems.errors():
        raise ConfigError(problems.errors())
    return keys.keys


def _demo(paths: Paths, argv: list[str]) -> int:
    arguments = parse(argv, flags=("--json", "--seed-times"))
    arguments.words_at_most(0)
    from heartbeat import demo

    return demo.main(json="--json" in arguments.flags, seed_times="--seed-times" in arguments.flags)


def _journal(paths: Paths, argv: list[str]) -> int:
    arguments = parse(argv, flags=("--crashed",), valued=("--reason",))
    arguments.words_at_most(0)
    from heartbeat import recorder

    crashed = "--crashed" in arguments.flags
    reason = arguments.flags.get("--reason", "request")
    try:
        path = recorder.collect(paths, reason=reason, crashed=crashed)
    except (OSError, ValueError) as error:
        _complain(f"no journal written: {_reason(error) if isinstance(error, OSError) else error}")
        return FAILED
    if path is None:
        _complain(f"no journal in {paths.run_dir}: no heartbeat daemon has run here")
        return NOT_RUNNING
    print(path)
    return OK


def _replay(paths: Paths, argv: list[str]) -> int:
    arguments = parse(argv, flags=("--json", "--all"), valued=("--from", "--to", "--debug"))
    arguments.words_at_most(1)
    if not arguments.words:
        raise UsageError("replay needs a file")
    from heartbeat import replay

    try:
        first, last = (float(arguments.flags.get(name, end)) for name, end in (("--from", "-inf"), ("--to", "inf")))
        debug = int(arguments.flags.get("--debug", "0"))
    except ValueError:
        raise UsageError("--from and --to take seconds, --debug the number of an event") from None
    return replay.main(
        arguments.words[0], sys.stdout, as_json="--json" in arguments.flags, everything="--all" in arguments.flags,
        first=first, last=last, debug=debug,
    )  # fmt: skip


def _simulate(paths: Paths, argv: list[str]) -> int:
    from heartbeat.sim import command

    arguments = parse(argv, valued=command.VALUED)
    arguments.words_at_most(0)
    try:
        tasks = command.tasks_of(arguments.flags, paths.config_dir)
    except ValueError as error:
        raise UsageError(str(error)) from None
    return command.main(tasks, sys.stdout.write)


COMMANDS: dict[str, Callable[[Paths, list[str]], int]] = {
    "run": _run,
    "check": _check,
    "bench": _bench,
    "status": _status,
    "standby": _standby,
    "takeover": _takeover,
    "stop": _stop,
    "reload": _reload,
    "accept": _accept,
    "decode": _decode,
    "demo": _demo,
    "simulate": _simulate,
    "journal": _journal,
    "replay": _replay,
}


def main(argv: list[str] | None = None) -> int:
    """`heartbeat`: the exit code of the command that the first plain word names."""
    argv = sys.argv[1:] if argv is None else argv
    try:
        return _main(argv)
    except UsageError as error:
        _complain(f"{error}\nTry 'heartbeat --help'.")
        return USAGE
    except BrokenPipeError:
        # the reader of our output (head, less) has seen enough; nothing is left to flush at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return FAILED
    except KeyboardInterrupt:
        return 130  # as shells say of SIGINT


def _main(argv: list[str]) -> int:
    before = argv[: argv.index("--")] if "--" in argv else argv
    if "--help" in before or "-h" in before:
        sys.stdout.write(HELP)
        return OK
    if "--version" in before:
        from heartbeat import __version__

        print(f"heartbeat {__version__}")
        return OK
    paths, rest = find_paths(argv)
    if not rest:
        sys.stderr.write(HELP)
        return USAGE
    command = COMMANDS.get(rest[0])
    if command is None:
        raise UsageError(f"unknown command: {rest[0]}")
    code = command(paths, rest[1:])
    sys.stdout.flush()
    return code


# --------------------------------------------------------------------------------------------- the original's commands


def hb_standby(argv: list[str] | None = None) -> int:
    """The original's hb_standby (protocol/behaviour.md §6)."""
    return _original("hb_standby", "standby", sys.argv[1:] if argv is None else argv)


def hb_takeover(argv: list[str] | None = None) -> int:
    """The original's hb_takeover (protocol/behaviour.md §6)."""
    return _original("hb_takeover", "takeover", sys.argv[1:] if argv is None else argv)


def _original(program: str, verb: str, argv: list[str]) -> int:
    """Prints nothing and returns 0 when it is done; 1 for whatever went wrong, which it says."""
    try:
        paths, words = find_paths(argv)
        if len(words) > 1 or (words and words[0] not in SETS):
            raise UsageError(f"usage: {program} [{'|'.join(SETS)}]")
    except UsageError as error:
        print(error, file=sys.stderr)
        return FAILED
    request = {"request": verb, "set": words[0] if words else "all"}
    try:
        code = _ask(paths, request, HANDOVER_TIMEOUT_S, program)[0]
    except KeyboardInterrupt:
        return 130
    return FAILED if code != OK else OK


def cl_status(argv: list[str] | None = None) -> int:
    """The original's cl_status (protocol/behaviour.md §12.2)."""
    from heartbeat import clstatus

    argv = sys.argv[1:] if argv is None else argv
    try:
        paths, rest = find_paths(argv)
    except UsageError as error:
        return clstatus.parameter_error(str(error))
    try:
        return clstatus.run(paths.control, rest)
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
