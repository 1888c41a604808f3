"""Every event that can be handed to a node, with arguments of every kind: right, wrong, absent, of another time.

What is right depends on the state, so the list is made for a node as it is: its peer's next number, the nonce that it
asks, the agents' runs that it waits for.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from pair import CAESAR, JULIUS, settings

from _hbfast.codec import Decoder, Message, encode
from heartbeat.core.bulletin import LETTERS, PHASES, label
from heartbeat.core.cluster import Cluster
from heartbeat.core.events import AgentExited, LeaseLapsed, MediumDown, MediumUp, PingAnswer, Reload, Request, Tick
from heartbeat.core.settings import FAILBACK_LEGACY, FAILBACK_ON, MILLISECOND, SECOND, Group, Resource

ABSENT = None
WRONG = "0123456789abcdef"  # a nonce that nobody has asked for
OTHER_UUID = b"another".ljust(16, b".")


class Speaker:
    """Puts messages into a node's peer's mouth. Each begins with the number that is due, and does not use it up."""

    def __init__(self, cluster: Cluster, node: str, medium: str) -> None:
        peers = cluster._membership.peers
        self.name = next(iter(peers), CAESAR)
        self.node = node
        self.medium = medium
        self.cluster = cluster
        cluster._steady.settle()
        self.generation = peers[self.name].tracker.generation or 300 if peers else 300
        self.next = peers[self.name].tracker.newest + 1 if peers else 1

    def message(self, kind: str | None, uuids: dict[str, bytes] | None = None, **fields: str | None) -> Message:
        """Of this kind, with the control fields that are right; others may be given, or taken away with ABSENT."""
        control = {"src": self.name, "ts": "5f3759df", "hg": f"{self.generation:x}", "ttl": "3"}
        if kind is None or not kind.startswith("NS_"):
            control["seq"] = f"{self.next:x}"
        else:
            control |= {"dest": self.node, "desthg": f"{self.cluster._outbox.generation:x}"}
        if kind == "status":
            control |= {"st": "active", "dt": "3a98", "protocol": "1"}
        texts = {"t": kind, **control, **fields}
        items: list = [(name, 0, text.encode()) for name, text in texts.items() if text is not ABSENT]
        identity = {"srcuuid": self.name.encode().ljust(16, b"."), **(uuids or {})}
        items += [(name, 1, value) for name, value in identity.items()]
        frame = encode(Message(items), None, "netstring")
        return Decoder(self.medium, None, stream=False).feed(frame)[0]

    def ext(self, phase: str = "s", *, heard: int | None = None, letter: str = "-", words: str = "") -> str:
        """A bulletin: all groups with one letter, or, for an empty one, no group."""
        generation = self.cluster._outbox.generation if heard is None else heard
        groups = [label(key) + letter for key in self.cluster._resources.groups] if letter else []
        return " ".join(["1", "00000000", "00000000", f"{generation:x}", phase, *words.split(), *groups])


def statuses(say: Speaker) -> Iterator[Message]:
    own = say.cluster._outbox.generation
    nonce = say.cluster._challenge.nonce or WRONG
    for phase, letter, heard in itertools.product(PHASES, ("h", "-", ""), (own, 0, own + 1)):
        yield say.message("status", ext=say.ext(phase, heard=heard, letter=letter))
    for letter in LETTERS:
        yield say.message("status", ext=say.ext(letter=letter))
        yield say.message("status", ext=say.ext(letter=letter, words=f"!{nonce}"))
        yield say.message("status", ext=say.ext(letter=letter, words=f"!{nonce}"), hg=f"{say.generation - 1:x}")
        yield say.message("status", ext=say.ext(letter=letter, words=f"!{nonce}"), hg=f"{say.generation + 1:x}")
    nonces = ("!" + WRONG, "?" + WRONG, f"?{WRONG} !{WRONG}", f"?{WRONG} !{nonce}", "?12")
    for words in (*nonces, "=later", "&o", "&x", "AAAAh zzzzx"):
        yield say.message("status", ext=say.ext(words=words))
    for state in ("init", "up", "active", "dead", "quarantined", "ping", "", ABSENT):
        yield say.message("status", st=state)  # an original's
        yield say.message("status", st=state, ext=say.ext("u"))
        yield say.message("status", st=state, ext=say.ext("u", words=f"!{nonce}"), hg=f"{say.generation + 1:x}")
    for death in (ABSENT, "", "0", "1", "-5", "zz", "7d0", "ffffffff", "f" * 40):
        yield say.message("status", dt=death, ext=say.ext())
    for text in ("", "1", "2 a b 0 s", "1 a b zz s", "1 a b 0 x", "1 a b 0 s AAAA", "1 11111111 22222222 0 s"):
        yield say.message("status", ext=text)


def numberings(say: Speaker) -> Iterator[Message]:
    """Of the kinds that have a number, with every number that is not the next."""
    generation, due = say.generation, say.next
    numbers = {due - 1, due - 2, due + 1, due + 4, due + 300, 2**62, 0, 1}
    fields = {"ext": say.ext(), "info": "me", "rsc_hold": "all"}
    for kind in ("status", "shutdone", "ask_resources"):
        for number in numbers:
            yield say.message(kind, seq=f"{number:x}", **fields)
        for other in (generation - 1, 1, 0, generation + 1, 2**62):
            for number in (1, due):
                yield say.message(kind, hg=f"{other:x}", seq=f"{number:x}", **fields)


def envelopes(say: Speaker) -> Iterator[Message]:
    """From whom, to whom, and what else a message of any kind has."""
    fields = {"ext": say.ext(), "info": "me", "rsc_hold": "all"}
    for kind in ("status", "ask_resources"):
        for name in ("seq", "hg", "ts", "src", "ttl"):
            for text in (ABSENT, "", "0", "zz", "-1"):
                yield say.message(kind, **{**fields, name: text})
        for source in (say.node, "brutus", "two\nlines", "x" * 300):
            yield say.message(kind, src=source, **fields)
        for destination in ("brutus", "", say.node):
            yield say.message(kind, dest=destination, **fields)
        for uuid in (say.cluster.settings.uuid, bytes(16), OTHER_UUID, b"", b"x" * 99):
            yield say.message(kind, {"destuuid": uuid}, **fields)
            yield say.message(kind, {"srcuuid": uuid}, **fields)


def moves(say: Speaker) -> Iterator[Message]:
    labels = [label(key) for key in say.cluster._resources.groups]
    sets = ("all", "local", "foreign", "none", "", ABSENT)
    for info, kind in itertools.product(("me", "other", "make", "ready", "done", "not", "", "x", ABSENT), sets):
        yield say.message("ask_resources", info=info, rsc_hold=kind)
    names = (" ".join(labels), "".join(labels[:1]), "", "AAAA")
    for info, named in itertools.product(("me", "other", "make", "ready", "done"), names):
        yield say.message("ask_resources", info=info, rsc_hold="all", groups=named)
    for ok in ("OK", "no", "", "x"):
        yield say.message("ask_resources", info="done", rsc_hold="all", ok=ok)
    for answered in ("hb_takeover", "", "x"):
        yield say.message("ask_resources", info="not", rsc_hold="all", to=answered)
    for kind in sets:
        yield say.message("hb_takeover", rsc_hold=kind)
    for kind, stable, full in itertools.product(sets, ("1", "0", "", ABSENT), ("full", "", ABSENT)):
        yield say.message("resource", rsc_hold=kind, isstable=stable, rtype=full)
    for info in ("mach_down", "standby", "shutdown", "x"):
        yield say.message("resource", rsc_hold="all", isstable="0", rtype="full", info=info)
    yield say.message("starting")
    keys = (*say.cluster._resources.groups, "brutus", "../x\ny", ABSENT)
    for key, ok in itertools.product(keys, ("OK", "no", ABSENT)):
        yield say.message("ip-request", ipaddr=key, ok=ok)
        for destination in (say.node, say.name, "brutus", ABSENT):
            yield say.message("ip-request-resp", dest=destination, ipaddr=key, weown="yes", ok=ok)
    for name in (say.node, say.name, ABSENT):
        yield say.message("stonith", node=name, result="n_stnth")
    for name in ("shutdone", "reqnodes", "repnodes", "resource", "T_unknown", "", ABSENT):
        yield say.message(name)
        yield say.message(name, st="dead")


def ping_counts(say: Speaker) -> Iterator[Message]:
    for text in ("0", "1", "2", "3", "100", "101", "", "-1", "zz", "9" * 30, ABSENT):
        yield say.message("num_ping_nodes", num_ping=text)
    for kind in ("you_are_dead", "abort_giveup"):
        yield say.message(kind, from_id="ipfail", to_id="ipfail")
        yield say.message(kind)
    for state, client in itertools.product(("join", "leave", "", ABSENT), ("ipfail", "other", "", ABSENT)):
        yield say.message("hbapi-clstat", st=state, from_id=client)
    for name in (*say.cluster.settings.ping_nodes, say.name):  # which its own medium alone may say
        yield say.message("NS_st", src=name, st="ping", info="ping")


def protocol(say: Speaker) -> Iterator[Message]:
    sent = say.cluster._outbox.sequence
    missing = min(next(iter(say.cluster._membership.peers.values())).tracker.missing, default=1)
    for number in ("1", "2", f"{sent:x}", f"{sent + 1:x}", "0", "", "-1", "zz", "f" * 30, ABSENT):
        yield say.message("NS_ackmsg", ackseq=number)
        yield say.message("NS_nak_rexmit", firstseq=number, info="seqno too low")
    yield say.message("NS_nak_rexmit", firstseq=f"{missing:x}")
    for end in ("1", str(sent), str(sent + 1), "0", "-1", "zz", "", "999999999", ABSENT):
        yield say.message("NS_rexmit", firstseq=end, lastseq=end)
        yield say.message("NS_rexmit", firstseq="1", lastseq=end)
        yield say.message("NS_rexmit", firstseq=end, lastseq=str(sent))
    for kind in ("NS_ackmsg", "NS_rexmit", "NS_nak_rexmit", "NS_unknown", "NS_"):
        right = {"ackseq": "1", "firstseq": "1", "lastseq": "1"}
        yield say.message(kind, **right)
        for name in ("dest", "desthg", "hg", "ts", "src"):
            for text in (ABSENT, "1", "brutus"):
                yield say.message(kind, **right, **{name: text})


def requests() -> Iterator[Request]:
    for verb in ("standby", "takeover"):
        for argument in ("all", "local", "foreign", "failback", "", "x"):
            yield Request(901, verb, argument)
    for name in (CAESAR, JULIUS, "brutus", ""):
        yield Request(901, "accept", name)
    for verb in ("stop", "dance", ""):
        yield Request(901, verb)


def exits(cluster: Cluster) -> Iterator[AgentExited]:
    """Of every run that is awaited, and of some that are not."""
    runs = {*cluster._resources.runs} | {-1, 0, 1, cluster._outbox._runs, 999_999}
    for run in sorted(runs):
        for code in (0, 1, 7, 137, -9):
            yield AgentExited(run, code, "" if code < 7 else "what it said")


def reloads(cluster: Cluster) -> Iterator[Reload]:
    same = cluster.settings
    node, groups, media = same.node, same.groups, same.media

    def changed(**values) -> Reload:
        return Reload(settings(node, **{"groups": groups, "media": media, "deadtime_ns": same.deadtime_ns, **values}))

    extra = Resource("late", "late")
    yield Reload(same)
    yield changed(groups=())
    yield changed(groups=groups[1:])
    yield changed(groups=(*groups, Group("late", JULIUS, [extra])))
    yield changed(groups=tuple(Group(g.key, g.preferred, g.resources[:1]) for g in groups))
    yield changed(groups=tuple(Group(g.key, g.preferred, [extra, *g.resources]) for g in groups[:1]))
    yield changed(groups=tuple(Group(g.key, g.preferred, g.resources[::-1]) for g in groups))
    yield changed(groups=tuple(Group(f"{g.key}-2", g.preferred, g.resources[-1:]) for g in groups))
    swap = {JULIUS: CAESAR, CAESAR: JULIUS}
    yield changed(groups=tuple(Group(g.key, swap[g.preferred], g.resources) for g in groups))
    everything = tuple(dict.fromkeys(resource for g in groups for resource in g.resources))
    yield changed(groups=(Group("one", JULIUS, everything),))
    yield changed(media=())
    yield changed(media=("eth9",))
    yield changed(media=(*media, "eth9"))
    yield changed(nodes=(JULIUS,))
    yield changed(nodes=(JULIUS, CAESAR, "brutus"))
    yield changed(keepalive_ns=SECOND, warntime_ns=2 * SECOND, deadtime_ns=3 * SECOND)
    yield changed(deadtime_ns=MILLISECOND, keepalive_ns=MILLISECOND)
    yield changed(auto_failback=FAILBACK_LEGACY)
    yield changed(ping_nodes=("10.0.0.9",), ipfail=True)
    yield changed(ping_nodes=("switch", "new"), ipfail=True, auto_failback=FAILBACK_ON)
    yield changed(auto_failback=FAILBACK_ON, resources_digest="11111111", timing_digest="22222222")


def times(cluster: Cluster, now: int) -> Iterator[tuple[object, int]]:
    """Ticks: before their time, on it, late by little, by more than a keepalive, by more than a lease; and nothing but
    time that has passed before some other event."""
    due = cluster.deadline() or now
    late = (0, 1, 6 * SECOND, 16 * SECOND, 100 * SECOND, 10**18)
    for at in (0, now - SECOND, now, *(due + by for by in late)):
        yield Tick(at // SECOND), at
    for wall_s in (0, -1, 2**63):
        yield Tick(wall_s), due
    for by in late:
        yield LeaseLapsed(), now + by
        yield MediumUp("ttyS0"), now + by


def events(cluster: Cluster, now: int) -> Iterator[tuple[object, int]]:
    """(event, instant)."""
    medium = cluster.settings.media[0] if cluster.settings.media else "ttyS0"
    say = Speaker(cluster, cluster.settings.node, medium)
    messages = [statuses(say), numberings(say), envelopes(say), moves(say), ping_counts(say)]
    if cluster._membership.peers:
        messages.append(protocol(say))
    elsewhere = Speaker(cluster, cluster.settings.node, "gone")
    several = [
        *messages, [elsewhere.message("status", ext=elsewhere.ext()), Message([])], requests(), exits(cluster),
        reloads(cluster), map(PingAnswer, (*cluster.settings.ping_nodes, "10.9.9.9", cluster.settings.node, "")),
        [MediumUp("eth9"), MediumDown("eth9", "gone"), MediumDown(medium, "unplugged"), MediumUp(medium)],
    ]  # fmt: skip
    for event in itertools.chain(*several):
        yield event, now
    yield from times(cluster, now)


def describe(event: object) -> str:
    """For the report of a failure."""
    if isinstance(event, Message):
        return " ".join(f"{name}={value!r}" for name, _, value in event.items())
    values = {name: getattr(event, name) for name in getattr(event, "__slots__", ())}
    return f"{type(event).__name__} {values}"
