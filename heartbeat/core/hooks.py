"""The operator's scripts in rc.d: which event calls for one, and what it is told. As the original does it (behaviour:
event queue), but for what a script may be told.

A script runs for a change of the other node's status or of a link, for a message of its name that is not the cluster's
own affair, and where the original has such a message sent: also for a node's own. Where no script is wanted, nothing
here does anything.

What a peer says reaches a script by a fixed list of fields alone, and of these only values that are short and of
harmless characters: the others are left out.
"""

from __future__ import annotations

from heartbeat.core.actions import Hook
from heartbeat.core.settings import FAILBACK_LEGACY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from _hbfast.codec import Message
    from heartbeat.core.actions import Action
    from heartbeat.core.machine import Machine
    from heartbeat.core.peer import Peer
    from heartbeat.core.settings import Settings

FIELDS = (
    "t", "src", "dest", "st", "info", "node", "ifname", "result", "rsc_hold", "ipaddr", "weown", "ok", "seq", "hg",
    "ts", "dt", "protocol", "ttl",
)  # fmt: skip
# this node's own status, beside the fields
OWN_STATUS = "OSTATUS"
VALUE_LIMIT = 128
# none that a shell or a pattern takes for something else, and no end of a line
CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 ._:/@%+,=-")
# types for which no script runs when a message comes. For the last three the original would run one; they never leave
# a node, so what comes is a lie.
HANDLED = frozenset((
    "status", "starting", "resource", "ask_resources", "shutdone", "reqnodes", "repnodes", "query-cstatus", "addnode",
    "delnode", "setweight", "setsite", "ifstat", "hbapi-req", "hbapi-resp",
))  # fmt: skip


class Hooks:
    """put: of the outbox. local: this node's own status, once it has one."""

    __slots__ = ("_announced", "_put", "_settings", "local")

    def __init__(self, settings: Settings, put: Callable[[Action], None]) -> None:
        self._settings = settings
        self._put = put
        self._announced: dict[str, str] = {}  # peer → what was said of it last
        self.local: Machine | None = None

    def configure(self, settings: Settings) -> None:
        self._settings = settings

    # --- messages

    def received(self, kind: str, message: Message) -> None:
        """A message that counts, and is for this node."""
        if self._settings.hooks and kind not in HANDLED:
            self._call(kind, _fields(message))

    def sent(self, kind: str, to: str | None, message: Message) -> None:
        """The original takes its own messages for any other's."""
        own = self._settings.hooks and to in (None, self._settings.node)
        if own and kind not in HANDLED and not kind.startswith("NS_"):
            self._call(kind, _fields(message))

    # --- what is seen of the other node

    def status(self, peer: Peer, message: Message) -> None:
        """Its newest status."""
        text = message.get("st") or ""
        if text != self._announced.get(peer.name, "init"):
            self._announced[peer.name] = text
            self._call("status", _fields(message))

    def died(self, peer: Peer, *, left: bool, held: bool) -> None:
        """held: it had, or may have had, something that this node must take. Of who had nothing the original says one
        word, that fencing was not needed."""
        self._announced[peer.name] = "dead"
        dead = [("t", "status"), ("st", "dead"), ("src", peer.name)]
        result = "n_stnth" if held and not left else "unneeded"
        fencing = [("t", "stonith"), ("node", peer.name), ("result", result), ("src", self._settings.node)]
        for fields in [dead, fencing] if left else [fencing, dead] if held else [fencing]:
            self._call(fields[0][1], fields)

    def link(self, peer: Peer, medium: str, state: str) -> None:
        device = medium.partition("#")[0]  # of several media on it, the original says no more
        self._call("ifstat", [("t", "ifstat"), ("node", peer.name), ("ifname", device), ("st", state)])

    # --- what is done here

    def acquire(self, key: str, *, asked: bool) -> None:
        """A group that prefers this node is taken, not by a hand-over. asked: there is another node to be asked for it,
        where nodes ask each other."""
        if not (asked and self._settings.auto_failback == FAILBACK_LEGACY):
            node = self._settings.node
            fields = [("t", "ip-request-resp"), ("dest", node), ("ipaddr", key), ("weown", "yes"), ("ok", "OK")]
            self._call("ip-request-resp", [*fields, ("src", node)])

    def _call(self, kind: str, fields: Iterable[tuple[str, str]]) -> None:
        # a script's name is lower case, as the original looks for it
        if (name := kind.lower()) in self._settings.hooks:
            status = self.local.state_name if self.local is not None else "init"
            told = [(field, value) for field, value in fields if _harmless(value)]
            self._put(Hook(name, (*told, (OWN_STATUS, status))))


def _fields(message: Message) -> list[tuple[str, str]]:
    found = ((name, message.get(name)) for name in FIELDS)
    return [(name, value) for name, value in found if value is not None]


def _harmless(value: str) -> bool:
    """A leading - would be an option to some command."""
    return len(value) <= VALUE_LIMIT and not value.startswith("-") and CHARACTERS.issuperset(value)
