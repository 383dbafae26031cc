"""What people type and what they read back; text asserted whole."""

from __future__ import annotations

import pytest

from commands import answer, help_text, slashes
from commands.api import Desk
from sandbox.cast import ALICE, CAROL, MALLORY
from sandbox.simchat import SimChat
from sandbox.spec import ClusterSpec, managed_settings
from store.api import CommandRow, RunRow
from store.memory import MemoryStore

NOW = 1772488800.0


class Channel:
    """A channel in which people type."""

    def __init__(self) -> None:
        self.managed = managed_settings(ClusterSpec.from_dict({}))
        self.store, self.chat, self.now, self.count = MemoryStore(check_plain=True), SimChat(), NOW, 0

    def types(self, who: str, text: str, *, source: str = "", channel: str = "") -> str:
        self.count += 1
        row = CommandRow(
            source or f"t{self.count}", text, "/upgrade", who, channel or self.managed.channel, "", self.now
        )
        desk = Desk({"lab": self.managed}, self.store, self.chat, self.now, lambda *_: "")
        return answer(desk, row).text

    def run(self) -> RunRow:
        return self.store.runs(cluster="lab", state="active")[0]

    def parks(self, **parked: object) -> None:
        base = {"key": "pve1.ask.wait", "why": "approval for pve1", "who": "an approver", "seen": "0 of 1 approvals"}
        times = {"since": self.now, "deadline": self.now + 1800, "looked_at": self.now, "detail": {}}
        self.store.park(self.run().id, {**base, **times, **parked}, self.now + 5)


@pytest.fixture
def channel() -> Channel:
    return Channel()


def test_alice_starts_a_run(channel: Channel) -> None:
    said = channel.types(ALICE, "cluster", source="one")
    run = channel.run()
    assert said == f"👍 A rolling upgrade of *lab* starts as `{run.id}`; everything goes into its thread here."
    assert run.args == {"cluster": "lab", "nodes": [], "reboot": "if-needed", "dry_run": False, "by": ALICE}


def test_a_command_that_slack_delivers_twice_starts_one_run(channel: Channel) -> None:
    first = channel.types(ALICE, "cluster lab", source="one")
    channel.now += 86400  # after midnight, too
    assert channel.types(ALICE, "cluster lab", source="one") == first
    assert len(channel.store.runs(cluster="lab")) == 1


def test_nodes_reboot_and_dry_run_are_taken_in_any_order(channel: Channel) -> None:
    channel.types(ALICE, "cluster dry-run nodes=pve3,pve1 reboot=always")
    assert channel.run().args["nodes"] == ["pve3", "pve1"]
    assert channel.run().args["reboot"] == "always"
    assert channel.run().args["dry_run"] is True


@pytest.mark.parametrize(
    ("text", "answered"),
    [
        (
            "clutser",
            '⚠️ unknown word "clutser" after /upgrade (did you mean "cluster"?). `/upgrade help` shows everything.',
        ),
        (
            "cluster nodse=pve1",
            '⚠️ unknown argument "nodse=pve1" (did you mean "nodes="?). Type '
            "`/upgrade cluster [NAME] [nodes=pve1,pve2] [reboot=if-needed|always] [dry-run]`.",
        ),
        ("cluster nodes=pve1,pve9", '⚠️ *lab* has no node "pve9" (known: pve1, pve2, pve3).'),
        ("cluster nodes=", "⚠️ nodes= names no node; write them with commas: `nodes=pve1,pve2`."),
        ("cluster nodes=PVE1", '⚠️ *lab* has no node "PVE1" (did you mean "pve1"?).'),
        ("cluster nodes=pve1 pve2", "⚠️ pve2 is a node: write `nodes=pve1,pve2`."),
        ("start", '⚠️ unknown word "start" after /upgrade (did you mean "cluster"?). `/upgrade help` shows everything.'),
        ("STOP", '⚠️ unknown word "STOP" after /upgrade (did you mean "abort"?). `/upgrade help` shows everything.'),
        (
            "zzz",
            '⚠️ unknown word "zzz" after /upgrade (known: cluster, status, why, history, override, pause, resume, '
            "abort, skip, retry). `/upgrade help` shows everything.",
        ),
        ("cluster nodes=pve1,pve1", "⚠️ a node is named twice in nodes=; name each once."),
        ("cluster reboot=never", '⚠️ reboot="never" is not known: use reboot=if-needed or reboot=always.'),
        (
            "cluster lab lab",
            '⚠️ "lab" is one word too many. Type '
            "`/upgrade cluster [NAME] [nodes=pve1,pve2] [reboot=if-needed|always] [dry-run]`.",
        ),
        ("why lab lab", '⚠️ "lab" is one word too many. Type `/upgrade why`.'),
        (
            "cluster lba",
            '⚠️ unknown argument "lba" (did you mean "lab"?). Type '
            "`/upgrade cluster [NAME] [nodes=pve1,pve2] [reboot=if-needed|always] [dry-run]`.",
        ),
    ],
)
def test_a_wrong_word_is_answered_with_what_was_meant(channel: Channel, text: str, answered: str) -> None:
    assert channel.types(ALICE, text) == answered
    assert channel.store.runs() == []


