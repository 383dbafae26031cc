"""Paging as an admin sets it up: who cannot be reached is told before the night, and no secret is ever printed."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from bot.app import secrets
from bot.logs import HIDDEN, Scrubbed
from bot.settings import EXAMPLE, Settings, load
from tests.unit.example import PAGER_SECRETS
from tests.unit.test_oncall_settings import edited
from tests.unit.test_settings import ROOT, SECRETS, faults

HOOK = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"
MAIL = "mailto://nightly:p%40ssword1@mail.example/?to=bob@home.example"


def example(**environ: str) -> Settings:
    return load(ROOT / EXAMPLE, SECRETS | environ)


def example_faults(**environ: str) -> list[str]:
    return faults(ROOT / EXAMPLE, **environ)


# ---- secrets come from the environment -------------------------------------------------------------------------------


def test_every_secret_finds_its_place() -> None:
    oncall = example(ROUNDSMAN_APPRISE_BOB=f"{HOOK}\n  {MAIL} ").oncall
    assert oncall is not None
    bob, pagers = oncall.people["bob"], oncall.pagers
    assert pagers.pushover is not None
    assert pagers.twilio is not None
    assert pagers.pushover.token.get_secret_value() == PAGER_SECRETS["ROUNDSMAN_PUSHOVER_TOKEN"]
    assert pagers.twilio.token.get_secret_value() == PAGER_SECRETS["ROUNDSMAN_TWILIO_TOKEN"]
    assert bob.pushover.get_secret_value() == PAGER_SECRETS["ROUNDSMAN_PUSHOVER_USER_BOB"]
    assert [url.get_secret_value() for url in bob.apprise] == [HOOK, MAIL]
    assert oncall.people["alice"].apprise == ()


def test_they_may_come_from_files(tmp_path: Path) -> None:
    (tmp_path / "urls").write_text(f"{HOOK}\n{MAIL}\n")
    (tmp_path / "twilio").write_text("of-the-file\n")
    files = {"ROUNDSMAN_APPRISE_BOB_FILE": str(tmp_path / "urls")}
    files |= {"ROUNDSMAN_TWILIO_TOKEN": "", "ROUNDSMAN_TWILIO_TOKEN_FILE": str(tmp_path / "twilio")}
    oncall = example(**files).oncall
    assert oncall is not None
    assert oncall.pagers.twilio is not None
    assert oncall.pagers.twilio.token.get_secret_value() == "of-the-file"
    assert len(oncall.people["bob"].apprise) == 2


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (
            "      phone: +12125550123\n",
            "      phone: +12125550123\n      pushover: uBOB000123456789abcdefghijABCD\n",
            "oncall.people.bob.pushover: a secret does not belong in this file; take it out and set "
            "ROUNDSMAN_PUSHOVER_USER_BOB",
        ),
        (
            "      phone: +12125550123\n",
            f"      phone: +12125550123\n      apprise: [{HOOK}]\n",
            "oncall.people.bob.apprise: a secret does not belong in this file; take it out and set "
            "ROUNDSMAN_APPRISE_BOB",
        ),
        (
            "    twilio: ",
            "    twilio:\n      token: of-the-file\n    #",
            "oncall.pagers.twilio.token: a secret does not belong in this file; take it out and set "
            "ROUNDSMAN_TWILIO_TOKEN",
        ),
    ],
    ids=["pushover", "apprise", "twilio"],
)
def test_a_secret_in_the_file_is_refused_and_not_repeated(tmp_path: Path, old: str, new: str, fault: str) -> None:
    assert faults(edited(tmp_path, old, new)) == [fault]


@pytest.mark.parametrize(
    ("environ", "fault"),
    [
        (
            {"ROUNDSMAN_PUSHOVER_TOKEN": ""},
            "oncall.pagers.pushover.token: is not set: set the environment variable ROUNDSMAN_PUSHOVER_TOKEN, or "
            "ROUNDSMAN_PUSHOVER_TOKEN_FILE to a file with it, or "
            "CREDENTIALS_DIRECTORY to the folder with pushover-token",
        ),
        (
            {"ROUNDSMAN_TWILIO_TOKEN": ""},
            "oncall.pagers.twilio.token: is not set: set the environment variable ROUNDSMAN_TWILIO_TOKEN, or "
            "ROUNDSMAN_TWILIO_TOKEN_FILE to a file with it, or "
            "CREDENTIALS_DIRECTORY to the folder with twilio-token",
        ),
        (
            {"ROUNDSMAN_PUSHOVER_USER_BOB": "uBOB"},
            "oncall.people.bob.pushover: ROUNDSMAN_PUSHOVER_USER_BOB is not one of Pushover's keys: those have 30 "
            "letters and digits",
        ),
        (
            {"ROUNDSMAN_APPRISE_BOB": "nosuch://s3cr3t"},
            "oncall.people.bob.apprise: the URL in ROUNDSMAN_APPRISE_BOB is none that Apprise knows; `apprise -vv` "
            "with it says more",
        ),
        (
            {"ROUNDSMAN_APPRISE_BOB": f"{HOOK} s3cr3t"},
            "oncall.people.bob.apprise: URL 2 of 2 in ROUNDSMAN_APPRISE_BOB is none that Apprise knows; `apprise -vv` "
            "with it says more",
        ),
    ],
    ids=lambda given: next(iter(given)) if isinstance(given, dict) else "",
)
def test_what_cannot_be_used_is_told_by_its_variable(environ: dict[str, str], fault: str) -> None:
    found = example_faults(**environ)
    assert found[0] == fault
    assert "s3cr3t" not in "".join(found)


# ---- who can be reached ----------------------------------------------------------------------------------------------


def test_a_person_without_a_number_cannot_be_called(tmp_path: Path) -> None:
    assert faults(edited(tmp_path, "      phone: +12125550123\n", "")) == [
        f"oncall.policies[0].rungs[{rung}].how[{how}]: cannot reach bob: no phone number; set oncall.people.bob.phone"
        for rung, how in [(1, 1), (2, 2), (3, 2)]
    ]


def test_a_person_without_a_key_cannot_be_pushed(tmp_path: Path) -> None:
    """The night of the first rung counts too."""
    found = example_faults(ROUNDSMAN_PUSHOVER_USER_ALICE="")
    lacks = "cannot reach alice: no Pushover user key; set ROUNDSMAN_PUSHOVER_USER_ALICE"
    assert found == [f"oncall.policies[0].rungs[0].night[2]: {lacks}", f"oncall.policies[0].rungs[3].how[1]: {lacks}"]


def test_a_rung_by_apprise_needs_a_url(tmp_path: Path) -> None:
    [first, *_] = faults(edited(tmp_path, "how: [mention, direct]", "how: [mention, apprise]"))
    assert first == (
        "oncall.policies[0].rungs[0].how[1]: cannot reach alice: no Apprise URL; set ROUNDSMAN_APPRISE_ALICE"
    )


def test_whoever_is_the_last_resort_can_be_woken(tmp_path: Path) -> None:
    dora = "    dora: {slack: U0DORA0001}\n  rotas:"
    path = edited(tmp_path, "  rotas:", dora)
    path.write_text(path.read_text().replace("last_resort: [carol, alice]", "last_resort: [dora]"))
    found = [fault for fault in faults(path) if "last_resort" in fault]
    assert found == [
        "oncall.last_resort[0]: nothing rings for dora, who is to be woken when nobody else is: set "
        "ROUNDSMAN_APPRISE_DORA or set ROUNDSMAN_PUSHOVER_USER_DORA or set oncall.people.dora.phone"
    ]


def test_a_command_that_pages_nobody_needs_no_secret_of_paging() -> None:
    without = {name: value for name, value in SECRETS.items() if name not in PAGER_SECRETS}
    assert load(ROOT / EXAMPLE, without, ("slack", "pve")).oncall is not None


# ---- no secret in a log ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        *PAGER_SECRETS.values(),
        f"could not deliver to {HOOK}",
        "HTTPSConnectionPool(host='mail.example', port=443): nightly rejected",
        "password p@ssword1 and p%40ssword1",
        "Max retries exceeded with url: /services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ",
    ],
)
def test_no_part_of_a_secret_gets_into_the_log(line: str) -> None:
    settings = example(ROUNDSMAN_APPRISE_BOB=f"{HOOK} {MAIL}")
    formatter = Scrubbed(logging.Formatter("%(message)s"), secrets(settings))
    told = formatter.format(logging.makeLogRecord({"msg": line}))
    assert HIDDEN in told
    for part in (*PAGER_SECRETS.values(), "TIiajkdnlazkcOXrIdevi7FQ", "p@ssword1", "p%40ssword1", "nightly"):
        assert part not in told


def test_settings_that_are_printed_show_none() -> None:
    shown = repr(example(ROUNDSMAN_APPRISE_BOB=HOOK))
    assert not any(secret in shown for secret in (*PAGER_SECRETS.values(), HOOK))
