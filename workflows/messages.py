"""Every sentence the bot says. A message: icon, fact with numbers, since when, what happens next, *Hint:* what to type.

Text is Slack's mrkdwn, everywhere in workflows/: what comes from machines (package names, log lines, reasons of gates)
goes through `host` where it enters, for a "<" in it could become a mention.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache

import humanize

from cluster.facts import HealProgress
from cluster.world import GatePhase
from engine.port import Saying
from workflows.approvals import APPROVE, REJECT, Need
from workflows.roles import mention
from workflows.settings import ManagedCluster, PeopleSettings

MOMENTS: Mapping[str, str] = {
    GatePhase.PREFLIGHT: "the run",
    GatePhase.ASK: "asking for approval",
    GatePhase.MAINTENANCE: "maintenance mode",
    GatePhase.UPGRADE: "the upgrade",
    GatePhase.REBOOT: "the reboot",
    GatePhase.HEALED: "the next node",
    GatePhase.WATCH: "the end of the watch",
    GatePhase.CHECKUP: "the end of the watch",
}
WHO_ENDS_A_HOLD = "an operator, with `/upgrade retry`, `/upgrade skip NODE` or `/upgrade abort`"
DAY_S = 86_400
MOST_NAMES = 8
"""So many package names or reasons in one message; the rest is counted."""


def host(text: str) -> str:
    """Text from a machine, made harmless for Slack."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def span(seconds: float) -> str:
    """ "50 seconds", "12 minutes", "1 hour and 5 minutes", "2 days and 3 hours": to the nearest of its last unit."""
    for least, size, below in (("seconds", 1, 120), ("minutes", 60, DAY_S)):
        if round(seconds) < below:
            return _spelled(_nearest(seconds, size), least)
    return _spelled(_nearest(seconds, 3600), "hours")


def _nearest(seconds: float, size: int) -> int:
    return int(seconds / size + 0.5) * size


@lru_cache(maxsize=1024)
def _spelled(seconds: int, least: str) -> str:
    """The settings' own spans are said again and again."""
    return str(humanize.precisedelta(timedelta(seconds=seconds), minimum_unit=least, format="%d"))


def named(name: str, guest: int | str) -> str:
    """ "router-a (101)"; a guest whose configuration is gone has no name any more."""
    return f"{host(name)} ({guest})" if name else f"guest {guest}"


def guests(ids: Iterable[int], called: Mapping[str, str]) -> str:
    """ "db (103), web (104)"."""
    return ", ".join(named(called.get(str(guest), ""), guest) for guest in ids)


def at(when: float) -> str:
    """A time that Slack shows in each reader's own zone, with UTC as the fallback."""
    return f"<!date^{int(when)}^{{time}}|{datetime.fromtimestamp(when, UTC):%H:%M} UTC>"


def day(when: float) -> str:
    """A day and time that Slack shows in each reader's own zone: it may be older than today."""
    plain = f"{datetime.fromtimestamp(when, UTC):%Y-%m-%d %H:%M} UTC"
    return f"<!date^{int(when)}^{{date_short_pretty}} {{time}}|{plain}>"


def some(names: Sequence[str], most: int = MOST_NAMES) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def bullets(lines: Sequence[str], most: int = MOST_NAMES) -> str:
    more = [f"• and {len(lines) - most} more"] if len(lines) > most else []
    return "\n".join([*(f"• {line}" for line in lines[:most]), *more])


def note(text: str) -> Saying:
    return Saying("note", text)


# ---- the run -------------------------------------------------------------------------------------------------


def board(cluster: str, nodes: Sequence[str], starter: str, dry_run: bool) -> Saying:
    kind = "Dry run of a rolling upgrade" if dry_run else "Rolling upgrade"
    return Saying("board", f"🔧 {kind} of *{cluster}* ({', '.join(nodes)}), started by <@{starter}>.")


def under_way(run_id: str) -> str:
    """For a shell."""
    return f"A run goes on: {run_id}. What it has changed for now, such as a maintenance mode, shuts gates here."


def order_of_nodes(nodes: Sequence[str], reasons: Sequence[str], ways: Sequence[str] = ()) -> Saying:
    """`ways`: what of the ways in dies with what."""
    why = f" ({'; '.join(reasons)})" if reasons else ""
    paths = "".join(f"\n🛣️ {host(way)}." for way in ways)
    return note(f"📋 The nodes go in this order: {', '.join(nodes)}{why}.{paths}")


