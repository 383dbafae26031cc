"""What people type about the rota, and what they read back; text asserted whole."""

from __future__ import annotations

from typing import Any

import pytest

from commands import answer
from commands.api import Desk
from oncall.copies import Copy, keep
from oncall.duty import Duty
from oncall.settings import OnCallSettings
from sandbox.cast import ALICE, BOB, CAROL, MALLORY, readable
from sandbox.simchat import SimChat
from sandbox.spec import ClusterSpec, managed_settings
from store.api import CommandRow
from store.memory import MemoryStore
from tests.unit.oncall.people import HOUR, when
from workflows.site import Watchers

WEDNESDAY = when("2026-03-04T12:00")
PEOPLE = {
    "alice": {"slack": ALICE, "zone": "Europe/Berlin"},
    "bob": {"slack": BOB, "zone": "America/New_York"},
    "carol": {"slack": CAROL, "zone": "Europe/Berlin"},
}
WEEKS = {"name": "weeks", "people": ["alice", "bob", "carol"], "start": "2026-03-02T09:00"}
NIGHTS = {
    "name": "nights",
    "people": ["bob", "carol"],
    "turn": "weekly",
    "start": "2026-03-02T20:00",
    "window": {"start": "20:00", "end": "08:00"},
    "priority": 1,
}


def settings(*layers: dict[str, Any], more: tuple[dict[str, Any], ...] = (), **rota: Any) -> OnCallSettings:
    rotas = [{"name": "primary", "zone": "Europe/Berlin", "layers": layers, **rota}, *more]
    policy = {"rungs": [{"who": ["rota:primary"]}]}
    return OnCallSettings.model_validate(
        {"people": PEOPLE, "rotas": rotas, "policies": [policy], "last_resort": ["carol"]}
    )


class Channel:
    """A channel in which people type. Bob is no operator of the cluster, Alice is."""

    def __init__(self, found: OnCallSettings | None) -> None:
        self.store, self.chat, self.now, self.count = MemoryStore(check_plain=True), SimChat(), WEDNESDAY, 0
        managed = managed_settings(ClusterSpec.from_dict({}))
        people = managed.people.model_copy(update={"operators": (ALICE,)})
        self.managed = managed.model_copy(update={"people": people})
        self.watchers = Watchers(found, lambda: self.duty(found), {}) if found else None

    def duty(self, found: OnCallSettings) -> Duty:
        return Duty(found, self.store.shift_overrides(0.0))

    def types(self, who: str, text: str, *, source: str = "") -> str:
        self.count += 1
        row = CommandRow(source or f"t{self.count}", text, "/oncall", who, self.managed.channel, "", self.now)
        desk = Desk({"lab": self.managed}, self.store, self.chat, self.now, lambda *_: "", self.watchers)
        return readable(answer(desk, row).text)

    def on_call(self, at: str) -> list[str]:
        assert self.watchers is not None
        return list(self.watchers.on_call("primary", when(at)))


@pytest.fixture
def channel() -> Channel:
    return Channel(settings(WEEKS))


# ---- looking ------------------------------------------------------------


def test_who_is_on_call_until_when_and_who_next(channel: Channel) -> None:
    assert channel.types(MALLORY, "") == (
        "📟 *primary*: @alice until Mon 09 Mar 08:00 UTC (layer weeks); then @bob from Mon 09 Mar 08:00 UTC."
    )


def test_nobody_is_on_call_and_who_would_be_woken() -> None:
    channel = Channel(settings({**WEEKS, "start": "2026-03-09T09:00"}))
    assert channel.types(MALLORY, "") == (
        "🕳️ *primary*: nobody is on call; then @alice from Mon 09 Mar 08:00 UTC. "
        "Whoever is the last resort would be woken: @carol."
    )


def test_whoever_was_added_is_named_beside(channel: Channel) -> None:
    channel.types(BOB, f"override <@{BOB}> add until 18:00")
    assert channel.types(ALICE, "").startswith(
        "📟 *primary*: @alice until Mon 09 Mar 08:00 UTC (layer weeks), "
        "beside them @bob until Wed 04 Mar 23:00 UTC; then"
    )


def test_the_week_as_a_table_with_its_gaps() -> None:
    channel = Channel(settings({**WEEKS, "days": ["wed", "thu", "mon"]}))
    assert channel.types(MALLORY, "week") == (
        "📅 *primary* (times in Europe/Berlin)\n"
        "```\n"
        "Wed 04 Mar 12:00 - Fri 06 Mar 00:00  alice   layer weeks\n"
        "Fri 06 Mar 00:00 - Mon 09 Mar 00:00  nobody  gap\n"
        "Mon 09 Mar 00:00 - Mon 09 Mar 09:00  alice   layer weeks\n"
        "Mon 09 Mar 09:00 - Tue 10 Mar 00:00  bob     layer weeks\n"
        "Tue 10 Mar 00:00 - Wed 11 Mar 00:00  nobody  gap\n"
        "Wed 11 Mar 00:00 - Wed 11 Mar 12:00  bob     layer weeks\n"
        "```"
    )