def test_mallory_may_not_start_a_run(channel: Channel) -> None:
    said = channel.types(MALLORY, "cluster")
    assert said == "⚠️ only operators of *lab* may start a run: <@U0ALICE> <@U0BOB>."
    assert channel.store.runs() == []


def test_a_second_run_is_refused_and_names_the_first(channel: Channel) -> None:
    channel.types(ALICE, "cluster")
    said = channel.types(ALICE, "cluster")
    assert said == f"⚠️ a run of *lab* is active already: its thread (`{channel.run().id}`)."


def test_a_run_that_only_watches_does_not_keep_a_new_one_away(channel: Channel) -> None:
    channel.types(ALICE, "cluster")
    channel.parks(key="watch.good#1")
    assert channel.types(ALICE, "cluster").startswith("👍 A rolling upgrade of *lab* starts")


def test_a_channel_without_a_cluster_is_told_to_name_one(channel: Channel) -> None:
    said = channel.types(ALICE, "status", channel="C0OTHER")
    assert said == "⚠️ this channel has no cluster of its own; name one: lab."


def test_anybody_may_pause_but_only_operators_resume(channel: Channel) -> None:
    channel.types(ALICE, "cluster")
    run = channel.run().id
    assert channel.types(MALLORY, "pause").startswith(f"⏸️ <@{MALLORY}> pauses `{run}`")
    assert channel.types(MALLORY, "resume").startswith("⚠️ only operators of *lab* may resume a run")
    assert channel.types(ALICE, "resume") == f"▶️ <@{ALICE}> resumes `{run}`."
    assert [order.verb for order in channel.store.orders(run)] == ["pause", "resume"]


def test_a_pause_on_a_pause_says_that_it_is_one_already(channel: Channel) -> None:
    channel.types(ALICE, "cluster")
    run = channel.run().id
    first = channel.types(ALICE, "pause", source="one")
    assert channel.types(ALICE, "pause", source="one") == first  # delivered twice
    assert channel.types(MALLORY, "pause") == f"⏸️ `{run}` is paused already; `/upgrade resume` lets it go on."
    assert [order.verb for order in channel.store.orders(run)] == ["pause"]


def test_every_command_is_audited_once_however_often_slack_delivers_it(channel: Channel) -> None:
    for _ in range(2):
        channel.types(ALICE, "cluster", source="one")
        channel.types(ALICE, "pause", source="two")
    assert [(line.who, line.what) for line in channel.store.audits()] == [(ALICE, "pause"), (ALICE, "start")]


def test_who_is_no_operator_may_pause_in_the_clusters_own_channel_only(channel: Channel) -> None:
    channel.types(ALICE, "cluster")
    said = channel.types(MALLORY, "pause lab", channel="D0MALLORY")
    assert said == (
        f"⚠️ anybody may pause *lab*, but in its own channel: type `/upgrade pause` in <#{channel.managed.channel}>. "
        "From elsewhere only operators may: <@U0ALICE> <@U0BOB>."
    )
    assert channel.store.orders(channel.run().id) == []
    assert channel.types(ALICE, "pause lab", channel="D0ALICE").startswith(f"⏸️ <@{ALICE}> pauses")


def test_resume_without_a_pause_says_what_to_type_instead(channel: Channel) -> None:
    channel.types(ALICE, "cluster")
    said = channel.types(ALICE, "resume")
    assert said.startswith("⚠️ nothing is paused. A hold ends with `/upgrade retry`")


def test_a_retry_answers_the_hold_that_stands_and_no_other(channel: Channel) -> None:
    channel.types(ALICE, "cluster")
    channel.parks()
    assert channel.types(ALICE, "retry").startswith("⚠️ nothing to retry: the run does not hold.")
    channel.parks(key="pve1.drain.hold.answer#1", detail={"hold": "pve1.drain.hold"})
    channel.types(ALICE, "retry")
    assert [(o.verb, o.about) for o in channel.store.orders(channel.run().id)] == [("retry", "pve1.drain.hold")]


def test_skip_needs_a_node_of_the_run(channel: Channel) -> None:
    channel.types(ALICE, "cluster nodes=pve1,pve2")
    assert channel.types(ALICE, "skip") == "⚠️ name the one node to skip: `/upgrade skip NODE`."
    assert channel.types(ALICE, "skip pve3") == '⚠️ this run has no node "pve3" (known: pve1, pve2).'
    assert channel.types(ALICE, "skip pve2").startswith(f"⏭️ <@{ALICE}> skips pve2")


