"""Every sentence about an outage: what is wrong, who is paged, who has it, what comes next, and what to type."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from cluster.facts import Guest, PathTest
from cluster.watchlist import GUEST, SERVING
from engine.port import Saying
from oncall.pagers import Page
from oncall.settings import Person
from store.api import AlertRow
from workflows.acknowledging import ACK_EMOJI
from workflows.messages import at, bullets, host, named, note, some, span, with_hint
from workflows.messages_waits import sentence
from workflows.picture_outage import OutagePicture
from workflows.roles import mention
from workflows.site import Site

WHO_ACKNOWLEDGES = f"whoever takes it: :{ACK_EMOJI}: in Slack, `/outage ack`, or the key 1 on the phone"
HINT_ACK = f"*Hint:* :{ACK_EMOJI}: here or `/outage ack` takes it and stops the ringing."
DRILL = "This is a drill of the on-call pager"
HINT_TAKE = "*Hint:* `/outage ack` takes it and stops the ringing."
HINT_OTHER = "\n*Hint:* another one rings: `/outage ack {}` takes that."
SLACK_ID = re.compile(r"[USW](?=[A-Z]*[0-9])[A-Z0-9]{3,}")
MOST_BEHIND = 4
MOST_SPOKEN = 2
"""So many alerts are read out on a phone; the rest is counted."""


def what(alerts: Sequence[AlertRow]) -> list[str]:
    """A line for each alert that fires; when none does, of those that did. Guests first, for people live on them, and a
    node that does not answer may only be one that cannot be reached; then the oldest first. Of which the same is to be
    said share a line."""
    return [
        f"*{host(subject)}*: {host(text)}{_hidden(same)} (since {at(min(alert.began_at for alert in same))})"
        for subject, text, same in _alike(alerts)
    ]


def _alike(alerts: Sequence[AlertRow]) -> list[tuple[str, str, list[AlertRow]]]:
    """(what they are about, what is to be said of it, the alerts)."""
    found: dict[str, list[AlertRow]] = {}
    for alert in _now(alerts):
        found.setdefault(_without_place(alert), []).append(alert)
    return [
        (", ".join(alert.subject for alert in same), same[0].summary if len(same) == 1 else f"each {text}", same)
        for text, same in found.items()
    ]


def _without_place(alert: AlertRow) -> str:
    """ "192.0.2.11:22 does not answer within 3 s" is the same for every node, but for the address."""
    place = f"{alert.detail.get('target', '')} "
    return alert.summary.removeprefix(place) if place.strip() else f"{alert.summary} {alert.fingerprint}"


def _hidden(alerts: Sequence[AlertRow]) -> str:
    """What is reached through these alone, and not looked at by itself meanwhile."""
    names = list(dict.fromkeys(str(name) for alert in alerts for name in alert.detail.get("hides", ())))
    count = f"; {len(names)} more" if len(names) > 1 else "; one more"
    return f"{count} behind it: {host(some(names, MOST_BEHIND))}" if names else ""


def _now(alerts: Sequence[AlertRow]) -> list[AlertRow]:
    firing = [alert for alert in alerts if alert.firing] or alerts
    return sorted(firing, key=lambda alert: alert.detail.get("kind") not in (GUEST, SERVING))


def _head(cluster: str, alerts: Sequence[AlertRow]) -> str:
    count = len(_now(alerts))
    return f"🔥 *{cluster}*: outage" + (f", {count} alerts." if count > 1 else ".")


def names(users: Sequence[str]) -> str:
    return mention(users) or "nobody"


def called(person: str) -> str:
    """By name. Without a section `oncall` those who are paged are operators, known by their Slack ids alone."""
    return mention([person]) if SLACK_ID.fullmatch(person) else host(person)


def who_is_who(people: Iterable[str]) -> str:
    """Below a block of code, in which nobody can be mentioned: who has no name there."""
    ids = sorted({person for person in people if SLACK_ID.fullmatch(person)})
    return f"In it, {', '.join(f'{person} is {mention([person])}' for person in ids)}. " if ids else ""


def board(cluster: str, alerts: Sequence[AlertRow]) -> Saying:
    return Saying("board", f"{_head(cluster, alerts)}\n{bullets(what(alerts))}")


def page(cluster: str, alerts: Sequence[AlertRow], users: tuple[str, ...], note: str, turn: int, rung: int) -> Saying:
    if not alerts:
        hint = f"*Hint:* {note}." if note else HINT_ACK
        return Saying("page", f"🔔 {DRILL}: nothing is wrong.\n{hint}", mention=users)
    again = "" if turn == rung == 0 else " Nobody has it."
    why = f"\n⚠️ {host(note)}." if note else ""
    text = f"{_head(cluster, alerts)}{again}\n{bullets(what(alerts))}{why}\n{HINT_ACK}"
    return Saying("page", text, mention=users)


def direct(cluster: str, alerts: Sequence[AlertRow], user: str) -> Saying:
    return Saying("direct", f"{_head(cluster, alerts)}\n{bullets(what(alerts))}\n{HINT_ACK}", to=user)


def to_ring(
    run_id: str, key: str, name: str, person: Person, site: Site, alerts: Sequence[AlertRow], now: float
) -> Page:
    """For whatever rings: no Slack markup, for it may be spoken."""
    if not alerts:
        return Page(run_id, key, name, person, DRILL, "Nothing is wrong. Please acknowledge", "", now)
    found = _alike(alerts)
    more = sum(len(same) for _, _, same in found[MOST_SPOKEN:])
    told = [f"{subject}: {text}" for subject, text, _ in found[:MOST_SPOKEN]]
    told += [f"and {more} more"] if more > 0 else []
    link = site.store.kept(f"link/{run_id}")  # asked when the thread began: a ring never waits for Slack
    title = f"Outage of cluster {site.managed.name}"
    return Page(run_id, key, name, person, title, plain(". ".join(told)), link.value if link else "", now)


def plain(text: str) -> str:
    """Without what Slack would make of it."""
    return re.sub(r"[*`_]|<[^>]*>", "", text)


def taken(users: Sequence[str], ends: float, snooze: bool) -> Saying:
    if snooze:
        return note(f"😴 {names(users)} {_has(users)} it until {at(ends)}; then it rings again.")
    sign = f"Without a sign of life (`/outage ack` is enough) it rings again at {at(ends)}."
    return note(f"🙋 {names(users)} {_has(users)} it; nothing rings any more. {sign}")


def _has(users: Sequence[str]) -> str:
    return "have" if len(users) > 1 else "has"


def remind(users: Sequence[str], ends: float) -> Saying:
    return note(
        f"👋 {names(users)}: still on it? Without a word from you it rings again at {at(ends)}. *Hint:* `/outage ack` "
        "is enough."
    )


def lapsed(users: Sequence[str], snooze: bool) -> Saying:
    why = "the snooze is over" if snooze else "there was no sign of life"
    return note(f"⏰ {names(users)}: {why}, so the ladder begins again from its top.")


def released(users: Sequence[str]) -> Saying:
    does = "do" if len(users) > 1 else "does"
    return note(f"↩️ {names(users)} {does} not have it any more; the ladder begins again.")


def news(users: Sequence[str], alerts: Sequence[AlertRow]) -> Saying:
    more = f"{len(alerts)} more alerts" if len(alerts) > 1 else "one more alert"
    return note(f"🔥 {names(users)}: {more} meanwhile.\n{bullets(what(alerts))}")


def recovered(alerts: Sequence[AlertRow], settle: float) -> Saying:
    which = {1: "The alert has", 2: "Both alerts have"}.get(len(alerts), f"All {len(alerts)} alerts have")
    return note(f"💚 {which} recovered; nothing rings any more. It is over in {span(settle)} if it stays so.")


def relapsed(after: float, alerts: Sequence[AlertRow]) -> Saying:
    return note(f"🔥 A relapse after {span(after)}.\n{bullets(what(alerts))}")


def over(cluster: str, state: str, by: str, took: float) -> Saying:
    how = f"resolved by <@{by}>" if by else "recovered by itself, or by somebody's hand"
    end = how if state == "resolved" else "recovered"
    return note(f"🏁 The outage of *{cluster}* is over after {span(took)}: {end}. `/outage report` writes it up.")


def left_behind(cluster: str, heir: str) -> Saying:
    """For the thread of an outage whose cluster the settings do not name any more."""
    return note(
        f"⚠️ *{host(cluster)}* is no longer in the settings, so nobody looks at it any more, and this outage ends here. "
        f"What still fires wakes people as an outage of *{heir}*, until somebody resolves that one.\n*Hint:* put "
        f"{host(cluster)} back under that name and start the bot again, if it was not meant."
    )


def left_subject(subject: str, cluster: str) -> str:
    return f"{subject} of {cluster}"


def left_summary(summary: str, cluster: str) -> str:
    """It may be spoken: no Slack markup."""
    return f"{summary}, when {cluster} left the settings; nobody looks at it any more"


def last_run(state: str, ago: float) -> str:
    """`state`: as a picture of it has that."""
    match state:
        case "running" | "holding" | "paused":
            return f"began {span(ago)} ago and {RUNS[state]}"
        case "watching":
            return f"began {span(ago)} ago, is done with the last node, and watches"
        case _:
            return f"ended {span(ago)} ago ({state})"


def goes_on(runs: Sequence[str]) -> str:
    return f"going on meanwhile: {some([f'`{run}`' for run in runs])}"


RUNS = {"running": "is under way", "holding": "holds", "paused": "is paused"}


def guests_known(running: int, down: Sequence[Guest]) -> str:
    """How many run, and where those are that do not."""
    if not down:
        return f"all {running} guests run"
    names = some([f"{named(guest.name, guest.id)} on {guest.node}" for guest in down])
    return f"{running} guests run, {len(down)} {'does' if len(down) == 1 else 'do'} not: {names}"


def drill(name: str, user: str) -> Saying:
    return Saying("board", f"🔔 A drill, nothing is wrong: I ring {name} (<@{user}>) now, as I would at night.")


def drill_passed(name: str, user: str, how: str, took: float) -> Saying:
    return note(f"✅ {name} (<@{user}>) answered by {how} after {span(took)}: this pager is proven.")


ANSWERS = {"voice": "press 1 on the phone", "pushover": "tap on the push"}


def proves(heard: Sequence[str]) -> str:
    """What proves a pager, half a sentence; "" where nothing that rings can be answered, and Slack has to do."""
    ways = " or ".join(dict.fromkeys(ANSWERS.get(how, f"answer by {how}") for how in heard))
    return f"{ways}; a click in Slack does not prove that it rings" if ways else ""


def drill_failed(name: str, user: str, waited: float, clicked: bool) -> Saying:
    """`clicked`: they answered in Slack, which proves nothing that rings."""
    slack = f"within {span(waited)} the answer came in Slack only, on nothing that rings"
    what = slack if clicked else f"nobody answered within {span(waited)}"
    text = f"❌ <@{user}>: {what}. An outage would not have woken {name}."
    return note(f"{text}\n*Hint:* see docs/oncall.md for what silences a phone, then `/oncall test` again.")


def drill_cut_off(name: str, user: str) -> Saying:
    return note(
        f"⚠️ {name} (<@{user}>): I was not running for a while in the middle of this drill, so it ends here: nobody is "
        "rung for it any more, and it proves nothing.\n*Hint:* `/oncall test` again."
    )


ICONS = {"ringing": "🔥", "held": "🙋", "recovering": "💚", "recovered": "🏁", "resolved": "🏁"}


def lines_of(outage: OutagePicture) -> list[str]:
    """An outage as it is now: for its board and for `/outage`. No time that would change by itself."""
    head = f"{ICONS.get(outage.state, '🏁')} *{outage.cluster}*: outage, {outage.state} (`{outage.outage}`)"
    lines = [f"{head}, since {at(outage.began_at)}.", bullets(what(outage.alerts), 12)]
    recovered = len(outage.alerts) - len(outage.firing)
    if recovered and outage.firing:
        lines.append(f"{recovered} more recovered.")
    lines += [f"🙋 <@{h.user}> has it by {h.how}, until {at(h.ends)}." for h in outage.holders]
    if outage.pages:
        last = outage.pages[-1]
        count = f"{len(outage.pages)} pages; the last" if len(outage.pages) > 1 else "One page,"
        lines.append(f"📟 {count} to {called(last.person)} by {last.how} at {at(last.at)}.")
    if outage.wait and outage.state != "held":  # who has it is told above; that wait ends with the reminder
        lines.append(
            f"⏳ Waits for {sentence(outage.wait.why)} until {at(outage.wait.deadline)}."
        )  # our own words, with mentions
    return lines


def ways_in(paths: Sequence[str], tests: Sequence[PathTest]) -> str:
    """Which path still works, to which nodes; in the order in which they are tried."""
    nodes = {test.node for test in tests}
    alive = {path: [test.node for test in tests if test.path == path and test.alive] for path in paths}
    good = [f"{path} ({_reached(found, len(nodes))})" for path, found in alive.items() if found]
    dead = [path for path, found in alive.items() if not found]
    if not good:
        return f"*no way in works*: {', '.join(dead)}"
    return f"the way in works over {', '.join(good)}" + (f"; dead: *{', '.join(dead)}*" if dead else "")


def _reached(nodes: Sequence[str], of: int) -> str:
    return f"all {of} nodes" if len(nodes) == of else f"to {', '.join(nodes)} only"


def known(lines: Sequence[str], hint: str) -> Saying:
    return note(with_hint(f"🔎 What is known:\n{bullets(lines, 20)}", hint))


def way_back(guest: Guest) -> str:
    """What to type for a guest that does not run, half a sentence."""
    look = f"`/restore {guest.id}` shows its disks and its backups"
    if guest.status == "stopped":
        look = f"`/restore start {guest.id} {guest.node}` starts it, {look}"
    return f"{named(guest.name, guest.id)}: {look}; nothing is done to it without an approval"
