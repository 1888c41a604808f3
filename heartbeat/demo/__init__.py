"""The demonstration: two routers, a client, a host on the wan and a null-modem cable on this machine, all real.

    scenes      what is done to the world, and what must come of it; play runs them, screen tells of them
    seed        the operator's files
    world       who stands where: made of machine, node (one that runs the daemon), network, cable
    pair        two routers with what is before and behind them, and what one asks about them
    probe       instruments that send; track is what became of it; observe: who holds which addresses
    mail        an SMTP server;  init  the first process of a machine;  namespaces, clock  system calls

It touches nothing outside its own mounts and namespaces, and leaves nothing behind. The system tests play in the same
world. This file is imported by every program that runs inside, so it imports nothing.
"""

from __future__ import annotations


def main(*, json: bool = False, seed_times: bool = False) -> int:
    """Play all scenes. Exit code: 0 if all held, 1 otherwise. seed_times: minutes, as the files say, undivided."""
    from heartbeat.demo.play import play  # noqa: PLC0415

    return play(json=json, seed_times=seed_times)
