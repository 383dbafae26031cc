"""The ways in against real servers: SSH jump hosts, a SOCKS proxy, lines that die in the middle, and what goes on to
the next way and what does not."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

import asyncssh
import pytest

from base.dialing import Names, Target
from bot.pathwatch import PathWatch
from cluster import lines
from cluster.api import Refused, Uncertain, Unreachable
from cluster.facts import Read, Topic
from cluster.live import LiveCluster
from cluster.login import fingerprint
from cluster.paths import Paths
from cluster.proxmox import Proxmox
from cluster.settings import ClusterSettings, JumpHost, PathSettings
from sandbox.door import HOST, Door
from sandbox.inroads import JUMP_USER
from sandbox.inroads import JumpHost as Box
from sandbox.lines import Fault
from sandbox.model import What
from sandbox.spec import ClusterSpec, default_spec
from store.memory import MemoryStore
from tests.edges.facing import HELPER, Night
from tests.waiting import eventually
from workflows.path_watch import last_round

SILENCE_S = 3.0
ROOM_S = 5.0
"""For a busy machine; far less than the seconds that a command or a question may take by itself."""
STATUS = [*HELPER, "status"]


def patient(settings: ClusterSettings, *paths: PathSettings, **more: Any) -> ClusterSettings:
    """The sandbox's own paths, or others, with a short silence limit."""
    chosen = [path.model_copy(update={"silence": SILENCE_S}) for path in paths or settings.paths]
    return settings.model_copy(update={"paths": tuple(chosen), **more})


@pytest.fixture
def settings(night: Night) -> ClusterSettings:
    return patient(night.settings)


@pytest.fixture
def paths(settings: ClusterSettings) -> Iterator[Paths]:
    with closing(Paths(settings)) as made:
        yield made


@pytest.fixture
def live(night: Night, settings: ClusterSettings) -> Iterator[LiveCluster]:
    with closing(LiveCluster(settings, night.clock, lambda _: None)) as made:
        yield made


@pytest.fixture
def api(settings: ClusterSettings, paths: Paths) -> Iterator[Proxmox]:
    with closing(Proxmox(settings, paths)) as made:
        yield made


def silence(night: Night, path: str) -> None:
    """The path's lines say nothing from now on; nothing is closed, nobody is told."""

    def be_silent() -> None:
        lines = [night.faces.jump_line] if path == "lte" else night.faces.direct_lines
        for line in lines:
            line.silent = True

    night.faces.hold_ways()
    night.faces.run(be_silent)


def took(act: Callable[[], object]) -> float:
    began = time.monotonic()
    act()
    return time.monotonic() - began


def jump_of(settings: ClusterSettings) -> JumpHost:
    return next(path.jumps[0] for path in settings.paths if path.kind == "jump")


# ---- each kind of way ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["direct", "lte"])
def test_a_command_runs_and_the_api_answers_over_each_way(paths: Paths, api: Proxmox, way: str) -> None:
    assert b'"node": "pve2"' in paths.line("pve2", way).run(STATUS, 10).out
    assert api.once("pve2", way, "get", "version", {})["release"]


def test_a_socks_proxy_carries_both(night: Night) -> None:
    settings = patient(night.settings, night.faces.socks_path())
    with closing(Paths(settings)) as paths, closing(Proxmox(settings, paths)) as api:
        assert paths.shells["pve1"].run(STATUS, 10).rc == 0
        assert api.get("version")["release"]


@contextmanager
def opened(night: Night, box: Box) -> Iterator[JumpHost]:
    """A jump host of the test's own."""
    door = Door(box)
    asyncio.run_coroutine_threadsafe(door.follow(True), night.faces._loop).result(10)
    try:
        yield JumpHost(address=HOST, port=door.port, user=JUMP_USER, host_key=box.public_host_key)
    finally:
        asyncio.run_coroutine_threadsafe(door.shut(), night.faces._loop).result(10)


