"""How a settings file is read, whatever it says: sections that refuse unknown keys, and durations with their unit."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def seconds(text: object) -> float:
    """ "30m" -> 1800.0. A bare number is refused: nobody can tell seconds from minutes at night."""
    if isinstance(text, float):  # already parsed: defaults and copies
        return text
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhd])\s*", str(text))
    if not match:
        raise ValueError(
            f'{text!r} is not a duration; write a number with its unit, such as "30s", "15m", "4h" or "2d"'
        )
    return float(match[1]) * _UNITS[match[2]]


Duration = Annotated[float, BeforeValidator(seconds)]


class Section(BaseModel):
    """Base of every section of the settings: unknown keys are refused, nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)