def preflight_passed(summaries: Mapping[str, str], drills: Sequence[str] = ()) -> Saying:
    """`drills`: when the last restore drills were, and how long they took. Nodes of which the same is said share a
    line."""
    alike: dict[str, list[str]] = {}
    for node, text in summaries.items():
        alike.setdefault(re.sub(rf"\b{re.escape(node)}\b", "it", text), []).append(node)
    lines = [
        f"{', '.join(nodes)}, each: {text}" if len(nodes) > 1 else f"{nodes[0]}: {summaries[nodes[0]]}"
        for text, nodes in alike.items()
    ]
    return note("✅ Preflight passed.\n" + bullets([*lines, *drills], 50))


def refused(reason: str, hint: str) -> Saying:
    return note(f"⛔ The run is refused: {host(reason)}. Nothing was changed." + _hint(hint))


def plan_shown(text: str) -> Saying:
    return note(f"📋 This is what a run would do; nothing is changed.\n{host(text)}")


def finished(cluster: str, outcomes: Mapping[str, str], took: float, watch: float) -> Saying:
    lines = bullets([f"{node}: {outcome}" for node, outcome in outcomes.items()], 50)
    watched = f" I keep watching gates and guest groups for {span(watch)}." if watch else ""
    return note(f"🏁 *{cluster}* is done after {span(took)}; the storage is fully healed.{watched}\n{lines}")


def aborted(cluster: str, left: Sequence[str], alarmed: Sequence[str] = ()) -> Saying:
    """`alarmed`: what it woke people for and could not see the end of."""
    rest = f"Left as it is:\n{bullets(left, 50)}" if left else "Nothing is left changed."
    if alarmed:
        ends = "I do not look after it any more. `/outage resolve` ends it, or the next run that finds all gates open."
        rest += f"\nPeople are still woken for:\n{bullets(alarmed)}\n{ends}"
    return note(f"🛑 The run of *{cluster}* was aborted. {rest}")


def watch_over(managed: ManagedCluster, watched: float, still: Sequence[str], alarmed: bool) -> Saying:
    """`alarmed`: an outage is open for what is still shut, and wakes people by itself."""
    if still:
        text = f"🚨 *{managed.name}*: the watch of {span(watched)} is over, and these gates are still shut:\n"
        return note(text + bullets(still)) if alarmed else paged(managed, text + bullets(still))
    return note(f"✅ Watched for {span(watched)} after the last node: gates and guest groups are fine. Good night.")


def watch_trouble(managed: ManagedCluster, reasons: Sequence[str], since_end: float) -> Saying:
    return paged(
        managed,
        f"🚨 *{managed.name}*, {span(since_end)} after its rolling upgrade:\n{bullets(reasons)}",
    )


def watch_alarm(managed: ManagedCluster, reasons: Sequence[str], since_end: float) -> Saying:
    text = f"🚨 {span(since_end)} after the rolling upgrade of *{managed.name}* I see:\n{bullets(reasons)}"
    return note(f"{text}\nWhoever is on call is woken in the outage's own thread.")


def watch_good_again() -> Saying:
    return note("✅ All gates are open again; I go on watching.")


def watch_ended(why: str) -> Saying:
    return note(f"👀 {why}, so this watch ends.")


# ---- gates and holds -------------------------------------------------------------------------------------------


def gates_shut(managed: ManagedCluster, node: str, moment: GatePhase, reasons: Sequence[str], urgent: bool) -> Saying:
    """`urgent`: while a node is down for us, something that people live on is not there: a page, not a note."""
    text = f"⏳ {node}: I wait before {MOMENTS[moment]}, for not every gate is open.\n{bullets(reasons)}"
    return paged(managed, text) if urgent else note(text + _hint("`/upgrade why` shows what would end the wait"))


def gates_open(node: str, moment: GatePhase) -> Saying:
    return note(f"✅ {node}: all gates before {MOMENTS[moment]} are open now; I go on.")


def hold(managed: ManagedCluster, node: str, why: str, hint: str, page: bool) -> Saying:
    where = f"{node}: " if node else ""
    skip = f"`/upgrade skip {node}`, " if node else ""
    text = (
        f"✋ {where}I hold: {why}. Nothing more happens until an operator says so."
        f"{_hint(f'{hint}; then ' if hint else '', f'`/upgrade retry`, {skip}or `/upgrade abort`')}"
    )
    return paged(managed, text) if page else note(text)


def paused(node: str) -> Saying:
    where = f" at {node}" if node else ""
    text = f"⏸️ Paused{where}: nothing new is begun; what runs already goes on to its end."
    return note(text + _hint("`/upgrade resume`"))


def paged(managed: ManagedCluster, text: str) -> Saying:
    return Saying("page", text, mention=managed.people.operators)


