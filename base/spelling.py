"""What somebody meant who wrote a word that is not known."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def meant(word: str, known: Iterable[str], otherwise: str = "", cutoff: float = 0.6) -> str:
    """' (did you mean "pve1"?)', with the blank before it; where nothing is spelled nearly so, `otherwise`. `cutoff`:
    how much alike they must be, 0 to 1."""
    near = difflib.get_close_matches(word, [*known], n=1, cutoff=cutoff)
    return f' (did you mean "{near[0]}"?)' if near else otherwise
