"""The night of 2017 on the model: nodes rebooted one after the other, with a delay that is shorter than the heal.

What must come of it was measured on a real GlusterFS, for each kind of volume.
"""

from __future__ import annotations

import pytest

from cluster.api import Refused
from sandbox.model import What
from sandbox.spec import ClusterSpec
from tests.unit.sandbox.evening import Evening, with_timings

BACK = 20 + 150 + 2 + 63
"""From the reboot command until the brick is there again."""


def the_old_script(evening: Evening, *nodes: str, delay: float = 30.0) -> Evening:
    for node in nodes:
        evening.reboot(node)
        evening.later(BACK + delay)
    return evening


def unguarded(**volume: object) -> Evening:
    """Large images: a heal takes an hour at least."""
    spec = ClusterSpec.from_dict({"volumes": [{"name": "vmstore", **volume}]})
    return Evening(with_timings(spec, heal_base=3600.0), guard=False)


def test_two_copies_split_for_good_and_the_routers_die() -> None:
    evening = the_old_script(unguarded(replica=2, nodes=["pve1", "pve2"]), "pve1", "pve2")
    assert evening.happened(What.SPLIT_BRAIN) != []
    assert {e.guest for e in evening.happened(What.GUEST_DIED)} >= {101}
    evening.later(7 * 86400)
    progress = evening.cluster.heal_progress("")
    assert (progress.healed, progress.split_brain > 0) == (False, True)


def test_with_two_copies_writes_go_on_without_an_error_until_the_second_node_is_back() -> None:
    evening = the_old_script(unguarded(replica=2, nodes=["pve1", "pve2"]), "pve1")
    evening.reboot("pve2")
    evening.later(200)
    assert (evening.happened(What.IMAGES_LOST), evening.happened(What.SPLIT_BRAIN)) == ([], [])


def test_three_copies_survive_two_hasty_reboots() -> None:
    evening = the_old_script(unguarded(), "pve1", "pve2")
    evening.later(3 * 3600)
    assert (evening.happened(What.IMAGES_LOST), evening.happened(What.GUEST_DIED)) == ([], [])
    assert evening.cluster.heal_progress("").healed


def test_the_third_hasty_reboot_makes_all_images_unavailable() -> None:
    evening = the_old_script(unguarded(), "pve1", "pve2", "pve3")
    lost = {e.guest for e in evening.happened(What.IMAGES_LOST)}
    assert lost >= {101, 102}
    assert {e.guest for e in evening.happened(What.GUEST_DIED)} == lost
    evening.later(4 * 3600)
    assert evening.happened(What.SPLIT_BRAIN) == []
    assert evening.cluster.heal_progress("").healed, "no acknowledged write was lost"
    assert evening.guest(101).status == "io-error", "but the guest does not come back by itself"


def test_an_arbiter_does_not_replace_a_copy() -> None:
    evening = the_old_script(unguarded(arbiters=1), "pve1", "pve2")
    assert {e.guest for e in evening.happened(What.IMAGES_LOST)} >= {101}
    evening.later(3600)
    assert evening.happened(What.SPLIT_BRAIN) == []


def test_the_routers_may_die_only_hours_later_when_nobody_looks_any_more() -> None:
    spec = with_timings(ClusterSpec.from_dict({}), heal_base=3600.0, eio_kills=4 * 3600.0)
    evening = the_old_script(Evening(spec, guard=False), "pve1", "pve2", "pve3")
    evening.later(3600)
    assert evening.guest(101).status == "running"
    evening.later(4 * 3600)
    assert evening.guest(101).status == "io-error"


def test_with_the_node_s_own_guard_the_second_reboot_is_refused() -> None:
    evening = Evening(ClusterSpec.from_dict({}))
    evening.reboot("pve1")
    evening.later(BACK + 30)
    with pytest.raises(Refused, match="pve2: refused: vmstore is not healed"):
        evening.reboot("pve2")
    assert len(evening.happened(What.REBOOT)) == 1


def test_whoever_waits_for_the_heal_loses_nothing() -> None:
    evening = Evening(ClusterSpec.from_dict({}))
    for node in ("pve1", "pve2", "pve3"):
        evening.reboot(node)
        evening.later(BACK + 150)
    bad = (What.IMAGES_LOST, What.GUEST_DIED, What.SPLIT_BRAIN, What.QUORUM_LOST)
    assert [e for e in evening.model.events if e.what in bad] == []
    assert [guest.status for guest in evening.cluster.guests()] == ["running"] * 4
