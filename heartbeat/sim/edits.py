"""What an operator may change in the files of a running pair: one edit of groups or times, by a word and a number."""

from __future__ import annotations

from heartbeat.core.settings import FAILBACK_OFF, FAILBACK_ON, MILLISECOND, Group
from heartbeat.sim.options import NAMES, address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from heartbeat.core.settings import Resource
    from heartbeat.sim.options import Options

EDITS = ("times", "failback", "add group", "remove group", "add resource", "remove resource", "prefer")
GROUPS_MOST = 6


def edited(
    groups: tuple[Group, ...], changes: dict[str, int], options: Options, what: str, number: int
) -> tuple[tuple[Group, ...], dict[str, int]]:
    """The files after one edit: groups, and what differs from the options' times."""
    at = number % len(groups) if groups else 0
    listed = list(groups)
    if what == "times":
        factor = (50, 80, 120, 200)[number % 4]
        for name in ("keepalive_ns", "deadtime_ns", "warntime_ns", "initdead_ns"):
            base = getattr(options, name)
            changes[name] = max(base * factor // 100 // MILLISECOND, 10) * MILLISECOND
    elif what == "failback":
        changes["auto_failback"] = (FAILBACK_OFF, FAILBACK_ON)[number % 2]
    elif what == "add group" and len(listed) < GROUPS_MOST:
        added = address(100 + number)
        if all(group.key != added.word for group in listed):
            listed.append(Group(added.word, NAMES[number % 2], (added,)))
    elif what == "remove group" and len(listed) > 1:
        del listed[at]
    elif what == "prefer" and listed:
        group = listed[at]
        other = NAMES[1 - NAMES.index(group.preferred)]
        listed[at] = Group(group.key, other, group.resources)
    elif listed:
        everything = {resource for group in listed for resource in group.resources}
        listed[at] = _resources_edited(listed[at], what, number, everything)
    return tuple(listed), changes


def _resources_edited(group: Group, what: str, number: int, everything: set[Resource]) -> Group:
    """The first resource stays: it names the group. No address is in two groups."""
    resources = list(group.resources)
    if what == "add resource":
        added = address(180 + number)
        if added not in everything:
            resources.append(added)
    elif what == "remove resource" and len(resources) > 1:
        del resources[1 + number % (len(resources) - 1)]
    return Group(group.key, group.preferred, resources)