def test_a_calendar_that_is_down_is_said_where_the_rota_is_shown() -> None:
    channel = Channel(settings(WEEKS, calendar={}))
    keep(channel.store, "primary", Copy(good_at=WEDNESDAY - HOUR, down_since=WEDNESDAY, why="it answers HTTP 503"), 0.0)
    note = (
        "⚠️ The calendar of primary is down since Wed 04 Mar 11:00 UTC (it answers HTTP 503); "
        "its last good copy, of Wed 04 Mar 10:00 UTC, is used."
    )
    assert channel.types(MALLORY, "").splitlines()[1:] == [note]
    assert channel.types(MALLORY, "week").splitlines()[-1] == note


def test_without_the_section_it_says_so() -> None:
    assert Channel(None).types(ALICE, "") == (
        "⚠️ the settings have no section `oncall`, so nobody is on call: an outage mentions the operators, and rings "
        "nobody."
    )


# ---- standing in ------------------------------------------------------------


def test_bob_stands_in_by_himself_on_the_clock_of_his_own_wall(channel: Channel) -> None:
    assert channel.types(BOB, f"override <@{BOB}> until 18:00") == (
        "📟 *primary*: @bob is on call from Wed 04 Mar 11:00 UTC until Wed 04 Mar 23:00 UTC (ordered by @bob)."
    )
    assert [channel.on_call(f"2026-03-{at}") for at in ("04T11:59", "04T12:00", "04T23:59", "05T00:00")] == [
        ["alice"],
        ["bob"],
        ["bob"],
        ["alice"],
    ]
    assert channel.store.audits()[0].what == "override of a shift"


def test_an_operator_puts_somebody_on_call_later_and_for_hours(channel: Channel) -> None:
    channel.types(ALICE, f"override <@{CAROL}> from fri 20:00 for 12h primary")
    assert [channel.on_call(f"2026-03-{at}") for at in ("06T19:59", "06T20:00", "07T07:59", "07T08:00")] == [
        ["alice"],
        ["carol"],
        ["carol"],
        ["alice"],
    ]


def test_an_end_is_looked_for_after_the_start_whatever_comes_first(channel: Channel) -> None:
    channel.types(ALICE, "override carol until 08:00 from fri 20:00")
    assert channel.on_call("2026-03-07T07:59") == ["carol"]
    assert channel.on_call("2026-03-07T08:00") == ["alice"]


def test_what_was_stays_as_it_was(channel: Channel) -> None:
    told = channel.types(ALICE, "override bob from today 06:00 until today 18:00")
    assert told.startswith("📟 *primary*: @bob is on call from Wed 04 Mar 11:00 UTC until Wed 04 Mar 17:00 UTC")
    assert channel.on_call("2026-03-04T11:59") == ["alice"]


def test_typed_once_and_delivered_twice_is_once(channel: Channel) -> None:
    once, twice = (channel.types(BOB, f"override <@{BOB}> for 4h", source="same") for _ in range(2))
    assert once == twice
    assert len(channel.store.shift_overrides(0.0)) == 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("override", "say who stands in, and until when: `/oncall override @user"),
        (
            "override <@U0ZZZ> until 18:00",
            "@U0ZZZ is not among the people of the settings, so nobody could wake them: alice, bob, carol.",
        ),
        ("override bbo until 18:00", 'nobody is called "bbo" (did you mean "bob"?). Type `/oncall override @user'),
        ("override bob", "say until when: `until 18:00` or `for 4h`. Type `/oncall override @user"),
        (
            "override bob untill 18:00",
            'unknown argument "untill" (did you mean "until"?). Type `/oncall override @user',
        ),
        ("override bob until soon", '"soon" is no time; write `18:00`, `tomorrow 09:00`'),
        ("override bob until 18:00 sharp", '"sharp" is no time; write'),
        ("override bob for ever", "`for`: 'ever' is not a duration; write a number with its unit"),
        ("override bob for 4h until 18:00", "say either `until WHEN` or `for 4h`, not both."),
        (
            "override bob from mon 09:00 until 2026-03-05",
            "that ends before it begins, or is over already, or lasts longer than 400 days.",
        ),
        (
            "override bob until 2036-03-05",
            "that ends before it begins, or is over already, or lasts longer than 400 days.",
        ),
        ("overide bob until 18:00", 'unknown word "overide" after /oncall (did you mean "override"?).'),
        ("week primary", '"primary" is one word too many. Type `/oncall week`.'),
        ("swap alice", "name the two who swap, each with the day if it is not their next shift: `/oncall swap @a"),
        ("swap alice alice", "that is alice twice; name two people."),
        ("swap alice soon bob", '"soon" is no time; write'),
        ("swap alice bob tomorrow now", '"now" is too much. Type `/oncall swap @a'),
        ("override cancel", "*primary* has no override from then on; nothing to cancel."),
        ("override cancel carol", "*primary* has no override of carol from then on; nothing to cancel."),
    ],
)
def test_what_is_typed_wrong_is_told_with_what_to_type(channel: Channel, text: str, told: str) -> None:
    assert channel.types(ALICE, text).startswith(f"⚠️ {told}")
    assert channel.store.shift_overrides(0.0) == []


