"""A real GlusterFS under a rolling upgrade: with the gate, and the way of 2017.

Real: glusterd, bricks, heals, FUSE mounts, sshd, the node helper, paramiko, proxmoxer over TLS, the journal on SQLite,
the workflow. Stood in for: systemd, apt's packages, the kernel's release and boot id, corosync and HA (one machine has
one kernel), and Slack.
"""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from cluster.api import Refused
from sandbox.fixed_delay import fixed_delay
from tests.lab.guests import IMAGES, PretendGuests
from tests.lab.hardware import VOLUME, Lab, wait_for
from tests.lab.lab_bot import LabBot, OldScript
from workflows.site import Site

pytestmark = [pytest.mark.lab, pytest.mark.timeout(2400)]

TOO_SHORT_S = 2.0
"""The fixed delay of 2017, in the lab's scale: ssh and glusterd are back, the heal is not done."""

SLOW_MBIT = 60
"""The cable of each node from its next boot on: on no machine is the heal done before the fixed delay is over."""


def old_way(bot: LabBot, lab: Lab) -> Site:
    lab.mbit = SLOW_MBIT
    return replace(bot.site, cluster=OldScript(bot.live, lab))


def test_with_the_gate_no_guest_sees_an_error_and_all_copies_are_equal(
    lab: Lab, guests: PretendGuests, tmp_path: Path
) -> None:
    bot = LabBot(lab.proxmox, tmp_path)
    row = bot.run()
    guests.stop()
    print("\n".join(bot.thread))
    wait_for("the last writes to be everywhere", lambda: lab.to_heal() == 0, 300)
    assert row.result == {
        "state": "done",
        "nodes": dict.fromkeys(("pve1", "pve2", "pve3"), "4 packages upgraded, runs 6.8.12-9-pve"),
    }
    for guest, image in IMAGES.items():
        seen = guests.seen(guest)
        print(f"guest {guest}: {seen.done} writes, errors {seen.errors}, slowest {seen.slowest:.1f} s")
        assert seen.errors == {}
        assert len(set(lab.checksums(image).values())) == 1
    assert [len(node.boots) for node in lab.nodes.values()] == [1, 1, 1]


def test_with_the_fixed_delay_of_2017_both_images_are_lost_while_the_third_node_is_off(
    lab: Lab, guests: PretendGuests, tmp_path: Path
) -> None:
    """Each copy was left while the others still healed from it, so the third reboot finds no good one."""
    bot = LabBot(lab.proxmox, tmp_path)
    bot.run(partial(fixed_delay, old_way(bot, lab), TOO_SHORT_S))
    time.sleep(5.0)
    guests.stop()
    for guest in IMAGES:
        seen = guests.seen(guest)
        print(f"guest {guest}: {seen.done} writes, errors {seen.errors}, slowest {seen.slowest:.1f} s")
    assert any(guests.seen(guest).errors for guest in IMAGES)


@pytest.mark.parametrize("replica", [2])
def test_with_the_fixed_delay_on_two_copies_the_images_split_and_are_whole_again_from_a_chosen_side(
    lab: Lab, guests: PretendGuests, tmp_path: Path
) -> None:
    bot = LabBot(lab.proxmox, tmp_path)
    bot.run(partial(fixed_delay, old_way(bot, lab), TOO_SHORT_S))
    guests.stop()
    wait_for("every brick to be connected", lambda: not bot.live.heal_progress("").down, 300)
    wait_for("a copy to be split", lambda: bot.live.heal_progress("").split_brain, 300)
    time.sleep(10.0)  # for the other one, if it is
    progress = bot.live.heal_progress("")
    print(f"split-brain entries: {progress.split_brain}, pending {dict(progress.pending)}")
    with pytest.raises(Refused, match=r"guest 10[12] is running, not stopped"):
        [mended(bot, image) for image in IMAGES.values()]
    for name in ("pve1", "pve2"):
        (lab.nodes[name].disk / "root" / "guests").write_text("stopped")
    split = [image for image in IMAGES.values() if mended(bot, image)]
    assert split
    wait_for("nothing to be split or to heal", lambda: healed_or_asked(bot, lab), 300, pause=5.0)
    for image in split:
        assert len(set(lab.checksums(image).values())) == 1


def mended(bot: LabBot, image: str) -> bool:
    """As a person would who looks at both sides: the copy that was written last. False if this image is not split."""
    try:
        split = bot.live.rescue.split(VOLUME, f"/{image}")
    except Refused as refused:
        print(f"{image}: {refused}")
        return False
    for side in split.sides:
        print(f"{image}: {side}")
    assert len(split.sides) == 2
    bot.live.rescue.choose(split, max(split.sides, key=lambda side: side.modified).brick)
    return True


def healed_or_asked(bot: LabBot, lab: Lab) -> bool:
    """As a person would who sees a heal stand still. Measured: what was written to a copy while it was healed can stay
    to be healed, and the self-heal daemon looks again by itself only after cluster.heal-timeout, 600 s."""
    if bot.live.heal_progress("").healed:
        return True
    lab.nodes["pve1"].gluster("volume", "heal", VOLUME, check=False)
    return False
