"""What somebody meant who wrote a word that is not known."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import SequenceMatcher, get_close_matches


def nearest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """The one of them that is spelled most nearly so, "" if none is, or if two are as near (pve9 is as near to pve1 as
    to pve2). Capitals do not count: telephones like to begin with one. `cutoff`: how much alike, 0 to 1."""
    written = {one.lower(): one for one in known}
    near = get_close_matches(word.lower(), written, n=2, cutoff=cutoff)
    alike = [SequenceMatcher(None, one, word.lower()).ratio() for one in near]
    return written[near[0]] if near and len({*alike}) == len(alike) else ""


def meant(word: str, known: Iterable[str], otherwise: str = "", cutoff: float = 0.6) -> str:
    """' (did you mean "pve1"?)', with the blank before it; where that is not clear, `otherwise`."""
    near = nearest(word, known, cutoff)
    return f' (did you mean "{near}"?)' if near else otherwise
