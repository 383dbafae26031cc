"""The midnight of 2017 in seconds: both routers die three hours after the run; found, first mention, first ring, and
the second person answering. Lived by tests/scenarios/midnight, whose whole transcript is the proof."""

from __future__ import annotations

from bench._figures import SCENARIOS, show
from sandbox.model import What
from sandbox.night import Night
from sandbox.scenario import load
from workflows.alerts import OUTAGE

DETECT_S = 30.0
"""Three failed looks, ten seconds apart."""
SECOND_S = 300.0 + DETECT_S + 60.0
"""The first rung's five minutes, and a minute to find the phone."""


def main() -> None:
    for what, after, most in seconds():
        show(f"2017: from the first router's death to {what}", f"{after:.0f} s", f"{most:.0f} s", after <= most)


def seconds() -> list[tuple[str, float, float]]:
    """(what, seconds after the first router died, at most)"""
    night = Night(load(SCENARIOS / "midnight")).live()
    died = min(event.at for event in night.model.events if event.what is What.FAULT and "guest-stops" in event.text)
    (outage,) = night.store.runs(workflow=OUTAGE)
    pages, orders = night.store.pages(outage.id), night.store.orders(outage.id)
    mention = min(page.at for page in pages if page.how == "mention")
    rung = min(page.at for page in pages if page.how == "voice")
    return [
        ("the outage", outage.created_at - died, DETECT_S),
        ("the first mention", mention - died, DETECT_S),
        ("the first telephone that rings", rung - died, DETECT_S),
        ("the second person, who presses 1", orders[0].at - died, SECOND_S),
    ]


if __name__ == "__main__":
    main()
