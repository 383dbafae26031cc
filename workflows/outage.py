"""An outage, from its first alert until it is over: people are paged, rung after rung and round after round, until
somebody has it, and again when nobody has it any more.

One turn of the workflow is one mode: ring (once through the ladder), held (somebody has it), quiet (all is well again,
but not for long yet). A turn ends with `Again`: so a ladder that nobody answers for three days stays as cheap as in its
first hour, and its keys carry the turn. What people did are rows; they are read in acts and waits alone.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from engine.port import Again, Look, Plain, Run, Waiting
from store.api import AlertRow
from workflows import messages_outage as messages
from workflows.acknowledging import Holder, resolved
from workflows.outage_known import ask_what_is_known
from workflows.ringing import Outage, Rung, cancel, heard
from workflows.site import Site

UNREACHED_REST_S = 60.0
"""A ladder of which nothing reaches anybody (a revoked token) goes round no faster: each round mentions, and asks."""
REMIND = 0.75
"""Part of an acknowledgement's life after which its holder is asked for a sign of life."""
LAPSED = "lapsed"
"""Nobody has it any more, for want of a sign of life; perhaps since before the bot was started again."""
NEWS_S = 300.0
"""While somebody has it, whatever else goes wrong is told to them at most so often."""

log = logging.getLogger(__name__)


def outage(run: Run, site: Site, args: Mapping[str, Plain]) -> Plain | Again:
    """Returns {"state": "recovered" | "resolved", "by": user or "", "took": seconds}."""
    o = Outage(run, site, args)
    if o.turn.number == 0:
        run.say("board", lambda: messages.board(site.managed.name, o.alerts()))
    match o.turn.mode:
        case "ring":
            return _ring(o)
        case "held":
            return _held(o)
        case "quiet":
            return _quiet(o)
    raise LookupError(f"this version of the bot knows no mode {o.turn.mode!r} of an outage")


def left_behind(run: Run, heir: Site, args: Mapping[str, Plain]) -> Plain:
    """Instead of an outage whose cluster left the settings while it was open: it ends, for nobody can look at its
    cluster. Its alerts go on firing, and workflows/alerts.adopt makes them an outage of `heir`, the first cluster that
    the settings name. Returns as `outage`; the state is "left"."""

    def end() -> Plain:
        now, row = heir.clock(), heir.store.run(run.id)
        cancel(heir, run.id, now)
        log.error("outage '%s': open -> left (its cluster '%s' is not in the settings)", run.id, args["cluster"])
        return {"state": "left", "by": "", "took": now - row.created_at if row else 0.0}

    ended = run.step("left", end)
    run.say("left.said", lambda: messages.left_behind(args["cluster"], heir.managed.name))
    return ended


def _went(o: Outage, mode: str, now: float, seen: int) -> Plain | Again:
    """The next turn, or the end. `seen`: so many alerts have been told; of any other whoever has it hears at once."""
    if mode == "resolved":
        return _end(o, "resolved")
    told_at = now if seen >= len(o.alerts()) else 0.0
    return o.turn.next(o.args, mode, seen=seen, told_at=told_at, holders=[])


# ---- ring --------------------------------------------------------------------------------------------------------


def _ring(o: Outage) -> Plain | Again:
    """
    1. Each rung: who and how is worked out at that moment, all of them are paged at once.
    2. Then so much time to acknowledge; at once the next rung when nothing of it can reach anybody.
    3. After the last rung the ladder begins again; after a while only, if nothing of it could reach anybody.
    """
    rungs, reached, seen = len(o.policy.rungs) if o.policy else 1, False, o.turn.seen
    for number in range(rungs):
        rung = Rung(o, number)
        planned = o.run.step(o.key(f"rung{number}"), rung.plan)
        if planned["mode"] != "ring":
            return _went(o, planned["mode"], planned["at"], seen or _seen(planned))
        seen = _seen(planned)
        rung.page(planned)
        if o.turn.number == number == 0:
            o.run.step(o.key("ask"), lambda: ask_what_is_known(o.site, o.run.id))
        answer = rung.wait(planned)
        if answer and answer["mode"] not in ("ring", "unreached"):
            return _went(o, answer["mode"], answer["at"], seen)
        reached = reached or not answer
    return _rest(o, 0.0 if reached else UNREACHED_REST_S, seen)


