"""What probes say of what they saw. No Slack markup: whoever shows an alert makes it harmless there."""

from __future__ import annotations

from collections.abc import Sequence

from cluster.detector import Raised
from workflows.messages import some


def seen(raised: Raised) -> str:
    """The alert's sentence: what was seen, what it hides, whether it flaps."""
    what = f"nobody can tell how it is: {raised.why}" if raised.unknown else raised.why
    return "".join([what, _hidden(raised.hides), _flapping(raised.flaps)])


def _hidden(names: Sequence[str]) -> str:
    if not names:
        return ""
    count = "1 probe is" if len(names) == 1 else f"{len(names)} probes are"
    return f"; {count} reached only through it, and not judged meanwhile ({some(names, 4)})"


def _flapping(flaps: int) -> str:
    return f"; it goes up and down: {flaps} times within the hour" if flaps > 1 else ""
