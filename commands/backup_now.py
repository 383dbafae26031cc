"""`/backup now`: a backup of a guest, or of a guest group, made now."""

from __future__ import annotations

from commands.api import Command, Desk, Reply, Typed, Wrong
from commands.finding import cluster_in, must_operate
from commands.rescuing import must_exist, plain_name, start
from workflows.phases import BACKUP

USAGE = "/backup now GUEST|GROUP [storage=STORAGE]"


def handle(desk: Desk, typed: Typed, words: list[str]) -> Reply:
    managed, rest = cluster_in(desk, typed, words)
    must_operate(desk, typed, managed, "make a backup")
    if not 1 <= len(rest) <= 2:
        raise Wrong(f"name the guest or the group: `{USAGE}`.")
    args = {"group": must_exist(desk, managed, rest[0], groups=True)}
    if len(rest) == 2:
        if not rest[1].startswith("storage="):
            raise Wrong(f'unknown argument "{rest[1]}". Type `{USAGE}`.')
        args["storage"] = plain_name(rest[1].removeprefix("storage="), "storage")
    return start(desk, typed, managed, BACKUP, args, f"The backup of {args['group']}")


COMMANDS = (Command("/backup", "now", USAGE, "operators: back a guest or a group up now, with an approval.", handle),)
