"""Rotas that people keep in a calendar, with all that calendars do."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from oncall.calendar import LARGEST_BYTES, MOST_EVENTS, CalendarError, Reading, names_of, read
from oncall.settings import Feed, Person
from tests.unit.oncall.people import BERLIN, told, when

PEOPLE = {
    "alice": Person(slack="U1", name="Alice Lee"),
    "ali": Person(slack="U2"),
    "bob": Person(slack="U3"),
}
NAMES = names_of(PEOPLE, Feed(names={"robert@example.org": "bob", "Second line": "ali"}))
START, END = "2026-03-01T00:00", "2026-04-05T00:00"


def event(
    summary: str = "Alice", start: str = "20260302T090000Z", end: str = "20260302T170000Z", *lines: str, uid: str = "1"
) -> str:
    whole_day = ";VALUE=DATE" if len(start) == 8 else ""
    rows = [
        "BEGIN:VEVENT",
        f"UID:{uid}",
        f"SUMMARY:{summary}",
        f"DTSTART{whole_day}:{start}",
        f"DTEND{whole_day}:{end}",
    ]
    return "\r\n".join([*rows, *lines, "END:VEVENT", ""])


def calendar(*events: str, head: str = "") -> bytes:
    return f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//test//\r\n{head}{''.join(events)}END:VCALENDAR\r\n".encode()


def reading(*events: str, head: str = "") -> Reading:
    return read(calendar(*events, head=head), NAMES, ZoneInfo(BERLIN), when(START), when(END))


def lines(found: Reading) -> list[str]:
    return [f"{event.person} {told(event.start)} - {told(event.end)}" for event in found.events]


# ---- when ---------------------------------------------------------------------------------------------------------


def test_whole_days_begin_and_end_at_midnight_of_the_rotas_zone() -> None:
    assert lines(reading(event("Alice", "20260328", "20260330"))) == ["alice Sat 28 00:00 +0100 - Mon 30 00:00 +0200"]


def test_a_time_without_a_zone_is_one_of_the_rotas_zone() -> None:
    found = reading(event("Alice", "20260328T180000", "20260329T023000"))
    assert lines(found) == ["alice Sat 28 18:00 +0100 - Sun 29 03:00 +0200"]


def test_a_weekly_series_without_an_end_stays_at_its_hour_over_the_change_of_the_clocks() -> None:
    weekly = event("Bob", "20260105T090000", "20260105T170000", "RRULE:FREQ=WEEKLY")
    in_berlin = weekly.replace("DTSTART:", "DTSTART;TZID=Europe/Berlin:").replace("DTEND:", "DTEND;TZID=Europe/Berlin:")
    assert [line[:22] for line in lines(reading(in_berlin))] == [
        "bob Mon 02 09:00 +0100",
        "bob Mon 09 09:00 +0100",
        "bob Mon 16 09:00 +0100",
        "bob Mon 23 09:00 +0100",
        "bob Mon 30 09:00 +0200",
    ]


def test_one_occurrence_was_moved_and_given_to_somebody_else_and_one_was_taken_out() -> None:
    series = event(
        "Alice", "20260302T080000Z", "20260302T090000Z", "RRULE:FREQ=DAILY;COUNT=4", "EXDATE:20260304T080000Z"
    )
    edit = event("Bob", "20260303T100000Z", "20260303T110000Z", "RECURRENCE-ID:20260303T080000Z")
    assert lines(reading(series, edit)) == [
        "alice Mon 02 09:00 +0100 - Mon 02 10:00 +0100",
        "bob Tue 03 11:00 +0100 - Tue 03 12:00 +0100",
        "alice Thu 05 09:00 +0100 - Thu 05 10:00 +0100",
    ]


def test_a_cancelled_event_and_a_cancelled_occurrence_count_for_nothing() -> None:
    series = event("Alice", "20260302T080000Z", "20260302T090000Z", "RRULE:FREQ=DAILY;COUNT=2")
    edit = event("Alice", "20260302T080000Z", "20260302T090000Z", "RECURRENCE-ID:20260302T080000Z", "STATUS:CANCELLED")
    whole = event("Bob", "20260310T080000Z", "20260310T090000Z", "STATUS:CANCELLED", uid="2")
    assert lines(reading(series, edit, whole)) == ["alice Tue 03 09:00 +0100 - Tue 03 10:00 +0100"]


def test_an_event_keeps_its_true_start_also_when_that_lies_before_what_is_asked_for() -> None:
    assert lines(reading(event("Alice", "20260220", "20260303"))) == ["alice Fri 20 00:00 +0100 - Tue 03 00:00 +0100"]


def test_what_is_over_or_far_away_is_left_out() -> None:
    assert reading(event("Alice", "20260101", "20260102"), event("Zoe", "20270101", "20270102", uid="2")) == Reading(())


# ---- who -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("summary", "guest", "person"),
    [
        ("alice", "", "alice"),
        ("On-call: Alice Lee (nights)", "", "alice"),
        ("ALI", "", "ali"),
        ("Second line this week", "", "ali"),
        ("On-call", "ATTENDEE;CN=Somebody:mailto:Robert@example.org", "bob"),
        ("On-call", "ATTENDEE;CN=Alice Lee:mailto:al@example.org", "alice"),
        ("Bob", "ATTENDEE;CN=Alice Lee:mailto:al@example.org", "bob"),
    ],
)
def test_whom_an_event_means(summary: str, guest: str, person: str) -> None:
    found = reading(event(summary, "20260302T080000Z", "20260302T090000Z", *([guest] if guest else [])))
    assert [found.events[0].person, found.doubts] == [person, ()]


def test_somebody_who_declined_is_not_meant() -> None:
    yes, no = "ATTENDEE;PARTSTAT=ACCEPTED:mailto:ali", "ATTENDEE;PARTSTAT=DECLINED:mailto:bob"
    assert reading(event("On-call", "20260302", "20260303", yes, no)).events[0].person == "ali"


def test_somebody_whom_nobody_knows_is_said_once_and_the_others_count() -> None:
    found = reading(
        event("Zoe", "20260302", "20260303", "RRULE:FREQ=WEEKLY"), event("Bob", "20260303", "20260304", uid="2")
    )
    assert [found.doubts, len(found.events)] == [('"Zoe" names nobody in the settings',), 1]


def test_an_event_that_names_two_people_is_said() -> None:
    found = reading(event("Alice or Bob", "20260302", "20260303"))
    assert found == Reading((), ('"Alice or Bob" names several people of the settings (alice, bob)',))


# ---- what must not take the rest with it ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bad", "doubt"),
    [
        (
            event("Bob", "20260302T080000Z", "20260302T090000Z", "RRULE:FREQ=MINUTELY"),
            "it repeats more often than any shift would",
        ),
        (
            event(
                "Bob", "20260302T080000Z", "20260302T090000Z", "RRULE:FREQ=DAILY;BYHOUR=1,2,3,4,5;BYMINUTE=1,2,3,4,5"
            ),
            "it repeats more often than any shift would",
        ),
        (
            event("Bob", "20260302T080000Z", "20260302T090000Z", "RRULE:FREQ=DAILY;INTERVAL=0"),
            "its repetition cannot be read",
        ),
        (
            event("Bob", "20260302T080000Z", "20260302T090000Z", "RRULE:FREQ=SOMETIMES"),
            "its dates or its repetition cannot be read",
        ),
        (event("Bob", "nonsense", "20260302T090000Z"), "its dates or its repetition cannot be read"),
        (
            event("Bob", "20260302T080000", "20260302T090000").replace("DTSTART:", "DTSTART;TZID=Mars/Base:"),
            "its time zone Mars/Base is not known",
        ),
    ],
)
def test_a_series_that_cannot_be_used_is_said_and_the_others_count(bad: str, doubt: str) -> None:
    found = reading(bad, event("Alice", "20260303", "20260304", uid="2"))
    assert found.doubts == (f'"Bob" is left out: {doubt}',)
    assert [event.person for event in found.events] == ["alice"]


def test_many_doubts_are_counted() -> None:
    found = reading(*(event(f"Guest {n}", "20260302", "20260303", uid=str(n)) for n in range(9)))
    assert found.doubts[4:] == ('"Guest 4" names nobody in the settings', "and 4 more")


@pytest.mark.parametrize("text", [b"", b"<html>Please log in</html>", b"\xff\xfe\x00", b"BEGIN:VCALENDAR\r\n"])
def test_what_is_no_calendar_is_refused(text: bytes) -> None:
    with pytest.raises(CalendarError, match="it is not a calendar"):
        read(text, NAMES, ZoneInfo(BERLIN), when(START), when(END))


def test_a_calendar_that_is_too_large_is_refused_unread() -> None:
    with pytest.raises(CalendarError, match="it is larger than 5 MB"):
        read(b"x" * (LARGEST_BYTES + 1), NAMES, ZoneInfo(BERLIN), when(START), when(END))


def test_more_shifts_than_any_rota_has_are_refused() -> None:
    hours = [
        event(
            "Alice",
            f"2026{month:02}{day:02}T{hour:02}0000Z",
            f"2026{month:02}{day:02}T{hour:02}3000Z",
            rule,
            uid=f"{n}",
        )
        for n, (month, day, hour, rule) in enumerate([(3, 2, hour, "RRULE:FREQ=DAILY") for hour in range(24)] * 7)
    ]
    with pytest.raises(CalendarError, match=f"more than {MOST_EVENTS} shifts"):
        reading(*hours)
