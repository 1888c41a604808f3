"""haresources: which resources move together, and whose they are when both nodes are well (protocol/config.md §5).

line = node resource ...; `#` begins a comment, a `\\` right before the line's end continues it. What a resource word
may look like is in words.py. Each line is a group; its key is its first resource word, as written, and unique.
"""

from __future__ import annotations

from heartbeat.config.problems import shown
from heartbeat.config.values import lower
from heartbeat.config.words import NOTIFIERS, WordError, doubts, resource, scan
from heartbeat.core.settings import Group

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from heartbeat.config.problems import Problems
    from heartbeat.core.settings import Resource

WITHOUT_STATE = (*NOTIFIERS, "Delay")  # may stand in several groups: none can take it from another
GROUPS_MAX = 1024  # as many as a status can name (core/bulletin.py)


def read(physical: list[str], problems: Problems, nodes: Sequence[str]) -> tuple[Group, ...]:
    """nodes: of ha.cf; empty where it names none, which is an error of that file alone."""
    groups: list[tuple[int, Group]] = []
    for number, line in _logical_lines(physical, problems):
        if problems.full:
            break
        words, _ = scan(line)
        node = lower(words[0])
        if nodes and node not in nodes:
            problems.error(
                number,
                f"{shown(node)} is no node of ha.cf; a line begins with one of {', '.join(nodes)}, then resources",
            )
            continue
        resources = _resources(number, words[1:], problems)
        if resources:
            groups.append((number, Group(words[1], node, resources)))
        elif len(words) == 1:
            problems.warning(number, f"{shown(node)} has no resource in this line; the line is ignored")
    _check_keys(groups, problems)
    return tuple(group for _, group in groups)


def _logical_lines(physical: list[str], problems: Problems) -> list[tuple[int, str]]:
    """(number of its first physical line, text) without comments and blank lines, continuations joined."""
    lines: list[tuple[int, str]] = []
    joined, first = "", 0
    for number, raw in enumerate(physical, 1):
        line = raw
        if line.endswith("\r"):
            problems.warning(
                number, "the line ends in a carriage return, which is ignored; save the file with Unix ends"
            )
            line = line[:-1]
        line = line[: scan(line)[1]]
        first = first or number
        if line.endswith("\\"):
            joined += line[:-1]
            continue
        joined += line
        if joined.strip(" \t"):
            lines.append((first, joined))
        joined, first = "", 0
    if joined.strip(" \t"):
        lines.append((first, joined))
    return lines


def _resources(number: int, words: Sequence[str], problems: Problems) -> list[Resource]:
    resources: list[Resource] = []
    for word in words:
        try:
            found = resource(word)
        except WordError as error:
            problems.error(number, str(error))
            continue
        for doubt in doubts(found):
            problems.warning(number, f"{shown(word)}: {doubt}")
        resources.append(found)
    return resources


def _check_keys(groups: list[tuple[int, Group]], problems: Problems) -> None:
    """Keys are unique, and no resource is in two groups, where one group's stop would take it from the other."""
    for number, group in groups[GROUPS_MAX : GROUPS_MAX + 1]:
        problems.error(number, f"group {shown(group.key)} is one too many: there may be {GROUPS_MAX}; join some lines")
    keys: dict[str, int] = {}
    owners: dict[Resource, tuple[int, Group]] = {}
    for number, group in groups:
        if any(c < " " or c == "\x7f" for c in group.key):
            problems.error(number, f"{shown(group.key)} names the group on the wire and has a control character in it")
        elif not group.key.isascii():
            problems.warning(
                number,
                f"{shown(group.key)} names the group on the wire, where serial lines lose what is"
                " no ASCII; begin the group with another resource",
            )
        if group.key in keys:
            problems.error(
                number,
                f"{shown(group.key)} is also the first resource of {problems.path}:{keys[group.key]};"
                " a group is known by its first resource, so put both lines together or begin one with another",
            )
        keys.setdefault(group.key, number)
        for found in group.resources:
            first, other = owners.setdefault(found, (number, group))
            if other is not group and group.key != other.key and found.name not in WITHOUT_STATE:
                problems.warning(
                    number,
                    f"{shown(found.word)} is in the group of line {first} as well;"
                    " when one group stops, the other loses it",
                )