def test_two_jump_hosts_are_passed_one_after_the_other(night: Night) -> None:
    box = Box(night.faces.directory / "authorized_keys", lambda port: port)
    with opened(night, box) as first:
        far = PathSettings(name="far", kind="jump", jumps=(first, jump_of(night.settings)))
        settings = patient(night.settings, far)
        with closing(Paths(settings)) as paths, closing(Proxmox(settings, paths)) as api:
            assert paths.shells["pve3"].run(STATUS, 10).rc == 0
            assert api.get("version")["release"]
            assert len(box.connections) == 1


def test_all_lines_of_a_path_share_one_connection_to_its_jump_host(night: Night, paths: Paths, api: Proxmox) -> None:
    for node in ("pve1", "pve2", "pve3"):
        paths.line(node, "lte").run(STATUS, 10)
        api.once(node, "lte", "get", "version", {})
    assert len(night.faces.jump.connections) == 1


def test_tls_is_checked_through_the_jump_host_as_well(night: Night, settings: ClusterSettings) -> None:
    other = settings.nodes["pve1"].model_copy(update={"fingerprint": "AB" * 32})
    pinned = settings.model_copy(update={"nodes": {**settings.nodes, "pve1": other}})
    with closing(Paths(pinned)) as paths, closing(Proxmox(pinned, paths)) as api:
        for way in ("direct", "lte"):
            with pytest.raises(Unreachable, match="shows another certificate than the one that is pinned"):
                api.once("pve1", way, "get", "version", {})


# ---- bad ways ------------------------------------------------------------------------------------------------------


def test_a_jump_host_with_another_key_is_told_with_both_fingerprints_and_nothing_goes_through(night: Night) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip()
    jump = jump_of(night.settings).model_copy(update={"host_key": other})
    settings = patient(night.settings, PathSettings(name="lte", kind="jump", jumps=(jump,)))
    with closing(Paths(settings)) as paths, pytest.raises(Unreachable) as caught:
        paths.shells["pve1"].run(STATUS, 10)
    assert "path lte: the jump host 127.0.0.1" in str(caught.value)
    assert fingerprint(other.split()[1]) in str(caught.value)
    assert fingerprint(night.faces.jump.public_host_key.split()[1]) in str(caught.value)
    assert "paths.lte.jumps[0].host_key" in caught.value.hint


def test_a_jump_host_that_lets_nobody_in_is_told_with_what_to_do(night: Night) -> None:
    jump = jump_of(night.settings).model_copy(update={"user": "mallory"})
    settings = patient(night.settings, PathSettings(name="lte", kind="jump", jumps=(jump,)))
    with closing(Paths(settings)) as paths, pytest.raises(Unreachable, match="does not let mallory in") as caught:
        paths.shells["pve1"].run(STATUS, 10)
    assert "mallory's authorized_keys on 127.0.0.1" in caught.value.hint


def test_a_jump_host_that_does_not_forward_is_told_with_the_line_to_add(night: Night) -> None:
    place = night.settings.nodes["pve1"].model_copy(update={"ssh_port": 9})
    settings = patient(night.settings, night.settings.paths[1], nodes={"pve1": place})
    with closing(Paths(settings)) as paths, pytest.raises(Unreachable, match=r"not forward to 127\.0\.0\.1:9") as no:
        paths.shells["pve1"].run(STATUS, 10)
    assert "AllowTcpForwarding" in no.value.hint


def test_an_api_that_never_answers_the_handshake_is_given_up_behind_a_jump_host_as_well(night: Night) -> None:
    box = Box(night.faces.directory / "authorized_keys", lambda port: port)
    with socket.create_server(("127.0.0.1", 0)) as mute, opened(night, box) as host:
        node = night.settings.nodes["pve1"].model_copy(update={"api_port": mute.getsockname()[1]})
        brisk = night.settings.api.model_copy(update={"timeout": 0.5})
        far = PathSettings(name="far", kind="jump", jumps=(host,))
        settings = patient(night.settings, far, nodes={"pve1": node}, api=brisk)
        late = pytest.raises(Uncertain, match="did not answer in time")
        with closing(Paths(settings)) as paths, closing(Proxmox(settings, paths)) as api, late:
            api.once("pve1", "far", "get", "version", {})


