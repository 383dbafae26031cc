"""Calendars over the wire: fetched, worked out in a process of their own, remembered for when they are down."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from zoneinfo import ZoneInfo

import pytest

from bot import calendars
from bot.rotas import RETRY_S, Rotas
from oncall.calendar import LARGEST_BYTES, CalendarError
from oncall.copies import Copy, copies
from oncall.settings import OnCallSettings
from store.api import Store
from store.memory import MemoryStore
from tests.unit.oncall.people import DAY, HOUR, MINUTE, layer, override, rota, settings, when
from tests.unit.oncall.test_calendar import calendar, event
from workflows.messages_oncall import calendar_notes, in_zone

SECRET = "s3cr3t-path"
NOW = when("2026-03-04T12:00")
ALICE = calendar(event("Alice", "20260301", "20260310"))
BOB = calendar(event("Bob", "20260301", "20260310"), event("Zoe", "20260310", "20260311", uid="2"))


class Feeds:
    """A place for calendars on loopback. `body` None: it hangs up."""

    def __init__(self) -> None:
        self.body: bytes | None = ALICE
        self.status, self.asked = 200, 0
        feeds = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                feeds.asked += 1
                if feeds.body is None:
                    self.connection.close()
                    return
                self.send_response(feeds.status)
                self.end_headers()
                self.wfile.write(feeds.body)

            def log_message(self, *_: object) -> None:
                return

            def handle(self) -> None:
                try:
                    super().handle()
                except (OSError, ValueError):  # the line was closed on purpose
                    return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/{SECRET}.ics"


@pytest.fixture
def feeds() -> Iterator[Feeds]:
    found = Feeds()
    yield found
    found.server.shutdown()
    found.server.server_close()


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


def with_calendar(url: str) -> OnCallSettings:
    return settings(rota(layer("carol"), calendar={"url": url}))


def person(rotas: Rotas, at: float) -> str:
    shift = rotas.duty().on_call("primary", at)
    return shift.person if shift else "nobody"


def test_a_calendar_is_fetched_worked_out_and_counts(feeds: Feeds) -> None:
    rotas = Rotas(with_calendar(feeds.url), MemoryStore(check_plain=True), Clock())
    assert (person(rotas, NOW), rotas.looked()) == ("carol", False)
    rotas.refresh()
    assert rotas.looked()
    assert [person(rotas, NOW), person(rotas, when("2026-03-12T12:00"))] == ["alice", "carol"]


def test_it_is_fetched_every_quarter_of_an_hour_and_worked_out_only_when_it_changed(feeds: Feeds) -> None:
    clock, worked = Clock(), []

    def work_out(text: bytes, *more: object) -> object:
        worked.append(text)
        return calendars.work_out(text, *more)  # type: ignore[arg-type]

    rotas = Rotas(with_calendar(feeds.url), MemoryStore(), clock, work_out=work_out)  # type: ignore[arg-type]
    for _ in range(4):
        rotas.refresh()
        clock.now += 8 * MINUTE
    assert (feeds.asked, len(worked)) == (2, 1)
    feeds.body = BOB
    clock.now += 15 * MINUTE
    rotas.refresh()
    assert (person(rotas, NOW), len(worked)) == ("bob", 2)
    clock.now += 2 * DAY
    rotas.refresh()
    assert len(worked) == 3, "the months ahead must stay ahead"


def test_a_calendar_that_is_down_counts_with_its_last_good_copy_also_after_a_restart_and_says_so(feeds: Feeds) -> None:
    clock, store = Clock(), MemoryStore(check_plain=True)
    Rotas(with_calendar(feeds.url), store, clock).refresh()
    feeds.status = 503
    clock.now += HOUR
    restarted = Rotas(with_calendar(feeds.url), store, clock)
    restarted.refresh()
    assert person(restarted, clock.now) == "alice"
    assert notes(store) == [
        "The calendar of primary is down since Wed 04 Mar 13:00 (it answers HTTP 503); "
        "its last good copy, of Wed 04 Mar 12:00, is used."
    ]
    feeds.status = 200
    clock.now += RETRY_S
    restarted.refresh()
    assert notes(store) == []


def test_a_calendar_that_never_answered_is_said(feeds: Feeds) -> None:
    store, feeds.body = MemoryStore(check_plain=True), None
    Rotas(with_calendar(feeds.url), store, Clock()).refresh()
    assert notes(store) == [
        "The calendar of primary is down since Wed 04 Mar 12:00 (it does not answer (ConnectionError)); "
        "there is no good copy of it."
    ]


def test_whom_nobody_knows_is_said(feeds: Feeds) -> None:
    store, feeds.body = MemoryStore(check_plain=True), BOB
    Rotas(with_calendar(feeds.url), store, Clock()).refresh()
    assert notes(store) == ['In the calendar of primary: "Zoe" names nobody in the settings.']


def notes(store: Store) -> list[str]:
    return calendar_notes("primary", copies(store).get("primary"), in_zone(ZoneInfo("Europe/Berlin")), str)


def test_ten_megabytes_are_refused_before_they_are_all_read(feeds: Feeds) -> None:
    feeds.body = b"X" * 10_000_000
    with pytest.raises(CalendarError, match="it is larger than 5 MB"):
        calendars.fetch(feeds.url)
    assert len(feeds.body) > LARGEST_BYTES


@pytest.mark.parametrize("status", [301, 401, 404, 500])
def test_its_address_is_in_no_sentence_and_in_no_log(
    feeds: Feeds, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "bot")
    feeds.status, store = status, MemoryStore(check_plain=True)
    Rotas(with_calendar(feeds.url), store, Clock()).refresh()
    feeds.server.shutdown()
    feeds.server.server_close()
    clock = Clock()
    clock.now += HOUR
    Rotas(with_calendar(feeds.url), store, clock).refresh()
    assert "calendar 'primary': good -> down" in caplog.text
    assert SECRET not in caplog.text + str(store.kept_all(""))


def test_a_calendar_that_keeps_a_process_busy_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calendars, "WORK_S", 1.0)
    never = calendar(event("Alice", "20260302", "20260303", "RRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30"))
    with pytest.raises(CalendarError, match=r"takes longer than 1 s to work out|ended with exit code"):
        calendars.work_out(never, {}, "UTC", NOW, NOW + DAY)


def test_what_is_no_calendar_is_told_by_the_process_that_works_it_out() -> None:
    with pytest.raises(CalendarError, match="it is not a calendar"):
        calendars.work_out(b"<html>Please log in</html>", {}, "UTC", NOW, NOW + DAY)


def test_the_process_that_works_it_out_knows_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROUNDSMAN_SLACK_BOT_TOKEN", "xoxb-s3cr3t")
    seen: dict[str, str] = {}

    def run(*_: object, env: dict[str, str], **__: object) -> object:
        seen.update(env)
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr("bot.calendars.subprocess.run", run)
    with pytest.raises(CalendarError, match="no process to work it out can be started: Cannot allocate memory"):
        calendars.work_out(b"", {}, "UTC", NOW, NOW + DAY)
    assert seen
    assert "xoxb-s3cr3t" not in str(seen)


def test_an_override_counts_as_soon_as_it_is_written(store: Store) -> None:
    rotas = Rotas(settings(rota(layer("carol"))), store, Clock())
    first = rotas.duty()
    assert rotas.duty() is first
    store.override_shift([override("bob", "2026-03-04T11:00", "2026-03-04T13:00")])
    assert person(rotas, NOW) == "bob"


def test_what_another_version_kept_of_a_calendar_is_fetched_anew(feeds: Feeds) -> None:
    store = MemoryStore(check_plain=True)
    store.keep("calendar/primary", {"shape": "of another version"}, NOW)
    rotas = Rotas(with_calendar(feeds.url), store, Clock())
    assert not rotas.looked()
    rotas.refresh()
    assert person(rotas, NOW) == "alice"


def test_a_copy_survives_its_way_through_the_store() -> None:
    copy = Copy(doubts=("a", "b"), mark="m", until=1.0, good_at=2.0, tried_at=3.0, down_since=4.0, why="w")
    assert Copy.of(copy.plain()) == copy
