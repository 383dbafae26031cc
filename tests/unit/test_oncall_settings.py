"""The section `oncall`: what an admin meets who mistypes a person, a date or a zone."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.settings import EXAMPLE, load
from oncall.duty import Duty
from oncall.settings import OnCallSettings
from tests.unit.oncall.people import when
from tests.unit.test_settings import ROOT, SECRETS, faults

CALENDAR = "ROUNDSMAN_CALENDAR_BACKUP"


def example() -> OnCallSettings:
    found = load(ROOT / EXAMPLE, SECRETS).oncall
    assert found is not None
    return found


def edited(folder: Path, old: str, new: str) -> Path:
    """The example with one thing of its section `oncall` changed."""
    before, section, after = (ROOT / EXAMPLE).read_text(encoding="utf-8").partition("\noncall:")
    assert old in after
    path = folder / "roundsman.yaml"
    path.write_text(before + section + after.replace(old, new, 1), encoding="utf-8")
    return path


def test_the_example_has_people_on_call_around_the_clock() -> None:
    duty = Duty(example())
    night = duty.on_call("primary", when("2026-03-07T02:00"))
    assert night is not None
    assert (night.person, night.by) == ("bob", "layer:weekend nights")
    assert [duty.gaps(rota, when("2026-03-02T09:00"), when("2027-03-02T09:00")) for rota in duty.rotas] == [[], []]


def test_without_the_section_all_is_as_it_was(tmp_path: Path) -> None:
    before, _, _ = (ROOT / EXAMPLE).read_text(encoding="utf-8").partition("\noncall:")
    path = tmp_path / "roundsman.yaml"
    path.write_text(before, encoding="utf-8")
    assert load(path, {name: value for name, value in SECRETS.items() if name != CALENDAR}).oncall is None


RULES = [
    (
        "[alice, bob, carol]",
        "[alice, bbo]",
        'rotas[0].layers[0].people[1]: "bbo" is not among oncall.people (did you mean "bob"?)',
    ),
    (
        "last_resort: [carol, alice]",
        "last_resort: [zoe]",
        'last_resort[0]: "zoe" is not among oncall.people; known are alice, bob, carol',
    ),
    (
        '"rota:backup", carol',
        '"rota:bakcup", carol',
        'policies[0].rungs[2].who[0]: "rota:bakcup" is not a rota (did you mean "rota:backup"?)',
    ),
    (
        "who: [everybody]",
        "who: [everbody]",
        'policies[0].rungs[3].who[0]: "everbody" is not among oncall.people (did you mean "everybody"?)',
    ),
    (
        "Caro: carol",
        "Caro: carlo",
        'rotas[1].calendar.names.Caro: "carlo" is not among oncall.people (did you mean "carol"?)',
    ),
    (
        "2026-03-02T09:00 ",
        "2026-02-30T09:00 ",
        "rotas[0].layers[0].start: '2026-02-30T09:00' is not in any calendar: day is out of range for month",
    ),
    (
        "2026-03-02T09:00 ",
        "2026-03-02 ",
        "rotas[0].layers[0].start: '2026-03-02' is not a date and a time of day, such as 2026-03-02T09:00 "
        "(without a zone)",
    ),
    ("2026-03-02T09:00 ", "0206-03-02T09:00 ", "rotas[0].layers[0].start: is in the year 206: a slip of the finger?"),
    (
        "turn: weekly ",
        "end: 2026-03-01T09:00 ",
        "rotas[0].layers[0].end: is not after start: a layer of no time",
    ),
    (
        "zone: America/New_York",
        "zone: America/NewYork",
        'people.bob.zone: is not a time zone (did you mean "America/New_York"?)',
    ),
    (
        "zone: Europe/Berlin                      # of all",
        "zone: Mars/Base #",
        "rotas[0].zone: is not a time zone, such as Europe/Berlin",
    ),
    ("turn: weekly", "turn: hours", "rotas[0].layers[0].hours: must be at least 1, for turn: hours asks how many"),
    (
        "turn: weekly ",
        "hours: 12 ",
        "rotas[0].layers[0].hours: means nothing with turn: weekly; write turn: hours, or leave it away",
    ),
    (
        "{start: 20:00, end: 08:00}",
        "{start: 20:00, end: 8}",
        "rotas[0].layers[1].window.end: '8' is not a time of day, such as 22:30",
    ),
    (
        "{start: 20:00, end: 08:00}",
        "{start: 20:00, end: 20:00}",
        "rotas[0].layers[1].window.end: is the same as start: hours of no time",
    ),
    (
        "name: backup",
        "name: PRIMARY",
        "rotas[1].name: is too like another rota's name: capitals, - and _ make no difference",
    ),
    (
        "    carol:\n",
        "    everybody:\n",
        'people.everybody: must be a short name of letters, digits, - and _, and not "everybody"',
    ),
    ("U0BOB00001", "U0ALICE001", "people.bob.slack: is the Slack user of alice too"),
    ("U0ALICE001", "alice", "people.alice.slack: is not a Slack user id (U...); a profile's menu has Copy member ID"),
    ("+4930123456", "030123456", "people.alice.phone: is not a number in full, such as +4930123456"),
    (
        "channel: C0BERLIN01",
        "channel: berlin",
        "channel: is not a channel id (C...); Slack shows it at the end of the channel's About page",
    ),
    ("S0ONCALL01", "oncall", "rotas[0].user_group: is not the id of a Slack user group (S...)"),
    (
        "refresh: 15m",
        "refresh: 5s",
        "rotas[1].calendar.refresh: is shorter than a minute: whoever serves the calendar would mind",
    ),
    ("wait: 5m", "wait: 0s", "policies[0].rungs[0].wait: must be longer than nothing: nobody answers in no time"),
    ("name: weekend nights", "name: weeks", "rotas[0].layers[0].name: is the name of another layer of this rota too"),
]


@pytest.mark.parametrize(("old", "new", "fault"), RULES, ids=[fault.partition(":")[0] for _, _, fault in RULES])
def test_a_broken_rule_is_told(tmp_path: Path, old: str, new: str, fault: str) -> None:
    assert f"oncall.{fault}" in faults(
        edited(tmp_path, old, new), **{CALENDAR: SECRETS[CALENDAR], "ROUNDSMAN_CALENDAR_PRIMARY": SECRETS[CALENDAR]}
    )


def test_a_rota_without_layers_and_calendar_is_refused(tmp_path: Path) -> None:
    path = edited(tmp_path, "    - name: backup\n", "    - name: empty\n    - name: backup\n")
    assert faults(path) == ["oncall.rotas[1].layers: is empty, and there is no calendar: nobody would ever be on call"]


def test_a_way_to_ring_without_its_section_is_refused(tmp_path: Path) -> None:
    path = edited(tmp_path, "    twilio:", "    # twilio:")
    text = (
        path.read_text()
        .replace("      account: AC", "      # account: AC")
        .replace("      caller: +49", "      # caller: +49")
    )
    path.write_text(text)
    assert faults(path) == [
        f"oncall.policies[0].rungs[{n}].how[{place}]: needs the section oncall.pagers.twilio"
        for n, place in ((1, 1), (2, 2), (3, 2))
    ]


def test_a_fault_of_its_models_and_a_mistyped_key_are_told_with_their_path(tmp_path: Path) -> None:
    assert faults(edited(tmp_path, "turn: weekly", "turns: weekly")) == [
        'oncall.rotas[0].layers[0].turns: unknown key (did you mean "turn"?)'
    ]
    [fault] = faults(edited(tmp_path, "{start: 20:00, end: 08:00}", "{strat: 20:00}"))
    assert fault == 'oncall.rotas[0].layers[1].window.strat: unknown key (did you mean "start"?)'


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("", "oncall.rotas[1].calendar.url: is not set: set the environment variable ROUNDSMAN_CALENDAR_BACKUP, or"),
        ("ftp://s3cr3t", "oncall.rotas[1].calendar.url: ROUNDSMAN_CALENDAR_BACKUP is not the address of a calendar"),
        (
            "https://s3cr3t x",
            "oncall.rotas[1].calendar.url: ROUNDSMAN_CALENDAR_BACKUP has a space or a line break inside",
        ),
    ],
)
def test_a_calendar_whose_address_cannot_be_used_is_told_without_it(value: str, told: str) -> None:
    [fault] = faults(ROOT / EXAMPLE, **{CALENDAR: value})
    assert fault.startswith(told)
    assert "s3cr3t" not in fault


def test_a_calendar_address_in_the_file_is_refused(tmp_path: Path) -> None:
    [fault] = faults(edited(tmp_path, "refresh: 15m", "url: https://s3cr3t.example/x.ics"))
    told = f"a secret does not belong in this file; take it out and set {CALENDAR}"
    assert fault == f"oncall.rotas[1].calendar.url: {told}"


def test_an_address_as_calendars_write_it_for_people_is_taken() -> None:
    found = load(ROOT / EXAMPLE, SECRETS | {CALENDAR: "webcal://calendar.example/x.ics"}).oncall
    assert found is not None
    assert found.rotas[1].calendar is not None
    assert found.rotas[1].calendar.url.get_secret_value() == "https://calendar.example/x.ics"
