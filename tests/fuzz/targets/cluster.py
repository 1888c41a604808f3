"""Any events in any order, most of them messages with good signatures, at a node in any state: the core raises nothing,
what it keeps stays within its limits, what it sends can be sent; and the short ways through it (a repeated status, the
steady state) end where the long one ends.

    input   options, then steps: what, and what that needs
    options 3: the state to begin in   4: the peer lives on   8: also the long way, and compare
"""

from __future__ import annotations

from fuzz.choices import Choices
from pair import AUTH, CAESAR, JULIUS, SEED_GROUP, Node, World, settings

from _hbfast.auth import Authenticator
from _hbfast.codec import Decoder, Message, encode
from heartbeat.core import bulletin, history, sequence
from heartbeat.core.events import AgentExited, LeaseLapsed, MediumDown, MediumUp, Reload, Request
from heartbeat.core.outbox import Tally
from heartbeat.core.settings import Group, Resource
from heartbeat.core.steady import Steady

STATE, PEER_LIVES, BOTH_WAYS = 3, 4, 8
FRESH, HOLDING, WATCHING, ALONE = range(4)
STEPS_MAX = 40
# messages that are looked at after a step: what is asked for again and again is much of a kind
JUDGED = 12
# that stay at hand
KEPT = 5
MEDIA = ("ttyS0", "eth0")
OWN_GENERATION, PEER_GENERATION = 100, 101
FORGER = Authenticator({1: ("sha1", b"another")}, 1)

KINDS = (
    "status", "status", "status", "ask_resources", "hb_takeover", "shutdone", "resource", "reqnodes", "repnodes",
    "NS_ackmsg", "NS_rexmit", "NS_nak_rexmit", "NS_st", "query", "", "x",
)  # fmt: skip
LABEL = bulletin.label(SEED_GROUP.key)
NUMBERS = (
    "0",
    "1",
    "2",
    "5",
    "63",
    "64",
    "65",
    "66",
    "c8",
    "ffffffffffffffff",
    "10000000000000000",
    "-1",
    "zz",
    "1_0",
    "٣",
)
WORDS_OF = {
    "st": ("active", "up", "init", "dead", "ping", "", "x", "quarantined"),
    "info": ("me", "other", "done", "not", "", "all", "local", "foreign"),
    "rsc_hold": ("all", "local", "foreign", "none", ""),
    "isstable": ("0", "1", ""),
    "ok": ("OK", "no"),
    "dt": ("3a98", "0", "1", "ffffffffffff", "-5", ""),
    "ts": ("5f", "0", "", "ffffffffffffffff", "-1"),
    "dest": (JULIUS, CAESAR, "nobody", ""),
    "desthg": (f"{OWN_GENERATION:x}", "0", "zz", ""),
    "ackseq": NUMBERS,
    "firstseq": NUMBERS,
    "lastseq": NUMBERS,
}
UUIDS = (bytes(16), b"", b"x" * 16, CAESAR.encode().ljust(16, b"."), JULIUS.encode().ljust(16, b"."))
LETTERS = bulletin.LETTERS
SPANS_S = (0.001, 0.3, 1.0, 3.0, 5.0, 7.0, 16.0, 31.0)
WORDS = (
    b"\0",
    b"\x01\x01",
    b"\x05",
    b"\xff",
    b"1 00000000 00000000 64 s ",
    LABEL.encode(),
    b"?0123456789abcdef",
    b"\xfe\xfd",
)
MORE = Group("Delay::1", CAESAR, [Resource("Delay::1", "Delay", ["1"])])


class Long(Steady):
    """Never takes the short way."""

    __slots__ = ()

    def look(self, event: object) -> None:
        return


def begin(state: int, *, peer_lives: int, long: bool) -> World:
    world = World()
    names = (JULIUS, CAESAR) if state != WATCHING else (CAESAR, JULIUS)
    world.boot(names[0], generation=OWN_GENERATION + (names[0] == CAESAR), media=MEDIA)
    if state != FRESH:
        if state == WATCHING:
            world.run(31)
        world.boot(names[1], generation=OWN_GENERATION + (names[1] == CAESAR), media=MEDIA)
        if long:
            world.nodes[JULIUS].cluster._steady.__class__ = Long
        world.run(12)
    elif long:
        world.nodes[JULIUS].cluster._steady.__class__ = Long
    if state == ALONE:
        world.kill(CAESAR)
        world.run(40)
    elif state != FRESH and not peer_lives:
        world.kill(CAESAR)
    return world


