"""What people type to bring guests back, and what they read when it was wrong."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from cluster.facts import Guest
from commands import answer, help_text
from commands.api import Desk
from sandbox.cast import ALICE, CAROL, MALLORY
from sandbox.simchat import SimChat
from sandbox.spec import ClusterSpec, managed_settings
from store.api import CommandRow, RunRow
from store.memory import MemoryStore
from workflows.phases import BACKUP, DRILL, RESTORE, RUNBOOK

NOW = 1772488800.0


class Channel:
    def __init__(self) -> None:
        nodes = [{"name": "pve1", "power_cycle": ["ipmitool"]}, "pve2", "pve3"]
        self.managed = managed_settings(ClusterSpec.from_dict({"nodes": nodes}))
        self.store, self.count = MemoryStore(check_plain=True), 0
        self.listed: Sequence[Guest] | None = None

    def types(self, who: str, text: str, source: str = "") -> str:
        self.count += 1
        slash, _, rest = text.partition(" ")
        row = CommandRow(source or f"t{self.count}", rest, slash, who, self.managed.channel, "", NOW)
        desk = Desk({"lab": self.managed}, self.store, SimChat(), NOW, lambda *_: "", None, lambda _: self.listed)
        return answer(desk, row).text

    def runs(self, workflow: str) -> list[RunRow]:
        return self.store.runs(cluster="lab", workflow=workflow)


@pytest.fixture
def channel() -> Channel:
    return Channel()


@pytest.mark.parametrize(
    ("text", "workflow", "args"),
    [
        (
            "/restore router-a from=backup:backup/vm/101/2026-03-02T16:00:00Z node=pve2 storage=local",
            RESTORE,
            {
                "guest": "router-a",
                "from": "backup:backup/vm/101/2026-03-02T16:00:00Z",
                "node": "pve2",
                "storage": "local",
            },
        ),
        ("/restore lab 101", RESTORE, {"guest": "101"}),
        ("/restore heal 101 from=pve1", RUNBOOK, {"act": "heal", "guest": "101", "brick": "pve1"}),
        ("/restore start 101 pve2", RUNBOOK, {"act": "start", "guest": "101", "node": "pve2"}),
        ("/restore forget 101", RUNBOOK, {"act": "forget", "guest": "101"}),
        ("/restore unlock db", RUNBOOK, {"act": "unlock", "guest": "db"}),
        ("/restore unfreeze web", RUNBOOK, {"act": "unfreeze", "guest": "web"}),
        ("/restore power-cycle pve1", RUNBOOK, {"act": "power-cycle", "node": "pve1"}),
        ("/backup now routers storage=backup", BACKUP, {"group": "routers", "storage": "backup"}),
        ("/drill restore routers", DRILL, {"guest": "routers"}),
    ],
)
def test_what_is_typed_starts_a_run_with_these_words(
    channel: Channel, text: str, workflow: str, args: dict[str, str]
) -> None:
    channel.types(ALICE, text)
    (run,) = channel.runs(workflow)
    assert args.items() <= run.args.items()
    assert (run.args["cluster"], run.args["by"]) == ("lab", ALICE)


def test_a_command_that_slack_delivers_twice_starts_one_restore(channel: Channel) -> None:
    first = channel.types(ALICE, "/restore 101", "one")
    assert channel.types(ALICE, "/restore 101", "one") == first
    assert len(channel.runs(RESTORE)) == 1


def test_a_second_restore_of_the_same_guest_is_told_where_the_first_stands(channel: Channel) -> None:
    channel.types(ALICE, "/restore router-a")
    (run,) = channel.runs(RESTORE)
    assert channel.types(ALICE, "/restore router-a") == f"⚠️ that is under way already: its thread (`{run.id}`)."


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("/restore 101;reboot", '"101;reboot" is no id or name of a guest.'),
        ("/restore --helf", '"--helf" is no id or name of a guest.'),
        ("/restore 101 from=$(x)", '"$(x)" is no backup or storage.'),
        ("/restore statsu", 'did you mean "status"? A guest that is called "statsu" is restored by its id.'),
        ("/restore 101 node=pve9", '*lab* has no node "pve9" (known: pve1, pve2, pve3).'),
        (
            "/restore 101 strage=x",
            'unknown argument "strage=x" (did you mean "storage="?). '
            "Type `/restore GUEST [from=BACKUP|STORAGE] [node=NODE] [storage=STORAGE]`.",
        ),
        ("/restore lab", "name the guest: `/restore GUEST [from=BACKUP|STORAGE] [node=NODE] [storage=STORAGE]`."),
        (
            "/restore power-cycle pve2",
            "the settings name no command that cycles the power of pve2: nodes.pve2.power_cycle.",
        ),
        ("/restore start 101", "name the guest and the node: `/restore start GUEST NODE`."),
        ("/restore heal 101 pve1", 'unknown argument "pve1". Type `/restore heal GUEST [from=NODE|BRICK]`.'),
        ("/restore retry 101", "no restore, backup or drill of *lab* about 101 is active."),
        ("/restore abort", "no restore, backup or drill of *lab* is active."),
        ("/backup now", "name the guest or the group: `/backup now GUEST|GROUP [storage=STORAGE]`."),
        ("/drill restore", "name the guest or the group: `/drill restore GUEST|GROUP`."),
    ],
)
def test_what_cannot_be_is_answered_with_what_to_type(channel: Channel, text: str, said: str) -> None:
    assert channel.types(ALICE, text) == f"⚠️ {said}"
    assert channel.store.runs() == []


GUESTS = [Guest(101, "router-a", "qemu", "pve1", "running", 1 << 30), Guest(103, "db", "qemu", "pve3", "running", 1)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("/backup now WRONG", '*lab* has no guest or group "WRONG" (known: router-a, db, routers).'),
        ("/backup now dbb", '*lab* has no guest or group "dbb" (did you mean "db"?).'),
        ("/drill restore rooters", '*lab* has no guest or group "rooters" (did you mean "routers"?).'),
        ("/restore router_a", '*lab* has no guest "router_a" (did you mean "router-a"?).'),
        ("/restore 102", '*lab* has no guest "102" (known: router-a, db).'),
        ("/restore routers", "routers is a guest group; name one of its guests: 101, 102."),
        ("/restore heal 999", '*lab* has no guest "999" (known: router-a, db).'),
        ("/restore start 999 pve1", '*lab* has no guest "999" (known: router-a, db).'),
        ("/restore unlock 999", '*lab* has no guest "999" (known: router-a, db).'),
        ("/restore unfreeze 999", '*lab* has no guest "999" (known: router-a, db).'),
        ("/restore forget 999", '*lab* has no guest "999" (known: router-a, db).'),
    ],
)
def test_a_guest_that_is_not_there_is_refused_in_the_answer_and_opens_no_thread(
    channel: Channel, text: str, said: str
) -> None:
    channel.listed = GUESTS
    assert channel.types(ALICE, text) == f"⚠️ {said}"
    assert channel.store.runs() == []


@pytest.mark.parametrize("text", ["/backup now routers", "/backup now 103", "/drill restore db", "/restore router-a"])
def test_a_guest_that_is_there_is_taken(channel: Channel, text: str) -> None:
    channel.listed = GUESTS
    assert "starts as" in channel.types(ALICE, text)


def test_a_cluster_that_tells_nothing_at_once_is_asked_by_the_run_itself(channel: Channel) -> None:
    assert "starts as" in channel.types(ALICE, "/restore 999")


@pytest.mark.parametrize(
    "text", ["/restore 101", "/restore heal 101", "/restore power-cycle pve1", "/backup now 101", "/drill restore 101"]
)
@pytest.mark.parametrize("who", [MALLORY, CAROL])
def test_only_operators_start_any_of_it(channel: Channel, who: str, text: str) -> None:
    assert channel.types(who, text).startswith("⚠️ only operators of *lab* may ")
    assert channel.store.runs() == []


def test_of_two_restores_the_one_that_is_meant_must_be_named(channel: Channel) -> None:
    channel.types(ALICE, "/restore router-a")
    channel.types(ALICE, "/restore router-b")
    assert channel.types(ALICE, "/restore abort") == (
        "⚠️ several are active (Restore of router-a, Restore of router-b): name the one that you mean: "
        "`/restore abort GUEST`."
    )
    assert channel.types(ALICE, "/restore abort router-b").startswith(f"🛑 <@{ALICE}> aborts `lab-restore-")
    assert channel.types(ALICE, "/restore retry router-a").startswith("⚠️ nothing to retry: it does not hold.")


def test_status_lists_all_of_them_and_why_says_that_it_is_at_work(channel: Channel) -> None:
    assert channel.types(ALICE, "/restore status") == "*lab* has had no restore, backup or drill yet."
    channel.types(ALICE, "/restore 101")
    channel.types(ALICE, "/drill restore 102")
    said = channel.types(ALICE, "/restore status")
    assert "Restore of 101: running, beginning" in said
    assert "Restore drill of 102: running, beginning" in said
    assert "waits for nothing: it is at work right now" in channel.types(ALICE, "/restore why 101")


def test_help_names_every_verb(channel: Channel) -> None:
    for verb in ("heal", "start", "forget", "unlock", "unfreeze", "power-cycle", "status", "why", "retry", "abort"):
        assert f"`/restore {verb}" in help_text("/restore")
    assert channel.types(ALICE, "/restore") == help_text("/restore")
