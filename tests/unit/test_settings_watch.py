"""Settings of what watches from outside, and of what others watch the bot by: every fault with its path and remedy."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bot.settings import EXAMPLE, Settings, SettingsError, load
from tests.unit.test_settings import SECRETS

ROOT = Path(__file__).parents[2]


def loaded(tmp_path: Path, *edits: tuple[str, str], **environ: str) -> Settings:
    text = (ROOT / EXAMPLE).read_text(encoding="utf-8")
    for old, new in edits:
        assert old in text
        text = text.replace(old, new, 1)
    path = tmp_path / "roundsman.yaml"
    path.write_text(text, encoding="utf-8")
    return load(path, SECRETS | environ)


def faults(tmp_path: Path, *edits: tuple[str, str], **environ: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        loaded(tmp_path, *edits, **environ)
    return [re.sub(r" \(line \d+\)", "", fault) for fault in caught.value.faults]


def test_the_example_is_looked_at_and_may_be_called(tmp_path: Path) -> None:
    settings = loaded(tmp_path, ROUNDSMAN_HEARTBEAT_URL="https://hc-ping.com/0123")
    assert [probe.name for probe in settings.clusters[0].probes] == ["uplink", "shop"]
    assert settings.http is not None
    assert settings.http.sources[0].token.get_secret_value() == SECRETS["ROUNDSMAN_HTTP_TOKEN_ALERTMANAGER"]
    assert settings.heartbeat.url.get_secret_value() == "https://hc-ping.com/0123"


def test_without_a_section_nobody_can_call_and_nothing_is_pinged(tmp_path: Path) -> None:
    text = (ROOT / EXAMPLE).read_text(encoding="utf-8")
    section = text[text.index("\nhttp:") : text.index("\nclusters:")]
    settings = loaded(tmp_path, (section, ""))
    assert settings.http is None
    assert settings.heartbeat.url.get_secret_value() == ""


def test_faults_of_probes_are_told_where_they_stand(tmp_path: Path) -> None:
    found = faults(tmp_path, ("kind: ping", "kind: pnig"), ("parents: [uplink]", "parents: [upling]"))
    assert found == [
        'clusters[0].probes[0].kind: is no kind of probe (did you mean "ping"?)',
        'clusters[0].probes[1].parents: there is no probe "upling" (did you mean "uplink"?)',
    ]


def test_a_policy_that_is_mistyped_would_wake_the_wrong_people(tmp_path: Path) -> None:
    known = [policy.name for policy in getattr(loaded(tmp_path).oncall, "policies", ())]
    found = faults(
        tmp_path,
        ("kind: ping", "kind: ping\n        policy: nobody-knows"),
        ("    probes:", f"    probing: {{policy: {known[0]}}}\n    probes:"),
    )
    assert found == [
        "clusters[0].probes[0].policy: there is no policy nobody-knows in oncall.policies; "
        f"there are {', '.join(known)}"
    ]


def test_a_pace_that_can_never_fail_is_refused(tmp_path: Path) -> None:
    found = faults(tmp_path, ("    probes:", "    probing: {fails: 4, of: 2}\n    probes:"))
    assert found == ["clusters[0].probing.of: is less than fails: 4 looks of 2"]


def test_a_source_without_a_token_or_with_one_that_can_be_guessed(tmp_path: Path) -> None:
    variable = "ROUNDSMAN_HTTP_TOKEN_ALERTMANAGER"
    assert faults(tmp_path, **{variable: ""}) == [
        f"http.sources[0].token: is not set: set the environment variable {variable}, "
        f"or {variable}_FILE to a file with it, or "
        "CREDENTIALS_DIRECTORY to the folder with http-token-alertmanager"
    ]
    assert faults(tmp_path, **{variable: "hunter2"}) == [
        f"http.sources[0].token: {variable} can be guessed: take 16 characters or more (`openssl rand -hex 24`)"
    ]
    assert "hunter2" not in str(faults(tmp_path, **{variable: "hunter2"}))


def test_a_token_in_the_file_is_refused_and_not_shown(tmp_path: Path) -> None:
    found = faults(tmp_path, ("    - name: alertmanager", "    - {name: alertmanager, token: in-the-file-it-stands}"))
    assert found[0].startswith("http.sources[0].token: a secret does not belong in this file")
    assert "in-the-file" not in str(found)


def test_sources_must_differ_and_their_clusters_be_ours(tmp_path: Path) -> None:
    twice = "    - name: alertmanager\n    - {name: alertmanager, clusters: [berlni]}"
    assert faults(tmp_path, ("    - name: alertmanager", twice)) == [
        "http.sources[1].name: is the name of another source too",
        "http.sources[1].clusters[0]: is not one of the clusters: berlin, office",
    ]


def test_a_heartbeat_that_is_no_address_is_refused_and_not_shown(tmp_path: Path) -> None:
    found = faults(tmp_path, ROUNDSMAN_HEARTBEAT_URL="0123-my-uuid")
    assert found == ["heartbeat.url: ROUNDSMAN_HEARTBEAT_URL is not an address such as https://hc-ping.com/UUID"]


def test_a_public_address_with_a_path_is_refused(tmp_path: Path) -> None:
    (found,) = faults(tmp_path, ("https://roundsman.example.org ", "https://roundsman.example.org/bot "))
    assert found.startswith("http.public_url: ")