class Player:
    """One play. sequence: the newest number that the peer has used, or that was made up for it."""

    def __init__(self, octets: bytes, *, long: bool) -> None:
        self.choices = Choices(octets)
        options = self.choices.octet()
        # compared are plays in which every status of the peer counts: the short way may begin with one that does not
        self.plain = bool(options & BOTH_WAYS)
        self.world = begin(options & STATE, peer_lives=options & PEER_LIVES and not self.plain, long=long)
        self.node: Node = self.world.nodes[JULIUS]
        self.generation = PEER_GENERATION
        self.node.view()  # or it need not know yet what it has heard
        self.sequence = self.node.cluster._membership.peers[CAESAR].tracker.last
        self.frame = b""
        self.number = 0
        self.sent: list[object] = []
        self.seen = 0  # of node.sent

    def play(self) -> None:
        for _ in range(STEPS_MAX):
            if not self.choices.more:
                break
            self.step(self.choices.octet() % 20)
            self.judge()
        self.world.run(16)
        self.judge()

    def judge(self) -> None:
        """And keep what it has sent for comparison, and a few for what is to be made of them."""
        new = self.node.sent[self.seen :]
        judge(self.node, new)
        self.sent += [message.items() for message in new]
        del self.node.sent[:-KEPT]
        self.seen = len(self.node.sent)

    def step(self, what: int) -> None:
        choices, node = self.choices, self.node
        if what < 9:
            self.deliver(encode(self.message(), AUTH, "netstring"))
        elif what == 9:
            self.deliver(self.frame)
        elif what == 10:
            self.deliver(encode(self.message(), FORGER, "classic"))
        elif what == 11:
            self.raw()
        elif what < 15:
            self.world.run(choices.pick(SPANS_S))
        elif what == 15:
            known = [*node.hung, *range(1, 9)]
            node.tell(AgentExited(choices.pick(known), choices.pick((0, 1, 137)), "x" * choices.below(3)))
        elif what == 16:
            medium = choices.pick((*MEDIA, "other"))
            node.tell(MediumUp(medium) if choices.below(2) else MediumDown(medium, "gone"))
        elif what == 17:
            self.number += 1
            verb = choices.pick(("standby", "takeover", "stop", "accept", "dance", "standby"))
            argument = choices.pick(("all", "local", "foreign", "failback", "", "x", CAESAR, JULIUS))
            node.tell(Request(self.number, verb, argument))
        elif what == 18:
            groups = choices.pick(((SEED_GROUP,), (SEED_GROUP, MORE), (MORE,), ()))
            seconds = choices.pick((1, 5, 2)) * 1_000_000_000
            media = choices.pick((MEDIA, MEDIA[:1]))
            node.tell(Reload(settings(JULIUS, groups=groups, keepalive_ns=seconds, media=media)))
        else:
            node.tell(LeaseLapsed())

    def deliver(self, frame: bytes) -> None:
        self.frame = frame
        self.world.deliver(self.node, self.choices.pick(MEDIA), frame)

    def raw(self) -> None:
        """Lines of anybody's making, with a good signature."""
        fields = [("t", 0, b"status"), ("src", 0, CAESAR.encode()), ("ts", 0, b"5f")]
        for line in self.choices.piece(120).split(b"\n"):
            name, _, value = line.partition(b"=")
            if name and not name.startswith((b">>>", b"<<<", b"(")) and b"\0" not in line:
                fields.append((name.decode("latin-1"), 0, value))
        self.deliver(encode(Message(fields), AUTH, "netstring"))

    def message(self) -> Message:
        choices = self.choices
        kind, mask = choices.pick(KINDS), choices.octet()
        if self.plain:
            mask -= mask % 80
        self.sequence += (1, 1, 1, 1, 0, -1, 2, 6, 400, 1 << 40)[mask % 10]
        self.generation += (0, 0, 0, 0, 0, 1, -1, 1 << 60)[mask // 10 % 8]
        fields = [
            ("t", kind.encode()), ("src", (CAESAR, CAESAR, CAESAR, JULIUS, "stranger", "")[mask // 80].encode()),
            ("hg", b"%x" % max(0, self.generation)), ("seq", b"%x" % max(0, self.sequence)),
        ]  # fmt: skip
        wanted = choices.number(2)
        for bit, (name, values) in enumerate(WORDS_OF.items()):
            chosen = values[0]
            if wanted >> bit & 1:
                chosen = choices.pick((*values, None))
            if chosen is not None and not (name in ("dest", "info", "ok") and not wanted >> bit & 1):
                fields.append((name, chosen.encode()))
        if wanted >> 13 & 1:
            fields.append((bulletin.FIELD, self.bulletin()))
        typed = [(name, 0, value) for name, value in fields]
        if self.plain and kind == "status":
            sound = {"src": CAESAR.encode(), "st": b"active", "ts": b"5f"}
            typed = [(name, 0, sound.get(name, value)) for name, _, value in typed if name != "dest"]
            return Message(typed)
        if wanted >> 14 & 1:
            typed.append(("srcuuid", 1, choices.pick(UUIDS)))
            typed.append(("destuuid", 1, choices.pick(UUIDS)))
        return Message(typed)

    def bulletin(self) -> bytes:
        choices = self.choices
        how = choices.octet()
        if how & 1 and how & 2:
            return choices.piece(60).replace(b"\0", b"")
        asked = self.asked() if how & 4 else ""
        own = self.node.settings
        digests = ("00000000", "deadbeef") if how & 8 else (own.resources_digest, own.timing_digest)
        heard = OWN_GENERATION if not how & 16 else choices.octet()
        words = ["1", *digests, f"{heard:x}", bulletin.PHASES[how >> 5 & 1]]
        words += [f"?{choices.number(8):016x}"] * (how >> 6 & 1) + [f"!{asked}"] * bool(asked)
        words += [LABEL + LETTERS[choices.below(len(LETTERS))]] * (not how >> 7)
        return " ".join(words).encode()

    def asked(self) -> str:
        """The nonce that the node asks for, which no recording could know."""
        for message in reversed(self.node.sent):
            seen = bulletin.parse(message.get(bulletin.FIELD))
            if seen is not None:
                return seen.challenge
        return ""


def judge(node: Node, sent: list[Message]) -> None:
    """What it keeps, and what it has said since the last time."""
    cluster = node.cluster
    view = cluster.view()
    due = cluster.deadline()
    assert due is None or due >= 0
    assert len(view.warnings) < 20
    assert len(view.counts) <= Tally.LIMIT + 1
    assert all(text.isprintable() or not node.alive for text in view.warnings)
    assert len(cluster._outbox.history) <= history.LIMIT
    assert len(node.holding) == len(set(node.holding))
    for peer in cluster._membership.peers.values():
        assert len(peer.tracker.missing) <= sequence.MISSING_LIMIT
    for message in sent[:JUDGED]:
        for form in ("classic", "netstring"):
            octets = encode(message, AUTH, form)
            assert len(octets) < 8192
            assert Decoder("m", AUTH, stream=False).feed(octets)
    for known in node.known.values():
        assert all(0 <= number < 1 << 64 for number in known)
    for text in (*node.notes, *node.alarms, *(text for _, text in node.replies.values())):
        assert len(text) < 1000
        assert text.isprintable()


def run(octets: bytes) -> None:
    one = Player(octets, long=False)
    one.play()
    if octets[:1] and octets[0] & BOTH_WAYS:
        other = Player(octets, long=True)
        other.play()
        assert told(one) == told(other)


def told(player: Player) -> object:
    """All that can be seen of it from outside."""
    node, view = player.node, player.node.view()
    return (
        node.cluster.deadline(), node.runs, node.replies, node.up, node.notes, player.sent,
        node.holding, node.known, node.alarms, node.stopped, node.rebooted, view.state, view.stable, view.holds,
        view.warnings, view.counts, [(each.key, each.holder, each.state) for each in view.groups],
        [(name, each.status, each.generation, each.links) for name, each in sorted(view.nodes.items())],
    )  # fmt: skip


def seeds() -> list[bytes]:
    status = bytes((0, 0, 0, 0)) + b"\0\x20\x04" + bytes(8)
    takes = [bytes((what, 3, 5, 0, 9)) for what in range(12, 20)]
    found = [bytes((options,)) + status * 4 + b"".join(takes) for options in range(16)]
    found += [
        bytes((options, 11, 90)) + b"st=active\ndt=3a98\nhg=65\nseq=30\next=1 0 0 64 s 9yNch" for options in range(4)
    ]
    for kind in range(len(KINDS)):
        found.append(bytes((9, 0, kind, 0, 0xFF, 0xFF)) + bytes(range(24)) + b"\x0d\x03" + bytes((0, kind, 80, 0, 0)))
    return found
