"""The model of a node that runs Heartbeat 3.0.6 (original.py) with `auto_failback legacy`: as a pair of them was seen
to do, message by message.

It says what it does in no report. At the start each own group that is not up is asked for, once, where the other node
is seen to be active, and else taken, with an answer to itself. It gives what it is asked for, and says whether it had
it.
"""

from __future__ import annotations

from original import STABLE, OriginalNode

from _hbfast.codec import Message


class LegacyNode(OriginalNode):
    """release_ns: what a group takes to stop."""

    release_ns = 0

    def _active(self) -> None:
        self.status = "active"
        self.beat()
        self.state = STABLE
        self._take_own(ask=self.peer_state == "active")

    def _take_own(self, *, ask: bool) -> None:
        for group in self.settings.groups:
            if group.preferred == self.name and not set(self._of(group.key)) <= set(self.up):
                if ask:
                    self.send("ip-request", ipaddr=group.key)
                else:
                    self.send("ip-request-resp", dest=self.name, ipaddr=group.key, weown="yes", ok="OK")
                    self._up(group.key)

    def _of(self, key: str) -> list[str]:
        return [each.word for group in self.settings.groups if group.key == key for each in group.resources]

    def _up(self, key: str) -> None:
        self.up += [word for word in self._of(key) if word not in self.up]

    def _on_ip_request(self, message: Message) -> None:
        key = message.get("ipaddr")
        had = not set(self._of(key)).isdisjoint(self.up)
        self.world.later(self.release_ns if had else 0, lambda: self._give(key, "yes" if had else "no"))

    def _give(self, key: str, had: str) -> None:
        self.up = [word for word in self.up if word not in self._of(key)]
        self.send("ip-request-resp", dest=self.peer, ipaddr=key, weown=had, ok="OK")

    def _on_ip_request_resp(self, message: Message) -> None:
        if message.get("ok") == "OK":
            self._up(message.get("ipaddr"))

    def _on_shutdone(self, message: Message) -> None:
        self._start("foreign")
        self._take_own(ask=True)

    def _take_over(self) -> None:
        """Its peer is dead."""
        self.send("stonith", node=self.peer, result="n_stnth")
        self._start("foreign")
        self._take_own(ask=False)

    def _report(self, info: str = "") -> None:
        pass

    def _fail_back(self) -> None:
        pass

    def go_standby(self, kind: str) -> None:
        self.send("ask_resources", rsc_hold=kind, info="me")

    def _on_starting(self, message: Message) -> None:
        pass

    _on_resource = _on_ask_resources = _on_starting