@pytest.mark.parametrize(
    ("who", "text", "deed"),
    [
        (BOB, "override carol until 18:00", "only operators, or carol, may put carol on call."),
        (MALLORY, "override bob until 18:00", "only operators, or bob, may put bob on call."),
        (CAROL, "swap alice bob", "only operators, or alice or bob, may swap their shifts."),
    ],
)
def test_who_may_not_is_told_who_may(channel: Channel, who: str, text: str, deed: str) -> None:
    assert channel.types(who, text) == f"⚠️ {deed}"
    assert channel.store.shift_overrides(0.0) == []


def test_of_several_rotas_one_is_named() -> None:
    channel = Channel(settings(WEEKS, more=({"name": "backup", "layers": [WEEKS]},)))
    assert channel.types(ALICE, "override bob until 18:00") == (
        "⚠️ there is more than one rota; name the one you mean: primary, backup."
    )
    assert channel.types(ALICE, "override bob until 18:00 backup").startswith("📟 *backup*: @bob is on call from")
    assert channel.on_call("2026-03-04T13:00") == ["alice"]


# ---- back to the plan ------------------------------------------------------------


def test_the_plan_counts_again(channel: Channel) -> None:
    channel.types(ALICE, "override bob until 2026-03-06")
    channel.types(ALICE, "override carol add until 2026-03-05")
    channel.now += HOUR
    assert channel.types(ALICE, "override cancel") == (
        "📟 *primary*: the plan counts again from Wed 04 Mar 12:00 UTC until Thu 05 Mar 23:00 UTC (ordered by @alice)."
    )
    assert [channel.on_call("2026-03-04T12:30"), channel.on_call("2026-03-04T13:00")] == [["bob", "carol"], ["alice"]]


def test_one_of_them_steps_back_by_herself_and_may_not_send_the_other_home(channel: Channel) -> None:
    channel.types(ALICE, "override bob until 2026-03-06")
    channel.types(ALICE, "override carol add until 2026-03-06")
    assert channel.types(CAROL, "override cancel") == "⚠️ only operators, or whoever it is about, may cancel that."
    assert channel.types(CAROL, f"override cancel <@{CAROL}>").startswith(
        "📟 *primary*: @carol no longer stands in from"
    )
    assert channel.on_call("2026-03-04T13:00") == ["bob"]


# ---- swapping ------------------------------------------------------------


def test_two_people_trade_their_next_shifts(channel: Channel) -> None:
    assert channel.types(BOB, f"swap <@{ALICE}> <@{BOB}>") == (
        "🔀 *primary*: two shifts are swapped (ordered by @bob).\n"
        "• @bob instead of @alice from Wed 04 Mar 11:00 UTC until Mon 09 Mar 08:00 UTC\n"
        "• @alice instead of @bob from Mon 09 Mar 08:00 UTC until Mon 16 Mar 08:00 UTC"
    )
    assert [channel.on_call(f"2026-03-{day}T13:00") for day in ("04", "09", "16", "23")] == [
        ["bob"],
        ["alice"],
        ["carol"],
        ["alice"],
    ]


def test_shifts_of_other_days_are_traded(channel: Channel) -> None:
    channel.types(ALICE, "swap alice 2026-03-24 carol 2026-04-08")
    assert [channel.on_call(at) for at in ("2026-03-04T13:00", "2026-03-25T13:00", "2026-04-08T13:00")] == [
        ["alice"],
        ["carol"],
        ["alice"],
    ]


def test_a_turn_of_nights_is_traded_as_a_whole_and_the_days_between_stay() -> None:
    channel = Channel(settings(WEEKS, NIGHTS))
    channel.types(ALICE, "swap bob carol")
    assert [
        channel.on_call(f"2026-03-{at}") for at in ("04T23:00", "05T12:00", "08T23:00", "10T23:00", "10T12:00")
    ] == [
        ["carol"],
        ["alice"],
        ["carol"],
        ["bob"],
        ["bob"],
    ]


def test_a_swap_delivered_twice_is_once_and_says_the_same(channel: Channel) -> None:
    once, twice = (channel.types(ALICE, "swap alice bob", source="same") for _ in range(2))
    assert once == twice
    assert channel.on_call("2026-03-04T13:00") == ["bob"]