def _hint(*parts: str) -> str:
    text = "".join(parts)
    return f"\n*Hint:* {text}." if text else ""


def with_hint(text: str, hint: str) -> str:
    return text + _hint(hint)


# ---- the approval ----------------------------------------------------------------------------------------------


def approval(managed: ManagedCluster, node: str, need: Need, evidence: str, until: float, why_again: str) -> Saying:
    people = managed.people
    again = f" Asked again: {why_again}." if why_again else ""
    text = (
        f"🙋 *May I take {node}?*{again}\n"
        f"{what_is_approved(need)}\n"
        f"Evidence: {evidence}.\n"
        f"{who_may_answer(people, until, 'the reboot' if need.reboot else 'it begins')}"
    )
    detail = {"node": node, "until": until, "evidence": evidence, "need": need.plain()}
    return Saying("approval", text, mention=people.approvers, detail=detail)


def who_may_answer(people: PeopleSettings, until: float, too_late: str) -> str:
    """The last line of every request. `too_late`: until when the mark may be taken back."""
    return (
        f"{approvers(people)} may answer until {at(until)}: :{APPROVE}: go, :{REJECT}: no. "
        f"Taking the mark back before {too_late} withdraws the approval."
    )


def approvers(people: PeopleSettings) -> str:
    """ "@carol", "one of @admins", "2 of @carol @dan @erin"."""
    alone = len(people.approvers) == 1 and people.approvers[0].startswith("U")
    count = people.approvals_needed if people.approvals_needed > 1 else "one"
    return mention(people.approvers) if alone else f"{count} of {mention(people.approvers)}"


def what_is_approved(need: Need) -> str:
    lines = []
    if need.packages:
        stops = "; glusterfs-server is among them, so this node's bricks stop and heal" if need.restarts_gluster else ""
        lines.append(f"• {need.count} packages: {host(some(need.names))}{stops}")
    if need.reboot:
        lines.append(f"• reboot into kernel {host(need.target)} (runs {host(need.kernel)}), this boot only")
    else:
        lines.append("• no reboot is needed")
    if need.moves:
        lines.append(f"• guests that move away and back: {guests(need.moves, need.called)}")
    if need.stops:
        lines.append(f"• guests that do not move and stay *down* meanwhile: {guests(need.stops, need.called)}")
    return "\n".join(lines)


def approved(node: str, by: Sequence[str], until: float) -> Saying:
    return note(f"👍 {node}: approved by {mention(by)}; counts until {at(until)}, for this boot and these packages.")


def rejected_reason(by: Sequence[str]) -> str:
    return f"rejected by {mention(by)}"


def nothing_to_do(node: str) -> Saying:
    return note(f"⏭️ {node}: no packages to upgrade and no new kernel; left as it is.")


# ---- one node --------------------------------------------------------------------------------------------------


def maintenance_on(node: str, gates: str) -> Saying:
    return note(f"🚧 {node}: maintenance mode is on ({gates}). Next: drain.")


def moving(node: str, guest: int, name: str, target: str, how: str, beside: Sequence[str] = ()) -> Saying:
    """`beside`: members of its guest groups that run on the target already. What HA brings back it decides itself."""
    if how == "ha" and target == node:
        return note(f"🚚 {node}: {named(name, guest)} is HA's to bring back; I wait until it does, or leaves it be.")
    who = f"HA moves {named(name, guest)}" if how == "ha" else f"{named(name, guest)} moves"
    near = f", beside {host(some(beside))}: no other node takes it" if beside else ""
    return note(f"🚚 {node}: {who} to {target}{near}.")


def drained(
    node: str, moved: Mapping[int, str], by_ha: Sequence[int], stopped: Sequence[int], called: Mapping[str, str]
) -> Saying:
    ways = [f"{guests([guest], called)} to {target}" for guest, target in moved.items()]
    ways += [f"{guests([guest], called)} by HA" for guest in by_ha]
    where = ", ".join(ways) or "nothing had to move"
    down = f"; shut down: {guests(stopped, called)}" if stopped else ""
    return note(f"📦 {node}: drained, listed again, no guest runs here ({where}{down}).")


def upgrading(node: str, count: int, gates: str) -> Saying:
    return note(f"⬆️ {node}: dist-upgrade of {count} packages has begun ({gates}).")


def nothing_left(node: str) -> Saying:
    return note(f"✅ {node}: nothing is left to upgrade; somebody did it meanwhile. Next: wait for the storage.")


def upgraded(node: str, count: int, took: float) -> Saying:
    return note(f"✅ {node}: {count} packages upgraded in {span(took)}. Next: wait for the storage.")


def rebooting(node: str, gates: str) -> Saying:
    return note(f"🔁 {node}: reboot sent ({gates}).")


