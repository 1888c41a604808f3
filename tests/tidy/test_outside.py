"""What came over the wire reaches no process that the daemon starts (docs/security.md) but the operator's scripts in
rc.d, and those by a fixed list alone: seen from the sources.

Whoever starts a process cannot know what a message is, and a message passes through the executor unopened. What it does
get of the peer's words are texts for the log, for an operator's command, and for a mail.
"""

import ast
import re

from tidy.sources import imports, python_files, text, tree

from heartbeat.config import environment
from heartbeat.config.directives import TABLE
from heartbeat.core import hooks

STARTERS = ("spawn", "posix_spawn", "posix_spawnp", "_spawn", "Popen", "run", "system", "popen", "execv", "execve")
# who starts processes in the daemon, and what the processes are
IN_THE_DAEMON = {
    "heartbeat/alarm.py", "heartbeat/children.py", "heartbeat/executor.py", "heartbeat/hooks.py", "heartbeat/log.py",
    "heartbeat/peers.py", "heartbeat/recorder.py", "heartbeat/respawn.py",
}  # fmt: skip
# commands of an operator's, and an agent in a process of its own
ELSEWHERE = ("heartbeat/demo/", "heartbeat/sim/", "heartbeat/cli.py", "agents/delivery.py", "heartbeat/kernel_build.py")


def calls(name, *functions):
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.Call):
            called = node.func
            word = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            if word in functions:
                yield node


def starts_processes(name) -> bool:
    return any(
        isinstance(node, ast.Attribute) and (ast.unparse(node) in ("os.posix_spawn", "os.system", "subprocess.run")
                                             or node.attr in ("spawn", "Popen"))
        for node in ast.walk(tree(name))
    )  # fmt: skip


def test_who_starts_processes_is_known():
    found = {name for name in python_files("heartbeat", "agents") if starts_processes(name)}
    assert {name for name in found if not name.startswith(ELSEWHERE)} <= IN_THE_DAEMON


def test_who_starts_processes_knows_no_message():
    """`_hbfast` is where messages come from; the core, where they go."""
    for name in IN_THE_DAEMON - {"heartbeat/recorder.py"}:
        known = {found.module for found in imports(name)}
        assert not {module for module in known if module.startswith(("_hbfast", "heartbeat.wire", "heartbeat.core.c"))}


def test_the_executor_opens_no_message():
    """Of `action.message` it makes one thing: what the wire is given to send."""
    name = "heartbeat/executor.py"
    given = {ast.unparse(argument) for call in calls(name, "send") for argument in call.args}
    used = [
        ast.unparse(node) for node in ast.walk(tree(name)) if isinstance(node, ast.Attribute) and node.attr == "message"
    ]
    assert used == ["action.message"]
    assert "action.message" in given


def test_no_shell_reads_anything_that_was_put_together():
    """Where a shell is used, its program is a constant, but for the operator's own `respawn` lines."""
    for name in python_files("heartbeat", "agents"):
        if name.startswith(("heartbeat/demo/", "heartbeat/sim/")):
            continue
        for node in ast.walk(tree(name)):
            if isinstance(node, ast.keyword) and node.arg == "shell":
                raise AssertionError(f"{name}:{node.value.lineno}")
            if isinstance(node, ast.List) and any(ast.unparse(each) in ("'-c'", "'/bin/sh'") for each in node.elts):
                changing = [each for each in node.elts if isinstance(each, ast.JoinedStr)]
                assert not changing or name == "heartbeat/config/record.py", f"{name}:{node.lineno}"


def test_the_environment_of_children_is_made_of_the_files_alone():
    """One function makes it, from a Config, a few names of our own and four of our own environment."""
    makers = [node for node in ast.walk(tree("heartbeat/executor.py"))
              if isinstance(node, ast.FunctionDef) and node.name == "environment"]  # fmt: skip
    (maker,) = makers
    assert [argument.arg for argument in maker.args.args] == ["config"]
    names = {node.id for node in ast.walk(maker) if isinstance(node, ast.Name)}
    assert names <= {"config", "path", "told", "name", "os", "str", "Config", "dict"}
    assert text("heartbeat/config/environment.py").count("def ") == 1


def test_what_a_script_is_told_sets_nothing_that_a_script_is_led_by():
    """Each field of a message that reaches one, and this node's status, is a name of its own."""
    told = {*hooks.FIELDS, hooks.OWN_STATUS}
    recorded = {name for name, directive in TABLE.items() if directive.recorded} | set(environment.DEFAULTS)
    assert not told & recorded
    ours = set(re.findall(r'"HA_(\w+)"', text("heartbeat/executor.py") + text("heartbeat/hooks.py")))
    assert not told & (ours | {"DIR", "FUNCS", "CURHOST", "BIN", "DATEFMT", "DONTASK", "NICEFAILBACK", "DEBUGLOG"})
    assert all(name.islower() and name.isidentifier() for name in hooks.FIELDS)


def test_of_a_message_a_script_is_told_the_list_alone():
    """One place takes values out of a message, and it goes by the list; one makes the action of it."""
    name = "heartbeat/core/hooks.py"
    assert {ast.unparse(call) for call in calls(name, "get", "items", "value")} == {
        "message.get('st')", "message.get(name)", "self._announced.get(peer.name, 'init')",
    }  # fmt: skip
    assert "for name in FIELDS" in text(name)
    makers = [each for each in python_files("heartbeat", "agents") if list(calls(each, "Hook"))]
    assert makers == [name]
