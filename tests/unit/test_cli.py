"""What an admin sees in a shell: exit codes that scripts can trust, and sentences instead of tracebacks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bot import looking
from bot.cli import main
from bot.cli_doc import pages
from bot.settings import EXAMPLE, load
from cluster.api import Unreachable
from cluster.facts import Read
from cluster.world import Blocked, Opinion, Passed, Unknown, Verdict
from sandbox.night import Night
from sandbox.scenario import Scenario
from sandbox.spec import default_spec
from store.api import AuditRow, Entry, RunRow, ShiftOverrideRow
from store.memory import MemoryStore
from store.opening import open_store
from tests.unit.example import HTTP_SECRETS, PAGER_SECRETS
from workflows.alerts import Alert, raise_alerts
from workflows.readiness import on_call_now, proof_of
from workflows.site import Site

ROOT = Path(__file__).parents[2]
SECRETS = {
    "ROUNDSMAN_SLACK_BOT_TOKEN": "xoxb-1",
    "ROUNDSMAN_SLACK_APP_TOKEN": "xapp-1",
    "ROUNDSMAN_PVE_TOKEN": "of-all",
    "ROUNDSMAN_CALENDAR_BACKUP": "https://calendar.example/backup.ics?key=of-backup",
    **PAGER_SECRETS,
    **HTTP_SECRETS,
}
HEALED = Passed({"pending": {"pve1:/srv/brick": 0}}, "ONE copy left while pve1 is down")
HEALING = Blocked("14 entries pending on pve2", {"pending": {"pve2:/srv/brick": 14}}, "wait; /upgrade why shows it")
SILENT = Unknown("pve3 does not answer")


def shell(*words: str, settings: Path = ROOT / EXAMPLE, **environ: str) -> Result:
    return CliRunner().invoke(main, ["--settings", str(settings), *words], env=SECRETS | environ)


@pytest.fixture
def gates_say(monkeypatch: pytest.MonkeyPatch) -> Sequence[Verdict]:
    """Whatever a test puts in here is what the gates of each node say."""
    verdicts: list[Verdict] = []

    def ask(_site: object, nodes: Sequence[str]) -> looking.Found:
        return {node: [Opinion(f"gate{n}", verdict, 1e9) for n, verdict in enumerate(verdicts)] for node in nodes}

    site = SimpleNamespace(managed=SimpleNamespace(name="berlin"), store=MemoryStore())
    monkeypatch.setattr(looking, "site", lambda managed, settings: site)
    monkeypatch.setattr(looking, "ask", ask)
    return verdicts


# ---- gates: the exit code is the verdict -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [
        ([HEALED, HEALED], 0),
        ([HEALED, HEALING], 1),
        ([SILENT, HEALING], 1),
        ([HEALED, SILENT], 3),
        ([], 3),
    ],
    ids=["all passed", "one blocked", "blocked beats unknown", "one unknown", "nothing asked is not passed"],
)
def test_the_exit_code_of_gates_is_their_verdict(gates_say: list[Verdict], verdicts: list[Verdict], code: int) -> None:
    gates_say += verdicts
    assert shell("gates", "berlin").exit_code == code


def test_what_a_node_said_is_shown_and_not_obeyed_by_the_terminal(
    gates_say: list[Verdict], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "pve3 said \x1b]0;all is well\x07"
    gates_say += [Unknown(said)]
    told = [shell("gates", "berlin").stdout]

    def ask(_site: object, nodes: Sequence[str]) -> looking.Found:
        raise Unreachable(said)

    monkeypatch.setattr(looking, "ask", ask)
    told.append(shell("gates", "berlin").stderr)
    assert all("pve3 said \\x1b]0;all is well\\x07" in text for text in told), told


def test_gates_show_verdict_reason_hint_and_evidence(gates_say: list[Verdict]) -> None:
    gates_say += [HEALED, HEALING, SILENT]
    assert shell("gates", "berlin", "--node", "pve1").output == (
        "pve1\n"
        "  passed   gate0  ONE copy left while pve1 is down\n"
        '           pending: {"pve1:/srv/brick": 0}\n'
        "  blocked  gate1  14 entries pending on pve2\n"
        "           Hint: wait; /upgrade why shows it\n"
        '           pending: {"pve2:/srv/brick": 14}\n'
        "  unknown  gate2  pve3 does not answer\n"
        "2 of 3 gates are not open: pve1 gate1 (blocked), pve1 gate2 (unknown)\n"
    )


def test_gates_that_are_all_open_end_with_one_line_that_says_so(gates_say: list[Verdict]) -> None:
    gates_say += [HEALED, HEALED]
    assert shell("gates", "berlin").output.endswith("\nAll 6 gates of pve1, pve2, pve3 passed.\n")


def test_who_looks_while_a_run_goes_on_is_told_that_its_changes_shut_gates(
    monkeypatch: pytest.MonkeyPatch, gates_say: list[Verdict]
) -> None:
    gates_say += [HEALING]
    store = looking.site(None, None).store  # type: ignore[arg-type]
    store.start_run(RunRow("berlin-1", "rolling_upgrade", "berlin", {}, "active", 0.0, "U0ALICE", 0.0))
    assert (
        "\nA run goes on: berlin-1. What it has changed for now, such as a maintenance mode, shuts gates here.\n"
    ) in shell("gates", "berlin").output


def test_whoever_may_not_read_what_belongs_to_the_bot_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(_managed: object, _settings: object) -> None:
        raise PermissionError(13, "Permission denied", "/var/lib/roundsman/roundsman.sqlite3")

    monkeypatch.setattr(looking, "site", closed)
    result = shell("gates", "berlin")
    told = "Error: /var/lib/roundsman/roundsman.sqlite3: permission denied; look as root (docs/install.md, 6)\n"
    assert (result.exit_code, result.output) == (2, told)


# ---- the plan ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("words", "order"), [([], []), (["--node", "pve2", "--node", "pve1"], ["pve2", "pve1"])])
def test_a_plan_keeps_the_order_of_whoever_names_nodes_and_else_takes_that_of_a_run(
    monkeypatch: pytest.MonkeyPatch, words: list[str], order: list[str]
) -> None:
    monkeypatch.setattr(looking, "site", lambda managed, settings: SimpleNamespace(store=MemoryStore()))
    monkeypatch.setattr("workflows.plan.describe", lambda _site, nodes: (f"asked for {list(nodes)}", []))
    assert shell("plan", "berlin", *words).output == f"asked for {order}\n"


@pytest.mark.parametrize(
    ("told", "faults", "code"),
    [
        ("all 30 gates are open", [], 0),
        ("SHUT heal: ", [{"kind": "heal-stuck"}, {"kind": "brick-wiped", "node": "pve2", "amount": 5}], 1),
        ("The cluster does not answer: ", [{"kind": "path-cut", "text": path} for path in ("direct", "lte")], 3),
    ],
    ids=["a good night", "a heal goes on", "every path is dead"],
)
def test_a_plan_ends_with_the_code_of_its_gates(
    monkeypatch: pytest.MonkeyPatch, told: str, faults: list[Mapping[str, Any]], code: int
) -> None:
    """Of a cluster that does not answer it said so, and ended with 0: a script went on."""
    night = Night(Scenario("plan", "", default_spec(), tuple(faults), ()))
    night.clock.advance_to(night.clock.now + 60)
    checksum = night.scenario.spec.helper_checksum
    site = Site(night.managed, night.cluster, night.chat, night.store, night.clock, checksum)
    monkeypatch.setattr(looking, "site", lambda managed, settings: site)
    result = shell("plan", "berlin")
    assert told in result.output
    assert result.exit_code == code


def test_gates_as_json_hold_the_same(gates_say: list[Verdict]) -> None:
    gates_say += [HEALING]
    told = json.loads(shell("gates", "berlin", "--json").output)
    assert list(told["nodes"]) == ["pve1", "pve2", "pve3"]
    assert told["exit_code"] == 1
    assert told["nodes"]["pve2"] == [
        {
            "gate": "gate0",
            "verdict": "blocked",
            "reason": "14 entries pending on pve2",
            "read_at": "2001-09-09T01:46:40+00:00",
            "hint": "wait; /upgrade why shows it",
            "evidence": {"pending": {"pve2:/srv/brick": 14}},
        }
    ]


def test_a_fault_on_the_way_is_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_managed: object, _settings: object) -> None:
        raise Unreachable("no node of berlin answers", "are you on the right network?")

    monkeypatch.setattr(looking, "site", broken)
    result = shell("gates", "berlin")
    assert (result.exit_code, result.output) == (
        2,
        "Error: no node of berlin answers\nHint: are you on the right network?\n",
    )


# ---- wrong words -------------------------------------------------------------------------------------------------


def test_a_mistyped_cluster_is_answered_with_what_was_meant() -> None:
    result = shell("gates", "berln")
    assert (result.exit_code, result.output) == (2, 'Error: no cluster "berln" (did you mean "berlin"?)\n')


def test_an_unknown_node_is_answered_with_the_known_ones() -> None:
    assert shell("plan", "berlin", "--node", "pve9").output == (
        "Error: berlin has no node pve9; known: pve1, pve2, pve3\n"
    )


def test_faults_in_the_settings_are_told_without_a_traceback(tmp_path: Path) -> None:
    result = shell("run", settings=tmp_path / "none.yaml")
    assert result.exit_code == 2
    assert result.output == (
        f"Error: {tmp_path / 'none.yaml'} has one fault:\n"
        "  there is no such file; deploy/roundsman.start.yaml is one to start from\n"
    )


def test_check_ends_with_1_when_the_settings_are_at_fault(tmp_path: Path) -> None:
    assert shell("check", settings=tmp_path / "none.yaml").exit_code == 1


def test_installing_the_helper_without_a_key_says_what_to_add() -> None:
    result = shell("install-helper", "berlin")
    assert result.exit_code == 2
    assert "--admin-key FILE; or take --print and do it by hand" in result.output


def test_the_demo_without_its_packages_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    told = "Error: the demo needs packages that the service does not: run scripts/demo in a clone, which sets them up\n"
    assert shell("demo").output == told


# ---- journal -----------------------------------------------------------------------------------------------------


@pytest.fixture
def settings_with_store(tmp_path: Path) -> Path:
    text = (ROOT / EXAMPLE).read_text().replace("/var/lib/roundsman/roundsman.sqlite3", str(tmp_path / "db.sqlite3"))
    (tmp_path / "roundsman.yaml").write_text(text)
    return tmp_path / "roundsman.yaml"


def test_the_journal_of_a_run_is_printed_beside_a_running_bot(settings_with_store: Path, tmp_path: Path) -> None:
    store = open_store(tmp_path / "db.sqlite3")
    store.start_run(RunRow("berlin-1", "rolling_upgrade", "berlin", {}, "active", 0.0, "UALICE", 0.0))
    store.write("berlin-1", Entry("pve1.reboot", "intent", None, 60.0))
    try:
        told = shell("journal", "berlin-1", settings=settings_with_store).output
    finally:
        store.close()
    assert "1970-01-01 00:01:00Z  intent  pve1.reboot" in told


def test_the_journal_of_a_run_that_never_was_is_a_sentence(settings_with_store: Path, tmp_path: Path) -> None:
    open_store(tmp_path / "db.sqlite3").close()
    result = shell("journal", "berlin-9", settings=settings_with_store)
    assert (result.exit_code, result.output) == (2, "Error: there is no run 'berlin-9'; the newest are: none yet\n")


def test_a_database_that_is_not_there_is_a_sentence(settings_with_store: Path, tmp_path: Path) -> None:
    result = shell("journal", "berlin-9", settings=settings_with_store)
    assert result.output == f"Error: there is no database {tmp_path / 'db.sqlite3'}; roundsman run makes it\n"


def test_the_report_of_an_outage_is_printed_with_peoples_names(settings_with_store: Path, tmp_path: Path) -> None:
    store = open_store(tmp_path / "db.sqlite3")
    managed = load(settings_with_store, {}, ()).clusters[0]
    outage = raise_alerts(store, managed, [Alert("p/1", "probe", "router-a", "is silent", "critical", 40.0)], 60.0)
    store.close()
    told = shell("report", outage, settings=settings_with_store).output
    assert told.startswith(f"# Post-mortem of {outage} (draft)\n")
    assert "- to detect: 20 seconds\n" in told
    missing = shell("report", "outage-x", settings=settings_with_store)
    assert (missing.exit_code, missing.output) == (
        2,
        f"Error: there is no outage 'outage-x'; the newest are: {outage}\n",
    )


# ---- who would be woken, asked from a shell ------------------------------------------------------------------------


def test_looking_reads_what_the_bot_knows_of_people_and_writes_nothing(
    settings_with_store: Path, tmp_path: Path
) -> None:
    settings = load(settings_with_store, SECRETS, ("pve",))
    assert settings.oncall is not None
    stranger = looking.site(settings.clusters[0], settings)  # there is no database yet
    seen = on_call_now(stranger)
    assert isinstance(seen, Read)
    assert {person.proven_at for person in seen.value.first} == {None}

    store, first = open_store(tmp_path / "db.sqlite3"), seen.value.first[0].name
    store.keep(proof_of(first), {"how": "voice"}, 5e8)
    beside = looking.site(settings.clusters[0], settings)
    seen = on_call_now(beside)
    assert isinstance(seen, Read)
    assert seen.value.first[0].proven_at == 5e8
    beside.store.audit(AuditRow(1.0, "", "berlin", "roundsman", "gates preflight pve1", {}))
    assert store.audits(cluster="berlin") == []
    beside.store.close()
    store.close()


# ---- help --------------------------------------------------------------------------------------------------------


def test_every_shell_command_has_its_page() -> None:
    missing = [name for name in main.commands if f"### roundsman {name}\n" not in pages()]
    assert missing == []


# ---- rota ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """The example with a database in a folder of its own, and no calendar to ask."""
    text = (ROOT / EXAMPLE).read_text().replace("/var/lib/roundsman/roundsman.sqlite3", str(tmp_path / "db.sqlite3"))
    path = tmp_path / "roundsman.yaml"
    path.write_text(text.replace("        refresh: 15m\n", ""))
    return path


def test_rota_prints_the_plan_and_what_the_bot_knows_of_it(own: Path) -> None:
    store = open_store(own.parent / "db.sqlite3")
    store.override_shift(
        [ShiftOverrideRow(0, "primary", "replace", "carol", "", 1.7e9, 2.2e9, "U0BOB00001", 1.0, "t1")]
    )
    store.close()
    result = shell("rota", "primary", "--next", "2d", settings=own)
    lines = result.output.splitlines()
    assert (result.exit_code, lines[0], len(lines)) == (0, "primary (times in Europe/Berlin)", 2)
    assert lines[1].endswith("  carol  override")
    assert "The calendar of backup was not read yet." in shell("rota", settings=own).output


def test_rota_tells_gaps_and_who_is_woken_in_them(own: Path) -> None:
    open_store(own.parent / "db.sqlite3").close()
    own.write_text(own.read_text().replace("start: 2026-03-02T09:00 ", "start: 2199-03-02T09:00 "))
    result = shell("rota", "primary", "--next", "7d", settings=own)
    assert result.exit_code == 0
    assert "nobody" in result.output
    assert "gaps: carol, alice would be woken then (last_resort)." in result.output


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["primry"], 'Error: no rota "primry"; known: primary, backup'),
        (["--next", "14"], "is not a duration; write a number with its unit"),
        (["--next", "0d"], "--next takes more than nothing, and 370 days at most"),
    ],
)
def test_rota_says_what_was_typed_wrong(own: Path, words: list[str], told: str) -> None:
    result = shell("rota", *words, settings=own)
    assert result.exit_code == 2
    assert told in result.output


def test_rota_without_people_on_call_says_so(own: Path) -> None:
    own.write_text(own.read_text().partition("\noncall:")[0])
    assert "the settings have no section `oncall`" in shell("rota", settings=own).output
