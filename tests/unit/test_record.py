"""Records: frozen by the type checker's word, and cheap to make."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from mypy import api

from base.record import record

ROOT = Path(__file__).resolve().parents[2]


@record
class Place:
    node: str
    slot: int = 0


def test_records_are_compared_and_hashed_by_what_they_hold() -> None:
    assert Place("pve1") == Place("pve1", 0) != Place("pve1", 1)
    assert len({Place("pve1"), Place("pve1", 0), replace(Place("pve2"), node="pve1")}) == 1


def test_a_record_has_no_room_for_anything_else() -> None:
    with pytest.raises(AttributeError):
        Place("pve1").host = "pve2"  # type: ignore[attr-defined]


def test_the_type_checker_lets_nobody_change_one(tmp_path: Path) -> None:
    (tmp_path / "changes.py").write_text(
        "from cluster.facts import Read\nfrom engine.port import Look\n"
        "Read(3, 1.0).at = 2.0\nLook(1.0, 1.0, 2.0).deadline = 3.0\n"
    )
    cache = f"--cache-dir={ROOT / '.mypy_cache'}"
    said, _, _ = api.run([cache, f"--config-file={ROOT / 'pyproject.toml'}", str(tmp_path / "changes.py")])
    assert [line.rpartition("error: ")[2] for line in said.splitlines()[:-1]] == [
        'Property "at" defined in "Read" is read-only  [misc]',
        'Property "deadline" defined in "Look" is read-only  [misc]',
    ]
