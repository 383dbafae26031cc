"""The rota, over a real Slack connection, a real database, and a calendar on loopback: asked, changed, handed off."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from threading import Barrier
from zoneinfo import ZoneInfo

import pytest
import yaml
from pydantic import SecretStr

from bot import app
from oncall.pagers import Page
from oncall.settings import OnCallSettings, Policy, Rung
from oncall.wall import shown
from sandbox.clock import ModelClock
from sandbox.slack import ALICE, BOB, CAROL, CHANNEL, LocalSlack, Manifest, SlackInThread, UserGroup, run_in_thread
from tests.edges.test_app import House
from tests.unit.bot.test_rotas import Feeds
from tests.unit.oncall.test_calendar import calendar, event
from tests.waiting import eventually

ROOT = Path(__file__).parents[2]


class Desk(House):
    """The bot with people on call: Alice by the plan, Bob in the backup's calendar."""

    def __init__(self, slack: SlackInThread, path: Path, clock: ModelClock, feeds: Feeds) -> None:
        super().__init__(slack, path, clock)
        today = shown(ZoneInfo("UTC"), clock()).date()
        feeds.body = calendar(event("Bob", f"{today:%Y%m}01", f"{today.year + 1}0101"))
        oncall = OnCallSettings.model_validate(
            {
                "people": {"alice": {"slack": ALICE}, "bob": {"slack": BOB}},
                "rotas": [
                    {
                        "name": "primary",
                        "layers": [{"name": "all", "people": ["alice"], "start": "2026-01-01T00:00"}],
                        "user_group": "S0ONCALL",
                    },
                    {"name": "backup", "calendar": {"url": feeds.url}},
                ],
                "policies": [{"rungs": [{"who": ["rota:primary", "rota:backup"]}]}],
                "last_resort": ["alice"],
            }
        )
        self.settings = self.settings.model_copy(update={"oncall": oncall})


@pytest.fixture
def feeds() -> Iterator[Feeds]:
    found = Feeds()
    yield found
    found.server.shutdown()
    found.server.server_close()


@pytest.fixture
def desk(tmp_path: Path, feeds: Feeds, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setattr(app, "HANDOFFS_S", 0.2)
    clock = ModelClock(1.0)
    manifest = Manifest.from_plain(yaml.safe_load((ROOT / "deploy/slack-manifest.yaml").read_text()))
    group = UserGroup("S0ONCALL", "on-call", "On call", (CAROL,))
    with run_in_thread(LocalSlack(clock=clock, manifest=manifest, groups=[group])) as slack:
        desk = Desk(slack, tmp_path, clock, feeds)
        yield desk
        for bot in desk.bots:
            bot.stop()


def test_who_is_on_call_is_asked_changed_and_told(desk: Desk, feeds: Feeds) -> None:
    desk.running()
    eventually(lambda: members(desk) == (ALICE,))
    eventually(lambda: feeds.asked > 0 and "*backup*: <@U0BOB> until" in asked(desk))
    assert "📟 *primary*: <@U0ALICE> for as long as the plan goes (layer all)." in asked(desk)

    desk.slack.type(BOB, CHANNEL, "/oncall override @bob for 4h primary")
    desk.says("📟 *primary*: <@U0BOB> is on call from")
    desk.says("🔁 *primary*: <@U0BOB> is on call now until")
    on = desk.says("📟 You are on call for *primary* now until")
    off = desk.says("👋 You are off call for *primary*; <@U0BOB> has it now.")
    assert on.channel != off.channel != CHANNEL
    eventually(lambda: members(desk) == (BOB,))
    assert desk.exits == []


def asked(desk: Desk) -> str:
    """What `/oncall` answers now."""
    before = len(desk.slack.messages())
    desk.slack.type(ALICE, CHANNEL, "/oncall")
    eventually(lambda: any("*primary*" in message.text for message in desk.slack.messages()[before:]))
    return "\n".join(message.text for message in desk.slack.messages()[before:])


def members(desk: Desk) -> tuple[str, ...]:
    return desk.slack.ask(lambda: desk.slack.slack.workspace.group("S0ONCALL").users)


def test_all_of_a_rung_are_rung_at_the_same_time_by_hands_that_no_run_has(desk: Desk) -> None:
    """A run that hangs, or another one's dead paging service, must not be in the way."""
    assert desk.settings.oncall
    people = {
        name: person.model_copy(update={"apprise": (SecretStr("json://127.0.0.1:9"),)})
        for name, person in desk.settings.oncall.people.items()
    }
    policy = Policy(rungs=(Rung(who=("alice", "bob"), how=("apprise",)),))
    oncall = desk.settings.oncall.model_copy(update={"people": people, "policies": (policy,)})
    desk.settings = desk.settings.model_copy(update={"oncall": oncall})
    bot, both, hands = desk.running(), Barrier(2), list[str]()
    assert bot._watchers

    def send(page: Page) -> str:
        both.wait(10.0)
        hands.extend(thread.name for thread in threading.enumerate())
        return ""

    bot._watchers.pagers["apprise"].send = send  # type: ignore[method-assign]
    desk.slack.type(ALICE, CHANNEL, "/outage declare the phones are dead")
    eventually(lambda: any(name.startswith("ladder") for name in hands))
