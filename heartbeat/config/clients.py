"""Lines of ha.cf about programs beside the daemon: respawn, failfast, apiauth; stonith, whose devices come later.

ipfail is one of them in name only: this program plays its part itself (heartbeat/core/ipfail.py).
"""

from __future__ import annotations

import os

from heartbeat.config import machine
from heartbeat.config.hacf import Reader, split
from heartbeat.config.problems import shown
from heartbeat.config.record import Respawn
from heartbeat.config.values import BLANKS, lower

# accounts that the original's package creates: on a machine without it their absence is no mistake of the operator
ORIGINAL_USER, ORIGINAL_GROUP = "hacluster", "haclient"

STONITH_LATER = "fencing comes with a later version; until then nobody is reset before a take-over"
STONITH_TYPES = (
    "apcmaster", "apcmastersnmp", "apcsmart", "baytech", "bladehpi", "cyclades", "drac3", "ibmhmc", "ipmilan",
    "meatware", "null", "nw_rpc100s", "rcd_serial", "rps10", "ssh", "suicide", "vacm", "wti_mpc", "wti_nps",
)  # fmt: skip


def respawn(reader: Reader, line: int, rest: str) -> None:
    _respawn(reader, line, "respawn", rest)


def failfast(reader: Reader, line: int, rest: str) -> None:
    if _respawn(reader, line, "failfast", rest):
        reader.warning(
            line, "failfast is run like respawn: the machine is not rebooted when the command dies; use systemd's"
            " FailureAction= for that"
        )  # fmt: skip


def _respawn(reader: Reader, line: int, directive: str, rest: str) -> bool:
    words = split(rest)
    if len(words) < 2:
        reader.refuse(directive, line, f"needs a user and a command: {directive} nobody /usr/local/bin/watch")
        return False
    user, path = words[:2]
    good = True
    if not path.startswith("/"):
        reader.refuse(directive, line, f"{shown(path)} is no absolute path")
        good = False
    if os.path.basename(path) == "ipfail":  # built in: it and its user need not be on this machine
        if good:
            reader.config.ipfail = rest
            reader.lines["ipfail"] = line
        return False
    if reader.ask_machine:
        problem = machine.executable_problem(path) if good else None
        if problem is not None:
            reader.refuse(directive, line, f"{shown(path)} {problem}")
            good = False
        if not machine.user_known(user, number=False):
            reader.refuse(directive, line, f"there is no user {shown(user)} on this machine")
            good = False
    if good:
        command = rest[len(user) :].lstrip(BLANKS)
        reader.respawn.append(Respawn(user, command, failfast=directive == "failfast"))
    return good


def apiauth(reader: Reader, line: int, rest: str) -> None:
    words = split(rest)
    if not words:
        reader.refuse("apiauth", line, "needs a client and uid=LIST or gid=LIST")
        return
    client, lists = words[0], words[1:]
    if client in reader.config.apiauth:
        reader.refuse("apiauth", line, f"{shown(client)} has a line already; put all its users and groups into one")
        return
    names: dict[str, tuple[str, ...]] = {}
    for word in lists:
        kind, _, names_text = word.partition("=")
        members = tuple(name for name in names_text.split(",") if name)
        if kind not in ("uid", "gid") or not members:
            reader.refuse("apiauth", line, f"{shown(word)} is neither uid=LIST nor gid=LIST")
            return
        names[kind] = names.get(kind, ()) + members
    if not names:
        reader.refuse("apiauth", line, f"{shown(client)} has neither uid=LIST nor gid=LIST")
        return
    if reader.ask_machine:
        _check_accounts(reader, line, names)
    reader.config.apiauth[client] = (names.get("uid", ()), names.get("gid", ()))
    what = "it is built in" if client == "ipfail" else "programs ask through the control socket, see heartbeat(8)"
    reader.warning(line, f"apiauth {shown(client)} has no effect: {what}")


def _check_accounts(reader: Reader, line: int, names: dict[str, tuple[str, ...]]) -> None:
    for user in names.get("uid", ()):
        if user != ORIGINAL_USER and not machine.user_known(user, number=True):
            reader.refuse("apiauth", line, f"there is no user {shown(user)} on this machine")
    for group in names.get("gid", ()):
        if group != ORIGINAL_GROUP and not machine.group_known(group):
            reader.refuse("apiauth", line, f"there is no group {shown(group)} on this machine")


def stonith(reader: Reader, line: int, rest: str) -> None:
    words = split(rest)
    if len(words) < 2:
        reader.refuse("stonith", line, "needs a type and its file")
        return
    good = _is_stonith_type(reader, "stonith", line, words[0])
    if reader.ask_machine and not os.path.isfile(words[1]):
        reader.refuse("stonith", line, f"the file {shown(words[1])} is not there")
        good = False
    if good:
        reader.warning(line, f"stonith has no effect yet: {STONITH_LATER}")


def stonith_host(reader: Reader, line: int, rest: str) -> None:
    words = split(rest)
    if len(words) < 2:
        reader.refuse("stonith_host", line, "needs a host or *, and a type")
    elif words[0] != "*" and lower(words[0]) != reader.config.node:
        reader.warning(line, f"stonith_host {shown(words[0])} is about another machine and ignored")
    elif _is_stonith_type(reader, "stonith_host", line, words[1]):
        reader.warning(line, f"stonith_host has no effect yet: {STONITH_LATER}")


def _is_stonith_type(reader: Reader, directive: str, line: int, name: str) -> bool:
    if name in STONITH_TYPES or (name.startswith("external/") and name != "external/"):
        return True
    reader.refuse(directive, line, f"{shown(name)} is no type of a device that resets machines; see `stonith -L`")
    return False
