"""`/restore GUEST`: bring a guest back from its backup."""

from __future__ import annotations

from collections.abc import Mapping

from base.spelling import nearest
from commands.api import Command, Desk, Reply, Typed, Wrong
from commands.finding import cluster_in, did_you_mean, must_operate, node_of
from commands.rescuing import VOLUME_LETTERS, must_exist, plain_name, start
from workflows.phases import RESTORE
from workflows.settings import ManagedCluster

USAGE = "/restore GUEST [from=BACKUP|STORAGE] [node=NODE] [storage=STORAGE]"
ARGUMENTS = ["from=", "node=", "storage="]


def parse(managed: ManagedCluster, words: list[str]) -> Mapping[str, str]:
    found = {"guest": plain_name(words[0], "id or name of a guest")}
    for word in words[1:]:
        match word.split("=", 1):
            case ["from", source]:
                found["from"] = plain_name(source, "backup or storage", VOLUME_LETTERS)
            case ["node", node]:
                found["node"] = node_of(managed, node)
            case ["storage", storage]:
                found["storage"] = plain_name(storage, "storage")
            case _:
                raise Wrong(f'unknown argument "{word}"{did_you_mean(word, ARGUMENTS)}. Type `{USAGE}`.')
    return found


def _no_slip(word: str) -> None:
    """ "statsu" is no guest: a restore would be begun for it."""
    from commands import words_after  # of all commands, of which this is one

    if verb := nearest(word, words_after("/restore"), cutoff=0.8):
        raise Wrong(f'did you mean "{verb}"? A guest that is called "{word}" is restored by its id.')


def handle(desk: Desk, typed: Typed, words: list[str]) -> Reply:
    managed, rest = cluster_in(desk, typed, words)
    must_operate(desk, typed, managed, "restore a guest")
    if not rest:
        raise Wrong(f"name the guest: `{USAGE}`.")
    args = parse(managed, rest)
    _no_slip(args["guest"])
    must_exist(desk, managed, args["guest"])
    return start(desk, typed, managed, RESTORE, args, f"The restore of {args['guest']} on *{managed.name}*")


COMMANDS = (
    Command(
        "/restore",
        "",
        USAGE,
        "operators: bring a guest back from its backup, step by step, each with an approval; its old disks stay.",
        handle,
        takes_words=True,
        alone=False,
    ),
)
