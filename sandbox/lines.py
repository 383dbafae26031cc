"""What a test or a scenario can do to the faces: break a line at a chosen moment, or be told of every act."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum


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
    """Something that changes the cluster, as a face received it. `what`: "reboot 5f...", "POST /nodes/pve1/..."."""

    node: str
    what: str
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

    _planned: list[_Planned] = field(default_factory=list)
    _told: list[Callable[[Act], None]] = field(default_factory=list)

    def plan(self, fault: Fault, *, node: str = "", what: str = "", times: int = 1) -> None:
        """The next `times` requests to `node` ("" = any) whose words contain `what` go wrong."""
        self._planned.append(_Planned(fault, node, what, times))

    def take(self, node: str, what: str) -> Fault | None:
        """The fault that is due for this request, once fewer from now on."""
        for planned in self._planned:
            if planned.times > 0 and planned.node in ("", node) and planned.what in what:
                planned.times -= 1
                return planned.fault
        return None

    def on_act(self, callback: Callable[[Act], None]) -> None:
        """Called twice for each act, in the faces' thread, which waits for it: on receipt, and after the effect but
        before the answer."""
        self._told.append(callback)

    def tell(self, act: Act) -> None:
        for callback in self._told:
            callback(act)