@pytest.mark.slow
def test_a_socks_proxy_that_accepts_and_says_nothing_is_left_at_the_silence_limit(night: Night) -> None:
    night.faces.socks.mute = True
    settings = patient(night.settings, night.faces.socks_path())
    with closing(Paths(settings)) as paths, closing(Proxmox(settings, paths)) as api:
        began = time.monotonic()
        with pytest.raises(Unreachable, match=r"path vpn: the SOCKS proxy .* accepts, and then says nothing"):
            paths.shells["pve1"].run(STATUS, 30)
        with pytest.raises(Unreachable, match="accepts, and then says nothing"):
            api.ask("pve1", "get", "version")
        assert time.monotonic() - began < 2 * (SILENCE_S + ROOM_S)


def test_a_proxy_that_is_not_there_is_told_and_the_next_way_taken(night: Night) -> None:
    nowhere = PathSettings(name="vpn", kind="socks", proxy="127.0.0.1:9")
    settings = patient(night.settings, nowhere, night.settings.paths[1])
    with closing(Paths(settings)) as paths:
        assert paths.shells["pve1"].run(STATUS, 10).rc == 0
        assert paths.routes.detours() == {"pve1": "lte"}
        with pytest.raises(Unreachable, match=r"path vpn: the SOCKS proxy 127\.0\.0\.1:9 does not answer"):
            paths.line("pve1", "vpn").run(STATUS, 10)


