"""The faults of a night: which of them stand now, and what sets off the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sandbox.faults import BadFault, Fault, Kind
from sandbox.model.core import Core, Event, What

Effect = Callable[[Fault], None]


class Trouble:
    """Faults begin by the clock or after an event. `begins` and `ends` hold what a kind does to the world at those
    moments; most kinds do nothing there, they are asked for with `has` and `take` where they matter."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.begins: dict[Kind, Effect] = {}
        self.ends: dict[Kind, Effect] = {}
        self._standing: dict[tuple[Kind, str], Fault] = {}
        self._kinds: frozenset[Kind] = frozenset()  # of those that stand: nearly every question is answered by it
        self._left: dict[tuple[Kind, str], int] = {}
        self._waiting: list[tuple[str, Fault]] = []
        self._seen: dict[str, int] = {}

    def plan(self, faults: Sequence[Fault]) -> None:
        for fault in faults:
            if fault.after:
                self._waiting.append((self._trigger(fault.after), fault))
            elif fault.at + fault.delay > 0:
                self.core.later(self.core.start + fault.at + fault.delay - self.core.now, lambda f=fault: self.begin(f))  # type: ignore[misc]
            else:
                self.begin(fault)

    def has(self, kind: Kind, about: str = "") -> Fault | None:
        """The standing fault of this kind that concerns `about` (or everybody)."""
        if kind not in self._kinds:
            return None
        return self._standing.get((kind, about)) or self._standing.get((kind, ""))

    def take(self, kind: Kind, about: str) -> Fault | None:
        """Like `has`, but each call uses up one of the fault's `times`."""
        fault = self.has(kind, about)
        if fault and self._used_up(fault):
            self.end(fault)
        return fault

    def line(self, verb: str, about: str) -> Fault | None:
        """The fault that this very call of `verb` meets on its line: the `times`-th since the fault began."""
        fault = self.has(Kind.LINE, f"{verb} {about}")
        if fault is None or not self._used_up(fault):
            return None
        self.end(fault)
        return fault

    def begin(self, fault: Fault) -> None:
        key = (fault.kind, fault.about)
        self._standing[key], self._left[key] = fault, fault.times
        self._kinds = frozenset(kind for kind, _ in self._standing)
        self.core.note(What.FAULT, fault.node, guest=fault.guest, text=fault.kind.value)
        self.begins.get(fault.kind, _nothing)(fault)
        if fault.lasts is not None:
            self.core.later(fault.lasts, lambda: self.end(fault))

    def end(self, fault: Fault) -> None:
        if self._standing.get((fault.kind, fault.about)) is not fault:
            return
        del self._standing[fault.kind, fault.about]
        self._kinds = frozenset(kind for kind, _ in self._standing)
        self.core.note(What.FAULT_OVER, fault.node, guest=fault.guest, text=fault.kind.value)
        self.ends.get(fault.kind, _nothing)(fault)

    def heard(self, event: Event) -> None:
        """An event happened: set off what waited for it."""
        if not self._waiting:
            return
        name = f"{event.what} {event.guest or event.node}".strip()
        self._seen[name] = self._seen.get(name, 0) + 1
        due = [item for item in self._waiting if item[0] == f"{name} #{self._seen[name]}"]
        for item in due:
            self._waiting.remove(item)
            self.core.later(item[1].delay, lambda f=item[1]: self.begin(f))  # type: ignore[misc]

    def _used_up(self, fault: Fault) -> bool:
        key = (fault.kind, fault.about)
        self._left[key] -= 1
        return self._left[key] <= 0

    @staticmethod
    def _trigger(after: str) -> str:
        """ "reboot pve2" -> "reboot pve2 #1"; refuses what can never happen."""
        what = after.split()[0]
        if what not in list(What):
            raise BadFault(f'after: nothing is ever called "{what}"; it can be one of {", ".join(What)}')
        return after if "#" in after else f"{after} #1"


def _nothing(_: Fault) -> None:
    """Most faults change nothing at the moment they begin or end."""
