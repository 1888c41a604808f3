"""What a reload of haresources does to the groups that are up: as little as possible.

A group continues under its key; one whose first word was changed continues as the group of the same node that shares
most resources with it. A resource that is up and moved to another line moves as it is. Nothing here starts or stops
anything: the group machines do, of what differs.
"""

from __future__ import annotations

from heartbeat.core.group import FAILED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from heartbeat.core.group import GroupMachine
    from heartbeat.core.settings import Group, Resource, Settings


def replan(
    settings: Settings, old: dict[str, GroupMachine], make: Callable[[Group], GroupMachine]
) -> tuple[dict[str, GroupMachine], list[GroupMachine]]:
    """The machines by their new keys, replanned, and those that no line continues: unclaimed, to be stopped."""
    plans = {plan.key: plan for plan in settings.groups}
    before = {machine: set(machine.settings.resources) for machine in old.values()}
    kept: dict[str, GroupMachine] = {}
    for key, plan in plans.items():
        machine = old.get(key) or _renamed(plan, old, plans, kept)
        if machine is None:
            machine = make(plan)
            _inherit(machine, before)
        machine.replan(plan, settings)
        kept[key] = machine
    removed = [machine for machine in old.values() if machine not in kept.values()]
    for machine in removed:
        machine.wanted = False
        machine.claimed = False
    _move_resources([*kept.values(), *removed])
    return kept, removed


def _inherit(machine: GroupMachine, before: dict[GroupMachine, set[Resource]]) -> None:
    """A new line of resources that were other lines' belongs to the node that had all of these lines, and was not
    handing them over; nobody else can come to that conclusion."""
    resources = set(machine.settings.resources)
    sources = [other for other, had in before.items() if had & resources]
    if sources and all(other.claimed and (other.wanted or other.state == FAILED) for other in sources):
        machine.claimed = True
        machine.wanted = True


def _renamed(
    plan: Group, old: dict[str, GroupMachine], plans: dict[str, Group], kept: dict[str, GroupMachine]
) -> GroupMachine | None:
    """The old group of the same node, its key gone, that shares most resources with this one."""
    best, most = None, 0
    for key, machine in old.items():
        if key in plans or machine in kept.values() or machine.settings.preferred != plan.preferred:
            continue
        common = len(set(machine.settings.resources) & set(plan.resources))
        if common > most:
            best, most = machine, common
    return best


def _move_resources(machines: list[GroupMachine]) -> None:
    for machine in machines:
        for resource in list(machine.up):
            if machine.wanted and resource in machine.settings.resources:
                continue
            for other in machines:
                if other is not machine and other.wanted and resource in other.settings.resources:
                    machine.up.remove(resource)
                    if resource not in other.up:
                        other.up.append(resource)
                    break
