"""A run as Block Kit: pure functions. The same picture always gives the same blocks, so an edit is sent only if needed.

Limits are Slack's: 50 blocks a message, 3,000 characters a section. Text next to blocks is what notifications and
screen readers get, so it is always a whole sentence. Times are Slack's own date tokens: each reader sees their zone,
and a picture that has not changed is not rendered anew every minute. What hosts said is escaped here; sentences of
`workflows.messages` come escaped already.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bot.heal import Heal
from engine.port import Saying
from workflows import messages_outage
from workflows import messages_waits as waits
from workflows.messages import at, day, host, span
from workflows.messages_waits import sentence
from workflows.picture import NodePicture, RunPicture, Wait
from workflows.picture_outage import OutagePicture
from workflows.roles import mention

Block = dict[str, Any]

ACK_BUTTON = "ack"  # the action id of the button that takes an outage
MOST_BLOCKS = 50
MOST_TEXT = 3000  # characters of one section
MOST_PLAIN = 3900  # characters of the text next to blocks; chat.update refuses more than 4,000
BAR = 10  # cells of a heal bar
FOLLOWED = frozenset({"pending", "percent"})
"""What the wait of a progress message tells: entries of a heal, or how much of a restore is written."""

STATES = {
    "running": "🔧 runs",
    "holding": "✋ holds",
    "paused": "⏸️ is paused",
    "watching": "👀 is done and watched",
    "done": "🏁 is done",
    "aborted": "🛑 was aborted",
    "refused": "⛔ was refused",
}
NODES = {
    "waiting": "▫️",
    "not taken": "▫️",
    "waiting for approval": "🙋",
    "healing": "🩹",
    "rebooting": "🔁",
    "holding": "✋",
    "done": "☑️",
    "nothing to do": "⏭️",
    "skipped": "⏭️",
    "put back": "↩️",
}
UNDER_WAY = "▶️"


@dataclass(frozen=True, slots=True)
class View:
    """What is shown: `text` for notifications, `blocks` for the screen."""

    text: str
    blocks: tuple[Block, ...]

    def digest(self) -> str:
        return hashlib.sha256(json.dumps([self.text, self.blocks], sort_keys=True).encode()).hexdigest()[:16]


# ---- the board ---------------------------------------------------------------------------------------------------


def board(run: RunPicture) -> View:
    what = "Dry run of a rolling upgrade" if run.dry_run else "The rolling upgrade"
    state = STATES.get(run.state, run.state)
    icon, _, verb = state.partition(" ")
    title = f"{icon} *{what} of {run.cluster}* {verb}{because(run.why)}."
    lines = [_node(node) for node in run.nodes]
    blocks = [*sections([title]), *sections(lines), *wait_blocks(run.wait), *_rest(run), context([_origin(run)])]
    return view(_told(run, title), blocks)


def because(why: str) -> str:
    """After "was refused"."""
    return f": {sentence(why)}" if why else ""


def _told(run: RunPicture, title: str) -> str:
    """The title, and in words what the blocks show: the node under way and what is waited for."""
    rest = f" {waits.whole(run.wait)}" if run.wait else ""
    outcome = f" {sentence(run.outcome)}" if _says_more(run) else ""
    return title.replace("*", "") + rest + outcome


def _node(node: NodePicture) -> str:
    note = f" · {sentence(node.note)}" if node.note and node.note != node.state else ""
    since = f" · since {at(node.since)}" if node.since is not None else ""
    return f"{NODES.get(node.state, UNDER_WAY)} *{host(node.node)}* {node.state}{note}{since}"


def wait_blocks(wait: Wait | None) -> list[Block]:
    if wait is None:
        return []
    heal = Heal.of(wait.detail)
    told = heal is not None and heal.total > 0  # the lines of the heal say the same as what was seen
    lines = [
        f"✋ *Holds:* {waits.reason(wait)}" if waits.holds(wait) else f"⏳ *Waits for* {waits.reason(wait)}",
        f"Sees: {waits.seen(wait)}" if waits.seen(wait) and not told else "",
        f"Since {day(wait.since)}, until {day(wait.deadline)}; ended by: {sentence(wait.who)}",
    ]
    return sections([*filter(None, lines), *heal_lines(wait.detail)])


def _rest(run: RunPicture) -> list[Block]:
    parts = []
    if run.overrides:
        parts.append("⚠️ *Overridden gates*\n" + "\n".join(f"• {sentence(text)}" for text in run.overrides))
    if run.left:
        title = "Changed, and not put back" if run.finished_at else "Changed for now"
        parts.append(f"📌 *{title}*\n" + "\n".join(f"• {sentence(text)}" for text in run.left))
    if _says_more(run):
        parts.append(sentence(run.outcome))
    return [block for part in parts for block in sections(part.split("\n"))]


def _says_more(run: RunPicture) -> bool:
    return run.outcome not in ("", run.state)


def _origin(run: RunPicture) -> str:
    end = f", ended {day(run.finished_at)}" if run.finished_at is not None else ""
    hint = "" if end else " · `/upgrade why`"
    return f"Run `{host(run.run_id)}` · started by <@{run.started_by}> {day(run.started_at)}{end}{hint}"


# ---- an outage -----------------------------------------------------------------------------------------------------


def outage(shown: OutagePicture) -> View:
    """The head of an outage's thread; while it is open, with a button that takes it."""
    lines = messages_outage.lines_of(shown)
    blocks = sections(lines)
    if shown.finished_at is None:
        blocks.append(_button("I have it", ACK_BUTTON, shown.outage))
    return view(" ".join(lines), blocks)


