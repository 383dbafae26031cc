"""`roundsman check`: what is missing on the bot's own host, and how lines are shown."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from bot import check, showing_rotas
from bot.settings import EXAMPLE, Settings, load
from cluster.checks import CheckLine
from sandbox.house import REPOSITORY
from store.api import RunRow
from store.opening import open_store
from tests.unit.example import HTTP_SECRETS, PAGER_SECRETS

ROOT = Path(__file__).parents[2]
SECRETS = {
    "ROUNDSMAN_SLACK_BOT_TOKEN": "xoxb-1",
    "ROUNDSMAN_SLACK_APP_TOKEN": "xapp-1",
    "ROUNDSMAN_PVE_TOKEN": "of-all",
    "ROUNDSMAN_CALENDAR_BACKUP": "http://127.0.0.1:9/backup.ics?key=of-backup",
    **PAGER_SECRETS,
    **HTTP_SECRETS,
}
GOOD = CheckLine(True, "pve1 [ssh]", "answers", "")
BAD = CheckLine(False, "pve2 [api]", "403 (/nodes, Sys.Modify)", "pveum acl modify /nodes " + "--roles Roundsman " * 6)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """The example, with all its files in an empty folder."""
    text = (ROOT / EXAMPLE).read_text()
    for place in ("/etc/roundsman", "/var/lib/roundsman"):
        text = text.replace(place, str(tmp_path / "home"))
    (tmp_path / "roundsman.yaml").write_text(text)
    return load(tmp_path / "roundsman.yaml", SECRETS)


@pytest.fixture
def show(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> Callable[[CheckLine], bool]:
    """Run the check with everything fine but one line of each cluster."""

    def _show(line: CheckLine) -> bool:
        monkeypatch.setattr("bot.check_slack.check_slack", lambda settings: [GOOD])
        monkeypatch.setattr("bot.check_pagers.check_pagers", lambda settings: [GOOD])
        monkeypatch.setattr("bot.showing_rotas.check_rotas", lambda settings, now: [GOOD])
        monkeypatch.setattr("cluster.checks.check_cluster", lambda managed: [GOOD, line])
        monkeypatch.setattr("bot.check_probes.check_probes", lambda managed: [GOOD])
        monkeypatch.setattr(check, "check_files", lambda settings: [GOOD])
        return check.show(Path("roundsman.yaml"), settings)

    return _show


def test_missing_files_are_told_each_with_what_makes_it(settings: Settings) -> None:
    missing = [line for line in check.check_files(settings) if not line.ok]
    assert [line.subject for line in missing] == [
        "berlin: ssh.key_file",
        "berlin: api.ca_file",
        "office: ssh.key_file",
        "store.path",
    ]
    assert missing[0].remedy.startswith(f"ssh-keygen -t ed25519 -N '' -f {settings.clusters[0].ssh.key_file}, ")


def test_with_its_files_there_nothing_is_missing(settings: Settings) -> None:
    home = Path(settings.store.path).parent
    home.mkdir()
    for file in (settings.clusters[0].ssh.key_file, settings.clusters[0].api.ca_file):
        Path(file).write_text("")
    assert [line.text for line in check.check_files(settings) if not line.ok] == []


def test_a_cluster_that_was_taken_out_while_an_outage_of_it_is_open_is_told(settings: Settings) -> None:
    path = Path(settings.store.path)
    path.parent.mkdir()
    store = open_store(path)
    args = {"cluster": "barn"}
    store.start_run(RunRow("outage-barn-1", "outage", "barn", args, "active", 1.0, "probe", 1.0))
    store.start_run(RunRow("outage-berlin-1", "outage", "berlin", args, "active", 1.0, "probe", 1.0))
    store.close()
    assert [(line.ok, line.text) for line in check.check_files(settings) if line.subject == "clusters"] == [
        (False, "barn is not in the settings, and 1 of its runs and outages are open")
    ]


def test_a_database_of_another_version_says_nothing_about_clusters(settings: Settings) -> None:
    path = Path(settings.store.path)
    path.parent.mkdir()
    path.write_bytes(b"")
    lines = [line for line in check.check_files(settings) if line.text.startswith("open runs were not looked for")]
    assert [line.ok for line in lines] == [True]


def test_one_missing_thing_makes_the_whole_check_fail(show: Callable[[CheckLine], bool]) -> None:
    assert show(GOOD) is True
    assert show(BAD) is False


def test_a_remedy_stands_on_one_line_to_be_copied(
    show: Callable[[CheckLine], bool], capsys: pytest.CaptureFixture[str]
) -> None:
    show(BAD)
    lines = capsys.readouterr().out.splitlines()
    assert "  ✗ pve2 [api]             403 (/nodes, Sys.Modify)" in lines
    assert f"    → {BAD.remedy}" in lines


def test_what_a_node_said_is_shown_and_not_obeyed_by_the_terminal(
    show: Callable[[CheckLine], bool], capsys: pytest.CaptureFixture[str]
) -> None:
    show(CheckLine(False, "pve1 helper", "said \x1b[2J\u202enetis", "type \x9b1A this"))
    printed = capsys.readouterr().out
    assert "said \\x1b[2J\\u202enetis\n" in printed
    assert "→ type \\x9b1A this\n" in printed


def test_a_gap_in_a_rota_is_told_and_is_no_fault(settings: Settings) -> None:
    """Somebody is woken in it all the same; a calendar that does not answer is one."""
    assert settings.oncall is not None
    lines = list(showing_rotas.check_rotas(settings, 1767225600.0))  # January 2026: before the first hand-off
    assert [(line.ok, line.subject) for line in lines] == [
        (True, "primary"),
        (True, "backup"),
        (False, "backup: calendar"),
    ]
    assert lines[0].text == (
        "nobody is on call now; one gap in the next 30 days: Thu 01 Jan 01:00 - Sat 31 Jan 01:00; "
        "carol, alice woken then"
    )


def test_a_calendar_without_its_packages_is_told_with_the_line_that_installs_them(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line of the installation itself. By name, an index would give whatever somebody else put there."""
    monkeypatch.setattr(showing_rotas, "available", lambda: False)
    [line] = showing_rotas.check_rotas(settings, 0.0)
    assert not line.ok
    [typed] = re.findall(r"`(.+)`", line.remedy)
    assert f"    {typed}\n" in (REPOSITORY / "docs" / "install.md").read_text()
    lock = (REPOSITORY / "deploy" / "requirements.lock").read_text()
    assert "icalendar==" in lock
    assert "recurring-ical-events==" in lock


def test_what_is_fine_but_should_be_known_has_a_mark_of_its_own(
    show: Callable[[CheckLine], bool], capsys: pytest.CaptureFixture[str]
) -> None:
    assert show(CheckLine(True, "paths", "only lte stays when they die", "", careful=True))
    printed = capsys.readouterr().out
    assert "! paths" in printed
    assert "! heartbeat" in printed, "without a dead man's switch nobody hears of a dead bot"
    assert "✓ pve1 [ssh]" in printed
