"""Words that stand in many messages: spans of time, guests, what came of a page."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cluster.facts import Guest
from cluster.telling import condition
from sandbox.scenario import load
from sandbox.spec import default_spec, managed_settings
from store.api import AlertRow, OrderRow, PageRow, RunRow
from workflows import messages, messages_meanwhile, messages_outage, report
from workflows.acknowledging import Deed
from workflows.alerts import OUTAGE

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.3, "0 seconds"),
        (90, "1 minute and 30 seconds"),
        (2 * MINUTE + 51, "3 minutes"),  # not "2 minutes": that would hide most of a minute
        (HOUR - 1, "1 hour"),
        (HOUR + 5 * MINUTE, "1 hour and 5 minutes"),
        (DAY - 1, "1 day"),
        (6 * DAY + 3 * HOUR + 5 * MINUTE, "6 days and 3 hours"),
    ],
)
def test_a_span_is_told_to_the_nearest_of_its_last_unit(seconds: float, said: str) -> None:
    assert messages.span(seconds) == said


def test_guests_are_called_by_name_and_id_and_a_name_is_harmless() -> None:
    assert messages.guests([103, 104, 105], {"103": "db", "104": "<!here>"}) == (
        "db (103), &lt;!here&gt; (104), guest 105"
    )


def test_the_words_of_qemu_are_told_as_people_say_them() -> None:
    assert condition("io-error") == "halted by an I/O error"
    assert condition("stopped") == "stopped"


def alert(number: int, began: float) -> AlertRow:
    return AlertRow("o1", "lab", f"f{number}", "probe", f"guest {number}", "is stopped", "critical", began, began)


def test_a_page_says_how_much_is_wrong_before_it_lists_it() -> None:
    one, two = alert(101, 0.0), alert(102, 1.0)
    assert messages_outage.page("lab", [one], ("U1",), "", 0, 0).text.startswith("🔥 *lab*: outage.\n• *guest 101*")
    assert messages_outage.page("lab", [one, two], ("U1",), "", 0, 1).text.startswith(
        "🔥 *lab*: outage, 2 alerts. Nobody has it.\n• *guest 101*"
    )
    assert messages_outage.recovered([one], 300.0).text.startswith("💚 The alert has recovered;")
    assert messages_outage.recovered([one, two], 300.0).text.startswith("💚 Both alerts have recovered;")


def test_of_which_the_same_is_to_be_said_share_a_line() -> None:
    nodes = [
        replace(
            alert(n, n * 60.0),
            subject=f"pve{n}",
            summary=f"192.0.2.1{n}:22 does not answer within 3 s",
            detail={"kind": "tcp", "target": f"192.0.2.1{n}:22", "hides": ["gluster"]},
        )
        for n in (1, 2, 3)
    ]
    (line,) = messages_outage.what(nodes)
    assert line.startswith("*pve1, pve2, pve3*: each does not answer within 3 s; one more behind it: gluster (since ")
    assert messages_outage.what(nodes[:1])[0].startswith("*pve1*: 192.0.2.11:22 does not answer within 3 s; ")
    assert len(messages_outage.what([alert(1, 0.0), alert(2, 0.0)])) == 2, "what has no address is told by itself"


@pytest.mark.parametrize("kind", ["guest", "serving"])
def test_a_dead_router_is_told_before_the_nodes_that_it_takes_away(kind: str) -> None:
    """Also one that runs and routes nothing, as in 2017."""
    node, router = alert(1, 0.0), replace(alert(101, 5.0), detail={"kind": kind})
    assert [line[:11] for line in messages_outage.what([node, router])] == ["*guest 101*", "*guest 1*: "]


def test_what_is_known_ends_with_what_to_type_for_a_dead_router() -> None:
    router = Guest(101, "router-a", "qemu", "pve1", "stopped", 0)
    assert messages_outage.way_back(router) == (
        "router-a (101): `/restore start 101 pve1` starts it, `/restore 101` shows its disks and its backups; "
        "nothing is done to it without an approval"
    )
    assert "start 101" not in messages_outage.way_back(replace(router, status="io-error"))


def recorded() -> report.Recorded:
    """Alice sleeps; Bob presses a key five minutes later; the second alert came after the outage was opened."""
    run = RunRow("o1", OUTAGE, "lab", {}, "active", 20.0, "roundsman", 20.0)
    pages = [
        PageRow("o1", "t0.rung0.alice.voice", "alice", "voice", "cancelled", 20.0, 330.0, "call-1"),
        PageRow("o1", "t0.rung1.bob.voice", "bob", "voice", "cancelled", 320.0, 330.0, "call-2"),
        PageRow("o1", "t0.rung1.bob.mention", "bob", "mention", "posted", 320.0, 320.0),
    ]
    answered = OrderRow(0, "o1", Deed.ACK, "", "voice", "U0BOB", 330.0, "key")
    return report.Recorded(run, [alert(101, 0.0), alert(102, 130.0)], pages, [answered], [], [], [])


def called(user: str) -> str:
    return "bob" if user == "U0BOB" else user


def test_the_report_says_who_answered_and_whose_telephone_was_only_stopped() -> None:
    text = report.markdown(recorded(), called)
    assert "alice by voice: not answered, then stopped\n" in text
    assert "bob by voice: acknowledged\n" in text
    assert "bob by mention: posted in Slack\n" in text


def test_the_timeline_opens_an_outage_with_what_was_known_then() -> None:
    lines = report.timeline(recorded(), called)
    assert [line.partition("  ")[2] for line in lines if "opened" in line] == ["outage opened: guest 101: is stopped"]


@pytest.mark.parametrize(
    ("person", "said"),
    [("alice", "alice"), ("U0ALICE", "<@U0ALICE>"), ("S0ADMINS", "<!subteam^S0ADMINS>"), ("USER", "USER")],
)
def test_whoever_has_no_name_in_the_settings_is_mentioned(person: str, said: str) -> None:
    assert messages_outage.called(person) == said


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("running", "began 2 minutes ago and is under way"),
        ("holding", "began 2 minutes ago and holds"),
        ("paused", "began 2 minutes ago and is paused"),
        ("watching", "began 2 minutes ago, is done with the last node, and watches"),
        ("done", "ended 2 minutes ago (done)"),
        ("aborted", "ended 2 minutes ago (aborted)"),
    ],
)
def test_the_last_run_is_told_with_what_it_does_now(state: str, said: str) -> None:
    assert messages_outage.last_run(state, 120.0) == said


# ---- what helps when something was waited for in vain ----------------------------------------------------------------


def test_a_node_that_stays_away_is_power_cycled_only_where_the_settings_know_how() -> None:
    managed = load(Path("tests/scenarios/power-cycle")).spec
    assert "`/restore power-cycle pve3`" in messages_meanwhile.brings_back(managed_settings(managed), "pve3")
    assert "power-cycle" not in messages_meanwhile.brings_back(managed_settings(default_spec()), "pve3")


@pytest.mark.parametrize(
    ("volumes", "told"),
    [
        ((), "`gluster volume start VOLUME force`"),
        (("a", "b"), "`gluster volume start a force` or `gluster volume start b force`"),
    ],
)
def test_bricks_that_stay_down_are_started_volume_by_volume(volumes: tuple[str, ...], told: str) -> None:
    plain = managed_settings(default_spec())
    managed = plain.model_copy(update={"gluster": plain.gluster.model_copy(update={"volumes": volumes})})
    assert f" {told} starts bricks" in messages_meanwhile.starts_bricks(managed, "pve3")
