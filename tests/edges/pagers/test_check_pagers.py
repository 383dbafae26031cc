"""`roundsman check` against a Pushover and a Twilio on loopback: what it says, and that nobody is rung."""

from __future__ import annotations

import pytest

from bot.check_pagers import check_pagers
from bot.http_settings import HttpSettings
from bot.settings import EXAMPLE, Settings, load
from sandbox.phones import ACCOUNT, PhonesInThread
from tests.unit.test_settings import ROOT, SECRETS


@pytest.fixture
def checked(phones: PhonesInThread, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The example, at this telephone company."""
    text = (ROOT / EXAMPLE).read_text(encoding="utf-8")
    text = text.replace("AC0123456789abcdef0123456789abcdef", f"{ACCOUNT}\n      url: {phones.url}/")
    text = text.replace("      expire: 1h\n", f"      expire: 1h\n      url: {phones.url}/1/\n")
    path = tmp_path_factory.mktemp("settings") / "roundsman.yaml"
    path.write_text(text, encoding="utf-8")
    return load(path, SECRETS | phones.environment() | {"ROUNDSMAN_APPRISE_BOB": phones.sink("bob")})


def public(settings: Settings) -> Settings:
    return settings.model_copy(update={"http": HttpSettings(public_url="https://bot.example.org")})


def test_all_is_there(checked: Settings) -> None:
    assert [(line.ok, line.subject, line.text) for line in check_pagers(public(checked))] == [
        (True, "apprise bob", "the URLs parse (JSON); only /oncall test proves that they work"),
        (True, "pushover alice", "Pushover knows the key, devices: 1; nothing was rung"),
        (True, "pushover bob", "Pushover knows the key, devices: 1; nothing was rung"),
        (True, "pushover carol", "Pushover knows the key, devices: 1; nothing was rung"),
        (True, "voice", "the account is active; nobody was called"),
    ]


def test_without_a_public_address_a_line_says_what_does_not_work(checked: Settings) -> None:
    last = list(check_pagers(checked.model_copy(update={"http": None})))[-1]
    assert (last.ok, last.subject) == (False, "voice key press")
    assert last.remedy == "set http.public_url to an address under which Twilio reaches this bot"


def test_without_a_section_on_call_there_is_nothing_to_ask(checked: Settings) -> None:
    [line] = check_pagers(checked.model_copy(update={"oncall": None}))
    assert line.ok
