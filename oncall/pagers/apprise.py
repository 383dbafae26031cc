"""Any of Apprise's services, by its URL. It says whether a message was delivered, never whether somebody woke up.

No retry of its own (Apprise's default is none, with 4 seconds to connect and 4 between two bytes): the ladder goes on
instead, also when a service drips.
An Apprise URL is a secret as a whole, so no sentence here holds one; Apprise's own masked form shows parts of it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from oncall.pagers import Checked, Delivery, Page, Pager, PagerError, State, Surroundings
from oncall.pagers._speech import plain
from oncall.settings import Person

if TYPE_CHECKING:
    from apprise import NotifyBase


WHOLE_S = 20.0
"""For all that a person's services say: name look-up, connection, answer."""


class Apprise:
    how = "apprise"
    acknowledges = False
    warning = ""

    def reaches(self, person: Person) -> str:
        return "" if person.apprise else "no Apprise URL"

    def send(self, page: Page) -> str:
        """To all of the person's URLs; one that takes it is enough."""
        text = plain(page.text or page.title) + (f"\n{page.link}" if page.link else "")
        services = _services(page.person)
        if not _one_took(services, plain(page.title), text):
            names = ", ".join(sorted({_name(service) for service in services}))
            raise PagerError(f"not delivered by {names or 'Apprise'}; Apprise does not say why", permanent=False)
        return ""

    def find(self, page: Page) -> str | None:
        return None

    def state(self, receipt: str) -> Delivery:
        return Delivery(State.WAITING)

    def cancel(self, receipt: str) -> None:
        """What was delivered cannot be called back."""

    def check(self, people: Mapping[str, Person]) -> Iterator[Checked]:
        for name, person in people.items():
            if not self.reaches(person):
                names = ", ".join(_name(service) for service in _services(person))
                yield Checked(
                    True, f"apprise {name}", f"the URLs parse ({names}); only /oncall test proves that they work"
                )


def make(around: Surroundings) -> Pager | None:
    """Needs nothing but what people have."""
    return Apprise()


def parses(url: str) -> bool:
    return _service(url) is not None


def _services(person: Person) -> list[NotifyBase | None]:
    return [_service(url.get_secret_value()) for url in person.apprise]


def _service(url: str) -> NotifyBase | None:
    from apprise import Apprise as Library  # half a second: only for those who use it

    return Library.instantiate(url)


def _one_took(services: Sequence[NotifyBase | None], title: str, text: str) -> bool:
    """All are told at the same time; True as soon as one took it, False when none did within WHOLE_S. What still goes
    on then ends by itself: nobody waits for it."""
    told: SimpleQueue[bool] = SimpleQueue()
    for service in services:
        work = partial(_told, service, title, text)
        threading.Thread(target=lambda work=work: told.put(work()), name="apprise", daemon=True).start()
    end = time.monotonic() + WHOLE_S
    with suppress(Empty):
        return any(told.get(timeout=max(end - time.monotonic(), 0.0)) for _ in services)
    return False


def _told(service: NotifyBase | None, title: str, text: str) -> bool:
    """Never raises: what a plugin makes of an odd answer of its service is a message that was not delivered."""
    from apprise import NotifyType

    try:
        return service is not None and bool(service.notify(body=text, title=title, notify_type=NotifyType.FAILURE))
    except Exception:  # noqa: BLE001  # 170 plugins, each with its own errors, which may hold the URL
        return False


def _name(service: NotifyBase | None) -> str:
    return str(service.service_name) if service else "a URL that does not parse"
