"""What an admin meets who edits the settings file: every fault at once, each with its path, line and remedy."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from bot.settings import EXAMPLE, START, Settings, SettingsError, load
from bot.settings_doc import duration, table
from tests.unit.example import HTTP_SECRETS, PAGER_SECRETS

ROOT = Path(__file__).parents[2]
SECRETS = {
    "ROUNDSMAN_SLACK_BOT_TOKEN": "xoxb-11-22-abc",
    "ROUNDSMAN_SLACK_APP_TOKEN": "xapp-1-A1-22-abc",
    "ROUNDSMAN_PVE_TOKEN": "5f1d9a52-0d0a-4d3c-9a3b-2d5c0f6f0a11",
    "ROUNDSMAN_CALENDAR_BACKUP": "https://calendar.example/backup.ics?key=of-backup",
    **PAGER_SECRETS,
    **HTTP_SECRETS,
}
Write = Callable[[str], Path]
Edit = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def _write(text: str) -> Path:
        path = tmp_path / "roundsman.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return _write


@pytest.fixture
def edit(write: Write) -> Edit:
    """The example with one thing changed, as an admin would."""

    def _edit(old: str, new: str) -> Path:
        example = (ROOT / EXAMPLE).read_text(encoding="utf-8")
        assert old in example
        return write(example.replace(old, new, 1))

    return _edit


def faults(path: Path, **environ: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(path, SECRETS | environ)
    return [re.sub(r" \(line \d+\)", "", fault) for fault in caught.value.faults]


# ---- what works --------------------------------------------------------------------------------------------------


def test_the_example_loads_and_has_two_clusters() -> None:
    settings = load(ROOT / EXAMPLE, SECRETS)
    assert [cluster.name for cluster in settings.clusters] == ["berlin", "office"]
    assert settings.clusters[0].windows[0].start == "22:00"
    assert settings.clusters[1].limits.heal == 12 * 3600


def test_the_file_to_start_from_needs_three_secrets_and_nothing_else() -> None:
    least = {name: SECRETS[name] for name in list(SECRETS)[:3]}
    settings = load(ROOT / START, least, ("slack", "pve", "oncall"))
    assert [cluster.name for cluster in settings.clusters] == ["berlin"]
    assert settings.oncall is None


def test_the_limits_in_the_example_are_the_defaults_it_says_they_are() -> None:
    berlin, office = load(ROOT / EXAMPLE, SECRETS).clusters
    assert berlin.limits == office.limits


def test_a_cluster_takes_its_own_api_token_before_the_common_one() -> None:
    berlin, office = load(ROOT / EXAMPLE, SECRETS | {"ROUNDSMAN_PVE_TOKEN_BERLIN": "of-berlin"}).clusters
    assert berlin.api.token.get_secret_value() == "of-berlin"
    assert office.api.token.get_secret_value() == SECRETS["ROUNDSMAN_PVE_TOKEN"]


def test_a_token_read_from_a_file_loses_its_line_break(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("xoxb-from-file\n")
    environ = SECRETS | {"ROUNDSMAN_SLACK_BOT_TOKEN": "", "ROUNDSMAN_SLACK_BOT_TOKEN_FILE": str(tmp_path / "token")}
    assert load(ROOT / EXAMPLE, environ).slack.bot_token.get_secret_value() == "xoxb-from-file"


def test_systemd_credentials_stand_in_for_the_environment(tmp_path: Path) -> None:
    for name, value in SECRETS.items():
        (tmp_path / name.removeprefix("ROUNDSMAN_").lower().replace("_", "-")).write_text(value + "\n")
    settings = load(ROOT / EXAMPLE, {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert settings.slack.app_token.get_secret_value() == SECRETS["ROUNDSMAN_SLACK_APP_TOKEN"]


def test_slack_api_url_in_the_environment_beats_the_file() -> None:
    settings = load(ROOT / EXAMPLE, SECRETS | {"SLACK_API_URL": "http://127.0.0.1:8080/api"})
    assert settings.slack.api_url == "http://127.0.0.1:8080/api/"


def test_a_command_that_never_asks_slack_needs_no_slack_token() -> None:
    only_pve = {"ROUNDSMAN_PVE_TOKEN": SECRETS["ROUNDSMAN_PVE_TOKEN"]}
    assert isinstance(load(ROOT / EXAMPLE, only_pve, need=("pve",)), Settings)


# ---- faults in the file ------------------------------------------------------------------------------------------


def test_a_missing_file_names_the_one_to_start_from(tmp_path: Path) -> None:
    assert faults(tmp_path / "none.yaml") == [f"there is no such file; {START} is one to start from"]


def test_a_mistyped_key_is_refused_with_what_was_meant(edit: Edit) -> None:
    path = edit("        address: 192.0.2.11", "        adress: 192.0.2.11")
    assert faults(path) == [
        "clusters[0].nodes.pve1.address: is missing: host name or IP by which the bot reaches the node",
        'clusters[0].nodes.pve1.adress: unknown key (did you mean "address"?)',
    ]


def test_a_key_like_no_other_is_answered_with_the_known_ones(edit: Edit) -> None:
    path = edit("  format: json", "  colour: red")
    assert faults(path) == ["log.colour: unknown key; known here: format"]


def test_a_fault_names_its_line(edit: Edit) -> None:
    path = edit("    channel: C0BERLIN01 ", "    chanel: C0BERLIN01 ")
    line = 1 + path.read_text().splitlines().index(next(t for t in path.read_text().splitlines() if "chanel" in t))
    with pytest.raises(SettingsError, match=rf"clusters\[0\]\.chanel \(line {line}\): unknown key"):
        load(path, SECRETS)


def test_a_bare_number_is_no_duration(edit: Edit) -> None:
    assert faults(edit("heal: 12h", "heal: 12")) == [
        "clusters[0].limits.heal: '12' is not a duration; write a number with its unit, "
        'such as "30s", "15m", "4h" or "2d"'
    ]


def test_a_number_with_a_point_is_no_duration_either(edit: Edit) -> None:
    assert "is not a duration" in faults(edit("heal: 12h", "heal: 12.5"))[0]


def test_a_single_value_where_a_list_belongs_is_told_how_to_write_it(edit: Edit) -> None:
    path = edit("approvers: [U0CAROL001, S0ADMINS01]", "approvers: U0CAROL001")
    assert faults(path) == ["clusters[0].people.approvers: must be a list; a single entry too: [ONE]"]


def test_a_key_that_stands_twice_is_refused(edit: Edit) -> None:
    path = edit("    cannot_move: shutdown", "    name: other\n    cannot_move: shutdown")
    [fault] = faults(path)
    assert re.fullmatch(r"clusters\[1\]\.name: stands twice in this section, first on line \d+", fault)


def test_what_is_no_yaml_is_told_with_its_line_and_without_its_text(write: Write) -> None:
    [fault] = faults(write("slack:\n  note: [xoxb-secret\n"))
    assert fault.startswith("line 2: this is not YAML: ")
    assert "xoxb-secret" not in fault


def test_an_empty_file_is_told_what_a_file_holds(write: Write) -> None:
    assert faults(write("# nothing yet\n")) == ["the file must hold sections, such as `slack:` and `clusters:`"]


def test_an_empty_section_is_told_what_a_section_is(edit: Edit) -> None:
    path = edit("store:\n  path: /var/lib/roundsman/roundsman.sqlite3", "store:\n#")
    assert faults(path) == ["store: must be a section: indented lines of `key: value`"]


def test_faults_of_two_kinds_are_told_at_once(edit: Edit) -> None:
    path = edit("  format: json", "  format: loud")
    path.write_text(path.read_text().replace("zone: Europe/Berlin", "zone: Europe/Berln", 1))
    assert faults(path) == [
        "log.format: must be 'console' or 'json'",
        'clusters[0].windows[0].zone: is not a time zone (did you mean "Europe/Berlin"?)',
    ]


# ---- rules between settings --------------------------------------------------------------------------------------

RULES = [
    ("name: office", "name: berlin", "clusters[1].name: is taken by clusters[0]; each needs its own"),
    ("C0OFFICE01", "C0BERLIN01", "clusters[1].channel: is taken by clusters[0]; each needs its own"),
    (
        "guests: [101, 102]",
        "guests: [101, 101]",
        "clusters[0].groups[0].guests[1]: guest 101 stands twice in this group",
    ),
    (
        "      storage: pbs  ",
        "      # storage: pbs  ",
        "clusters[0].backups.storage: is needed for make_missing: which storage takes the backups?",
    ),
    ("keep_running: 1", "keep_running: 3", "clusters[0].groups[0].keep_running: asks for 3, of 2 guests"),
    ("start: 22:00", "start: 10pm", "clusters[0].windows[0].start: is not a time of day, such as 22:30"),
    ("end: 05:00", "end: 22:00", "clusters[0].windows[0].end: is the same as start: a window of no time"),
    (
        "[mon, tue, wed, thu]",
        "[mon, tues]",
        "clusters[0].windows[0].days[1]: is not a day; the days are mon, tue, wed, thu, fri, sat, sun",
    ),
    (
        "approval_valid: 4h",
        "approval_valid: 10m",
        "clusters[0].limits.approval_valid: is shorter than approval_wait: an approval would die while asked for",
    ),
    (
        "reboot: 30m",
        "reboot: 0s",
        "clusters[0].limits.reboot: must be longer than nothing: a wait of 0 never ends well",
    ),
    (
        "enabled: false ",
        "nodes: [tiny9] ",
        "clusters[1].gluster.nodes[0]: is not one of the nodes: tiny1, tiny2, tiny3",
    ),
    (
        "U0CAROL001",
        "carol",
        "clusters[0].people.approvers[0]: is not a Slack id (U... of a person, S... of a user group); "
        "a profile's menu has Copy member ID",
    ),
    (
        "C0OFFICE01",
        "'#office'",
        "clusters[1].channel: is not a channel id (C...); Slack shows it at the end of the channel's About page",
    ),
    (
        "host_key: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAB",
        "host_key: pve1 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAB",
        "clusters[0].nodes.pve1.host_key: begins with the host's name; leave it away and begin with ssh-ed25519",
    ),
    (
        "host_key: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAB",
        "host_key: SHA256:",
        'clusters[0].nodes.pve1.host_key: must look like "ssh-ed25519 AAAA..."; '
        "ssh-keyscan -t ed25519 192.0.2.11 prints it",
    ),
    (
        "address: 192.0.2.12\n",
        "address: 192.0.2.12\n        fingerprint: AB:CD\n",
        "clusters[0].nodes.pve2.fingerprint: is not a SHA-256 fingerprint: 32 pairs of hex digits",
    ),
    (
        "      pve2:\n",
        "      pve2.example.org:\n",
        "clusters[0].nodes.pve2.example.org: must be a node's name as Proxmox VE shows it: no domain, as in pve1",
    ),
]


@pytest.mark.parametrize(("old", "new", "fault"), RULES, ids=[fault.partition(":")[0] for _, _, fault in RULES])
def test_a_broken_rule_is_told(edit: Edit, old: str, new: str, fault: str) -> None:
    assert faults(edit(old, new)) == [fault]


def test_more_approvals_than_approvers_are_refused_unless_a_user_group_may_approve(edit: Edit) -> None:
    path = edit("approvals_needed: 1", "approvals_needed: 2")
    assert load(path, SECRETS).clusters[0].people.approvals_needed == 2
    path.write_text(path.read_text().replace("[U0CAROL001, S0ADMINS01]", "[U0CAROL001]"))
    assert faults(path) == ["clusters[0].people.approvals_needed: asks for 2, of 1 approvers"]


# ---- secrets -----------------------------------------------------------------------------------------------------


def test_unset_secrets_are_named_with_the_variable_to_set() -> None:
    with pytest.raises(SettingsError) as caught:
        load(ROOT / EXAMPLE, {})
    told = str(caught.value)
    assert "slack.bot_token: is not set: set the environment variable ROUNDSMAN_SLACK_BOT_TOKEN" in told
    assert "clusters[0].api.token" in told
    assert "ROUNDSMAN_PVE_TOKEN_BERLIN" in told, "of several clusters each may have a token of its own"


def test_the_token_of_the_only_cluster_is_asked_for_by_the_name_that_the_installation_gives_it() -> None:
    with pytest.raises(SettingsError) as caught:
        load(ROOT / "deploy/roundsman.start.yaml", {})
    assert "or CREDENTIALS_DIRECTORY to the folder with pve-token\n" in f"{caught.value}\n"


def test_a_secret_in_the_file_is_refused_and_not_printed(edit: Edit) -> None:
    path = edit("      token_id: roundsman@pve!bot", "      token_id: roundsman@pve!bot\n      token: s3cr3t-in-file")
    [fault] = faults(path)
    assert fault == (
        "clusters[0].api.token: a secret does not belong in this file; take it out and set ROUNDSMAN_PVE_TOKEN_BERLIN"
    )


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("ROUNDSMAN_SLACK_BOT_TOKEN", "xapp-s3cr3t", "does not start with xoxb-"),
        ("ROUNDSMAN_SLACK_APP_TOKEN", "xapp-s3cr3t\nhalf", "has a space or a line break inside"),
        ("ROUNDSMAN_PVE_TOKEN", "roundsman@pve!bot=s3cr3t", "must hold the secret alone"),
        ("ROUNDSMAN_PVE_TOKEN", "s3cr3t\x00", "has a space or a line break inside"),
    ],
)
def test_a_secret_that_cannot_be_used_is_told_without_printing_it(variable: str, value: str, told: str) -> None:
    text = "\n".join(faults(ROOT / EXAMPLE, **{variable: value}))
    assert f"{variable} {told}" in text
    assert "s3cr3t" not in text


def test_a_secret_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    environ = {"ROUNDSMAN_PVE_TOKEN": "", "ROUNDSMAN_PVE_TOKEN_FILE": str(tmp_path / "gone")}
    assert any("gone cannot be read: No such file or directory" in fault for fault in faults(ROOT / EXAMPLE, **environ))


def test_no_secret_shows_in_the_settings_themselves() -> None:
    shown = repr(load(ROOT / EXAMPLE, SECRETS))
    assert not [secret for secret in SECRETS.values() if secret in shown]


# ---- the generated table -----------------------------------------------------------------------------------------


def test_every_setting_stands_in_the_table_with_its_meaning() -> None:
    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in table().splitlines()[2:]]
    assert [row[0] for row in rows if not row[-1]] == []
    assert ["`clusters[].limits.reboot`", "duration", "`30m`"] in [row[:3] for row in rows]


@pytest.mark.parametrize(("value", "text"), [(1800.0, "30m"), (130.0, "130s"), (172800.0, "2d"), (0.5, "0.5s")])
def test_durations_are_shown_in_the_unit_people_write(value: float, text: str) -> None:
    assert duration(value) == text
