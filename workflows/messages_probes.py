"""What probes say of what they saw. No Slack markup: whoever shows an alert makes it harmless there."""

from __future__ import annotations

from cluster.detector import Raised


def seen(raised: Raised) -> str:
    """The alert's sentence: what was seen, whether it flaps. It may be spoken."""
    what = f"nobody can tell how it is: {raised.why}" if raised.unknown else raised.why
    return what + _flapping(raised.flaps)


def _flapping(flaps: int) -> str:
    return f"; it goes up and down: {flaps} times within the hour" if flaps > 1 else ""