def _button(text: str, action: str, value: str) -> Block:
    label = {"type": "plain_text", "text": text, "emoji": True}
    return {"type": "actions", "elements": [{"type": "button", "text": label, "action_id": action, "value": value}]}


# ---- healing -----------------------------------------------------------------------------------------------------


def heal_lines(detail: Mapping[str, Any]) -> list[str]:
    """One bar for the whole, one line with its number for each brick. Nothing when the wait is not about healing."""
    heal = Heal.of(detail)
    if heal is None:
        return []
    return [_whole(heal), *(_brick(heal, brick, count) for brick, count in heal.pending.items()), *_warnings(heal)]


def bar(share: float) -> str:
    """`share` 0..1 filled; the last cell is only filled when all is done."""
    full = BAR if share >= 1 else min(int(max(share, 0.0) * BAR), BAR - 1)
    return "█" * full + "░" * (BAR - full)


def _whole(heal: Heal) -> str:
    rest = heal.left_s()
    pace = f" · about {span(rest)} at this pace" if rest is not None else ""
    return f"`{bar(heal.share_healed)}` {heal.arrow} *{heal.total:,} pending*, most seen {heal.peak:,}{pace}"


def _brick(heal: Heal, brick: str, count: int | None) -> str:
    if brick in heal.down:
        return f"• {host(brick)}: *down*"
    if count is None:
        return f"• {host(brick)}: no number came"
    return f"• {host(brick)}: {count:,} pending"  # 0 on a brick says nothing of that brick: it lists what others lack


def _warnings(heal: Heal) -> list[str]:
    lines = []
    if heal.unknown:
        lines.append("⚠️ Not every brick gave a number: the whole is at least this much.")
    if heal.split_brain:
        lines.append(f"🚨 {heal.split_brain} in split-brain: that does not heal by itself.")
    if heal.stuck_s is not None:
        lines.append(f"⚠️ Not falling for {span(heal.stuck_s)}.")
    return lines


def progress(saying: Saying, wait: Wait | None, over: str = "") -> View:
    """A message of a heal, or of a restore, while its wait lasts; `over` is its last word."""
    lines = [saying.text, *(heal_lines(wait.detail) if wait else []), *(_written(wait) if wait else []), over]
    told = f"{saying.text} {_counted(wait)}{over}"
    return view(told, sections([line for line in lines if line]))


def _written(wait: Wait) -> list[str]:
    """How far a restore or a backup is."""
    percent = wait.detail.get("percent")
    if percent is None:
        return []
    return [f"`{bar(percent / 100)}` {percent} %, since {day(wait.since)}"]


def _counted(wait: Wait | None) -> str:
    heal = Heal.of(wait.detail) if wait else None
    return f"{heal.total:,} pending. " if heal else ""


# ---- messages in the thread ----------------------------------------------------------------------------------------


def note(saying: Saying) -> View:
    return view(saying.text, sections(saying.text.split("\n")))


def page(saying: Saying, link: str) -> View:
    """Top level, and a message of its own: an edit that adds a mention notifies nobody."""
    where = f"\n<{link}|Its thread>" if link else ""
    return note(Saying("page", f"{mention(saying.mention)} {saying.text}{where}".lstrip()))


def approval(saying: Saying, closed: str = "") -> View:
    """The request; `closed`: why nobody needs to answer any more, which is also what a screen reader hears first. Its
    last line, who may answer, is over then."""
    lines = saying.text.split("\n")
    if not closed:
        return view(saying.text, sections(lines))
    asked = lines[:-1] or lines
    text = "\n".join(asked)
    return view(f"{closed} {text}", [*sections([f"*{closed}*"]), *sections(asked)])


# ---- blocks --------------------------------------------------------------------------------------------------------


def sections(lines: Iterable[str]) -> list[Block]:
    """Lines, packed into as few sections as Slack's limit allows. A line that is too long for one is cut."""
    texts: list[str] = []
    for line in (cut(line, MOST_TEXT) for line in lines):
        if texts and len(texts[-1]) + 1 + len(line) <= MOST_TEXT:
            texts[-1] += "\n" + line
        elif line.strip():
            texts.append(line)
    return [{"type": "section", "text": {"type": "mrkdwn", "text": text}} for text in texts]


def cut(text: str, most: int) -> str:
    """Shortened; never in the middle of an escape or a mention, which would show or notify something else."""
    if len(text) <= most:
        return text
    kept = re.sub(r"(&[a-z]{0,3}|<[^>]*)$", "", text[: most - 2])
    return kept + " …"


def context(texts: Sequence[str]) -> Block:
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": cut(text, MOST_TEXT)} for text in texts]}


def view(text: str, blocks: Sequence[Block]) -> View:
    if len(blocks) > MOST_BLOCKS:
        more = context([f"… and {len(blocks) - MOST_BLOCKS + 1} more parts; `/upgrade status` shows them all."])
        blocks = [*blocks[: MOST_BLOCKS - 1], more]
    return View(cut(text.strip(), MOST_PLAIN), tuple(blocks))
