"""Writes docs/states.md from the tables of the core's state machines, which are the machines:

    .venv/bin/python tests/tidy/states.py >docs/states.md

`test_states.py` compares the two, so that a page that lags behind its tables fails.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil

import heartbeat.core
from heartbeat.core.machine import Machine

HEAD = """\
# The states of a node

Made from the tables of `heartbeat/core/` by `python tests/tidy/states.py >docs/states.md`; change the tables, not this
page. Each machine has one place that assigns its state and checks the transition against its table. What a table does
not allow cannot happen: the daemon would end, and the other node take over.

The machines are small and coupled. A node's `Local` status and its view of the other node (`Peer`, and a `Link` for
each medium) say who is there; `Resources` decides which groups are this node's; a `GroupMachine` starts and stops one
group; `Standby` hands groups over, some of which are on both nodes for a moment (`Overlap`); `Original` is at work
beside a node that runs Heartbeat 3.0.6, `Legacy` beside one with `auto_failback legacy`. A `PingNode` answers or does
not, and `Ipfail` gives the groups to the node that sees more of them.
"""


def machines() -> list[type[Machine]]:
    """All of the core's, in the order of its modules' names and of their lines."""
    for module in pkgutil.iter_modules(heartbeat.core.__path__):
        importlib.import_module(f"heartbeat.core.{module.name}")
    return sorted(Machine.__subclasses__(), key=lambda each: (each.__module__, inspect.getsourcelines(each)[1]))


def describe(machine: type[Machine]) -> str:
    """The section of one machine: what it is, a picture, a table. State 0 is where it begins."""
    names = machine.NAMES
    rows = [(names[old], names[new], why) for (old, new), why in machine.ALLOWED.items()]
    picture = "\n".join([f"    [*] --> {names[0]}", *(f"    {old} --> {new}" for old, new, _ in rows)])
    table = "\n".join(f"| {old} | {new} | {why} |" for old, new, why in rows)
    path = machine.__module__.replace(".", "/") + ".py"
    return f"""\
## {machine.__name__}

`{path}`. {inspect.cleandoc(machine.__doc__ or "")}

```mermaid
stateDiagram-v2
{picture}
```

| from | to | when |
|---|---|---|
{table}
"""


def page() -> str:
    return "\n".join([HEAD, *(describe(machine) for machine in machines())])


if __name__ == "__main__":
    print(page(), end="")
