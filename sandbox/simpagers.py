"""Paging services as a simulated night needs them: pages that ring, and what comes of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from oncall.pagers import Checked, Delivery, Page, PagerError, State
from oncall.settings import Person
from sandbox.cast import IDS
from sandbox.clock import VirtualClock

ONCALL = {
    "people": {
        "alice": {"slack": IDS["alice"], "zone": "Europe/Berlin", "phone": "+4915111"},
        "bob": {"slack": IDS["bob"], "zone": "Europe/Berlin", "phone": "+4915222"},
        "carol": {"slack": IDS["carol"], "zone": "America/New_York", "phone": "+1212333"},
    },
    "rotas": [{"name": "primary", "layers": [{"people": ["alice"], "start": "2026-01-05T09:00"}]}],
    "policies": [
        {
            "name": "default",
            "rungs": [
                {"who": ["rota:primary"], "how": ["mention"], "night": ["mention", "pushover", "voice"], "wait": "5m"},
                {"who": ["bob"], "how": ["mention", "voice"], "wait": "5m"},
                {"who": ["everybody"], "how": ["mention", "voice"], "wait": "10m"},
            ],
        }
    ],
    "last_resort": ["carol"],
}
"""Alice is on call, Bob backs her up, then everybody."""


@dataclass(frozen=True, slots=True)
class Woken:
    """One page as it reached somebody (`how` "mention" and "direct" by Slack)."""

    at: float
    person: str
    how: str
    text: str


@dataclass
class SimPager:
    """A paging service. `refuses`: person -> why, for good; `down`: it takes nothing for now."""

    how: str
    clock: VirtualClock
    rings: Callable[[Woken, str], None]
    acknowledges: bool = True
    lookup: bool = True
    refuses: dict[str, str] = field(default_factory=dict)
    down: bool = False
    sent: dict[str, Page] = field(default_factory=dict)
    states: dict[str, Delivery] = field(default_factory=dict)
    cancelled: list[str] = field(default_factory=list)
    warning: str = ""

    def reaches(self, person: Person) -> str:
        return "" if person.phone else "no phone number in the settings"

    def send(self, page: Page) -> str:
        if self.down:
            raise PagerError(f"{self.how}: no answer", permanent=False)
        if page.name in self.refuses:
            raise PagerError(f"{self.how}: {self.refuses[page.name]}", permanent=True)
        receipt = f"{self.how}-{len(self.sent) + 1}"
        self.sent[receipt] = page
        self.states[receipt] = Delivery(State.WAITING)
        self.rings(Woken(self.clock.now, page.name, self.how, f"{page.title}. {page.text}"), receipt)
        return receipt

    def find(self, page: Page) -> str | None:
        if not self.lookup:
            return None
        same = [receipt for receipt, sent in self.sent.items() if (sent.run_id, sent.key) == (page.run_id, page.key)]
        return same[-1] if same else ""

    def state(self, receipt: str) -> Delivery:
        if self.down:
            raise PagerError(f"{self.how}: no answer", permanent=False)
        return self.states[receipt]

    def cancel(self, receipt: str) -> None:
        self.cancelled.append(receipt)

    def check(self, people: Mapping[str, Person]) -> Iterator[Checked]:
        yield from (Checked(True, self.how, f"{name} can be rung") for name in people if not self.reaches(people[name]))
