"""Plausible mistakes in a settings file, each with what the admin is told: where, and what to write instead."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from bot.settings import EXAMPLE, Settings, SettingsError, load
from bot.settings_words import PATTERNS, _sections
from tests.unit.test_settings import SECRETS

TEXT = (Path(__file__).parents[2] / EXAMPLE).read_text(encoding="utf-8")
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMDBwsPExcbHyMnKy8zNzs/Q0dLT1NXW19jZ2tvc3d7f"
JUMP = f"          - address: 198.51.100.7\n            user: roundsman\n            host_key: {KEY}\n"

MISTAKES = [
    (
        "a key in the wrong section",
        "      approvals_needed: 1",
        "      approvals_needed: 1\n      approval_wait: 30m",
        "clusters[0].people.approval_wait: unknown key here; approval_wait belongs into clusters[].limits",
    ),
    (
        "a choice mistyped",
        "kind: jump",
        "kind: jmp",
        'clusters[0].paths[1].kind: must be direct, jump or socks (did you mean "jump"?)',
    ),
    (
        "another choice mistyped",
        "how: [mention, voice]",
        "how: [mention, voise]",
        "oncall.policies[0].rungs[1].how[1]: must be 'mention', 'direct', 'apprise', 'pushover' or 'voice' "
        '(did you mean "voice"?)',
    ),
    (
        "a command as one text",
        "power_cycle: [ipmitool,",
        "power_cycle: ipmitool -H 192.0.2.113 chassis power cycle  #",
        "clusters[0].nodes.pve3.power_cycle: must be a list: [ONE, TWO]",
    ),
    (
        "one jump host without its dash",
        JUMP,
        JUMP.replace("- address", "  address"),
        "clusters[0].paths[1].jumps: must be a list of sections, each of which begins with `- `",
    ),
    (
        "a jump host through itself",
        JUMP,
        JUMP + JUMP,
        "clusters[0].paths[1].jumps[1].address: stands twice: a jump host is not reached through itself",
    ),
    (
        "a jump host without its key",
        f"            host_key: {KEY}\n",
        "",
        "clusters[0].paths[1].jumps[0].host_key: is missing: its SSH host key, pinned as those of the nodes are; "
        "`ssh-keyscan -t ed25519 ADDRESS` prints it",
    ),
    (
        "a user in place of a token",
        "token_id: roundsman@pve!bot",
        "token_id: roundsman@pve",
        "clusters[0].api.token_id: must be USER@REALM!NAME, such as roundsman@pve!bot, without the secret",
    ),
    (
        "backups to the volume that they are to save",
        "storage: pbs ",
        "storage: gluster-backup ",
        "clusters[0].backups.storage: lies on the volume itself (on_gluster), where a backup does not count; take "
        "another storage",
    ),
    (
        "a ping of a port",
        "{ping: 198.51.100.1}",
        '{ping: "198.51.100.1:443"}',
        "clusters[0].groups[0].health[101].ping: must be an address without a port: a ping has none; that a port "
        "answers is the kind tcp",
    ),
    ("too little", "paths_required: 1", "paths_required: 0", "clusters[1].paths_required: must be at least 1"),
    ("too much", "port: 8017", "port: 80170", "http.port: must be at most 65535"),
    (
        "an account that is none",
        "account: AC0123456789abcdef0123456789abcdef",
        "account: 123",
        "oncall.pagers.twilio.account: must be AC and 32 hex digits, as Twilio's console shows it",
    ),
    (
        "a tab",
        "    people:\n      op",
        "    people:\n\top",
        "this is not YAML: a tab stands here; indent with blanks",
    ),
    (
        "a bracket that is not closed",
        "approvers: [U0CAROL001, S0ADMINS01]",
        "approvers: [U0CAROL001, S0ADMINS01",
        "this is not YAML: what is opened here is not closed: a ] or a quote is missing",
    ),
    (
        "a key without its colon",
        "      approvals_needed: 1",
        "      approvals_needed 1",
        "this is not YAML: a key without `: ` behind it",
    ),
    (
        "an indent that fits nothing",
        "      approvals_needed: 1",
        "     approvals_needed: 1",
        "this is not YAML: this line is indented otherwise than those that it belongs to",
    ),
    (
        "a colon in a name",
        "name: Alice Example ",
        "name: Alice: Example ",
        "this is not YAML: a `: ` too much: is the line above complete, is this one indented as those beside "
        "it? A text with `: ` in it wants quotes",
    ),
    (
        "a list of clusters without its dash",
        "clusters:\n  - name: berlin",
        "clusters:\n    name: berlin",
        "this is not YAML: a list entry (`- `) among keys: are the list's entries indented alike, below a key of their "
        "own?",
    ),
    (
        "a name that begins with a sign",
        "          bob@example.org: bob",
        "          @bob: bob",
        "this is not YAML: a text that begins with @ wants quotes",
    ),
]


@pytest.mark.parametrize(("old", "new", "told"), [row[1:] for row in MISTAKES], ids=[row[0] for row in MISTAKES])
def test_a_mistake_is_told_with_its_place_and_what_to_write(tmp_path: Path, old: str, new: str, told: str) -> None:
    assert old in TEXT
    path = tmp_path / "roundsman.yaml"
    path.write_text(TEXT.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        load(path, SECRETS)
    faults = [re.sub(r" \(line \d+\)", "", fault) for fault in caught.value.faults]
    assert [re.sub(r"^line \d+: ", "", fault) for fault in faults] == [told]
    assert not any(secret in str(caught.value) for secret in SECRETS.values())


def test_no_faulty_entry_makes_its_list_empty(tmp_path: Path) -> None:
    path = tmp_path / "roundsman.yaml"
    path.write_text(TEXT.replace("guests: [101, 102]\n        keep", "guests: [router-a]\n        keep", 1))
    with pytest.raises(SettingsError) as caught:
        load(path, SECRETS)
    assert [fault.partition(" ")[0] for fault in caught.value.faults] == ["clusters[0].groups[0].guests[0]"]


@pytest.mark.parametrize("text", ["store: &x\n  path: *x\n", "clusters: &x\n  - *x\n", "a: " + "[" * 3000 + "\n"])
def test_a_file_without_a_bottom_is_told_in_a_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "roundsman.yaml"
    path.write_text(text)
    deep = sys.getrecursionlimit()
    sys.setrecursionlimit(1000)  # as the bot has it; hypothesis, in this process, wants more
    try:
        with pytest.raises(SettingsError) as caught:
            load(path, SECRETS)
    finally:
        sys.setrecursionlimit(deep)
    assert caught.value.faults == [
        "the file is nested without an end: does an alias (*name) stand inside of its own &name?"
    ]


def test_a_regular_expression_is_shown_to_nobody() -> None:
    named = {pattern for pattern in _patterns() if not re.fullmatch(r"\^\([\w|-]+\)\$", pattern)}
    assert named <= PATTERNS.keys()


def _patterns() -> Iterator[str]:
    models: list[type[BaseModel]] = [Settings, *(model for _, model in _sections(Settings))]
    for model in models:
        for field in model.model_fields.values():
            found: list[Any] = [getattr(mark, "pattern", None) for mark in field.metadata]
            yield from (pattern for pattern in found if pattern)