def test_an_override_needs_an_approver_a_gate_that_allows_it_and_a_reason(channel: Channel) -> None:
    channel.types(ALICE, "cluster")
    assert channel.types(ALICE, "override backups pve1 tape is fine").startswith("⚠️ only approvers of *lab*")
    assert channel.types(CAROL, "override backups pve1").startswith("⚠️ an override names a gate, a node and a reason")
    assert channel.types(CAROL, "override bakups pve1 tape is fine").startswith('⚠️ there is no gate "bakups" (did')
    assert channel.types(CAROL, "override heal pve1 it is fine").startswith("⚠️ *heal* cannot be overridden by anybody")
    assert channel.types(CAROL, "override backups pve1 tape is fine").startswith(f"🔓 <@{CAROL}> overrides *backups*")
    order = channel.store.orders(channel.run().id)[0]
    assert (order.verb, order.about, order.reason) == ("override", "backups pve1", "tape is fine")


def test_why_says_what_it_waits_for_since_when_and_who_can_end_it(channel: Channel) -> None:
    channel.types(ALICE, "cluster")
    channel.parks()
    channel.now += 300
    assert channel.types(MALLORY, "why") == (
        f"`{channel.run().id}` waits since <!date^1772488800^{{time}}|22:00 UTC> (5 minutes) for: approval for pve1.\n"
        "Seen 5 minutes ago: 0 of 1 approvals.\n"
        "What ends it: an approver.\n"
        "At the latest <!date^1772490600^{time}|22:30 UTC>, and then it holds; it never goes on by itself."
    )


def test_why_of_a_hold_says_its_reason_once_and_mentions_who_it_was(channel: Channel) -> None:
    channel.types(ALICE, "cluster")
    channel.parks(key="pve1.ask.hold.answer#1", why=f"held: rejected by <@{CAROL}>", seen=f"rejected by <@{CAROL}>")
    said = channel.types(ALICE, "why")
    assert said.startswith(f"`{channel.run().id}` holds since ")
    assert f"because: rejected by <@{CAROL}>.\nWhat ends it: " in said
    assert said.endswith("and then it is said again, to all operators.")


def test_history_and_status_before_the_first_run(channel: Channel) -> None:
    assert channel.types(ALICE, "history") == "*lab* has had no run yet."
    assert channel.types(ALICE, "status") == "⚠️ *lab* has had no run yet. `/upgrade cluster lab` starts one."


def test_a_slack_that_does_not_say_who_is_in_a_group_is_no_permission(channel: Channel) -> None:
    channel.managed = channel.managed.model_copy(
        update={"people": channel.managed.people.model_copy(update={"operators": ("S0OPS",)})}
    )
    channel.chat.down = True
    assert channel.types(ALICE, "cluster").startswith("⚠️ Slack did not say who may do this (Slack does not answer).")
    assert channel.store.runs() == []


def test_help_is_generated_from_the_commands() -> None:
    assert {"/oncall", "/outage", "/restore", "/upgrade"} <= set(slashes())
    for verb in ("cluster", "status", "pause", "resume", "abort", "skip", "retry", "override", "why", "history"):
        assert f"`/upgrade {verb}" in help_text("/upgrade")


def answered(channel: Channel, slash: str, text: str) -> str:
    row = CommandRow("help", text, slash, MALLORY, channel.managed.channel, "", NOW)
    return answer(Desk({"lab": channel.managed}, channel.store, channel.chat, NOW, lambda *_: ""), row).text


@pytest.mark.parametrize("slash", slashes())
@pytest.mark.parametrize("word", ["help", "HELP", "--help", "?"])
def test_help_answers_after_every_slash_command_and_names_the_others(channel: Channel, slash: str, word: str) -> None:
    said = answered(channel, slash, word)
    assert said == help_text(slash)
    assert all(other in said for other in slashes())
    assert channel.store.runs() == []


@pytest.mark.parametrize("slash", ["/backup", "/drill", "/restore", "/upgrade"])
def test_a_command_that_says_nothing_alone_shows_its_help(channel: Channel, slash: str) -> None:
    assert answered(channel, slash, "") == help_text(slash)


def test_status_shows_each_node_and_what_is_left(channel: Channel) -> None:
    channel.types(ALICE, "cluster nodes=pve1,pve2")
    run = channel.run()
    channel.store.finish(run.id, {"state": "aborted", "nodes": {}}, channel.now + 60)
    said = channel.types(ALICE, "status")
    assert said == (
        f"*lab*: aborted, its thread (`{run.id}`), started by <@{ALICE}>.\n• pve1: not taken\n• pve2: not taken"
    )
