"""What a heal wait has seen so far, and what may be said of its end: nothing while it does not fall."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workflows.storage import STANDS_S

TREND_S = 300.0
"""The direction is what the last five minutes show: one heal pass of a brick takes its time."""
LEAST_FALL = 0.02  # of the peak, over TREND_S: less is called level

Curve = Sequence[Sequence[float]]


@dataclass(frozen=True, slots=True)
class Heal:
    """`pending`: brick -> entries, None where no number came. `curve`: (time in epoch seconds, whole), oldest first."""

    pending: Mapping[str, int | None]
    down: tuple[str, ...]
    split_brain: int
    curve: Curve

    @classmethod
    def of(cls, detail: Mapping[str, Any]) -> Heal | None:
        """From a wait's detail (workflows.picture.Wait); None if that wait is not about healing."""
        if "pending" not in detail:
            return None
        down, curve = tuple(detail.get("down", ())), detail.get("curve", ())
        return cls(detail["pending"], down, int(detail.get("split_brain", 0)), curve)

    @property
    def total(self) -> int:
        return sum(count or 0 for count in self.pending.values())

    @property
    def unknown(self) -> bool:
        return any(count is None and brick not in self.down for brick, count in self.pending.items())

    @property
    def peak(self) -> int:
        return max([self.total, *(int(total) for _, total in self.curve)])

    @property
    def share_healed(self) -> float:
        """1 only when every brick said 0."""
        if self.total == 0:
            return 0.0 if self.down or self.unknown or not self.pending else 1.0
        return 1 - self.total / self.peak

    @property
    def trend(self) -> float:
        """Entries per second over the last TREND_S: negative while it falls."""
        if len(self.curve) < 2:
            return 0.0
        end, last = self.curve[-1]
        begin, first = next(point for point in self.curve if point[0] >= end - TREND_S)
        return (last - first) / (end - begin) if end > begin else 0.0

    @property
    def arrow(self) -> str:
        level = LEAST_FALL * self.peak / TREND_S
        if self.trend < -level:
            return "↘"
        return "↗" if self.trend > level else "→"

    def left_s(self) -> float | None:
        """Seconds to go at the present pace; None while it does not fall, or not everything was counted."""
        if self.arrow != "↘" or self.unknown or self.down or self.split_brain:
            return None
        return -self.total / self.trend

    @property
    def stuck_s(self) -> float | None:
        """How long there has been no new low, once that is worth a warning."""
        if not self.curve or not self.total:
            return None
        low = min(total for _, total in self.curve)
        since = next(at for at, total in self.curve if total == low)
        level = self.curve[-1][0] - since
        return level if level >= STANDS_S else None
