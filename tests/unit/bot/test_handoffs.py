"""What the rota brings about by itself: hand-offs, gaps ahead, nobody on call, a user group in step; each told once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from bot.delivery import Delivery
from bot.handoffs import GROUP_S, RUN, Handoffs
from cluster.probe_settings import ProbeSettings
from engine.port import Saying
from oncall.duty import Duty
from oncall.settings import OnCallSettings, Policy, Rung
from sandbox.cast import ALICE, BOB, CAROL, readable
from sandbox.spec import ClusterSpec, managed_settings
from store.api import ShiftOverrideRow
from store.memory import MemoryStore
from tests.unit.bot.deskwork import Clock, FakeSlack
from tests.unit.oncall.people import DAY, HOUR, MINUTE, when
from workflows.alerts import open_outages
from workflows.settings import ManagedCluster
from workflows.site import ChatDown

CHANNEL = "C0ONCALL"
PEOPLE = {"alice": {"slack": ALICE}, "bob": {"slack": BOB}, "carol": {"slack": CAROL}}
WEEKS = {"name": "weeks", "people": ["alice", "bob"], "start": "2026-03-02T09:00"}


class Groups:
    """User groups of a Slack."""

    def __init__(self) -> None:
        self.users, self.asked, self.down = frozenset({CAROL}), 0, False

    def members(self, group: str) -> frozenset[str]:
        self.asked += 1
        if self.down:
            raise ChatDown("Slack refused usergroups.users.list: missing_scope")
        return self.users

    def set_members(self, group: str, users: Sequence[str]) -> None:
        self.users = frozenset(users)


class Week:
    """A rota under a clock that the test moves; whoever reads along reads `told`."""

    def __init__(self, *layers: dict[str, Any], start: str = "2026-03-06T12:00", **rota: Any) -> None:
        rotas = [{"name": "primary", "zone": "Europe/Berlin", "layers": layers, "warn_gap": "7d", **rota}]
        policy = {"rungs": [{"who": ["rota:primary"]}, {"who": ["carol"]}]}
        self.settings = OnCallSettings.model_validate(
            {"people": PEOPLE, "rotas": rotas, "policies": [policy], "last_resort": ["carol"]}
        )
        self.store, self.clock, self.groups = MemoryStore(check_plain=True), Clock(when(start)), Groups()
        self.clusters: dict[str, ManagedCluster] = {"lab": managed_settings(ClusterSpec.from_dict({}))}
        self.start()
        self.handoffs.step()

    def start(self) -> None:
        """Again, after a crash or a restart."""
        self.handoffs = Handoffs(self.store, self.duty, self.groups, self.clusters, CHANNEL, self.clock)

    def duty(self) -> Duty:
        return Duty(self.settings, self.store.shift_overrides(0.0))

    def until(self, text: str) -> Week:
        self.clock.now = when(text)
        self.handoffs.step()
        return self

    def override(self, person: str, start: str, end: str) -> None:
        source = f"{person} {start}"
        row = ShiftOverrideRow(0, "primary", "replace", person, "", when(start), when(end), BOB, 0.0, source)
        self.store.override_shift([row])

    @property
    def told(self) -> list[str]:
        found = []
        for row in self.store.outbox(RUN):
            saying = Saying.of(row.message)
            to = readable(f"<@{saying.to}>") if saying.kind == "direct" else saying.detail["channel"]
            found.append(f"{to}: {readable(saying.text)}")
        return found


# ---- hand-offs ----------------------------------------------------------------------------------------------------


def test_a_hand_off_is_told_in_the_channel_and_to_both_alone() -> None:
    week = Week(WEEKS)
    assert week.until("2026-03-09T08:59").told == []
    assert week.until("2026-03-09T09:00").told == [
        "C0ONCALL: 🔁 *primary*: @bob is on call now until Mon 16 Mar 08:00 UTC. @alice is off.",
        "@bob: 📟 You are on call for *primary* now until Mon 16 Mar 08:00 UTC.\n"
        "*Hint:* `/oncall test` rings you once, so that both of us know that it works.",
        "@alice: 👋 You are off call for *primary*; @bob has it now.",
    ]


def test_it_is_told_once_however_often_one_looks_and_starts_again() -> None:
    week = Week(WEEKS).until("2026-03-09T09:00")
    for _ in range(3):
        week.start()
        week.until("2026-03-09T09:01")
    assert len(week.told) == 3


def test_a_crash_between_telling_and_remembering_tells_nothing_twice() -> None:
    week = Week(WEEKS)
    before = week.store.kept("oncall/seen/primary")
    week.until("2026-03-09T09:00")
    assert before is not None
    week.store.keep(before.name, before.value, before.at)
    week.start()
    assert len(week.until("2026-03-09T09:07").told) == 3


def test_a_bot_that_was_down_tells_who_is_on_call_now() -> None:
    week = Week({**WEEKS, "people": ["alice", "bob", "carol"]})
    week.start()
    told = week.until("2026-03-18T12:00").told
    assert told[0] == "C0ONCALL: 🔁 *primary*: @carol is on call now until Mon 23 Mar 08:00 UTC. @alice is off."
    assert len(told) == 3


def test_an_override_hands_off_when_it_begins_and_when_it_ends() -> None:
    week = Week(WEEKS)
    week.override("carol", "2026-03-06T18:00", "2026-03-06T23:00")
    week.until("2026-03-06T18:00").until("2026-03-06T23:00")
    assert [line for line in week.told if line.startswith(CHANNEL)] == [
        "C0ONCALL: 🔁 *primary*: @carol is on call now until Fri 06 Mar 22:00 UTC. @alice is off.",
        "C0ONCALL: 🔁 *primary*: @alice is on call now until Mon 09 Mar 08:00 UTC. @carol is off.",
    ]


def test_two_turns_of_one_person_in_a_row_are_no_hand_off() -> None:
    assert Week({**WEEKS, "people": ["alice"]}).until("2026-03-09T09:00").told == []


def test_whoever_was_added_comes_and_goes_beside() -> None:
    week = Week(WEEKS)
    row = ShiftOverrideRow(
        0, "primary", "add", "carol", "", when("2026-03-06T18:00"), when("2026-03-06T23:00"), BOB, 0.0, "t"
    )
    week.store.override_shift([row])
    week.until("2026-03-06T18:00").until("2026-03-06T23:00")
    assert [line for line in week.told if line.startswith(CHANNEL)][1] == (
        "C0ONCALL: 🔁 *primary*: @carol is off. @alice stays on call."
    )


def test_two_who_stay_on_call_stay() -> None:
    week = Week(WEEKS)
    for person, until in (("carol", "2026-03-06T23:00"), ("bob", "2026-03-07T23:00")):
        row = ShiftOverrideRow(
            0, "primary", "add", person, "", when("2026-03-06T18:00"), when(until), BOB, 0.0, f"t {person}"
        )
        week.store.override_shift([row])
    week.until("2026-03-06T18:00").until("2026-03-06T23:00")
    assert "C0ONCALL: 🔁 *primary*: @carol is off. @alice and @bob stay on call." in week.told


# ---- gaps ---------------------------------------------------------------------------------------------------------

UNTIL_TUESDAY = {**WEEKS, "end": "2026-03-10T09:00"}


def test_a_gap_ahead_is_told_once_a_day_and_not_at_night() -> None:
    week = Week(UNTIL_TUESDAY, start="2026-03-06T03:00", warn_gap="5d")
    assert week.told == []
    week.until("2026-03-06T09:00").until("2026-03-06T20:00").until("2026-03-07T00:30")
    assert week.told == [
        "C0ONCALL: 🕳️ *primary*: nobody is on call from Tue 10 Mar 08:00 UTC until Wed 11 Mar 08:00 UTC, in 4 days. "
        "Whoever is the last resort would be woken: @carol.\n"
        "*Hint:* `/oncall override @user from WHEN until WHEN` fills it."
    ]
    assert len(week.until("2026-03-07T10:00").told) == 2


def test_a_gap_of_tonight_is_told_at_any_hour() -> None:
    assert len(Week(UNTIL_TUESDAY, start="2026-03-10T02:00").told) == 1


def test_more_gaps_are_counted() -> None:
    [line] = Week({**WEEKS, "days": ["mon", "wed", "fri"]}).told
    assert ", and 2 more gaps until Thu 12 Mar 23:00 UTC. Whoever" in line


def test_a_gap_that_was_filled_is_told_no_more() -> None:
    week = Week(UNTIL_TUESDAY)
    week.override("carol", "2026-03-10T09:00", "2026-03-30T09:00")
    assert len(week.until("2026-03-07T10:00").told) == 1


# ---- nobody on call -----------------------------------------------------------------------------------------------


def test_nobody_on_call_now_is_an_outage_of_the_last_resort_and_over_when_somebody_is() -> None:
    week = Week(UNTIL_TUESDAY).until("2026-03-09T09:00").until("2026-03-10T09:00")
    [outage] = open_outages(week.store)
    [alert] = week.store.alerts(outage.id)
    assert (alert.summary, outage.args["policy"]) == (
        "nobody is on call in primary; /oncall override fills it",
        "last resort",
    )
    told = "\n".join(week.told)
    assert "C0ONCALL: 🕳️ *primary*: nobody is on call any more. @bob is off. Whoever is the last resort" in told
    assert "@bob: 👋 You are off call for *primary*; nobody has taken over." in told
    week.override("carol", "2026-03-10T10:00", "2026-03-11T10:00")
    week.until("2026-03-10T10:00")
    assert [alert.firing for alert in week.store.alerts(outage.id)] == [False]


def test_an_outage_of_nobody_is_raised_once_also_after_a_restart() -> None:
    week = Week(UNTIL_TUESDAY).until("2026-03-10T09:00")
    week.start()
    week.until("2026-03-10T09:01").until("2026-03-10T12:00")
    [outage] = open_outages(week.store)
    assert [alert.count for alert in week.store.alerts(outage.id)] == [1]


def test_two_clusters_of_one_policy_wake_nobody_twice() -> None:
    week = Week(UNTIL_TUESDAY)
    week.clusters["office"] = week.clusters["lab"].model_copy(update={"name": "office"})
    week.until("2026-03-10T09:00")
    assert [outage.cluster for outage in open_outages(week.store)] == ["lab"]


def test_nobody_on_call_by_the_policy_of_a_probe_alone_is_an_outage_too() -> None:
    """Found out when that probe fails, it would be found at night."""
    week = Week({**WEEKS, "end": "2026-03-10T09:00"}, start="2026-03-09T12:00")
    network = Policy(name="network", rungs=week.settings.policies[0].rungs)
    carols = Policy(name="default", rungs=(Rung(who=("carol",)),))
    week.settings = week.settings.model_copy(update={"policies": (carols, network)})
    probe = ProbeSettings(name="uplink", kind="ping", target="192.0.2.1", policy="network")
    week.clusters["lab"] = week.clusters["lab"].model_copy(update={"probes": (probe,)})
    week.until("2026-03-10T12:00")
    assert [row.subject for row in week.store.firing()] == ["policy network"]


# ---- the user group -----------------------------------------------------------------------------------------------


def test_a_user_group_is_kept_in_step_also_when_somebody_changes_it() -> None:
    week = Week(WEEKS, user_group="S0ONCALL")
    assert week.groups.users == {ALICE}
    week.until("2026-03-09T09:00")
    assert week.groups.users == {BOB}
    week.groups.users = frozenset({CAROL})
    week.clock.now += GROUP_S - MINUTE
    week.handoffs.step()
    assert week.groups.users == {CAROL}
    assert week.groups.asked == 2
    week.clock.now += MINUTE
    week.handoffs.step()
    assert week.groups.users == {BOB}


def test_in_a_gap_the_group_stays_as_it_is_and_a_slack_that_refuses_stops_nothing() -> None:
    week = Week(UNTIL_TUESDAY, user_group="S0ONCALL")
    week.groups.down = True
    week.until("2026-03-09T09:00").until("2026-03-10T09:00")
    assert week.groups.users == {ALICE}
    assert len(open_outages(week.store)) == 1


# ---- delivered without a run --------------------------------------------------------------------------------------


def test_messages_of_no_run_are_delivered_each_to_its_own_place() -> None:
    week, slack = Week(WEEKS).until("2026-03-09T09:00"), FakeSlack()
    Delivery(week.store, slack, lambda cluster: "", week.clock).step()
    assert [(post.channel, post.thread) for post in slack.posts.values()] == [
        ("D" + BOB, ""),
        ("D" + ALICE, ""),
        (CHANNEL, ""),
    ]
    assert week.store.undelivered(week.clock.now + DAY) == []


def test_a_message_of_no_run_that_was_tried_before_is_looked_up_first() -> None:
    week, slack = Week(WEEKS).until("2026-03-09T09:00"), FakeSlack()
    row = week.store.outbox(RUN)[0]
    slack.post(CHANNEL, "", "there already", (), RUN, row.key)
    week.store.trying(row.id, week.clock.now)
    Delivery(week.store, slack, lambda cluster: "", week.clock).step()
    assert [post.text for post in slack.posts.values() if post.channel == CHANNEL] == ["there already"]


def test_a_message_of_no_run_and_no_channel_holds_up_nothing(caplog: pytest.LogCaptureFixture) -> None:
    store, slack, clock = MemoryStore(check_plain=True), FakeSlack(), Clock()
    store.put_out("gone", "k", Saying("note", "nobody knows where").plain(), clock.now)
    store.put_out(RUN, "k", Saying("note", "here", detail={"channel": CHANNEL}).plain(), clock.now)
    Delivery(store, slack, lambda cluster: "", clock).step()
    assert slack.texts() == ["here"]
    assert "message 'k' of run 'gone' cannot be shown" in caplog.text


def test_the_week_ends_in_the_hour_that_was_meant() -> None:
    """The notice comes within the minute of the hand-off, in the night in which the clocks change too."""
    week = Week({**WEEKS, "start": "2026-03-22T02:30"}, start="2026-03-29T01:59")
    assert week.told == []
    week.clock.now += MINUTE  # 02:00, and so 03:00
    week.handoffs.step()
    assert week.told[0].startswith("C0ONCALL: 🔁 *primary*: @bob is on call now")
    assert replace(week.store.outbox(RUN)[0]).created_at == when("2026-03-29T01:00") + HOUR
