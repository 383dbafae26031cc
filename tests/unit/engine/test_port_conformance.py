"""What every engine behind the port `Run` must do, told as what happens to one run in one night."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from engine.journal import FAULT_RETRY, Diverged, Pace, Rules
from engine.port import Again, DuplicateKey, Look, Plain, Run, Saying, Waiting
from store.api import Entry, KeyTaken, OrderRow, RunRow, Store, StoreError
from tests.unit.engine.engine_night import MIDNIGHT, RUN_ID, STRICT, Night, ask

Args = Mapping[str, Plain]
LOOSE = Rules()


@pytest.fixture
def night(store: Store) -> Night:
    return Night(store)


def forever(run: Run, key: str = "rest") -> None:
    """Keep the run from finishing, so that it is replayed at each look."""
    run.until(key, lambda look: Waiting("the night is long"), 7 * 86_400, why="morning", who="nobody")


# step ----------------------------------------------------------------------------------------------------------
def test_an_act_is_done_once_and_its_result_comes_back_in_every_replay(night: Night) -> None:
    acts: list[str] = []
    seen: list[Plain] = []

    def drain() -> Plain:
        acts.append("drained")
        return {"moved": [101, 102]}

    def workflow(run: Run, args: Args) -> Plain:
        seen.append(run.step("pve1.drain", drain))
        return forever(run)

    night.begin(workflow)
    night.look()
    night.look()
    assert acts == ["drained"]
    assert seen == [{"moved": [101, 102]}] * 3


def test_the_intent_stands_in_the_journal_before_the_act(night: Night) -> None:
    night.begin(lambda run, args: run.step("pve1.reboot", lambda: [list(pair) for pair in night.journal]))
    assert night.row.result == [["intent", "pve1.reboot"]]
    assert night.journal == [("intent", "pve1.reboot"), ("result", "pve1.reboot")]


def test_an_act_is_told_when_an_earlier_pass_may_have_acted(night: Night) -> None:
    told: list[bool] = []

    class PowerCut(BaseException): ...

    def workflow(run: Run, args: Args) -> Plain:
        def reboot() -> str:
            told.append(run.acted("pve1.reboot"))
            if len(told) == 1:
                raise PowerCut
            return "sent"

        return run.step("pve1.reboot", reboot)

    with pytest.raises(PowerCut):
        night.begin(workflow)
    night.look()
    assert told == [False, True]
    assert night.row.result == "sent"


def test_an_act_that_fails_has_no_result_and_the_workflow_hears_why(night: Night) -> None:
    def workflow(run: Run, args: Args) -> Plain:
        try:
            return run.step("pve1.drain", lambda: 1 // 0)
        except ZeroDivisionError as error:
            return f"held: {error}"

    night.begin(workflow)
    assert night.row.result == "held: integer division or modulo by zero"
    assert night.journal == [("intent", "pve1.drain")]


# until ---------------------------------------------------------------------------------------------------------
def test_an_approval_that_lands_in_time_while_the_bot_is_down_counts(night: Night) -> None:
    night.begin(lambda run, args: ask(run, night, minutes=30))
    night.down(29 * 60)
    night.approve("carol")
    night.down(60 * 60)
    night.look()
    assert night.row.result == "carol"


def test_an_approval_that_lands_after_the_deadline_while_the_bot_is_down_does_not(night: Night) -> None:
    night.begin(lambda run, args: ask(run, night, minutes=30))
    night.down(31 * 60)
    night.approve("carol")
    night.look()
    assert night.row.state == "done"
    assert night.row.result is None


def test_an_approval_wakes_the_run_at_once(night: Night) -> None:
    night.begin(lambda run, args: ask(run, night))
    night.awake(600)
    night.approve("carol")
    assert night.store.due(night.now) == [RUN_ID]
    night.awake(0)
    assert night.row.result == "carol"


def test_a_restart_does_not_lengthen_a_wait(night: Night) -> None:
    night.begin(lambda run, args: ask(run, night, minutes=30))
    deadline = night.parked["deadline"]
    night.down(1000)
    night.look()
    assert night.parked["deadline"] == deadline == MIDNIGHT + 1800
    assert night.parked["since"] == MIDNIGHT


def test_the_world_is_asked_exactly_once_more_after_the_deadline(night: Night) -> None:
    looks: list[float] = []

    def probe(look: Look) -> Waiting:
        looks.append(look.now - look.deadline)
        return Waiting("14 entries pending")

    night.begin(lambda run, args: run.until("heal", probe, 100, why="heal", who="nobody"))
    night.awake(500)
    assert [late for late in looks if late >= 0] == [0.0]
    assert night.row.result is None
    assert night.row.finished_at == MIDNIGHT + 100


def test_what_came_true_at_the_last_look_counts(night: Night) -> None:
    def healed(look: Look) -> str | Waiting:
        return "healed" if look.now > look.deadline else Waiting("healing")

    night.begin(lambda run, args: run.until("heal", healed, 100, why="heal", who="nobody"))
    night.down(1000)
    night.look()
    assert night.row.result == "healed"


@pytest.mark.parametrize("nothing", [0, False, "", []])
def test_a_value_that_python_calls_false_is_a_value(night: Night, nothing: Plain) -> None:
    night.begin(lambda run, args: ["saw", run.until("heal", lambda look: nothing, 100, why="heal", who="nobody")])
    assert night.row.result == ["saw", nothing]


def test_a_wait_looks_often_at_first_then_rarely_and_at_its_deadline(night: Night) -> None:
    looks: list[float] = []

    def probe(look: Look) -> Waiting:
        looks.append(look.now - look.since)
        return Waiting("healing")

    night.begin(lambda run, args: run.until("heal", probe, 2000, why="heal", who="nobody"))
    night.awake(3000)
    rests = [later - earlier for earlier, later in pairwise(looks)]
    assert looks[:3] == [0, 5, 10]
    assert max(rests) == 60
    assert rests[:-1] == sorted(rests[:-1])
    assert looks[-1] == 2000


def test_the_pace_can_be_set(night: Night) -> None:
    night.rules = replace(STRICT, pace=Pace(divisor=4, least=60, most=1800))
    night.begin(lambda run, args: forever(run))
    assert night.row.wake_at == MIDNIGHT + 60
    night.down(2000)
    night.look()
    assert night.row.wake_at == night.now + 500


def test_the_rest_begins_when_the_look_has_ended(night: Night) -> None:
    def slow(look: Look) -> Waiting:
        night.now += 53
        return Waiting("the peers answered slowly")

    night.begin(lambda run, args: run.until("heal", slow, 3600, why="heal", who="nobody"))
    assert night.row.wake_at == MIDNIGHT + 53 + 5


def test_a_probe_that_raises_has_seen_nothing_and_the_wait_goes_on(night: Night) -> None:
    def broken(look: Look) -> str:
        raise OSError("no route to pve2")

    night.begin(lambda run, args: run.until("heal", broken, 100, why="heal", who="nobody"))
    assert night.parked["seen"] == "could not look: no route to pve2"
    night.awake(100)
    assert night.row.state == "done"
    assert night.row.result is None


def test_a_probe_that_raises_the_same_all_the_time_is_in_the_log_once(
    night: Night, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(look: Look) -> str:
        raise TimeoutError

    night.begin(lambda run, args: run.until("heal", broken, 1000, why="heal", who="nobody"))
    night.awake(100)
    assert [record.message for record in caplog.records] == [
        "engine: run 'up-lab-1': 'heal': could not look: TimeoutError"
    ]
    assert caplog.records[0].exc_info


@pytest.mark.parametrize("fault", [StoreError("disk full"), DuplicateKey("heal"), Diverged("x"), AssertionError("x")])
def test_a_probe_does_not_hide_what_says_nothing_about_the_world(night: Night, fault: Exception) -> None:
    def broken(look: Look) -> str:
        raise fault

    with pytest.raises(type(fault)):
        night.begin(lambda run, args: run.until("heal", broken, 100, why="heal", who="nobody"))


def test_polls_leave_no_trace_in_the_journal(night: Night) -> None:
    night.begin(lambda run, args: forever(run))
    night.awake(3600)
    assert night.journal == [("wait", "rest")]


def test_a_waiting_run_says_what_it_waits_for_and_what_it_saw_last(night: Night) -> None:
    def healing(look: Look) -> Waiting:
        return Waiting("14 entries pending on pve2", {"pending": {"pve2": 14}})

    night.begin(lambda run, args: run.until("pve1.heal", healing, 100, why="the heal of vol1", who="nobody"))
    night.down(10)
    night.look()
    assert night.parked == {
        "key": "pve1.heal",
        "why": "the heal of vol1",
        "who": "nobody",
        "seen": "14 entries pending on pve2",
        "detail": {"pending": {"pve2": 14}},
        "since": MIDNIGHT,
        "deadline": MIDNIGHT + 100,
        "looked_at": MIDNIGHT + 10,
    }


def test_a_probe_is_told_what_the_look_before_saw_of_the_same_wait(night: Night) -> None:
    told: list[Any] = []

    def curve(look: Look) -> str | Waiting:
        told.append(look.last)
        return "healed" if len(told) in (2, 4) else Waiting("healing", {"curve": len(told)})

    def workflow(run: Run, args: Args) -> Plain:
        run.until("pve1.heal", curve, 100, why="heal", who="nobody")
        return run.until("pve2.heal", curve, 100, why="heal", who="nobody")

    night.begin(workflow)
    night.awake(60)
    assert told == [None, {"curve": 1}, None, {"curve": 3}]


# keys ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("verb", ["step", "say", "part", "until"])
def test_a_key_used_twice_in_one_pass_is_an_error_in_the_first_pass_and_in_every_replay(
    night: Night, verb: str
) -> None:
    verbs: dict[str, Callable[[Run], object]] = {
        "step": lambda run: run.step("pve1.ask", lambda: 1),
        "say": lambda run: run.say("pve1.ask", lambda: None),
        "part": lambda run: run.part("pve1.ask", lambda: 1),
        "until": lambda run: run.until("pve1.ask", lambda look: 1, 10, why="", who=""),
    }

    def workflow(run: Run, args: Args) -> None:
        run.step("pve1.ask", lambda: 1)
        verbs[verb](run)

    with pytest.raises(DuplicateKey, match=r"pve1\.ask"):
        night.begin(workflow)
    with pytest.raises(DuplicateKey, match=r"pve1\.ask"):
        night.look()


# say -----------------------------------------------------------------------------------------------------------
def test_a_message_is_said_once_and_worded_at_the_moment_of_writing(night: Night) -> None:
    wordings: list[str] = []
    healed_at = MIDNIGHT + 300

    def word() -> Saying:
        wordings.append("worded")
        return Saying("note", f"{night.now - MIDNIGHT:.0f} s", ("alice",), detail={"node": "pve1"})

    def workflow(run: Run, args: Args) -> None:
        wait_until(run, healed_at)
        run.say("pve1.done", word)
        forever(run)

    night.begin(workflow)
    assert night.said == []
    night.awake(1000)
    assert wordings == ["worded"]
    assert night.said == ["300 s"]
    (row,) = night.store.outbox(RUN_ID)
    assert Saying.of(row.message) == Saying("note", "300 s", ("alice",), detail={"node": "pve1"})


def test_what_need_not_be_said_any_more_is_passed_over_for_good(night: Night) -> None:
    wordings: list[Saying | None] = [None, Saying("page", "nobody must see this")]

    def workflow(run: Run, args: Args) -> None:
        run.say("page", lambda: wordings.pop(0))
        forever(run)

    night.begin(workflow)
    night.look()
    assert night.said == []
    assert len(wordings) == 1


def wait_until(run: Run, moment: float) -> None:
    run.until(
        "sleep",
        lambda look: True if look.now >= moment else Waiting("asleep"),
        moment - MIDNIGHT,
        why="",
        who="",
    )


# part ----------------------------------------------------------------------------------------------------------
def test_a_part_is_passed_in_one_look_once_it_is_through(night: Night) -> None:
    walks: list[str] = []

    def node(run: Run) -> str:
        walks.append("walked")
        run.step("pve1.drain", lambda: "drained")
        ask(run, night)
        return "upgraded"

    def workflow(run: Run, args: Args) -> Plain:
        state = run.part("pve1", lambda: node(run))
        run.step("after", lambda: state)
        return forever(run)

    night.begin(workflow)
    night.approve("carol")
    night.look()
    assert walks == ["walked", "walked"]
    night.look()
    night.look()
    assert walks == ["walked", "walked"]
    assert ("result", "pve1") in night.journal


# Again ---------------------------------------------------------------------------------------------------------
def test_again_goes_on_as_if_new_with_other_arguments(night: Night) -> None:
    def ladder(run: Run, args: Args) -> Plain | Again:
        turn = args["round"]
        assert isinstance(turn, int)
        run.say(f"page#{turn}", lambda: Saying("page", f"wake up, round {turn}"))
        wait_until(run, MIDNIGHT + 60 * turn)
        return Again({"round": turn + 1}) if turn < 3 else "answered"

    night.begin(ladder, {"round": 1})
    night.awake(600)
    assert night.said == ["wake up, round 1", "wake up, round 2", "wake up, round 3"]
    assert night.row.result == "answered"
    assert len(night.journal) == 3


def test_a_page_under_a_key_of_an_earlier_round_is_a_fault_and_not_lost(night: Night) -> None:
    def ladder(run: Run, args: Args) -> Plain | Again:
        run.say("page", lambda: Saying("page", "wake up"))
        return Again({"round": 2})

    night.begin(ladder, {"round": 1})
    with pytest.raises(KeyTaken):
        night.look()


# new versions --------------------------------------------------------------------------------------------------
def test_a_new_version_inserts_a_step_in_the_middle_and_nothing_is_repeated(night: Night) -> None:
    acts: list[str] = []

    def act(run: Run, key: str) -> None:
        run.step(key, lambda: acts.append(key))

    def old(run: Run, args: Args) -> Plain:
        act(run, "drain")
        act(run, "upgrade")
        approver = ask(run, night)
        act(run, "reboot")
        return approver

    def new(run: Run, args: Args) -> Plain:
        act(run, "drain")
        act(run, "check-disk")
        act(run, "upgrade")
        approver = ask(run, night)
        act(run, "check-bricks")
        act(run, "reboot")
        return approver

    night.rules = LOOSE
    night.begin(old)
    night.workflow = new
    night.approve("carol")
    night.look()
    assert acts == ["drain", "upgrade", "check-disk", "check-bricks", "reboot"]
    assert night.row.result == "carol"


def test_a_new_version_leaves_a_step_out_and_the_run_goes_on(night: Night, caplog: pytest.LogCaptureFixture) -> None:
    def old(run: Run, args: Args) -> Plain:
        run.step("pve1.greet", lambda: "hello")
        return ask(run, night)

    night.rules = LOOSE
    night.begin(old)
    night.workflow = lambda run, args: ask(run, night)
    night.approve("carol")
    night.look()
    assert night.row.result == "carol"
    assert "never came by pve1.greet" in caplog.text


@pytest.mark.parametrize(
    "kept", sorted(Path(__file__).with_name("journals").glob("*.json")), ids=lambda path: path.stem
)
def test_a_kept_journal_of_a_former_version_replays_without_acting_again(night: Night, kept: Path) -> None:
    """The files are journals as released versions wrote them; never change one, add the next."""
    story = json.loads(kept.read_text())
    night.store.start_run(RunRow(RUN_ID, "story", "lab", story["args"], "active", MIDNIGHT, "alice", MIDNIGHT))
    for entry in story["entries"]:
        night.store.write(RUN_ID, Entry(**entry))

    def refuse() -> str:
        pytest.fail("acted again")

    def workflow(run: Run, args: Args) -> Plain:
        assert args == {"nodes": ["pve1"]}
        moved = run.part("pve1", lambda: run.step("pve1.drain", refuse))
        approver = ask(run, night, key="pve1.ask")
        run.say("pve1.said", lambda: pytest.fail("said again"))
        assert not run.acted("pve1.upgrade")
        return [moved, approver, run.step("pve1.reboot", lambda: ["acted before", run.acted("pve1.reboot")])]

    night.workflow = workflow
    night.look()
    assert night.row.result == story["result"]


# replay --------------------------------------------------------------------------------------------------------
def fickle(night: Night) -> Callable[[Run, Args], Plain]:
    """A workflow that lets the time of day decide its way, beside `step` and `until`."""

    def workflow(run: Run, args: Args) -> Plain:
        if night.now < MIDNIGHT + 60:
            run.step("pve1.drain", lambda: "drained")
        else:
            run.step("pve2.drain", lambda: "drained")
        return forever(run)

    return workflow


def test_a_read_beside_step_and_until_is_found_when_strict(night: Night) -> None:
    night.begin(fickle(night))
    night.down(60)
    with pytest.raises(Diverged, match=r"never came by pve1\.drain"):
        night.look()
    assert ("intent", "pve2.drain") not in night.journal


def test_a_read_that_only_changes_the_end_is_found_too(night: Night) -> None:
    night.begin(lambda run, args: forever(run))
    night.workflow = lambda run, args: "finished without waiting"
    with pytest.raises(Diverged, match="never came by rest"):
        night.look()


def test_a_diverging_replay_is_a_line_in_the_log_in_production(night: Night, caplog: pytest.LogCaptureFixture) -> None:
    night.rules = LOOSE
    night.begin(fickle(night))
    night.down(60)
    night.look()
    assert "never came by pve1.drain" in caplog.text
    assert ("result", "pve2.drain") in night.journal


def test_keys_inside_a_part_that_was_passed_in_one_look_are_not_missed(night: Night) -> None:
    def workflow(run: Run, args: Args) -> Plain:
        run.step("preflight", lambda: "passed")
        run.part("pve1", lambda: run.step("pve1.drain", lambda: "drained"))
        ask(run, night, key="pve2.ask")
        run.step("pve2.drain", lambda: "drained")
        return forever(run)

    night.begin(workflow)
    night.approve("carol", "pve2.ask")
    night.look()
    assert ("result", "pve2.drain") in night.journal


# pokes ---------------------------------------------------------------------------------------------------------
def test_an_order_that_arrives_during_a_pass_is_not_lost(night: Night) -> None:
    def workflow(run: Run, args: Args) -> Plain:
        def order_arrives_right_after_the_look(look: Look) -> str | Waiting:
            orders = [order.verb for order in night.store.orders(RUN_ID)]
            night.store.order(OrderRow(0, RUN_ID, "pause", "", "", "bob", night.now, "trigger-1"))
            return orders[0] if orders else Waiting("no order")

        return run.until("hold", order_arrives_right_after_the_look, 600, why="", who="")

    night.begin(workflow)
    assert night.store.due(night.now) == [RUN_ID]
    night.awake(0)
    assert night.row.result == "pause"


def test_a_finished_or_unknown_run_is_left_alone(night: Night) -> None:
    night.begin(lambda run, args: "done")
    night.workflow = lambda run, args: pytest.fail("called again")
    night.look()
    replace(night, run_id="nobody").look()
    assert night.row.result == "done"


# faults in the workflow itself ---------------------------------------------------------------------------------
def broken(run: Run, args: Args) -> Plain:
    run.step("pve1.drain", lambda: "drained")
    raise ZeroDivisionError("no nodes")


def test_a_fault_in_the_workflow_parks_the_run_and_pages_once(night: Night) -> None:
    night.rules = LOOSE
    night.begin(broken)
    night.awake(3 * FAULT_RETRY)
    assert night.row.state == "active"
    assert night.said == [
        "Run up-lab-1 stands still, a fault of the bot itself: ZeroDivisionError: no nodes. It is tried again."
    ]
    assert (night.parked["key"], night.parked["seen"]) == ("fault", "ZeroDivisionError: no nodes")
    assert (night.parked["since"], night.parked["deadline"]) == (MIDNIGHT, night.row.wake_at)
    assert night.row.wake_at == MIDNIGHT + 4 * FAULT_RETRY


def test_a_new_version_ends_the_fault_and_the_run_goes_on(night: Night) -> None:
    night.rules = LOOSE
    night.begin(broken)
    night.workflow = lambda run, args: run.step("pve1.drain", lambda: pytest.fail("drained again"))
    night.awake(FAULT_RETRY)
    assert night.row.result == "drained"


def test_the_next_fault_further_on_pages_again(night: Night) -> None:
    night.rules = LOOSE

    def broken_later(run: Run, args: Args) -> Plain:
        run.step("pve1.drain", lambda: "drained")
        run.step("pve1.upgrade", lambda: "upgraded")
        raise ZeroDivisionError("no nodes")

    night.begin(broken)
    night.workflow = broken_later
    night.awake(2 * FAULT_RETRY)
    assert len(night.said) == 2


def test_a_fault_in_a_later_round_pages_again(night: Night) -> None:
    night.rules = LOOSE
    night.begin(lambda run, args: 1 // 0)
    night.workflow = lambda run, args: 1 // 0 if args else Again({"round": 2})
    night.awake(FAULT_RETRY)
    assert len(night.said) == 2


def test_a_result_that_is_not_plain_is_a_fault_of_the_workflow_too(night: Night) -> None:
    night.rules = LOOSE
    night.begin(lambda run, args: run.step("pve1.status", lambda: object()))
    assert night.parked["seen"].startswith("TypeError: ")
    night.begin(lambda run, args: object())
    assert night.parked["seen"].startswith("TypeError: ")


def test_the_page_of_a_fault_is_worded_by_whoever_runs_the_engine(night: Night) -> None:
    night.rules = Rules(page=lambda row, sentence: Saying("page", f"{row.cluster}: {sentence}", ("U-OPS",)))
    night.begin(broken)
    (row,) = night.store.outbox(RUN_ID)
    assert (row.message["text"], row.message["mention"]) == ("lab: ZeroDivisionError: no nodes", ["U-OPS"])


SCRUBBING = Rules(scrub=lambda text: text.replace("hunter2", "(secret)"))


def test_no_secret_that_an_exception_says_is_kept_or_told(night: Night) -> None:
    def leaks(*_: object) -> Plain:
        raise ValueError("bad header: Bearer hunter2")

    night.rules = SCRUBBING
    night.begin(leaks)
    assert "hunter2" not in str([night.parked, night.said, night.store.entries(RUN_ID)])
    night.workflow = lambda run, args: run.until("heal", leaks, 3600, why="", who="")
    night.awake(FAULT_RETRY)
    assert night.parked["seen"] == "could not look: bad header: Bearer (secret)"


def test_strict_raises_a_fault_at_once(night: Night) -> None:
    with pytest.raises(ZeroDivisionError):
        night.begin(broken)
    assert night.said == []
