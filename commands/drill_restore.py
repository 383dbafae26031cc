"""`/drill restore`: proof that a backup can be restored, as a copy without network that is deleted again."""

from __future__ import annotations

from commands.api import Command, Desk, Reply, Typed, Wrong
from commands.finding import cluster_in, must_operate
from commands.rescuing import must_exist, start
from workflows.phases import DRILL

USAGE = "/drill restore GUEST|GROUP"


def handle(desk: Desk, typed: Typed, words: list[str]) -> Reply:
    managed, rest = cluster_in(desk, typed, words)
    must_operate(desk, typed, managed, "start a drill")
    if len(rest) != 1:
        raise Wrong(f"name the guest or the group: `{USAGE}`.")
    guest = must_exist(desk, managed, rest[0], groups=True)
    return start(desk, typed, managed, DRILL, {"guest": guest}, f"The restore drill of {guest}")


COMMANDS = (
    Command(
        "/drill",
        "restore",
        USAGE,
        "operators: restore the newest backup as a copy without network, boot it, delete it, and say how long it took.",
        handle,
    ),
)