def back(node: str, kernel: str, took: float) -> Saying:
    """One that was up already when it was asked again: nobody saw since when."""
    how_long = f"; took {span(took)}" if took >= 1.0 else ""
    return note(f"✅ {node}: rebooted, proven by another boot id; runs {host(kernel)}{how_long}.")


def heal_begins(node: str, about: str) -> Saying:
    text = f"🩹 {node}: now the storage heals; no other node is touched before it is done."
    return Saying("progress", text, about=about)


def heal_state(progress: HealProgress) -> str:
    """One line of what the cheap question found: "14 pending on pve1:/brick; pve2:/brick is down"."""
    parts = [f"{host(brick)} is down" for brick in progress.down]
    parts += [
        f"{count if count is not None else 'an unknown number'} pending on {host(brick)}"
        for brick, count in progress.pending.items()
        if count != 0 and brick not in progress.down
    ]
    if progress.split_brain:
        parts.append(f"{progress.split_brain} in split-brain, which does not heal by itself")
    return "; ".join(parts) or f"{progress.asked} listed no brick at all"


def still_healed(node: str, bricks: int) -> Saying:
    return note(f"💚 {node}: the storage is fully healed: {bricks} bricks connected, 0 pending on each.")


def split_brain(count: int) -> str:
    entries = "1 entry is" if count == 1 else f"{count} entries are"
    return f"{entries} in split-brain: the copies blame each other, and that does not heal by itself"


SPLIT_BRAIN_HINT = (
    "`/restore heal GUEST` shows both sides of a guest's image and asks which one to keep; anything else: "
    "`gluster volume heal VOLUME split-brain source-brick BRICK FILE`"
)


def healed(node: str, took: float, bricks: int) -> Saying:
    return note(f"💚 {node}: fully healed after {span(took)}: {bricks} bricks connected, 0 pending on each.")


def released(node: str, gates: str) -> Saying:
    return note(f"✅ {node}: maintenance mode is off ({gates}).")


def returned(
    node: str,
    home: Sequence[int],
    away: Mapping[str, str],
    called: Mapping[str, str],
    off: Sequence[int] = (),
    gone: Sequence[int] = (),
) -> Saying:
    """`away`: guest -> the node on which it runs instead. `off`: stopped by somebody, `gone`: removed meanwhile."""
    back = [f"guests back and running: {guests(home, called)}"] if home else []
    stay = [f"{named(called.get(guest, ''), guest)} runs on {there}" for guest, there in away.items()]
    rest = [f"stopped by somebody else, and left so: {guests(off, called)}"] if off else []
    rest += [f"removed by somebody else: {guests(gone, called)}"] if gone else []
    return note(f"🏠 {node}: {'; '.join(back + stay + rest) or 'no guest had to come back'}.")


def node_done(node: str, took: float) -> Saying:
    return note(f"☑️ {node} is done after {span(took)}.")


def putting_back(node: str, why: str) -> Saying:
    return note(f"↩️ {node}: {why}; what was begun ends first, then what was changed is put back.")


def not_moved_back(away: Mapping[str, tuple[str, bool]], called: Mapping[str, str]) -> str:
    """`away`: guest -> its node now, "" if it is not listed, and whether it is moving."""
    return "not moved back: " + ", ".join(
        f"{named(called.get(guest, ''), guest)} {_whereabouts(node, moving)}" for guest, (node, moving) in away.items()
    )


def _whereabouts(node: str, moving: bool) -> str:
    if not node:
        return "is not listed"
    return f"is moving from {node}" if moving else f"is on {node}"


def perhaps_not_back(node: str, moved: Iterable[int], called: Mapping[str, str]) -> str:
    return f"not all may be back on {node}, and nobody says where they are: {guests(sorted(moved), called)}"


def put_back(node: str, done: Sequence[str], left: Sequence[str]) -> Saying:
    back = "; ".join(done) or ("nothing was put back" if left else "nothing had to be put back")
    rest = f" Left as it is: {'; '.join(left)}." if left else ""
    return note(f"↩️ {node}: {back}.{rest}")


# ---- the bot itself ----------------------------------------------------------------------------------------------


def fault(managed: ManagedCluster, run_id: str, sentence: str) -> Saying:
    """A fault in the workflow's own body: the run stands still, and the operators hear of it."""
    text = (
        f"💥 `{run_id}` stands still, a fault of the bot itself: {host(sentence)}. "
        "Nothing new is begun; it is tried again every 5 minutes."
    )
    return paged(managed, text + _hint("`/upgrade status` shows what is changed; the bot's log has the trace"))
