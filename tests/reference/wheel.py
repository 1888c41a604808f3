"""Timers as a dictionary and the minimum of its values."""


class TimerWheel:
    def __init__(self, capacity: int, now: int) -> None:
        self.armed: dict[int, int] = {}

    def arm(self, key: int, at: int) -> None:
        self.armed[key] = at

    def disarm(self, key: int) -> None:
        self.armed.pop(key, None)

    def due(self, now: int) -> list[int]:
        keys = [key for _, key in sorted((at, key) for key, at in self.armed.items() if at <= now)]
        for key in keys:
            del self.armed[key]
        return keys

    def next_due(self) -> int | None:
        return min(self.armed.values(), default=None)
