"""What the core wants done. The daemon's executor and the simulator's world obey; neither adds a decision."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _hbfast.codec import Message
    from heartbeat.core.settings import Resource

# Transmit.priority: a newer STATUS replaces one still waiting for the line; URGENT (release, hand-over) goes first.
STATUS, NORMAL, URGENT = 0, 1, 2

# Note.severity, in the original's words
DEBUG, INFO, NOTICE, WARN, ERROR, CRIT = range(6)
SEVERITIES = ("debug", "info", "notice", "WARN", "ERROR", "CRIT")

# RunAgent.verb
START, STOP, ANNOUNCE, REDIRECT = "start", "stop", "announce", "redirect"


class Transmit:
    """Send on every medium that is up. The message holds all fields but `auth`, which the executor's encoder adds."""

    __slots__ = ("message", "priority")

    def __init__(self, message: Message, priority: int = NORMAL) -> None:
        self.message = message
        self.priority = priority


class RunAgent:
    """Run a resource agent. run: a number, never reused, answered by one `AgentExited`. resources: one; or several
    addresses, of `Settings.overlapping`, which are set or removed together, in this order.

    ANNOUNCE (tell the neighbours again) and REDIRECT (tell them who else answers for it now) have run 0 and are not
    answered, and only addresses do anything; nor is any run of a notifier answered.
    """

    __slots__ = ("group", "resources", "run", "verb")

    def __init__(self, run: int, group: str, resources: tuple[Resource, ...], verb: str) -> None:
        self.run = run
        self.group = group
        self.resources = resources
        self.verb = verb


class KillAgent:
    """Run number `run` took too long: kill its process group. `AgentExited` still follows."""

    __slots__ = ("run",)

    def __init__(self, run: int) -> None:
        self.run = run


class Hold:
    """From now on every status that is sent renews the leases of these groups (their keys): at once, and then with each
    status that a medium took; `alone`: with each status, whether a medium took it or not. Those of all others end now.

    ending: the leases of these, where they run, run for `overlap_ns` more at most, and are renewed no more: the other
    node begins to answer now.

    Said whenever it changes. A lease that runs out makes the group's addresses silent, whatever becomes of this
    process; the next `Hold` that names the group starts it again. Said before the group's agents start.
    """

    __slots__ = ("alone", "ending", "keys")

    def __init__(self, keys: tuple[str, ...], *, alone: bool, ending: tuple[str, ...] = ()) -> None:
        self.keys = keys
        self.ending = ending
        self.alone = alone


class Remember:
    """Keep this across restarts: the newest generation of a peer, and the highest of its sequence numbers that may
    have changed something here. After a restart nothing that is not newer is believed."""

    __slots__ = ("generation", "node", "sequence")

    def __init__(self, node: str, generation: int, sequence: int) -> None:
        self.node = node
        self.generation = generation
        self.sequence = sequence


class Begin:
    """This run speaks in a new generation from now on: keep it, so that the next run begins a higher one."""

    __slots__ = ("generation",)

    def __init__(self, generation: int) -> None:
        self.generation = generation


class Alarm:
    """Something that a person must look at: to the log, and by mail to whom the groups' MailTo name."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


class Hook:
    """Run the operator's script of this name in rc.d, when those before it have ended. fields: name and value of what
    it is told; nothing of it came over the wire unseen (hooks.py)."""

    __slots__ = ("fields", "name")

    def __init__(self, name: str, fields: tuple[tuple[str, str], ...]) -> None:
        self.name = name
        self.fields = fields


class Reply:
    """Answer a `Request`. text: for the operator, one line."""

    __slots__ = ("number", "ok", "text")

    def __init__(self, number: int, ok: bool, text: str) -> None:
        self.number = number
        self.ok = ok
        self.text = text


class Note:
    """A line for the log."""

    __slots__ = ("severity", "text")

    def __init__(self, severity: int, text: str) -> None:
        self.severity = severity
        self.text = text


class Stop:
    """All is released and said: end the daemon."""

    __slots__ = ()


class Reboot:
    """A resource would not stop and the operator chose `on_stop_failure reboot`."""

    __slots__ = ("reason",)

    def __init__(self, reason: str) -> None:
        self.reason = reason


Action = Transmit | RunAgent | KillAgent | Hold | Remember | Begin | Alarm | Hook | Reply | Note | Stop | Reboot
