"""Asking the Gluster pool: who is asked what, in which order, and what becomes of silence."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from cluster.api import Uncertain, Unreachable
from cluster.facts import Gluster, Machines, Read, Unread, processes_of
from cluster.gates import heal
from cluster.helper import Helper
from cluster.peers import NOT_YET, Peers
from cluster.settings import GlusterSettings
from cluster.ssh import Done
from cluster.world import Blocked, GatePhase, World
from tests.unit.cluster.fakes import NODES, Clock, FakeSsh, settings, xml

BRICK = "/mnt/data/vmstore/brick"
SUMMARY, STATUS = "gluster heal-summary vmstore", "gluster volume-status vmstore"


class Pool:
    """Three peers, all well; a test changes what one of them answers."""

    def __init__(self, ssh: dict[str, FakeSsh], clock: Clock, workers: ThreadPoolExecutor, **gluster: Any) -> None:
        self.ssh, self.clock = ssh, clock
        for name, node in ssh.items():
            node.answers = {
                "gluster pool-list": _pool_as_seen_by(name),
                "gluster volume-info": xml("volume_info_replica3.xml"),
                SUMMARY: xml("summary_healthy.xml"),
                STATUS: xml("status_healthy.xml"),
            }
        written = settings(gluster=GlusterSettings(**gluster))
        helpers = {name: Helper(node, written) for name, node in ssh.items()}
        self.peers = Peers(helpers, written, clock, clock.pause, workers)

    def survey(self) -> Gluster:
        return self.peers.survey()

    def asked(self, node: str, words: str) -> int:
        return self.ssh[node].asked.count(words)


def _pool_as_seen_by(name: str) -> Done:
    """Recorded on pve1; the others call themselves localhost."""
    recorded = xml("pool_list.xml").out
    if name == "pve1":
        return Done(0, recorded, b"")
    first = recorded.replace(b"<hostname>localhost</hostname>", b"<hostname>pve1</hostname><state>3</state>")
    swapped = first.replace(f">{name}<".encode(), b">localhost<")
    return Done(0, swapped, b"")


@pytest.fixture
def pool(ssh: dict[str, FakeSsh], clock: Clock, workers: ThreadPoolExecutor) -> Pool:
    return Pool(ssh, clock, workers)


def test_every_peer_is_asked_three_times_and_then_for_its_volume_status(pool: Pool) -> None:
    found = pool.survey()
    assert [view.node for view in found.views] == list(NODES)
    for view in found.views:
        assert [isinstance(answer, Read) for answer in view.heal["vmstore"]] == [True] * 3
        assert isinstance(view.status["vmstore"], Read)
    assert (found.reads, found.gap, found.entries) == (3, 5.0, {})
    assert pool.clock.pauses == [5.0, 5.0]


def test_each_read_is_stamped_with_its_own_time(pool: Pool) -> None:
    view = pool.survey().views[0]
    assert [answer.at for answer in view.heal["vmstore"]] == [1000.0, 1005.0, 1010.0]
    assert (view.pool.at, view.volumes.at, view.status["vmstore"].at) == (1000.0, 1000.0, 1010.0)


def test_every_peer_is_known_by_its_own_uuid(pool: Pool) -> None:
    assert [view.uuid[:4] for view in pool.survey().views] == ["172f", "5285", "98aa"]


def test_pending_entries_end_the_reading_at_once_and_nobody_takes_the_lock(pool: Pool) -> None:
    pool.ssh["pve2"].answers[SUMMARY] = xml("summary_node_off.xml")
    found = pool.survey()
    assert pool.clock.pauses == []
    assert [pool.asked(node, STATUS) for node in NODES] == [0, 0, 0]
    assert found.views[0].status == {"vmstore": Unread(NOT_YET, 1000.0)}


def pending(count: int) -> Done:
    """So many entries to heal on every brick, all of them connected."""
    none, some = xml("summary_healthy.xml").out, str(count).encode()
    return Done(
        0, none.replace(b"Entries>0<", b"Entries>%b<" % some).replace(b"Pending>0<", b"Pending>%b<" % some), b""
    )


def test_pending_entries_are_named_by_the_peer_that_counts_them(pool: Pool) -> None:
    pool.ssh["pve2"].answers[SUMMARY] = pending(1)
    pool.ssh["pve2"].answers["gluster heal-info vmstore"] = xml("heal_info_node_off.xml")
    assert pool.survey().entries[f"pve1:{BRICK}"] == ("/images/101/x.raw",)


def test_while_a_brick_is_away_nothing_is_named_for_that_takes_ten_seconds(pool: Pool) -> None:
    pool.ssh["pve2"].answers[SUMMARY] = xml("summary_node_off.xml")
    assert pool.survey().entries == {}


IMAGES = Done(0, b'{"images": {"pve1:/b": ["vm-101-disk-0"], "pve3:/b": []}, "entries": 20000, "whole": false}', b"")


def test_of_fifty_thousand_entries_the_node_names_the_images_that_it_meets_in_some_seconds(pool: Pool) -> None:
    pool.ssh["pve2"].answers |= {SUMMARY: pending(50_057), "images vmstore": IMAGES}
    assert pool.survey().entries == {"pve1:/b": ("vm-101-disk-0",)}


def test_fifty_thousand_entries_are_counted_but_not_listed(pool: Pool) -> None:
    pool.ssh["pve2"].answers[SUMMARY] = pending(50_057)
    pool.ssh["pve2"].answers["images vmstore"] = Unreachable("the line broke")
    found = pool.survey()
    answer = found.views[1].heal["vmstore"][0]
    assert isinstance(answer, Read)
    assert answer.value[0].pending == 50057
    assert found.entries == {}
    assert [node for node in NODES if pool.asked(node, "gluster heal-info vmstore")] == []


def test_the_gate_blocks_on_fifty_thousand_entries_and_says_how_many(pool: Pool) -> None:
    pool.ssh["pve2"].answers |= {SUMMARY: pending(50_057), "images vmstore": IMAGES}
    gluster = Read(pool.survey(), pool.clock())
    world = World(settings(), Machines(gluster=gluster))
    found = heal.GATE.check(world, "pve2", GatePhase.REBOOT, pool.clock())
    assert isinstance(found, Blocked)
    assert "50057 pending" in found.reason
    assert "vm-101-disk-0 of guest 101 heals on pve1:/b" in found.reason


def test_a_heal_query_that_never_ends_is_unread_and_blocks_the_rest(pool: Pool) -> None:
    pool.ssh["pve2"].answers[SUMMARY] = Uncertain("`gluster heal-summary vmstore` on pve2 did not end within 130 s")
    found = pool.survey()
    assert found.views[1].heal["vmstore"] == (
        Unread("`gluster heal-summary vmstore` on pve2 did not end within 130 s", 1000.0),
    )
    assert found.views[1].status["vmstore"] == Unread(NOT_YET, 1000.0)


def test_a_zero_that_does_not_stay_is_seen_in_the_second_read(pool: Pool) -> None:
    pool.ssh["pve3"].answers[SUMMARY] = [xml("summary_healthy.xml"), xml("summary_split_brain.xml")]
    pool.ssh["pve3"].answers["gluster heal-info vmstore"] = xml("heal_info_split_brain.xml")
    found = pool.survey()
    assert [len(view.heal["vmstore"]) for view in found.views] == [2, 2, 2]
    assert pool.asked("pve1", STATUS) == 0


def test_a_peer_whose_glusterd_is_down_is_unread_everywhere_and_nobody_takes_the_lock(pool: Pool) -> None:
    for words in pool.ssh["pve2"].answers:
        pool.ssh["pve2"].answers[words] = xml("glusterd_down.txt", rc=1)
    view = pool.survey().views[1]
    says = "gluster on pve2 says: Connection failed. Please check if gluster daemon is operational."
    hint = "(`systemctl status glusterd` on pve2)"
    assert view.pool == view.volumes == Unread(f"{says} {hint}", 1000.0)
    assert (view.uuid, view.heal, view.status) == ("", {}, {})
    assert pool.asked("pve1", STATUS) == 0


def test_a_node_that_cannot_be_reached_is_unread(pool: Pool) -> None:
    for words in pool.ssh["pve3"].answers:
        pool.ssh["pve3"].answers[words] = Unreachable("pve3 does not answer over SSH (pve3.example:22): timed out")
    silent = Unread("pve3 does not answer over SSH (pve3.example:22): timed out", 1000.0)
    view = pool.survey().views[2]
    assert (view.pool, view.volumes) == (silent, silent)
    assert pool.ssh["pve3"].asked == ["gluster pool-list"]


def test_a_locked_pool_is_asked_again(pool: Pool) -> None:
    pool.ssh["pve2"].answers[STATUS] = [xml("status_locked.xml"), xml("status_locked.xml"), xml("status_healthy.xml")]
    assert isinstance(pool.survey().views[1].status["vmstore"], Read)
    assert pool.clock.pauses == [5.0, 5.0, 2.0, 2.0]


def test_a_pool_that_stays_locked_is_unread_after_five_tries_and_the_next_peer_is_left_alone(pool: Pool) -> None:
    pool.ssh["pve2"].answers[STATUS] = xml("status_locked.xml")
    views = pool.survey().views
    locked, after = views[1].status["vmstore"], views[2].status["vmstore"]
    assert isinstance(locked, Unread)
    assert "gluster on pve2 is busy: Another transaction is in progress" in locked.why
    assert pool.asked("pve2", STATUS) == 5
    assert after == Unread("not asked, because pve2 gave no volume status", locked.at)
    assert pool.asked("pve3", STATUS) == 0


def test_only_the_named_volumes_are_asked_for(
    ssh: dict[str, FakeSsh], clock: Clock, workers: ThreadPoolExecutor
) -> None:
    pool = Pool(ssh, clock, workers, volumes=("vmstore",))
    for node in ssh.values():
        node.answers["gluster volume-info"] = xml("volume_info_distributed.xml")
    assert [list(view.heal) for view in pool.survey().views] == [["vmstore"]] * 3


def test_only_the_nodes_of_the_pool_are_asked(
    ssh: dict[str, FakeSsh], clock: Clock, workers: ThreadPoolExecutor
) -> None:
    pool = Pool(ssh, clock, workers, nodes=("pve1", "pve3"))
    assert [view.node for view in pool.survey().views] == ["pve1", "pve3"]
    assert ssh["pve2"].asked == []


def test_a_peer_has_one_query_at_a_time(pool: Pool) -> None:
    running, most = [0], [0]
    count = threading.Lock()

    def slow() -> Done:
        with count:
            running[0] += 1
            most[0] = max(most[0], running[0])
        together.wait(0.05)
        with count:
            running[0] -= 1
        return xml("summary_healthy.xml")

    together = threading.Event()
    pool.ssh["pve1"].answers[SUMMARY] = slow
    threads = [threading.Thread(target=pool.peers.progress, args=("pve3",)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]


# ---- volume status that takes long ---------------------------------------------------------------------------------


def slowly(pool: Pool, seconds: float) -> None:
    """Every `volume status` takes so long; the heal queries take no time."""

    def answer() -> Done:
        pool.clock.now += seconds
        return xml("status_healthy.xml")

    for node in pool.ssh.values():
        node.answers[STATUS] = answer


def test_after_a_slow_volume_status_the_rounds_are_read_anew_so_that_nothing_but_the_status_is_old(pool: Pool) -> None:
    slowly(pool, 20.0)
    found = pool.survey()
    assert pool.clock.now == 1080.0  # two gaps, three times twenty seconds, two gaps
    for view in found.views:
        assert [answer.at for answer in view.heal["vmstore"]] == [1070.0, 1075.0, 1080.0]
    assert found.at == 1080.0
    assert [view.status["vmstore"].at for view in found.views] == [1010.0, 1030.0, 1050.0]
    assert processes_of(Read(found, found.at)) == Read(NODES, 1010.0)
    assert [pool.asked(node, STATUS) for node in NODES] == [1, 1, 1]


def test_what_turns_up_pending_while_volume_status_is_asked_is_seen(pool: Pool) -> None:
    slowly(pool, 20.0)
    pool.ssh["pve3"].answers[SUMMARY] = [*[xml("summary_healthy.xml")] * 3, pending(2)]
    pool.ssh["pve3"].answers["gluster heal-info vmstore"] = xml("heal_info_node_off.xml")
    view = pool.survey().views[2]
    assert [row.total for row in _read(view.heal["vmstore"][-1])] == [2, 2, 2]
    assert view.status == {"vmstore": Unread(NOT_YET, 1070.0)}


def test_a_round_of_volume_status_that_takes_longer_than_it_is_believed_is_broken_off_and_says_so(pool: Pool) -> None:
    slowly(pool, 130.0)
    statuses = [view.status["vmstore"] for view in pool.survey().views]
    assert [isinstance(status, Read) for status in statuses] == [True, True, False]
    assert statuses[2] == Unread(
        "not asked: `volume status` took 260 s for 2 of 3 answers, and the first ones would be too old by the end "
        "(who else asks Gluster all the time? it answers one at a time)",
        1270.0,
    )


# ---- one survey after the other ------------------------------------------------------------------------------------


def test_the_next_survey_asks_each_peer_once_more_and_nobody_takes_the_lock_again(pool: Pool) -> None:
    pool.survey()
    pool.clock.now += 6.0
    found = pool.survey()
    assert [len(view.heal["vmstore"]) for view in found.views] == [3, 3, 3]
    assert [pool.asked(node, SUMMARY) for node in NODES] == [4, 4, 4]
    assert [pool.asked(node, STATUS) for node in NODES] == [1, 1, 1]
    assert pool.clock.pauses == [5.0, 5.0]


def test_what_the_next_survey_sees_pending_counts_at_once(pool: Pool) -> None:
    pool.survey()
    pool.clock.now += 6.0
    pool.ssh["pve2"].answers[SUMMARY] = pending(3)
    pool.ssh["pve2"].answers["gluster heal-info vmstore"] = xml("heal_info_node_off.xml")
    last = pool.survey().views[1]
    assert [row.total for row in _read(last.heal["vmstore"][-1])] == [3, 3, 3]
    assert last.status == {"vmstore": Unread(NOT_YET, 1016.0)}


def test_after_an_act_on_the_storage_all_rounds_are_read_anew_and_the_pool_while_they_wait(pool: Pool) -> None:
    pool.survey()
    pool.peers.forget()
    pool.clock.now += 1.0
    for node in pool.ssh.values():
        node.asked.clear()
    view = pool.survey().views[0]
    assert [answer.at for answer in view.heal["vmstore"]] == [1011.0, 1016.0, 1021.0]
    assert pool.ssh["pve1"].asked[:3] == [SUMMARY, "gluster pool-list", "gluster volume-info"]
    assert pool.asked("pve1", STATUS) == 1


def test_a_heal_that_is_seen_in_the_waiting_loop_breaks_the_series(pool: Pool) -> None:
    pool.survey()
    pool.ssh["pve1"].answers[SUMMARY] = [xml("summary_node_off.xml"), xml("summary_healthy.xml")]
    assert not pool.peers.progress(avoid="pve3").healed
    pool.clock.now += 1.0
    assert [answer.at for answer in pool.survey().views[0].heal["vmstore"]] == [1011.0, 1016.0, 1021.0]


def test_a_volume_that_was_made_meanwhile_was_asked_too_seldom_to_count(pool: Pool) -> None:
    pool.survey()
    pool.peers.forget()
    for node in pool.ssh.values():
        node.answers["gluster volume-info"] = xml("volume_info_distributed.xml")
        for question in ("heal-summary", "volume-status"):
            node.answers[f"gluster {question} dist"] = node.answers[f"gluster {question} vmstore"]
    view = pool.survey().views[0]
    assert [volume.name for volume in _read(view.volumes)] == ["dist", "vmstore"]
    assert (len(view.heal["dist"]), len(view.heal["vmstore"])) == (2, 3)


def _read(answer: Any) -> Any:
    assert isinstance(answer, Read)
    return answer.value


# ---- the cheap question ------------------------------------------------------------------------------------------


def test_progress_asks_the_first_node_but_never_the_one_to_avoid(pool: Pool) -> None:
    progress = pool.peers.progress(avoid="pve1")
    assert (progress.asked, progress.healed) == ("pve2", True)
    assert pool.ssh["pve1"].asked == []


def test_progress_of_a_dead_brick_is_not_known(pool: Pool) -> None:
    pool.ssh["pve1"].answers[SUMMARY] = xml("summary_node_off.xml")
    progress = pool.peers.progress(avoid="pve3")
    assert progress.pending == {f"pve1:{BRICK}": 1, f"pve2:{BRICK}": 1, f"pve3:{BRICK}": None}
    assert (progress.down, progress.healed) == ((f"pve3:{BRICK}",), False)


def test_progress_counts_a_split_brain_as_an_entry_to_go(pool: Pool) -> None:
    pool.ssh["pve1"].answers["gluster volume-info"] = xml("volume_info_replica2.xml")
    pool.ssh["pve1"].answers[SUMMARY] = xml("summary_split_brain.xml")
    progress = pool.peers.progress(avoid="pve3")
    assert (progress.split_brain, progress.healed) == (1, False)


def test_progress_names_the_volumes_and_how_much_of_them_may_be_healing(pool: Pool) -> None:
    assert pool.peers.progress(avoid="").volumes == ()
    rows = xml("summary_healthy.xml").out.replace(b"Healing>0<", b"Healing>2<").replace(b"Entries>0<", b"Entries>2<")
    pool.ssh["pve1"].answers[SUMMARY] = Done(0, rows, b"")
    progress = pool.peers.progress(avoid="pve3")
    assert (progress.healing, progress.volumes) == (2, ("vmstore",))


def test_a_brick_that_the_answer_leaves_out_is_down(pool: Pool) -> None:
    pool.ssh["pve1"].answers[SUMMARY] = Done(0, xml("summary_healthy.xml").out.replace(b"pve3:", b"pve9:"), b"")
    progress = pool.peers.progress(avoid="")
    assert (progress.pending[f"pve3:{BRICK}"], progress.down, progress.healed) == (None, (f"pve3:{BRICK}",), False)


def test_progress_goes_on_to_the_next_node_when_one_says_nothing(pool: Pool) -> None:
    pool.ssh["pve1"].answers["gluster volume-info"] = Unreachable("pve1 does not answer over SSH")
    assert pool.peers.progress(avoid="pve2").asked == "pve3"


def test_when_nobody_says_how_far_the_heal_is_all_reasons_are_told(pool: Pool) -> None:
    pool.ssh["pve1"].answers["gluster volume-info"] = Unreachable("pve1 does not answer over SSH")
    pool.ssh["pve2"].answers[SUMMARY] = xml("summary_quorum_lost.xml", rc=251)
    with pytest.raises(Unreachable) as nobody:
        pool.peers.progress(avoid="pve3")
    assert str(nobody.value) == (
        "nobody says how far the heal is: pve1 does not answer over SSH; "
        "gluster on pve2 refused: vmstore: Not able to fetch volfile from glusterd"
    )
