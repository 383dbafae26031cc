"""Who was paged, in a test's own words. Whatever was rung and nobody expected fails the test."""

from __future__ import annotations

from collections.abc import Sequence

from sandbox.phones.company import Paged


class Expect:
    """Reads the list of all that was sent; what a test asserted is off it."""

    def __init__(self) -> None:
        self._open: list[Paged] = []

    def heard(self, paged: Paged) -> None:
        self._open.append(paged)

    def assert_paged(self, person: str, how: str, says: str = "") -> Paged:
        """The oldest page to this person in this way. `says`: words that were sent with it; a call speaks later."""
        found = next((paged for paged in self._open if (paged.person, paged.how) == (person, how)), None)
        assert found is not None, f"{person} was not paged by {how}; open are: {_told(self._open)}"
        assert says in found.text, f"{person} was told {found.text!r}"
        self._open.remove(found)
        return found

    def assert_nobody_paged(self) -> None:
        assert not self._open, f"pages that nobody expected: {_told(self._open)}"


def _told(pages: Sequence[Paged]) -> str:
    return ", ".join(f"{paged.person} by {paged.how}" for paged in pages) or "none"
