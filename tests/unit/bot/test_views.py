"""What people see, word for word; and Slack's limits, kept whatever hosts say."""

from __future__ import annotations

from typing import Any

import pytest

from bot import views
from bot.heal import Heal
from engine.port import Saying
from sandbox.cast import ALICE, BOB, CAROL, readable
from tests.unit.bot.deskwork import NOON, RUN
from workflows.messages_waits import sentence
from workflows.picture import NodePicture, RunPicture, Wait

HEALING: dict[str, Any] = {
    "pending": {"pve1:/brick": 0, "pve2:/brick": 300, "pve3:/brick": 1200},
    "down": [],
    "split_brain": 0,
    "curve": [[NOON, 2000], [NOON + 60, 1800], [NOON + 120, 1500]],
}


def waiting(detail: dict[str, Any] | None = None, seen: str = "1,500 pending") -> Wait:
    why, who = "the storage to be fully healed", "the self-heal daemons, by healing"
    return Wait("pve1.heal.reboot.wait", why, who, seen, NOON, NOON + 43200, NOON + 120, detail or {})


def run(**changes: Any) -> RunPicture:
    nodes = (
        NodePicture("pve1", "healing", NOON),
        NodePicture("pve2", "waiting", None),
        NodePicture("pve3", "done", NOON - 600, "12 packages upgraded, runs 6.8.12-9-pve"),
    )
    fields: dict[str, Any] = {"state": "running", "nodes": nodes, "wait": waiting(HEALING)}
    fields |= {"finished_at": None} | changes
    return RunPicture(run_id=RUN, cluster="lab", started_at=NOON - 3600, started_by=ALICE, **fields)


def shown(view: views.View) -> str:
    """All text of all blocks, as a person reads it."""
    texts = [e["text"] if b["type"] == "context" else b["text"]["text"] for b in view.blocks for e in _parts(b)]
    return readable("\n".join(texts))


def _parts(block: views.Block) -> list[dict[str, Any]]:
    return list(block.get("elements", [block.get("text")]))


# ---- the board -------------------------------------------------------------------------------------------------------


def test_a_board_tells_states_heal_bars_and_what_ends_the_wait() -> None:
    assert (
        shown(views.board(run()))
        == """\
🔧 *The rolling upgrade of lab* runs.
🩹 *pve1* healing · since 12:00 UTC
▫️ *pve2* waiting
☑️ *pve3* done · 12 packages upgraded, runs 6.8.12-9-pve · since 11:50 UTC
⏳ *Waits for* the storage to be fully healed
Since 2026-11-24 12:00 UTC, until 2026-11-25 00:00 UTC; ended by: the self-heal daemons, by healing
`██░░░░░░░░` ↘ *1,500 pending*, most seen 2,000 · about 6 minutes at this pace
• pve1:/brick: 0 pending
• pve2:/brick: 300 pending
• pve3:/brick: 1,200 pending
Run `lab-20261124-1` · started by @alice 2026-11-24 11:00 UTC · `/upgrade why`"""
    )


def test_what_a_screen_reader_hears_is_a_whole_sentence() -> None:
    assert views.board(run()).text == "🔧 The rolling upgrade of lab runs. It waits for the storage to be fully healed."


def test_a_refused_run_says_why_on_its_board_and_offers_no_wait_to_look_at() -> None:
    view = views.board(run(state="refused", wait=None, why="two nodes & no QDevice", finished_at=NOON))
    assert view.text == "⛔ The rolling upgrade of lab was refused: two nodes &amp; no QDevice."
    assert "`/upgrade why`" not in str(view.blocks)


def test_a_run_that_ended_tells_what_it_left_behind() -> None:
    left = ("pve1 is in maintenance mode",)
    assert "📌 *Changed for now*\n• pve1 is in maintenance mode" in shown(views.board(run(left=left)))
    view = views.board(run(state="aborted", wait=None, left=left, outcome="put back", finished_at=NOON))
    assert "🛑 *The rolling upgrade of lab* was aborted." in shown(view)
    assert "📌 *Changed, and not put back*\n• pve1 is in maintenance mode" in shown(view)


def test_overrides_stay_in_sight_with_who_and_why() -> None:
    view = views.board(run(overrides=(f"backups on pve1 by <@{CAROL}>: tape is at the vault",)))
    assert "⚠️ *Overridden gates*\n• backups on pve1 by @carol: tape is at the vault" in shown(view)


def test_the_same_picture_is_never_edited_again() -> None:
    assert views.board(run()).digest() == views.board(run()).digest()
    assert views.board(run()).digest() != views.board(run(state="holding")).digest()


# ---- healing ---------------------------------------------------------------------------------------------------------


def lines(**changes: Any) -> str:
    return "\n".join(views.heal_lines(HEALING | changes))


def test_while_it_rises_no_end_is_promised() -> None:
    rising = lines(curve=[[NOON, 1], [NOON + 60, 700], [NOON + 120, 1500]])
    assert "↗ *1,500 pending*, most seen 1,500\n" in rising
    assert "pace" not in rising


def test_a_level_curve_is_called_level() -> None:
    assert "→" in lines(curve=[[NOON, 1500], [NOON + 300, 1499]])


