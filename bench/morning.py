"""The simulated morning of 2017: from midnight, when both routers die, until both serve again, restored from Slack.

Disks of 16 GiB are written side by side at 60 MB/s each; whoever is asked answers within a minute; the direct way in is
dead with the routers, so all goes over the line that is left. The bot's own share is what is left when waiting for
people and the work of Proxmox VE (stopping, writing, booting) are taken off the slower of the two restores.
"""

from __future__ import annotations

import logging

from bench._figures import SCENARIOS, show
from sandbox.model import What
from sandbox.night import Night
from sandbox.scenario import load
from workflows.phases import RESTORE

THEN_H = 12.0
"""What it took in 2017: somebody had to drive."""
MOST_MIN, OWN_S = 15.0, 30.0
RATE = 60e6  # bytes a second, of each disk
WORK = ("qmstop", "qmrestore", "qmstart")


def main() -> None:
    logging.disable(logging.CRITICAL)
    night = lived()
    total, writing, own = total_s(night), writing_s(night), own_s(night)
    show(
        f"midnight to both routers serving, in simulated minutes ({THEN_H:.0f} h in 2017)",
        minutes(total),
        f"under {MOST_MIN:.0f} min",
        total < MOST_MIN * 60,
    )
    show(f"of which writing disks of 16 GiB at {RATE / 1e6:.0f} MB/s, side by side", minutes(writing), "none", True)
    show("of which the bot's own share", f"{own:.0f} s", f"under {OWN_S:.0f} s", own < OWN_S)


def lived() -> Night:
    return Night(load(SCENARIOS / "morning-after")).live()


def total_s(night: Night) -> float:
    """Until the later of the two started for good."""
    back = [event.at for event in night.model.events if event.what is What.GUEST_STARTED and event.guest in (101, 102)]
    assert len(back) == 2, "both routers are back"
    return max(back) - night.scenario.start


def writing_s(night: Night) -> float:
    return max(
        (task.ended or 0.0) - task.started for task in night.model.tasks.all.values() if task.kind == "qmrestore"
    )


def own_s(night: Night) -> float:
    """Of the slower restore: its whole time, without people and without Proxmox VE's own work."""
    shares: list[float] = []
    for run in night.store.runs(workflow=RESTORE):
        tasks = [task for task in night.model.tasks.all.values() if task.guest == str(run.result["guest"])]
        work = sum((task.ended or 0.0) - task.started for task in tasks if task.kind in WORK)
        shares.append(run.result["total"] - run.result["people"] - work)
    return max(shares)


def minutes(seconds: float) -> str:
    return f"{int(seconds // 60)} min {int(seconds % 60):02d} s"


if __name__ == "__main__":
    main()
