"""Real sshd, real cables: what is under way when a line dies goes on over the jump host, and nothing is done twice.

Stood in for: the node helper and the API behind the node's ports, which are the sandbox's.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from cluster.api import Uncertain
from cluster.live import LiveCluster
from sandbox.model import What
from tests.lab.conftest import LOCK
from tests.lab.hardware import wait_for
from tests.lab.inroads import SILENCE_S, Inroads
from tests.waiting import PATIENCE_S

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]

ROOM_S = 10.0
"""For a busy machine; far less than the minute that a command may take by itself."""


@pytest.fixture
def inroads(tmp_path: Path) -> Iterator[Inroads]:
    if os.geteuid() or not shutil.which("sshd", path="/usr/sbin") or not shutil.which("ip", path="/usr/sbin:/sbin"):
        pytest.fail("no lab here: it needs root, openssh-server and iproute2 (scripts/test --full installs them)")
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # whoever else runs a lab on this machine is waited for
        made = Inroads(tmp_path)
        try:
            made.up()
            yield made
        finally:
            made.down()
            made.faces.stop()


@pytest.fixture
def live(inroads: Inroads) -> Iterator[LiveCluster]:
    with closing(LiveCluster(inroads.settings(), time.time, time.sleep)) as made:
        yield made


def once(act: Callable[[], None]) -> Callable[[str], None]:
    """The first time that something is ordered."""
    left = [act]
    return lambda _: left.pop()() if left else None


def took(act: Callable[[], object]) -> float:
    began = time.monotonic()
    act()
    return time.monotonic() - began


def test_both_ways_carry_ssh_and_the_api(live: LiveCluster) -> None:
    assert {(test.path, test.alive) for test in live.test_paths().tests} == {("direct", True), ("lte", True)}


@pytest.mark.parametrize("how", ["mute", "pull"])
def test_a_read_in_flight_goes_on_over_the_jump_host(inroads: Inroads, live: LiveCluster, how: str) -> None:
    own = took(lambda: live.node_status("pve1"))

    def die() -> None:
        getattr(inroads.direct, how)()
        inroads.hang(PATIENCE_S)  # no answer comes over this line

    inroads.before = once(die)
    assert took(lambda: live.node_status("pve1")) < SILENCE_S + ROOM_S + own  # the jump host logs in first
    assert live.detours() == {"pve1": "lte"}


def test_the_api_goes_on_over_the_jump_host(inroads: Inroads, live: LiveCluster) -> None:
    before = live.guests()
    inroads.direct.mute()
    seen: list[object] = []
    assert took(lambda: seen.append(live.guests())) < SILENCE_S + ROOM_S
    assert seen == [before]


def test_a_line_that_is_only_slow_is_not_given_up(inroads: Inroads, live: LiveCluster) -> None:
    inroads.direct.slow("24kbit")
    assert live.node_status("pve1").node == "pve1"
    assert live.detours() == {}


def test_a_line_that_dies_behind_the_jump_host_is_noticed_as_well(inroads: Inroads, live: LiveCluster) -> None:
    live.test_paths()
    inroads.back.mute()
    tests = {test.path: test for test in live.test_paths().tests}
    assert tests["direct"].alive
    assert not tests["lte"].alive


def test_a_reboot_whose_line_dies_before_its_answer_is_looked_up_and_happens_once(
    inroads: Inroads, live: LiveCluster
) -> None:
    status = live.node_status("pve1")

    def die() -> None:
        inroads.direct.mute()
        inroads.hang(PATIENCE_S)

    inroads.after = once(die)
    with pytest.raises(Uncertain, match=r"fell silent .* tried again over another path: .*shutdown .*under way"):
        live.reboot("pve1", status.boot_id, status.uptime + 60)
    assert len([event for event in inroads.model.events if event.what is What.REBOOT]) == 1


def test_an_upgrade_whose_line_dies_is_followed_over_the_jump_host(inroads: Inroads, live: LiveCluster) -> None:
    uptime = live.node_status("pve1").uptime
    plan = inroads.faces.run(lambda: inroads.model.plan(time.time(), "pve1"))

    def die() -> None:
        inroads.direct.mute()
        inroads.hang(PATIENCE_S)

    inroads.after = once(die)
    live.upgrade("pve1", "run.pve1.upgrade", plan.checksum, uptime + 60)
    assert live.unit("pve1", "run.pve1.upgrade").began
    assert len([event for event in inroads.model.events if event.what is What.UPGRADE]) == 1


def test_a_restore_goes_on_while_its_line_dies(inroads: Inroads, live: LiveCluster) -> None:
    """Ordered over the first line, followed over the other; not ordered again."""
    backup = live.rescue.backups(101)[0]
    task = live.rescue.restore(901, "qemu", "pve1", backup.volid, "local", over=False)
    inroads.direct.pull()
    assert live.task(task).running
    assert live.detours() == {"pve1": "lte"}
    assert live.rescue.log(task)
    assert len([one for one in inroads.model.tasks.all.values() if one.kind == "qmrestore"]) == 1


def test_a_better_line_is_gone_back_to_when_it_has_been_good_for_a_while(inroads: Inroads, live: LiveCluster) -> None:
    inroads.direct.mute()
    live.node_status("pve1")
    assert live.detours() == {"pve1": "lte"}
    inroads.direct.unmute()

    def first_again() -> bool:
        live.test_paths()
        live.node_status("pve1")
        return not live.detours()

    wait_for("the direct line to be first again", first_again, 3 * PATIENCE_S, 1.0)
