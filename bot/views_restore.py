"""The board of a restore, a drill, a backup or an act of the runbook. Pure, as views.py."""

from __future__ import annotations

from bot.views import STATES, View, because, context, sections, view, wait_blocks
from workflows.messages import day, host
from workflows.messages_waits import sentence, whole
from workflows.picture_restore import RescuePicture

ENDS = {
    **STATES,
    "holding": "✋ holds",
    "failed": "🚨 failed",
}


def board(run: RescuePicture) -> View:
    state = ENDS.get(run.state, run.state)
    icon, _, verb = state.partition(" ")
    title = f"{icon} *{host(run.title)} on {run.cluster}* {verb}{because(run.why)}."
    stage = f"▶️ {run.stage}" if run.finished_at is None else ""
    left = ["📌 *Changed and not put back*", *(f"• {sentence(text)}" for text in run.left)] if run.left else []
    blocks = [*sections([title, stage]), *wait_blocks(run.wait), *sections(left), context([_origin(run)])]
    rest = f" {whole(run.wait)}" if run.wait else ""
    return view(title.replace("*", "") + rest, blocks)


def _origin(run: RescuePicture) -> str:
    end = f", ended {day(run.finished_at)}" if run.finished_at is not None else ""
    hint = "" if end else " · `/restore why`"
    return f"Run `{host(run.run_id)}` · asked for by <@{run.started_by}> {day(run.started_at)}{end}{hint}"
