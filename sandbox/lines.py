"""What a test or a scenario can do to the faces: break a line at a chosen moment, or be told of every act."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

from sandbox.faults import How
from sandbox.model import Away, Denied, Model

T = TypeVar("T")


class Fault(StrEnum):
    """How one request goes wrong."""

    HANG = "hang"  # no answer ever; the line stays open
    FLOOD = "flood"  # SSH: 100 MB before the end
    DROP_BEFORE = "drop before"  # the line breaks, nothing happened
    DROP_AFTER = "drop after"  # it happened, the answer is lost
    CUT = "cut"  # SSH: the answer ends in the middle, exit code 0
    GARBAGE = "garbage"  # an answer that is no JSON and no XML, though it says success
    MISSING = "missing"  # SSH: the helper is not installed


class Gone(Exception):
    """The node lost its power while it was asked: the line breaks without an answer."""


class Moment(StrEnum):
    RECEIVED = "received"  # the request is there, nothing has been done
    DONE = "done"  # the effect is there, the answer has not been sent


@dataclass(frozen=True, slots=True)
class Act:
    """Something that changes the cluster, as a face received it, named as in `cluster.api`. `about`: a node's name, or
    a guest's id as text; `verb`: migrate, shutdown, start, set_onboot, maintenance, upgrade, reboot ..."""

    about: str
    verb: str
    moment: Moment


@dataclass(slots=True)
class _Planned:
    fault: Fault
    node: str
    what: str
    times: int


@dataclass(slots=True)
class Faults:
    """Planned faults, and who is told of acts. Used by the faces' one thread; plan from any other."""

    met: int = 0
    """How many requests have gone wrong so far."""
    _planned: list[_Planned] = field(default_factory=list)
    _told: list[Callable[[Act], None]] = field(default_factory=list)

    def plan(self, fault: Fault, *, node: str = "", what: str = "", times: int = 1) -> None:
        """The next `times` requests to `node` ("" = any) whose words contain `what` go wrong."""
        self._planned.append(_Planned(fault, node, what, times))

    def clear(self) -> None:
        """Everything works again."""
        self._planned.clear()

    def take(self, node: str, what: str, only: Fault | None = None) -> Fault | None:
        """The fault that is due for this request, once fewer from now on."""
        for planned in self._planned:
            fits = planned.times > 0 and planned.node in ("", node) and planned.what in what
            if fits and only in (None, planned.fault):
                planned.times -= 1
                self.met += 1
                return planned.fault
        return None

    def on_act(self, callback: Callable[[Act], None]) -> None:
        """Called twice for each act, in the faces' thread, which waits for it: on receipt, and after the effect but
        before the answer."""
        self._told.append(callback)

    def tell(self, act: Act) -> None:
        for callback in self._told:
            callback(act)


class Acts:
    """How an act on a real-protocol face meets its line: who is told, and what the model's night does to it."""

    def __init__(self, model: Model, clock: Callable[[], float], faults: Faults) -> None:
        self._model, self._clock, self._faults = model, clock, faults

    def do(self, verb: str, about: str, act: Callable[[], T]) -> T:
        """1. it is received, 2. the line may fail before, 3. it is done, 4. the line may fail before the answer."""
        self._faults.tell(Act(about, verb, Moment.RECEIVED))
        fault = self._model.trouble.line(verb, about)
        if fault and fault.how is not How.BROKEN:
            if fault.how is How.LATE:
                self._model.later(self._clock(), fault.amount, lambda: self._arrive_late(act))
            raise Gone
        result = act()
        self._faults.tell(Act(about, verb, Moment.DONE))
        if fault:
            raise Gone
        return result

    def _arrive_late(self, act: Callable[[], object]) -> None:
        try:
            act()
        except (Denied, Away) as nobody:
            self._model.lost_word(str(nobody))  # there is nobody left to answer; the record keeps it
