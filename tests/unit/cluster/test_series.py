"""What of the heal reads is still good for the next survey, and what breaks the series."""

from __future__ import annotations

import pytest

from cluster.facts import BrickHeal, Read, Unread, VolumeStatus
from cluster.series import KEPT_S, Going, Round, Series

GAP_S = 5.0
WELL: Round = {"pve1": {"vmstore": Read((BrickHeal("b", "u", "Connected", 0, 0, 0, 0),), 0.0)}}


def status(at: float) -> dict[str, dict[str, Read[VolumeStatus]]]:
    return {"pve1": {"vmstore": Read(VolumeStatus("vmstore", ()), at)}}


@pytest.fixture
def series() -> Series:
    return Series(3, GAP_S)


def survey(series: Series, now: float, *, healed: bool = True) -> tuple[Going, float]:
    """One survey that begins now; how it went, and when its last round was read."""
    going = series.resume(now)
    while (rest := going.rest(now)) is not None:
        now += rest
        going.add(now, WELL, healed)
    series.keep(going, going.status or status(now))
    return going, now


def test_the_first_survey_reads_three_rounds_a_gap_apart(series: Series) -> None:
    going, ended = survey(series, 100.0)
    assert [at for at, _ in going.rounds] == [100.0, 105.0, 110.0]
    assert (going.added, ended) == (3, 110.0)


def test_a_survey_right_after_it_takes_what_was_read(series: Series) -> None:
    survey(series, 100.0)
    going, _ = survey(series, 110.0 + GAP_S - 0.1)
    assert (going.added, going.status) == (0, status(110.0))


def test_one_that_comes_a_gap_later_adds_a_round_of_its_own(series: Series) -> None:
    survey(series, 100.0)
    going, ended = survey(series, 118.0)
    assert [at for at, _ in going.rounds] == [105.0, 110.0, 118.0]
    assert (going.added, ended) == (1, 118.0)


def test_after_a_break_everything_is_read_anew(series: Series) -> None:
    survey(series, 100.0)
    going, _ = survey(series, 110.0 + KEPT_S + 0.1)
    assert (going.added, going.status) == (3, {})


def test_volume_status_is_asked_anew_when_it_has_grown_old_though_the_rounds_go_on(series: Series) -> None:
    survey(series, 100.0)
    survey(series, 120.0)
    assert series.resume(110.0 + KEPT_S + 0.1).status == {}


def test_a_round_that_is_not_healed_is_the_last_and_nothing_is_kept(series: Series) -> None:
    survey(series, 100.0)
    going, _ = survey(series, 116.0, healed=False)
    assert (going.added, going.healed) == (1, False)
    assert series.resume(117.0).rounds == []


def test_what_the_run_does_to_the_storage_breaks_the_series(series: Series) -> None:
    survey(series, 100.0)
    series.forget()
    assert series.resume(111.0).rounds == []


def test_a_survey_that_was_under_way_meanwhile_keeps_nothing(series: Series) -> None:
    going = series.resume(100.0)
    going.add(100.0, WELL, True)
    series.forget()
    series.keep(going, status(100.0))
    assert series.resume(101.0).rounds == []


def test_a_volume_status_that_was_not_read_is_not_kept(series: Series) -> None:
    going = series.resume(100.0)
    going.add(100.0, WELL, True)
    series.keep(going, {"pve1": {"vmstore": Unread("locked", 100.0)}})
    assert series.resume(101.0).status == {}


@pytest.mark.parametrize("back_to", [50.0, 109.9])
def test_when_the_clock_was_put_back_nothing_counts(series: Series, back_to: float) -> None:
    survey(series, 100.0)
    assert series.resume(back_to).rounds == []


def test_a_volume_that_is_new_has_only_the_answers_it_gave(series: Series) -> None:
    going = series.resume(100.0)
    going.add(100.0, WELL, True)
    going.add(105.0, {"pve1": {**WELL["pve1"], "backup": Unread("busy", 105.0)}}, True)
    assert {volume: len(answers) for volume, answers in going.heals("pve1").items()} == {"vmstore": 2, "backup": 1}
