"""`/outage`: what is down, who has it; take it, put it off, end it, write it up."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate

from base.settings import seconds
from commands.api import Command, Desk, Reply, Typed, Wrong
from commands.finding import cluster_in, did_you_mean, nothing_else
from store.api import AlertRow, RunRow
from workflows import messages_outage as messages
from workflows import report
from workflows.acknowledging import Deed, give, holders, take, why_not
from workflows.alerts import OUTAGE, Alert, open_outages, raise_alerts
from workflows.messages import at, bullets, host
from workflows.messages_waits import sentence
from workflows.picture_outage import OutagePicture, picture
from workflows.settings import ManagedCluster

MOST_SNOOZE_S = 24 * 3600.0
MOST_TEXT = 300
MOST_REPLY = 30_000
"""Characters of an answer; Slack cuts a message, or refuses it, at 40,000."""


def _meant(
    desk: Desk,
    typed: Typed,
    words: list[str],
    *,
    first: Callable[[RunRow], bool] = lambda _: True,
    ended: bool = False,
) -> tuple[ManagedCluster, RunRow, list[str]]:
    """The outage that was named by its id, else the newest open one, of those that are to come `first` if there are any
    (`ended`: else the newest of all)."""
    managed, rest = cluster_in(desk, typed, words)
    rows = sorted(open_outages(desk.store, managed.name), key=lambda row: not first(row))
    if ended:
        rows = rows or desk.store.runs(cluster=managed.name, workflow=OUTAGE, limit=1)
    named = [word for word in rest if word.startswith("outage-")]
    if named:
        row = desk.store.run(named[0])
        if row is None or row.workflow != OUTAGE:
            raise Wrong(f'there is no outage "{named[0]}"{did_you_mean(named[0], [row.id for row in rows])}.')
        return managed, row, [word for word in rest if word != named[0]]
    if not rows and ended:
        raise Wrong(f"*{managed.name}* has had no outage yet.")
    if not rows:
        raise Wrong(f"*{managed.name}* has no open outage. `/outage declare TEXT` opens one by hand.")
    return managed, rows[0], rest


def show(desk: Desk, typed: Typed, words: list[str]) -> Reply:
    managed, rest = cluster_in(desk, typed, words)
    nothing_else(rest, "/outage", list(desk.clusters))
    rows = open_outages(desk.store, managed.name)
    if not rows:
        return Reply(f"💚 *{managed.name}* has no open outage.")
    return Reply("\n\n".join(_shown(desk, row) for row in rows))


def _shown(desk: Desk, row: RunRow) -> str:
    shown = _picture(desk, row)
    hint = [messages.HINT_TAKE] if shown.state == "ringing" else []
    return "\n".join([*messages.lines_of(shown), *hint])


def _picture(desk: Desk, row: RunRow) -> OutagePicture:
    store = desk.store
    return picture(row, store.alerts(row.id), store.orders(row.id), store.pages(row.id), desk.now)


def declare(desk: Desk, typed: Typed, words: list[str]) -> Reply:
    """Anybody may: who sees smoke calls, and asks for no right to."""
    managed, rest = cluster_in(desk, typed, words)
    text = " ".join(rest)
    if not text:
        raise Wrong("say what is wrong: `/outage declare the phones are dead`.")
    if len(text) > MOST_TEXT:
        raise Wrong(f"say it in {MOST_TEXT} characters at most; it is read out on the phone.")
    by = desk.watchers.name_of(typed.by) if desk.watchers else ""
    said = f"declared by {by}" if by else "declared in Slack"  # it may be spoken: no mention
    alert = Alert(f"person/{typed.source}", "person", text, said, "critical", desk.now)
    outage = raise_alerts(desk.store, managed, [alert], desk.now)
    return Reply(f"🔥 <@{typed.by}> declares an outage of *{managed.name}*: {host(text)} (`{outage}`).", True)


def _holders(desk: Desk, row: RunRow) -> tuple[str, ...]:
    found = holders(desk.store.orders(row.id), row.args["void_before"], desk.now)
    return tuple(holder.user for holder in found)


def _rings(desk: Desk, row: RunRow) -> bool:
    """Nobody has it, and it is not well again."""
    return row.args["mode"] == "ring" and not _holders(desk, row)


def _rings_too(desk: Desk, managed: ManagedCluster) -> str:
    others = [row.id for row in open_outages(desk.store, managed.name) if _rings(desk, row)]
    return messages.HINT_OTHER.format(others[0]) if others else ""


def ack(desk: Desk, typed: Typed, words: list[str]) -> Reply:
    managed, row, rest = _meant(desk, typed, words, first=lambda row: _rings(desk, row))
    nothing_else(rest, "/outage ack", list(desk.clusters))
    _must_be_allowed(desk, typed, row)
    take(desk.store, desk.watchers, row, typed.by, "command", typed.source, desk.now)
    took = f"🙋 <@{typed.by}> has the outage of *{managed.name}* (`{row.id}`)."
    return Reply(took + _rings_too(desk, managed), True)


def release(desk: Desk, typed: Typed, words: list[str]) -> Reply:
    managed, row, rest = _meant(desk, typed, words, first=lambda row: typed.by in _holders(desk, row))
    nothing_else(rest, "/outage release", list(desk.clusters))
    said_before = any(order.source == typed.source for order in desk.store.orders(row.id))
    if typed.by not in _holders(desk, row) and not said_before:
        raise Wrong(f"you do not have the outage of *{managed.name}*; `/outage` shows who has it.")
    give(desk.store, row, Deed.RELEASE, typed.by, "command", typed.source, desk.now)
    return Reply(f"↩️ <@{typed.by}> does not have the outage of *{managed.name}* any more (`{row.id}`).", True)


def snooze(desk: Desk, typed: Typed, words: list[str]) -> Reply:
    managed, row, rest = _meant(desk, typed, words, first=lambda row: _rings(desk, row))
    _must_be_allowed(desk, typed, row)
    if len(rest) != 1:
        raise Wrong("say for how long: `/outage snooze 30m`.")
    try:
        lasts = seconds(rest[0])
    except ValueError as error:
        raise Wrong(f"{error}: `/outage snooze 30m`.") from None
    if not 0 < lasts <= MOST_SNOOZE_S:
        raise Wrong("a snooze lasts up to a day: `/outage snooze 30m`, or `24h` at most.")
    until = desk.now + lasts
    give(desk.store, row, Deed.SNOOZE, typed.by, "command", typed.source, desk.now, until)
    took = f"😴 <@{typed.by}> has the outage of *{managed.name}*; it rings again at {at(until)}."
    return Reply(took + _rings_too(desk, managed), True)


def resolve(desk: Desk, typed: Typed, words: list[str]) -> Reply:
    managed, row, rest = _meant(desk, typed, words)
    nothing_else(rest, "/outage resolve", list(desk.clusters))
    _must_be_allowed(desk, typed, row)
    if seen := [alert for alert in desk.store.alerts(row.id) if alert.firing and _ends_by_itself(desk, alert)]:
        raise Wrong(_still_seen(seen))
    give(desk.store, row, Deed.RESOLVE, typed.by, "command", typed.source, desk.now)
    return Reply(f"🏁 <@{typed.by}> resolves the outage of *{managed.name}* (`{row.id}`).", True)


def _ends_by_itself(desk: Desk, alert: AlertRow) -> bool:
    """A probe looks on, a run that goes on clears what it raised; one that has ended cannot any more."""
    if alert.source != "run":
        return alert.source == "probe"
    run = desk.store.run(alert.fingerprint.split("/")[1])
    return run is not None and run.state == "active"


def _still_seen(alerts: list[AlertRow]) -> str:
    """What I see with my own eyes ends by itself when it is mended; a word does not mend it."""
    lines = bullets(messages.what(alerts))
    text = "It ends by itself once that is mended (a run that holds: with `/upgrade retry` or `/upgrade abort`)"
    return f"I still see it:\n{lines}\n{text}; `/outage snooze 2h` gives you the time."


def timeline(desk: Desk, typed: Typed, words: list[str]) -> Reply:
    _, row, rest = _meant(desk, typed, words, ended=True)
    nothing_else(rest, "/outage timeline", list(desk.clusters))
    names = _names(desk)
    lines = report.timeline(report.read(desk.store, row), lambda user: messages.called(names(user)))
    lines = [sentence(line) for line in lines]
    return Reply("\n".join([f"*Timeline of `{row.id}`* (UTC)", *_fitting(lines)]))


def written(desk: Desk, typed: Typed, words: list[str]) -> Reply:
    _, row, rest = _meant(desk, typed, words, ended=True)
    nothing_else(rest, "/outage report", list(desk.clusters))
    names, shown_as = _names(desk), dict[str, str]()
    text = report.markdown(report.read(desk.store, row), lambda user: shown_as.setdefault(user, names(user)))
    shown = "\n".join(_fitting(host(text).split("\n")))
    return Reply(
        f"```\n{shown}\n```\n{messages.who_is_who(shown_as.values())}The same as a file: `roundsman report {row.id}`."
    )


def _fitting(lines: list[str]) -> list[str]:
    """What one message takes, from the beginning and from the end: three days of ringing are thousands of lines."""
    if sum(map(_length, lines)) <= MOST_REPLY:
        return lines
    first, last = _as_many(lines), _as_many(lines[::-1])
    left_out = f"… {len(lines) - first - last} lines are left out here"
    return [*lines[:first], left_out, *lines[len(lines) - last :]]


def _as_many(lines: list[str]) -> int:
    """How many of the first lines fit into half a message."""
    return sum(1 for length in accumulate(map(_length, lines)) if length <= MOST_REPLY // 2)


def _length(line: str) -> int:
    return len(line) + 1


def _names(desk: Desk) -> report.Names:
    watchers = desk.watchers
    return lambda user: (watchers.name_of(user) if watchers else "") or user


def _must_be_allowed(desk: Desk, typed: Typed, row: RunRow) -> None:
    if why := why_not(desk.watchers, row, typed.by, desk.now):
        raise Wrong(f"{why}.")


COMMANDS = (
    Command("/outage", "", "/outage [NAME]", "shows what is down, who has it, and who is woken next.", show),
    Command(
        "/outage",
        "ack",
        "/outage ack [NAME]",
        "I have it: everything stops ringing; also a sign of life.",
        ack,
        meant=("take", "acknowledge", "mine", "have"),
    ),
    Command("/outage", "snooze", "/outage snooze [NAME] 30m", "I have it; leave me alone for so long.", snooze),
    Command(
        "/outage", "release", "/outage release [NAME]", "I do not have it any more: the ladder begins again.", release
    ),
    Command("/outage", "declare", "/outage declare [NAME] TEXT…", "anybody: open an outage by hand.", declare),
    Command(
        "/outage",
        "resolve",
        "/outage resolve [NAME]",
        "it is over (refused while a probe still sees it).",
        resolve,
        meant=("close", "end", "over", "done"),
    ),
    Command("/outage", "timeline", "/outage timeline [NAME] [OUTAGE]", "what happened, minute by minute.", timeline),
    Command(
        "/outage", "report", "/outage report [NAME] [OUTAGE]", "a post-mortem draft from what was recorded.", written
    ),
)