def test_a_proxy_whose_name_nobody_knows_is_told_and_keeps_nobody_waiting(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = threading.Event()

    def silent(host: str, port: int) -> list[Target]:
        asked.wait(30)
        return []

    monkeypatch.setattr(lines, "NAMES", Names(silent))
    way = lines.Socks(PathSettings(name="vpn", kind="socks", proxy="proxy.example:1080", silence=0.1))
    with pytest.raises(lines.PathDown, match=r"proxy proxy\.example:1080 does not answer \(no name server said"):
        way.open("192.0.2.1", 22, time.monotonic() + 30)
    asked.set()


# ---- reads go on over the next way ---------------------------------------------------------------------------------


def slowly(night: Night, seconds: float) -> None:
    """Every piece takes longer on the jump host's line, so that there is a middle in which it can die."""
    night.faces.run(lambda: setattr(night.faces.jump_line, "slow", seconds))


@pytest.mark.slow
@pytest.mark.parametrize("kept", [True, False], ids=["a kept connection", "a new one"])
def test_a_command_over_a_line_that_fell_silent_is_answered_within_its_silence_limit(
    night: Night, paths: Paths, monkeypatch: pytest.MonkeyPatch, kept: bool
) -> None:
    own = took(lambda: paths.line("pve2", "lte").run(STATUS, 10))
    if kept:
        paths.line("pve2", "direct").run(STATUS, 10)
    silence(night, "direct")
    assert took(lambda: paths.shells["pve2"].run(STATUS, 60, twice=True)) < SILENCE_S + ROOM_S + own
    monkeypatch.setattr(paths.line("pve2", "direct"), "run", None)  # the next call does not try it
    assert paths.shells["pve2"].run(STATUS, 60, twice=True).rc == 0
    assert paths.routes.detours() == {"pve2": "lte"}


@pytest.mark.slow
def test_a_command_in_flight_on_a_line_that_falls_silent_is_answered_over_the_next(night: Night, paths: Paths) -> None:
    """The helper hangs, so that the command is under way when its line dies; over the other way it answers."""
    own = took(lambda: paths.line("pve2", "lte").run(STATUS, 10))
    night.faces.faults.plan(Fault.HANG, node="pve2", what="status")
    died: list[float] = []

    def die() -> None:
        eventually(lambda: night.faces.faults.met)
        silence(night, "direct")
        died.append(time.monotonic())

    threading.Thread(target=die).start()
    done = paths.shells["pve2"].run(STATUS, 60, twice=True)
    assert b'"node": "pve2"' in done.out
    assert "fell silent for 3 s" in done.doubt
    assert time.monotonic() - died[0] < SILENCE_S + ROOM_S + own


@pytest.mark.slow
def test_a_command_that_takes_its_time_on_a_living_line_is_waited_for(night: Night, paths: Paths) -> None:
    night.faces.faults.plan(Fault.HANG, node="pve2", what="status")
    with pytest.raises(Uncertain, match="did not end within 5 s"):
        paths.shells["pve2"].run(STATUS, 5, twice=True)
    assert paths.routes.detours() == {}


@pytest.mark.slow
def test_a_read_of_the_api_in_flight_on_a_line_that_falls_silent_is_answered_over_the_next(
    night: Night, api: Proxmox, paths: Paths
) -> None:
    api.get("version")
    silence(night, "direct")
    assert took(lambda: api.get("version")) < SILENCE_S + ROOM_S
    assert "lte" in paths.routes.detours().values()


def test_a_no_of_the_api_is_an_answer_and_not_asked_again(night: Night, api: Proxmox, paths: Paths) -> None:
    with pytest.raises(Refused):
        api.get("nodes/pve1/qemu/999/config")
    assert paths.routes.detours() == {}


@pytest.mark.slow
def test_a_better_way_is_gone_back_to_when_it_has_been_good_for_a_while(night: Night) -> None:
    settings = patient(night.settings, paths_back_after=4.0)
    with closing(LiveCluster(settings, night.clock, lambda _: None)) as live:
        silence(night, "direct")
        live.node_status("pve1")
        assert live.detours() == {"pve1": "lte"}
        night.faces.release_ways()
        night.faces.settle()
        live.test_paths()
        live.node_status("pve1")
        assert live.detours() == {"pve1": "lte"}, "not at its first sign of life"
        time.sleep(4.1)
        live.test_paths()
        live.node_status("pve1")
        assert live.detours() == {}


@pytest.mark.slow
def test_every_path_is_tested_for_what_it_is_needed_for(night: Night, live: LiveCluster) -> None:
    silence(night, "lte")
    tests = {(test.path, test.node): test for test in live.test_paths().tests}
    assert len(tests) == 6
    assert all(tests["direct", node].alive for node in ("pve1", "pve2", "pve3"))
    assert not any(tests["lte", node].alive for node in ("pve1", "pve2", "pve3"))
    assert "path lte" in tests["lte", "pve1"].why
    assert tests["lte", "pve1"].answered_at is None


def test_a_drill_cuts_the_first_path_for_the_bot_alone_and_puts_it_back(night: Night, live: LiveCluster) -> None:
    drill = live.drill_paths()
    assert drill.cut == "direct"
    assert [(test.path, test.alive) for test in drill.alone] == [("lte", True)] * 3
    assert {why for why, _ in drill.usual.values()} == {""}
    live.node_status("pve1")
    assert "pve1" not in live.detours()


# ---- acts ----------------------------------------------------------------------------------------------------------


def reboot(live: LiveCluster, node: str) -> None:
    status = live.node_status(node)
    live.reboot(node, status.boot_id, status.uptime + 10.0)


def test_a_line_that_dies_after_the_reboot_was_sent_leaves_it_to_be_looked_up(night: Night, live: LiveCluster) -> None:
    """The order is sent again over the other path, and the node says that it obeyed already."""
    night.faces.faults.plan(Fault.DROP_AFTER, node="pve2", what="reboot")
    with pytest.raises(Uncertain, match=r"line broke after .*tried again over another path: .*shutdown.* under way"):
        reboot(live, "pve2")
    assert len([event for event in night.model.events if event.what is What.REBOOT]) == 1


def test_a_line_that_dies_before_the_reboot_arrived_is_made_up_for_on_the_next(night: Night, live: LiveCluster) -> None:
    night.faces.faults.plan(Fault.DROP_BEFORE, node="pve2", what="reboot")
    reboot(live, "pve2")
    assert len([event for event in night.model.events if event.what is What.REBOOT]) == 1


def test_a_line_that_dies_during_the_upgrade_starts_no_second_one(night: Night, live: LiveCluster) -> None:
    found = live.survey(frozenset({Topic.PACKAGES}), "pve3").packages
    assert isinstance(found, Read)
    night.faces.faults.plan(Fault.DROP_AFTER, node="pve3", what="upgrade")
    uptime = live.node_status("pve3").uptime
    live.upgrade("pve3", "run.pve3.upgrade", found.value.checksum, uptime + 60)
    silence(night, "direct")
    assert live.unit("pve3", "run.pve3.upgrade").began
    assert len([event for event in night.model.events if event.what is What.UPGRADE]) == 1
    assert live.detours()["pve3"] == "lte"


def test_a_migration_whose_line_died_is_not_sent_again_but_found_by_its_task(night: Night, live: LiveCluster) -> None:
    guest = next(guest for guest in live.guests() if guest.id == 103)
    night.faces.faults.plan(Fault.DROP_AFTER, what="POST")
    with pytest.raises(Uncertain):
        live.migrate(guest, "pve1")
    assert live.find_task("qmigrate", 103, night.clock() - 60) is not None
    assert len(night.model.tasks.all) == 1


def test_an_act_goes_over_the_next_way_while_nothing_was_sent(night: Night) -> None:
    nowhere = PathSettings(name="vpn", kind="socks", proxy="127.0.0.1:9")
    settings = patient(night.settings, nowhere, night.settings.paths[1])
    with closing(LiveCluster(settings, night.clock, lambda _: None)) as live:
        guest = next(guest for guest in live.guests() if guest.id == 103)
        live.migrate(guest, "pve1")
    assert len(night.model.tasks.all) == 1


# ---- what they depend on -------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_jump_host_that_is_a_guest_of_this_cluster_is_found_by_its_address(
    start_night: Callable[[ClusterSpec], Night],
) -> None:
    usual = default_spec()
    router = replace(usual.guests[0], address="192.0.2.77")
    night = start_night(replace(usual, guests=(router, *usual.guests[1:])))
    jump = JumpHost(address="192.0.2.77", host_key="ssh-ed25519 AAAB")
    far = PathSettings(name="far", kind="jump", jumps=(jump,))
    settings = patient(night.settings, *night.settings.paths, far)
    with closing(LiveCluster(settings, night.clock, lambda _: None)) as live:
        found = live.test_paths()
    assert found.depends["far"] == {101: "192.0.2.77 is an address of its network devices"}
    assert found.depends["lte"] == {}
    assert found.home is None


# ---- watched -------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_path_that_dies_is_said_after_its_minutes_and_stands_in_the_table(night: Night) -> None:
    managed = night.faces.settings()
    managed = managed.model_copy(update={"paths": patient(managed).paths})
    store, told = MemoryStore(), list[str]()
    with closing(LiveCluster(managed, night.clock, lambda _: None)) as live:
        watch = PathWatch(store, managed, live, night.clock, False, lambda: told.append("told"))
        assert watch.step() <= 60.0
        silence(night, "lte")
        for _ in range(7):
            night.pass_time(60)
            watch.step()
    (row,) = store.outbox("paths")
    assert row.message["kind"] == "page"
    assert "*direct alone is left*" in row.message["text"]
    assert told == ["told"]
    known = last_round(store, managed.name)
    assert known is not None
    assert {test.path for test in known.tests if not test.alive} == {"lte"}
    assert known.said[0].startswith("direct goes through router-a and router-b")
