"""One command over several ways: what goes on to the next, and what is said when none brought an answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import pytest

from cluster.api import ClusterError, Refused, Uncertain, Unreachable
from cluster.helper import Helper
from cluster.login import Stranger
from cluster.paths import ManyWays
from cluster.routes import Face, Routes
from cluster.ssh import Done, LineLost, SshNode
from tests.unit.cluster.fakes import FakeSsh, settings

GOOD = Done(0, b"{}", b"")
SILENT, LOST = Unreachable("it says nothing"), LineLost("the line broke after `x` on pve1 was sent")
SLOW, NO_LOGIN, OTHER_KEY = Uncertain("did not end within 5 s"), Refused("no login"), Stranger("another host key")


class Line:
    """Stands for SshNode: answers once each from a list."""

    def __init__(self, answer: Done | ClusterError) -> None:
        self.answer = answer
        self.asked = 0

    def run(self, argv: Sequence[str], timeout: float, limit_bytes: int = 0, stdin: bytes = b"") -> Done:
        self.asked += 1
        if isinstance(self.answer, ClusterError):
            raise self.answer
        return self.answer


class Ways:
    def __init__(self, *answers: Done | ClusterError) -> None:
        self.lines = {name: Line(answer) for name, answer in zip(("direct", "lte", "vpn"), answers, strict=False)}
        self.routes = Routes(list(self.lines), 180.0)
        self.shell = ManyWays("pve1", cast(dict[str, SshNode], self.lines), self.routes)

    @property
    def asked(self) -> list[int]:
        return [line.asked for line in self.lines.values()]


def test_the_first_way_is_enough_when_it_answers() -> None:
    ways = Ways(GOOD, GOOD)
    assert ways.shell.run(["x"], 5) == GOOD
    assert ways.asked == [1, 0]


@pytest.mark.parametrize("failure", [SILENT, OTHER_KEY])
def test_what_was_never_sent_goes_on_to_the_next_way_whatever_it_is(failure: ClusterError) -> None:
    ways = Ways(failure, GOOD)
    assert ways.shell.run(["x"], 5, twice=False) == GOOD
    assert ways.routes.order("pve1", Face.SSH) == ["lte", "direct"]


def test_what_was_sent_goes_on_only_if_twice_does_no_harm_and_the_doubt_comes_along() -> None:
    ways = Ways(LOST, GOOD)
    with pytest.raises(Uncertain, match="the line broke"):
        ways.shell.run(["x"], 5)
    assert ways.asked == [1, 0]
    assert ways.shell.run(["x"], 5, twice=True).doubt == str(LOST)
    assert ways.asked == [2, 1]


@pytest.mark.parametrize("answer", [SLOW, NO_LOGIN])
def test_what_is_not_the_way_s_fault_is_not_tried_over_another(answer: ClusterError) -> None:
    ways = Ways(answer, GOOD)
    with pytest.raises(type(answer)):
        ways.shell.run(["x"], 5, twice=True)
    assert ways.asked == [1, 0]
    assert ways.routes.order("pve1", Face.SSH) == ["direct", "lte"]


@pytest.mark.parametrize(
    ("answers", "kind"),
    [
        ((SILENT, SILENT), Unreachable),
        ((OTHER_KEY, OTHER_KEY), Refused),
        ((OTHER_KEY, SILENT), Unreachable),
        ((LOST, SILENT), Uncertain),
        ((SILENT, LOST), Uncertain),
        ((LOST, NO_LOGIN), Uncertain),
    ],
)
def test_it_is_uncertain_as_soon_as_one_way_may_have_carried_it(
    answers: tuple[ClusterError, ...], kind: type[ClusterError]
) -> None:
    with pytest.raises(kind) as caught:
        Ways(*answers).shell.run(["x"], 5, twice=True)
    assert all(str(answer) in str(caught.value) for answer in answers)


def test_a_node_that_no_way_reaches_changes_no_order() -> None:
    ways = Ways(SILENT, SILENT)
    with pytest.raises(Unreachable):
        ways.shell.run(["x"], 5)
    assert ways.routes.order("pve1", Face.SSH) == ["direct", "lte"]


def test_a_node_that_comes_up_while_its_ways_are_tried_changes_no_order() -> None:
    ways = Ways(SILENT, SILENT)
    with pytest.raises(Unreachable):
        ways.shell.run(["x"], 5)
    ways.lines["lte"].answer = GOOD
    assert ways.shell.run(["x"], 5) == GOOD
    assert ways.routes.order("pve1", Face.SSH) == ["direct", "lte"]


# ---- the helper's orders -------------------------------------------------------------------------------------------


def helper(answer: Done, words: str) -> tuple[Helper, FakeSsh]:
    ssh = FakeSsh("pve1")
    ssh.answers[words] = answer
    return Helper(ssh, settings()), ssh


def test_a_refusal_after_a_lost_try_may_mean_that_the_lost_one_was_obeyed() -> None:
    no = Done(3, b'{"refused": "a shutdown of this node is under way", "hint": ""}', b"", doubt="the line broke")
    asked, _ = helper(no, "reboot b00t 12.00")
    with pytest.raises(Uncertain, match="the line broke; tried again over another path: pve1: a shutdown"):
        asked.reboot("b00t", 12.0)


def test_a_refusal_at_the_first_try_is_one() -> None:
    asked, _ = helper(Done(3, b'{"refused": "another boot", "hint": ""}', b""), "reboot b00t 12.00")
    with pytest.raises(Refused, match="another boot"):
        asked.reboot("b00t", 12.0)


def test_a_read_that_is_refused_after_a_lost_try_is_refused() -> None:
    asked, _ = helper(Done(3, b'{"refused": "no", "hint": ""}', b"", doubt="the line broke"), "unit run.pve1.upgrade")
    with pytest.raises(Refused):
        asked.unit("run.pve1.upgrade")


def test_every_read_goes_on_over_the_next_way() -> None:
    asked, ssh = helper(Done(0, b'{"images": {}, "entries": 0, "whole": true}', b""), "images vmstore")
    assert asked.images("vmstore") == {}
    assert ssh.twice == [True]


def test_an_order_that_guards_itself_may_arrive_twice_and_any_other_act_may_not() -> None:
    asked, ssh = helper(Done(0, b"{}", b""), "maintenance off 10.00 pve1")
    ssh.answers["unlock 101 backup"] = Done(0, b"{}", b"")
    asked.maintenance_off("pve1", 10.0)
    asked.unlock(101, "backup")
    assert ssh.twice == [True, False]