def _seen(planned: Plain) -> int:
    """How many alerts its pages tell of. The journal of a version before this did not say: none."""
    return int(planned.get("seen", 0))


def _rest(o: Outage, least: float, seen: int) -> Plain | Again:
    pause = max(o.policy.pause if o.policy else 0.0, least)
    if pause:
        what = "the ladder to begin again"
        answer = o.run.until(o.key("rest"), lambda at: heard(o, at), pause, why=what, who=messages.WHO_ACKNOWLEDGES)
        if answer:
            return _went(o, answer["mode"], answer["at"], seen)
    return o.turn.next(o.args, "ring", seen=seen)


# ---- held --------------------------------------------------------------------------------------------------------


def _held(o: Outage) -> Plain | Again:
    """Somebody has it: everything stops ringing. Before their word goes stale they are asked for a sign of life."""
    held = o.run.step(o.key("hold"), lambda: _stop_ringing(o))
    if not held["holders"]:
        return _went(o, held["mode"], held["at"], o.turn.seen)
    if o.args.get("holders") != held["holders"]:
        o.run.say(o.key("held"), lambda: messages.taken(held["holders"], held["ends"], held["snoozed"]))
    life = max(held["ends"] - held["at"], 0.0)
    answer = _hold(o, "life", held, life if held["snoozed"] else life * REMIND)
    if answer is None and not held["snoozed"]:
        o.run.say(o.key("remind"), lambda: messages.remind(held["holders"], held["ends"]))
        answer = _hold(o, "last", held, life * (1 - REMIND))
    if answer is None or answer["mode"] == LAPSED:
        return _lapsed(o, held)
    if answer["mode"] == "news":
        o.run.say(o.key("news"), lambda: messages.news(held["holders"], _untold(o, answer.get("again", []))))
    return _left(o, held, answer)


def _left(o: Outage, held: Plain, answer: Plain) -> Plain | Again:
    if answer["mode"] == "ring":
        o.run.say(o.key("released"), lambda: messages.released(held["holders"]))
    if answer["mode"] in ("held", "news"):
        told = {"seen": _seen(answer), "told_at": answer["at"]} if answer["mode"] == "news" else {}
        return o.turn.next(o.args, "held", holders=held["holders"], **told)
    return _went(o, answer["mode"], answer["at"], o.turn.seen)


def _lapsed(o: Outage, held: Plain) -> Again:
    """Nobody who held it gave a sign of life: their word does not count any more, and the ladder begins at its top."""
    void_before = o.run.step(o.key("lapsed"), lambda: _gone_stale(o))
    o.run.say(o.key("stale"), lambda: messages.lapsed(held["holders"], bool(held["snoozed"])))
    return o.turn.next(o.args, "ring", void_before=void_before)


def _gone_stale(o: Outage) -> float:
    """When the last word was given that does not count any more. Not the time of now: a clock that is put back would
    make the next words seem older, and nobody who answers would be heard."""
    now = o.site.clock()
    gone = [order.at for order in o.site.store.orders(o.run.id) if order.about and float(order.about) <= now]
    return max(gone, default=o.turn.void_before)


def _hold(o: Outage, name: str, held: Plain, timeout: float) -> Any:
    return o.run.until(
        o.key(name),
        lambda at: _held_still(o, held, at),
        timeout,
        why=f"{messages.names(held['holders'])} to mend it",
        who="whoever mends it; `/outage resolve` ends it, `/outage ack` is a sign of life",
    )


