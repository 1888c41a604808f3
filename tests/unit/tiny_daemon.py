"""A daemon with no cluster behind it: the real pid file, socket and loop, and the answers that a file holds.

    python tiny_daemon.py RUN_DIR [deaf|stubborn|silent|dying]

RUN_DIR/answers.json: {request: answer}, read anew for each request, so that a test can change its mind. Prints
"ready". deaf: ignores SIGTERM; stubborn: takes half a second to end; silent: never answers; dying: ends when asked.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from heartbeat.control import Control
from heartbeat.persist import PidFile
from heartbeat.poller import Poller

if TYPE_CHECKING:
    from collections.abc import Iterator

STATUS: dict[str, Any] = {
    "node": "julius",
    "state": "active",
    "generation": 1795000001,
    "holds": "local",
    "stable": True,
    "nodes": {
        "julius": {"status": "active", "generation": 1795000001, "links": {"/dev/ttyS0": "up", "eth0": "up"}},
        "caesar": {"status": "up", "generation": 1795000000, "links": {"/dev/ttyS0": "up", "eth0": "dead"}},
        "10.0.0.1": {"type": "ping", "status": "ping", "generation": 0, "links": {"10.0.0.1": "up"}},
        "brutus": {"status": "dead", "generation": 0, "links": {"/dev/ttyS0": "dead"}},
    },
    "media": [
        {"type": "serial", "name": "/dev/ttyS0", "backend": "termios", "state": "up", "dropped": 0, "rejected": 2}
    ],
    "groups": [{"key": "IPaddr::10.0.0.254", "preferred": "julius", "holder": "julius", "state": "held"}],
    "lateness_ms": {"worst": 1.5, "p99": 0.25},
    "realtime": True,
    "locked": True,
    "warnings": [],
    "last_failover": None,
    "counts": {},
    "ipfail": ["julius"],
}
ANSWERS: dict[str, Any] = {
    "status": {"ok": True, "status": STATUS},
    "parameters": {"ok": True, "parameters": {"keepalive": "5000ms", "auto_failback": "off"}, "loops": ["eth0"]},
    "standby": {"ok": True, "text": "done"},
    "takeover": {"ok": True, "text": "done"},
    "reload": {"ok": True},
}


@contextmanager
def running(run_dir: str, *how: str, answers: dict[str, Any] | None = None) -> Iterator[subprocess.Popen[str]]:
    """One of them as a process, killed at the end if it still lives. answers: instead of some of ANSWERS."""
    write_answers(run_dir, answers or {})
    process = subprocess.Popen([sys.executable, __file__, run_dir, *how], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def write_answers(run_dir: str, answers: dict[str, Any]) -> None:
    os.makedirs(run_dir, exist_ok=True)
    with open(f"{run_dir}/answers.json", "w") as file:
        json.dump({**ANSWERS, **answers}, file)


def asked(run_dir: str) -> list[dict[str, Any]]:
    """All requests so far."""
    try:
        with open(f"{run_dir}/asked") as file:
            return [json.loads(line) for line in file]
    except FileNotFoundError:
        return []


def main(run_dir: str, how: str = "") -> None:
    poller = Poller()
    pid_file = PidFile(f"{run_dir}/heartbeat.pid")
    stopped: list[bool] = []

    def answer(number: int, request: dict[str, Any]) -> None:
        with open(f"{run_dir}/asked", "a") as file:
            print(json.dumps(request), file=file)
        if how == "dying":
            os._exit(1)
        if how != "silent":
            with open(f"{run_dir}/answers.json") as file:
                control.reply(number, json.load(file)[request["request"]])

    control = Control(poller, f"{run_dir}/control", answer, -1)
    reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(writer)
    signal.signal(signal.SIGTERM, signal.SIG_IGN if how == "deaf" else lambda number, frame: stopped.append(True))
    poller.add(reader, lambda events: None)
    print("ready", flush=True)
    while not stopped:
        poller.wait()
    control.close()
    if how == "stubborn":
        time.sleep(0.5)
    pid_file.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
