"""What can happen to a node. A decoded `_hbfast.codec.Message` is itself an event; these are the others."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _hbfast.codec import Message
    from heartbeat.core.settings import Settings


class Tick:
    """Time has come to `Cluster.deadline()`, or passed it. wall_s: Unix time, for the field `ts` alone."""

    __slots__ = ("wall_s",)

    def __init__(self, wall_s: int) -> None:
        self.wall_s = wall_s


class MediumUp:
    """A medium opened, at start or again after it was down."""

    __slots__ = ("medium",)

    def __init__(self, medium: str) -> None:
        self.medium = medium


class MediumDown:
    """A medium could not be opened, or died."""

    __slots__ = ("medium", "reason")

    def __init__(self, medium: str, reason: str) -> None:
        self.medium = medium
        self.reason = reason


class AgentExited:
    """What `RunAgent` number `run` asked for has ended. code 0 is success; detail: a line for the log. word: of several
    resources, the first that failed; of those after it anything may have been done."""

    __slots__ = ("code", "detail", "run", "word")

    def __init__(self, run: int, code: int, detail: str = "", word: str = "") -> None:
        self.run = run
        self.code = code
        self.detail = detail
        self.word = word


class PingAnswer:
    """A ping node has answered what this node had sent it: its name in ha.cf."""

    __slots__ = ("node",)

    def __init__(self, node: str) -> None:
        self.node = node


class LeaseLapsed:
    """A lease had run out when it was to be renewed: this process was kept from running, or no medium took anything.
    The core finds out most of the time by itself, from `now`."""

    __slots__ = ()


class Request:
    """An operator's command. verb: standby, takeover (argument: all, local, foreign or failback), stop, or accept
    (argument: the node whose lower generation is the right one).

    Answered by one `Reply` of the same number when it is done or refused.
    """

    __slots__ = ("argument", "number", "verb")

    def __init__(self, number: int, verb: str, argument: str = "") -> None:
        self.number = number
        self.verb = verb
        self.argument = argument


class Reload:
    """The operator's files were read again and are good."""

    __slots__ = ("settings",)

    def __init__(self, settings: Settings) -> None:
        self.settings = settings


if TYPE_CHECKING:
    Event = Message | Tick | MediumUp | MediumDown | AgentExited | PingAnswer | LeaseLapsed | Request | Reload