def test_twenty_minutes_without_a_new_low_are_a_warning() -> None:
    level = [[NOON + 60 * n, 1500] for n in range(22)]
    assert "⚠️ Not falling for 21 minutes." in lines(curve=level)
    assert "Not falling" not in lines(curve=level[:20])


def test_a_brick_without_a_number_is_never_shown_as_healed() -> None:
    text = lines(pending={"pve1:/brick": None, "pve2:/brick": 0}, curve=[])
    assert "`░░░░░░░░░░`" in text
    assert "• pve1:/brick: no number came" in text
    assert "⚠️ Not every brick gave a number: the whole is at least this much." in text


def test_a_brick_that_is_down_is_shown_as_down() -> None:
    text = lines(pending={"pve1:/brick": None, "pve2:/brick": 5}, down=["pve1:/brick"], curve=[])
    assert "• pve1:/brick: *down*" in text


def test_split_brain_is_said_to_need_a_person() -> None:
    assert "🚨 2 in split-brain: that does not heal by itself." in lines(split_brain=2)


def test_a_wait_without_bricks_has_no_bar() -> None:
    assert views.heal_lines({"gates": ["backups"]}) == []


@pytest.mark.parametrize(("share", "cells"), [(0.0, "░" * 10), (0.999, "█" * 9 + "░"), (1.0, "█" * 10), (-1, "░" * 10)])
def test_a_bar_is_full_only_when_all_is_healed(share: float, cells: str) -> None:
    assert views.bar(share) == cells


def test_the_peak_is_the_most_that_was_seen() -> None:
    heal = Heal.of(HEALING)
    assert heal is not None
    assert (heal.total, heal.peak, heal.share_healed) == (1500, 2000, 0.25)


def test_progress_ends_with_its_last_word() -> None:
    saying = Saying("progress", "🩹 pve1: now the storage heals.", about="pve1.heal.reboot")
    live, over = (
        views.progress(saying, waiting(HEALING)),
        views.progress(saying, None, "💚 Fully healed after 6 minutes."),
    )
    assert live.text == "🩹 pve1: now the storage heals. 1,500 pending."
    assert shown(over) == "🩹 pve1: now the storage heals.\n💚 Fully healed after 6 minutes."


# ---- messages --------------------------------------------------------------------------------------------------------


def test_a_page_mentions_whom_it_wakes_and_leads_to_the_thread() -> None:
    page = views.page(Saying("page", "✋ pve1: I hold.", mention=(ALICE, "S0OPS")), "https://slack.example/1")
    assert page.text == f"<@{ALICE}> <!subteam^S0OPS> ✋ pve1: I hold.\n<https://slack.example/1|Its thread>"
    assert views.page(Saying("page", "✋ pve1: I hold.", mention=(BOB,)), "").text == f"<@{BOB}> ✋ pve1: I hold."


def test_a_closed_request_says_so_first() -> None:
    saying = Saying("approval", "🙋 *May I take pve1?*")
    closed = views.approval(saying, "👍 Approved by <@U0CAROL>.")
    assert shown(closed) == "*👍 Approved by @carol.*\n🙋 *May I take pve1?*"
    assert closed.text == "👍 Approved by <@U0CAROL>. 🙋 *May I take pve1?*"


# ---- limits and escapes ----------------------------------------------------------------------------------------------


def test_what_hosts_say_mentions_nobody() -> None:
    view = views.board(run(wait=waiting(seen="E: <!channel> & <@everybody> broke")))
    text = "\n".join(b["text"]["text"] for b in view.blocks if b["type"] == "section")
    assert "E: &lt;!channel&gt; &amp; &lt;@everybody&gt; broke" in text


def test_what_is_escaped_already_is_not_escaped_twice() -> None:
    assert sentence("pve1 &lt;3 &amp; more") == "pve1 &lt;3 &amp; more"


def test_people_and_times_in_our_own_reasons_stay_alive() -> None:
    reason = f"held: rejected by <@{CAROL}> and <!subteam^S0OPS> at <!date^1795521600^{{time}}|12:00 UTC>"
    assert sentence(reason) == reason


def test_a_cluster_of_hundreds_of_nodes_stays_within_slacks_limits() -> None:
    nodes = tuple(NodePicture(f"node{n:04}", "waiting", NOON, "nothing yet " * 20) for n in range(1500))
    view = views.board(run(nodes=nodes))
    assert len(view.blocks) == 50
    assert max(len(b["text"]["text"]) for b in view.blocks if b["type"] == "section") <= 3000
    assert "`/upgrade status` shows them all" in shown(view)


def test_a_note_of_any_length_is_cut_within_the_limits() -> None:
    view = views.note(Saying("note", "x" * 9000))
    assert len(view.text) <= 4000
    assert len(view.blocks[0]["text"]["text"]) <= 3000


@pytest.mark.parametrize("tail", ["&amp;", "<@U0CAROL>", "<!date^1795521600^{time}|12:00 UTC>"])
def test_a_cut_never_goes_through_an_escape_or_a_mention(tail: str) -> None:
    for most in range(22, 22 + len(tail)):
        kept = views.cut("x" * 20 + tail + "y" * 50, most)
        assert tail in kept or not set("&<") & set(kept)