def _held_still(o: Outage, held: Plain, at: Look) -> Any:
    mode = o.mode(at.now)
    if mode != "held":
        lapsed = mode == "ring" and at.now >= held["ends"]  # else it was released
        return {"mode": LAPSED if lapsed else mode, "at": at.now}
    if _who(o.holders(at.now)) != held["signs"]:
        return {"mode": "held", "at": at.now}
    alerts, last = o.alerts(), at.last or {}
    quiet = [place for place, alert in enumerate(alerts) if not alert.firing]
    again = sorted({*last.get("quiet", []), *last.get("again", [])}.difference(quiet))
    if (again or len(alerts) > o.turn.seen) and not 0 <= at.now - o.turn.told_at < NEWS_S:
        return {"mode": "news", "at": at.now, "seen": len(alerts), "again": again}
    return Waiting(o.seen(), {"quiet": quiet, "again": again})


def _untold(o: Outage, again: Sequence[int]) -> list[AlertRow]:
    """What came since news were told last, after what fires `again`."""
    alerts = o.alerts()
    return [alerts[place] for place in again if place < o.turn.seen] + alerts[o.turn.seen :]


def _who(found: Sequence[Holder]) -> list[list[Any]]:
    return [[holder.user, holder.ends] for holder in found]


def _stop_ringing(o: Outage) -> Plain:
    now = o.site.clock()
    found = o.holders(now)
    mode = o.mode(now)
    if mode != "held" or not found:  # a word may come in between: then it is looked at anew
        return {"mode": mode, "at": now, "holders": []}
    cancel(o.site, o.run.id, now)
    ends = max(holder.ends for holder in found)
    snoozed = all(holder.snoozed for holder in found)
    users = [holder.user for holder in found]
    return {"mode": mode, "at": now, "holders": users, "ends": ends, "snoozed": snoozed, "signs": _who(found)}


# ---- quiet, and the end --------------------------------------------------------------------------------------------


def _quiet(o: Outage) -> Plain | Again:
    """All is well again: nothing rings any more; it is over when it stays so for a while."""
    began = o.run.step(o.key("quiet"), lambda: _hush(o))
    settle = o.site.managed.outages.settle
    o.run.say(o.key("recovered"), lambda: messages.recovered(o.alerts(), settle))
    answer = o.run.until(
        o.key("settle"),
        lambda at: _relapsed(o, at),
        settle,
        why="the recovery to last",
        who="time, or a relapse",
    )
    if answer is None:
        return _end(o, "recovered")
    if answer["mode"] != "resolved":
        o.run.say(o.key("relapsed"), lambda: messages.relapsed(answer["at"] - began, o.alerts()))
    return _went(o, answer["mode"], answer["at"], _seen(answer))


def _hush(o: Outage) -> float:
    now = o.site.clock()
    cancel(o.site, o.run.id, now)
    return now


def _relapsed(o: Outage, at: Look) -> Any:
    mode = o.mode(at.now)
    quiet = mode == "quiet"
    return Waiting("all is well again") if quiet else {"mode": mode, "at": at.now, "seen": len(o.alerts())}


def _end(o: Outage, how: str) -> Plain:
    ended = o.run.step(o.key("end"), lambda: _close(o, how))
    o.run.say(o.key("over"), lambda: messages.over(o.site.managed.name, ended["state"], ended["by"], ended["took"]))
    return ended


def _close(o: Outage, how: str) -> Plain:
    """What a person resolved fires no more; it may fire again, as an outage of its own. So does at once what came after
    their word, or after the last look: nobody has seen it."""
    now, row = o.site.clock(), o.site.store.run(o.run.id)
    cancel(o.site, o.run.id, now)
    order = resolved(o.site.store.orders(o.run.id))
    meant = [alert for alert in o.alerts() if alert.firing and order and alert.at <= order.at]
    o.site.store.clear(o.site.managed.name, [alert.fingerprint for alert in meant], now)
    began = min((alert.began_at for alert in o.alerts()), default=row.created_at if row else now)
    return {"state": how, "by": order.by if order and how == "resolved" else "", "took": now - began}
