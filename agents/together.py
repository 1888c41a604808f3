"""Several addresses started, stopped or announced together: the kernel is asked once for all of them, and an interface
is looked at once.

Rules: all agents are of one `Network`. One that fails stops no other. The answer has an entry for each: None, or why it
failed. One after the other they take ten times as long, most of it between us and the kernel.
"""

from __future__ import annotations

from .base import FAILURE, AgentError
from .network import TOGETHER, absent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from .address import Address, Tables
    from .network import Interface, Network

    Results = list[AgentError | None]

# of what is said of an address: what most neighbours learn from, and what the others do
FIRST, REST, WHOLE = slice(1), slice(1, None), slice(None)


def one(results: Results) -> None:
    """Of one agent. AgentError."""
    if results[0] is not None:
        raise results[0]


def start(agents: Sequence[Address]) -> Results:
    results: Results = [None] * len(agents)
    lost = []
    wanted = []
    seen = _changes(agents)
    for position, agent in enumerate(agents):
        try:
            wanted.append((position, agent.addition(seen)))
        except AgentError:
            lost.append(position)
    _start(agents, wanted, results)
    for position in lost:  # it may be in a network that one of the others has made
        try:
            _start(agents, [(position, agents[position].addition())], results)
        except AgentError as error:
            results[position] = error
    return results


def _changes(agents: Sequence[Address]) -> int | None:
    """What the network's notices say, looked at once for all. None: each is to ask, and to say what is wrong."""
    try:
        return agents[0].network.changes() if agents else None
    except OSError:
        return None


def _start(agents: Sequence[Address], wanted: Sequence[tuple[int, bytes | None]], results: Results) -> None:
    """wanted: which of the agents, and what the kernel is to be told."""
    for position, body in wanted:
        if body is None:
            agents[position].started()
    asked = [(position, body) for position, body in wanted if body is not None]
    for at in range(0, len(asked), TOGETHER):
        some = asked[at : at + TOGETHER]
        first = agents[some[0][0]]
        try:
            refused = first.network.add([(agents[position].target.address, body) for position, body in some])
        except OSError as error:
            refused = [error] * len(some)
        for (position, _), why in zip(some, refused, strict=True):
            try:
                agents[position].started(why)
            except AgentError as error:
                results[position] = error


def stop(agents: Sequence[Address]) -> Results:
    """Where they were put; and where that was not so, or nothing is known of it, wherever the kernel has them."""
    results: Results = [None] * len(agents)
    places = [(agent, index, prefix) for agent in agents for index, prefix in (agent.leave() or [(0, 0)])]
    unexpected = {agent for agent, index, _ in places if not index}
    refused = _remove([each for each in places if each[1]])
    unexpected.update(agent for agent, why in refused if absent(why))
    found = []
    tables: Tables = {}
    for agent in agents:
        if agent in unexpected:
            try:
                found += [(agent, index, prefix) for index, prefix in agent.found(tables)]
            except OSError as error:
                refused.append((agent, error))
    refused += _remove(found)
    failed = {agent: why for agent, why in reversed(refused) if not absent(why)}
    for position, agent in enumerate(agents):
        if agent in failed:
            text = f"cannot remove {agent.target.text}: {failed[agent].strerror}"
            results[position] = AgentError(FAILURE, text)
    return results


def _remove(places: Sequence[tuple[Address, int, int]]) -> list[tuple[Address, OSError]]:
    """(agent, index, prefix) of each. Those that were refused."""
    refused: list[tuple[Address, OSError]] = []
    for at in range(0, len(places), TOGETHER):
        some = places[at : at + TOGETHER]
        network = some[0][0].network
        try:
            answers = network.remove([(index, prefix, agent.target.address) for agent, index, prefix in some])
        except OSError as error:
            answers = [error] * len(some)
        refused += [(agent, why) for (agent, _, _), why in zip(some, answers, strict=True) if why is not None]
    return refused


def announce(agents: Sequence[Address], part: slice = WHOLE) -> Results:
    """Once, now. As the interfaces are now: a hardware address may have changed. part: FIRST and REST are the WHOLE."""
    results: Results = []
    routing: dict[int, Interface | None] = {}
    seen = _changes(agents)
    for agent in agents:
        try:
            results.append(None)
            index, network = agent.link(seen), agent.network
            # whether this machine is a router there is said for IPv6 alone, and is a setting
            interface = network.link(index) if len(agent.target.address) == 4 else _asked(network, index, routing)
            if interface is not None:
                agent.network.send(agent.announcement(interface)[part], interface, agent.target.address)
        except AgentError as error:
            results[-1] = error
        except OSError as error:
            results[-1] = AgentError(FAILURE, f"cannot announce {agent.target.text}: {error.strerror}")
    return results


def _asked(network: Network, index: int, known: dict[int, Interface | None]) -> Interface | None:
    if index not in known:
        known[index] = network.interface(index)
    return known[index]
