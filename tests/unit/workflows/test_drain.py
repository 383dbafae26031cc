"""Where a guest goes when its node is drained."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest

from cluster.api import Refused, TaskRef, Uncertain, Unreachable
from cluster.facts import Capacity, Guest, Ha, Machines, Member, Membership, Move, Read, Serving, Topic, Unread
from cluster.guest_settings import CannotMove, GuestGroup, HealthProbe
from cluster.world import OwnChanges
from engine.port import Look, Waiting
from sandbox.direct import SimCluster
from sandbox.faults import Fault
from sandbox.faults import Kind as SimKind
from sandbox.night import Night
from sandbox.scenario import Cue, Scenario
from sandbox.spec import default_spec
from workflows import drain, messages
from workflows.drain import _start_move, _way_back, busy_sibling, choose, next_guest
from workflows.journey import Journey, Stopped
from workflows.node import _enter
from workflows.plan import impossible
from workflows.stopping import shut_down, stop

GIB = 1 << 30
ROUTERS = (GuestGroup(name="routers", guests=(101, 102)),)


def machines(*guests: Guest, memory: int = 16 * GIB, maintenance: frozenset[str] = frozenset()) -> Machines:
    rows = tuple(Capacity(f"pve{n}", memory) for n in (1, 2, 3))
    ha = Ha("pve2", maintenance, {}, armed=True)
    return Machines(guests=Read(guests, 0.0), capacity=Read(rows, 0.0), ha=Read(ha, 0.0))


def guest(number: int, node: str, gib: int = 2) -> Guest:
    return Guest(number, f"guest-{number}", "qemu", node, "running", gib * GIB)


def move(number: int, *allowed: str) -> Move:
    return Move(number, allowed, {})


def test_a_guest_goes_where_most_memory_is_left() -> None:
    world = machines(guest(101, "pve1"), guest(103, "pve2", 8))
    assert choose(world, guest(101, "pve1"), move(101, "pve2", "pve3"), (), frozenset()) == "pve3"


def test_two_members_of_a_group_are_kept_apart_even_where_memory_is_tighter() -> None:
    world = machines(guest(101, "pve1"), guest(102, "pve3"), guest(103, "pve2", 8))
    assert choose(world, guest(101, "pve1"), move(101, "pve2", "pve3"), ROUTERS, frozenset()) == "pve2"


def test_two_members_share_a_node_when_no_other_is_left() -> None:
    world = machines(guest(101, "pve1"), guest(102, "pve3"))
    assert choose(world, guest(101, "pve1"), move(101, "pve3"), ROUTERS, frozenset()) == "pve3"


def test_a_guest_that_fits_nowhere_goes_nowhere() -> None:
    world = machines(guest(101, "pve1", 12), guest(103, "pve2", 8), guest(104, "pve3", 8))
    assert choose(world, guest(101, "pve1", 12), move(101, "pve2", "pve3"), (), frozenset()) == ""


def test_a_node_that_we_have_down_takes_nobody() -> None:
    world = machines(guest(101, "pve1"))
    assert choose(world, guest(101, "pve1"), move(101, "pve2", "pve3"), (), frozenset({"pve2"})) == "pve3"


# ---- what is left on the node, and what may be stopped -------------------------------------------------------------


@dataclass
class Few:
    """The few things of a cluster that a drain asks."""

    machines: Machines
    stopped: list[int] = field(default_factory=list)

    def survey(self, topics: frozenset[Topic], node: str | None) -> Machines:
        return self.machines

    def guests(self) -> tuple[Guest, ...]:
        return (guest(101, "pve1"), guest(102, "pve2"))

    def shutdown(self, guest: Guest, timeout_s: int) -> TaskRef:
        self.stopped.append(guest.id)
        return TaskRef("UPID:pve1:1")


def wheel(few: Few) -> Any:
    managed = SimpleNamespace(groups=ROUTERS, shutdown_timeout=180.0, cannot_move=CannotMove())
    return SimpleNamespace(node="pve1", site=SimpleNamespace(cluster=few, managed=managed))


@pytest.mark.parametrize("status", ["unknown", "paused"])
def test_a_guest_that_neither_runs_nor_is_stopped_is_waited_for(status: str) -> None:
    world = machines(replace(guest(101, "pve1"), status=status), guest(102, "pve2"))
    assert next_guest(wheel(Few(world)), Journey()) == Waiting(f"guest 101 is {status}")


def test_stopped_guests_templates_and_those_of_other_nodes_leave_nothing_to_do() -> None:
    template = replace(guest(104, "pve1"), status="unknown", template=True)
    world = machines(replace(guest(101, "pve1"), status="stopped"), guest(102, "pve2"), template)
    assert next_guest(wheel(Few(world)), Journey()) == {"guest": None}


def test_a_guest_that_ha_moved_before_the_first_listing_is_waited_for_like_the_others() -> None:
    gone = replace(guest(104, "pve2"), ha="started")
    journey = Journey(due={104: "web", 105: "pbx"})
    world = machines(guest(101, "pve1"), gone, replace(guest(105, "pve1"), ha="started"))
    first = next_guest(wheel(Few(world)), journey)
    assert first == {"guest": 104, "name": "web", "how": "ha", "source": "pve1", "target": "another node"}
    journey.note(first)
    both = replace(world, guests=Read((gone, replace(guest(105, "pve3"), ha="started")), 0.0))
    left = next_guest(wheel(Few(both)), journey)
    assert left["guest"] == 105, "it left between two listings"
    journey.note(left)
    assert next_guest(wheel(Few(both)), journey) == {"guest": None}


@pytest.mark.parametrize(
    "seen",
    [
        [],
        [replace(guest(104, "pve1"), status="stopped", ha="stopped")],
        [replace(guest(104, "pve1"), status="stopped")],
        [replace(guest(104, "pve2"), status="stopped", ha="stopped")],
    ],
    ids=["removed", "stopped", "stopped and out of HA", "moved and stopped"],
)
def test_a_guest_of_ha_that_somebody_stopped_or_removed_meanwhile_is_not_waited_for(seen: list[Guest]) -> None:
    """HA will never move it: the drain would stand for hours, and then wake somebody."""
    journey = Journey(due={104: "web"})
    assert next_guest(wheel(Few(machines(*seen, guest(102, "pve2")))), journey) == {"guest": None}


@pytest.mark.parametrize(("status", "ha"), [("stopped", "relocate"), ("stopped", "started"), ("unknown", "started")])
def test_a_container_that_ha_takes_elsewhere_is_waited_for_though_it_stands_still(status: str, ha: str) -> None:
    moving = replace(guest(104, "pve2"), kind="lxc", status=status, ha=ha)
    assert next_guest(wheel(Few(machines(moving))), Journey(due={104: "web"}))["guest"] == 104


@pytest.mark.parametrize("journey", [Journey(moved={104: "pve2"}), Journey(stopped={104: Stopped(False, "started")})])
def test_a_guest_of_ha_that_the_run_moved_or_shut_down_itself_is_not_waited_for(journey: Journey) -> None:
    """Somebody took it out of HA meanwhile, or it could not move any more."""
    journey.due = {104: "web"}
    elsewhere = replace(guest(104, "pve2"), ha="request_stop")
    assert next_guest(wheel(Few(machines(elsewhere))), journey) == {"guest": None}


def routers(*, status: str = "running", online: bool = True) -> Machines:
    """router-a (101) runs on pve1; of router-b (102), on pve2, it is said."""
    rows = (Member("pve1", True, 1), Member("pve2", online, 1))
    world = machines(guest(101, "pve1"), replace(guest(102, "pve2"), status=status))
    return replace(world, membership=Read(Membership("lab", True, rows, 1, 0, 4), 0.0))


def test_a_router_is_shut_down_while_the_other_one_runs() -> None:
    few = Few(routers())
    shut_down(wheel(few), guest(101, "pve1"))
    assert few.stopped == [101]


@pytest.mark.parametrize("last", [routers(status="stopped"), routers(status="unknown"), routers(online=False)])
def test_the_last_router_is_never_shut_down(last: Machines) -> None:
    few = Few(last)
    with pytest.raises(Refused, match="guest 101 is the last running member of routers: 0 of 2 would run, 1 must"):
        shut_down(wheel(few), guest(101, "pve1"))
    assert few.stopped == []


@pytest.mark.parametrize("topic", [Topic.GUESTS, Topic.MEMBERSHIP])
def test_nobody_is_shut_down_while_nobody_says_who_else_runs(topic: Topic) -> None:
    unread: dict[str, Any] = {topic: Unread("HTTP 500", 0.0)}
    few = Few(replace(routers(), **unread))
    with pytest.raises(Unreachable, match="whether guest 101 can be spared is not known: HTTP 500"):
        shut_down(wheel(few), guest(101, "pve1"))
    assert few.stopped == []


# ---- guest groups in the drain ---------------------------------------------------------------------------------------

PROBED = (GuestGroup(name="routers", guests=(101, 102), health={102: HealthProbe(agent=True)}),)
SICK: Read[tuple[Serving, ...]] = Read((Serving(102, False, "its guest agent does not answer"),), 0.0)


def test_two_members_never_move_at_the_same_time() -> None:
    ways: tuple[dict[str, Any], ...] = ({"lock": "migrate"}, {"ha": "migrate"}, {"ha": "relocate"})
    for busy in ways:
        world = machines(guest(101, "pve1"), replace(guest(102, "pve2"), **busy))
        why = "guest-102 of routers moves; two members never move at the same time"
        assert busy_sibling(world, guest(101, "pve1"), ROUTERS, Journey()) == why
        assert busy_sibling(world, guest(103, "pve1"), ROUTERS, Journey()) == ""
    locked = machines(guest(101, "pve1"), replace(guest(102, "pve2"), lock="backup"))
    assert busy_sibling(locked, guest(101, "pve1"), ROUTERS, Journey()) == ""


def test_a_member_that_was_moved_must_serve_again_before_the_next_one_moves() -> None:
    world = replace(machines(guest(101, "pve1"), guest(102, "pve2")), serving=SICK)
    why = "guest-102 of routers was moved and does not serve yet: its guest agent does not answer"
    assert busy_sibling(world, guest(101, "pve1"), PROBED, Journey(moved={102: "pve2"})) == why
    assert busy_sibling(world, guest(101, "pve1"), PROBED, Journey(by_ha=[102])) == why
    assert busy_sibling(world, guest(101, "pve1"), PROBED, Journey()) == ""  # that it is ill is for the gates to say
    unread = replace(world, serving=Unread("HTTP 595", 0.0))
    assert "HTTP 595" in busy_sibling(unread, guest(101, "pve1"), PROBED, Journey(moved={102: "pve2"}))


def next_of(
    *here: Guest,
    policy: CannotMove = CannotMove(),  # noqa: B008 (frozen)
    world: Machines | None = None,
    **options: Move,
) -> Any:
    moves = Read(tuple(options.values()) or tuple(move(g.id, "pve2", "pve3") for g in here), 0.0)
    few = Few(replace(world or machines(*here), moves=moves))
    asked = wheel(few)
    asked.site.managed.cannot_move = policy
    asked.own = OwnChanges()
    return next_guest(asked, Journey())


def test_what_is_to_stay_is_stopped_and_not_moved() -> None:
    box = replace(guest(105, "pve1"), kind="lxc")
    found = next_of(box, policy=CannotMove(containers="shutdown"))
    assert (found["how"], found["way"]) == ("stop", "shutdown")
    assert next_of(box)["how"] == "move"


def test_a_guest_under_ha_is_left_to_it_unless_it_is_to_stay() -> None:
    web = replace(guest(104, "pve1"), ha="started")
    assert next_of(web)["how"] == "ha"
    found = next_of(web, policy=CannotMove(guests={104: "shutdown"}))
    assert (found["how"], found["way"]) == ("stop", "shutdown")
    assert next_of(replace(web, ha="ignored"))["how"] == "move"


def test_a_guest_that_fits_nowhere_is_treated_as_one_that_has_nowhere_to_go() -> None:
    huge = guest(103, "pve1", 99)
    assert next_of(huge)["way"] == "refuse"
    assert next_of(huge, policy=CannotMove(otherwise="shutdown"))["way"] == "shutdown"


def test_a_guest_bound_by_a_device_is_refused_where_the_settings_shut_down_only_others() -> None:
    bound = Move(101, (), {"pve2": "uses hostpci0"}, local_devices=("hostpci0",))
    policy = CannotMove(otherwise="shutdown", passthrough="refuse")
    found = next_of(guest(101, "pve1"), policy=policy, only=bound)
    assert (found["how"], found["way"]) == ("stop", "refuse")


def test_guests_that_somebody_moves_back_again_and_again_are_a_hold_and_no_drain_without_an_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Held(Exception): ...

    def hold(key: str, why: str) -> None:
        raise Held(why)

    moved: list[str] = []
    monkeypatch.setattr(drain, "_away", lambda *_: moved.append("101"))
    item = {"guest": 101, "how": "move"}
    w: Any = SimpleNamespace(node="pve1", read=lambda *_: item, key=lambda *_: "pve1.drain", hold=hold)
    with pytest.raises(Held, match="guests keep coming back to pve1"):
        drain.drain(w, Journey())
    assert len(moved) == drain.MOST_ROUNDS


def test_nobody_moves_to_a_node_that_another_hand_has_put_into_maintenance_mode() -> None:
    """Proxmox VE allows it, and an approver may have waived the gate: but whoever works on that node may reboot it."""
    router, web = guest(101, "pve1"), guest(103, "pve3", 8)
    taken = machines(router, web, maintenance=frozenset({"pve1", "pve2"}))
    assert next_of(router, web, world=machines(router, web))["target"] == "pve2"
    assert next_of(router, web, world=taken)["target"] == "pve3"
    nowhere = machines(router, maintenance=frozenset({"pve2", "pve3"}))
    assert (next_of(router, world=nowhere)["how"], next_of(router, world=nowhere)["way"]) == ("stop", "refuse")


@pytest.mark.parametrize("topic", [Topic.CAPACITY, Topic.HA])
def test_where_nobody_says_which_nodes_take_guests_a_guest_is_not_said_to_have_nowhere_to_go(topic: Topic) -> None:
    """A line that breaks for a moment would wake somebody."""
    router = guest(101, "pve1")
    unread: dict[str, Any] = {topic: Unread("HTTP 595", 0.0)}
    assert next_of(router, world=replace(machines(router), **unread)) == Waiting("HTTP 595")


def test_who_is_met_on_the_target_is_said() -> None:
    a, b, c = guest(101, "pve1"), guest(102, "pve2"), guest(103, "pve3", 15)
    assert next_of(a, b, c, only=move(101, "pve2"))["beside"] == ["guest-102 of routers"]
    assert next_of(a, b, c, only=move(101, "pve3", "pve2"))["target"] == "pve2"
    text = messages.moving("pve1", 101, "router-a", "pve2", "move", ["router-b of routers"]).text
    assert text.endswith("moves to pve2, beside router-b of routers: no other node takes it.")


def test_the_last_one_that_serves_is_never_shut_down_though_another_one_runs() -> None:
    few = Few(replace(routers(), serving=SICK))
    asked = wheel(few)
    asked.site.managed.groups = PROBED
    with pytest.raises(Refused, match="guest 101 is the last serving member of routers: 0 of 2 would serve, 1 must"):
        shut_down(asked, guest(101, "pve1"))
    few.machines = replace(routers(), serving=Unread("HTTP 595", 0.0))
    with pytest.raises(Unreachable, match="whether guest 101 can be spared is not known: HTTP 595"):
        shut_down(asked, guest(101, "pve1"))
    assert few.stopped == []


def test_a_guest_of_no_group_may_be_shut_down_whatever_the_groups_lack() -> None:
    few = Few(replace(routers(), guests=Read((guest(103, "pve1"),), 0.0)))
    shut_down(wheel(few), guest(103, "pve1"))
    assert few.stopped == [103]


def test_a_guest_that_is_down_by_now_is_not_shut_down_once_more() -> None:
    """Proxmox VE refuses it, and the run would hold."""
    few = Few(routers())
    assert shut_down(wheel(few), replace(guest(103, "pve1"), status="stopped")) == ""
    assert few.stopped == []


def test_a_guest_that_runs_elsewhere_is_not_called_back() -> None:
    assert messages.returned("pve3", [103], {"104": "pve1"}, {"103": "db", "104": "web"}).text.endswith(
        "pve3: guests back and running: db (103); web (104) runs on pve1."
    )
    assert messages.returned("pve3", [], {}, {}).text.endswith("no guest had to come back.")


# ---- votes -----------------------------------------------------------------------------------------------------------


def members(*votes: int, quorum: int, qdevice: int = 0) -> Membership:
    rows = tuple(Member(f"pve{n}", True, vote) for n, vote in enumerate(votes, 1))
    return Membership("lab", True, rows, quorum, qdevice, 4)


def test_two_nodes_without_a_qdevice_can_never_lose_one() -> None:
    assert impossible(members(1, 1, quorum=2), ["pve1", "pve2"]) == (
        "with pve1 down 1 of 2 votes are left, and quorum needs 2"
    )


def test_two_nodes_with_a_qdevice_and_three_nodes_can() -> None:
    assert impossible(members(1, 1, quorum=2, qdevice=1), ["pve1", "pve2"]) == ""
    assert impossible(members(1, 1, 1, quorum=2), ["pve1", "pve2", "pve3"]) == ""


def test_a_container_that_its_group_needs_is_not_moved_for_it_is_down_meanwhile() -> None:
    few, container = Few(routers(status="stopped")), replace(guest(101, "pve1"), kind="lxc")
    with pytest.raises(Refused, match=r"guest 101 is the last running member of routers"):
        _start_move(wheel(few), "pve3", 0.0, container, False)


@pytest.mark.parametrize(
    ("guest_id", "way", "why"),
    [
        (101, "shutdown", "guest 101 has nowhere to go any more, and nobody approved that it is shut down"),
        (103, "refuse", "guest 103 has nowhere to go"),
    ],
)
def test_a_guest_whose_stop_nobody_approved_is_not_shut_down(guest_id: int, way: str, why: str) -> None:
    """It had somewhere to go when people were asked; or the settings say since then that it must not be shut down."""
    held: list[str] = []
    bound = SimpleNamespace(stops=(103,))
    w: Any = SimpleNamespace(
        node="pve1",
        approval=SimpleNamespace(bound=bound),
        key=lambda *_: "key",
        hold=lambda _, why, hint: held.append(why),
    )
    stop(w, Journey(), {"guest": guest_id, "name": "router-a", "way": way})
    assert held == [why]


def test_a_guest_that_was_removed_meanwhile_has_no_way_back_and_holds_up_nobody() -> None:
    """Looked for until its limit, it held a run that no retry could end."""
    assert _way_back(wheel(Few(machines())), 104) == {"guest": None}


# ---- guests that keep coming back -----------------------------------------------------------------------------------


def test_after_the_hold_for_guests_that_keep_coming_back_the_drain_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would have ended there, with guests left, and nothing would ever have moved them."""
    monkeypatch.setattr(drain, "MOST_ROUNDS", 1)
    cues = (
        Cue("alice", at=0.0, types="/upgrade cluster nodes=pve3"),
        Cue("carol", when="asked", after=120.0, reacts="white_check_mark"),
        Cue("bob", when="paged keep coming back to pve3", after=60.0, each=True, types="/upgrade retry"),
    )
    night = Night(Scenario("come-back", "", default_spec(), (), cues, lasts=3600.0)).live()
    assert "pve3: drained, listed again, no guest runs here (db (103) to pve2, web (104) by HA)" in night.text
    assert "pve3 is done" in night.text


def test_what_ha_moved_before_the_first_listing_is_said_and_waited_for_on_the_way_back() -> None:
    """Its node's mode is seen late, or the bot is: the guest would have been forgotten, and not asked for back."""
    quick = replace(default_spec().timings, ha_queue=0.0, migrate=0.0, migrate_gib=0.0, maintenance_mode=90.0)
    cues = (
        Cue("alice", at=0.0, types="/upgrade cluster nodes=pve3"),
        Cue("carol", when="asked", after=120.0, reacts="white_check_mark"),
    )
    night = Night(Scenario("quick-ha", "", replace(default_spec(), timings=quick), (), cues, lasts=3600.0)).live()
    assert "pve3: drained, listed again, no guest runs here (db (103) to pve2, web (104) by HA)" in night.text
    assert "guests back and running: db (103), web (104)" in night.text


def test_a_guest_that_somebody_stops_while_ha_is_to_move_it_ends_the_wait_and_stays_off() -> None:
    """The drain waited two hours for it to leave, and then paged."""
    cues = (
        Cue("alice", at=0.0, types="/upgrade cluster nodes=pve3"),
        Cue("carol", when="asked", after=120.0, reacts="white_check_mark"),
    )
    faults = (Fault(SimKind.GUEST_STOPS, guest=104, at=157.0),)  # the mode is on, and HA has not begun to move it
    night = Night(Scenario("stopped-by-hand", "", default_spec(), faults, cues, lasts=7200.0)).live()
    assert "web (104) was stopped by somebody else" in night.text
    assert "pve3: drained, listed again, no guest runs here (db (103) to pve1)" in night.text
    assert "pve3 is done" in night.text
    assert not night.model.guests.get(104).running


def test_what_ha_moved_while_the_answer_to_maintenance_mode_was_lost_is_waited_for_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The line broke after the order was sent; when it was given again, the guest had left, and was forgotten."""
    maintenance = SimCluster.maintenance
    lost: list[str] = []

    def once(self: SimCluster, node: str, on: bool, not_after_uptime: float | None = None) -> None:
        maintenance(self, node, on, not_after_uptime)
        if not lost:
            lost.append(node)
            raise Uncertain("the line broke")

    monkeypatch.setattr(SimCluster, "maintenance", once)
    quick = replace(default_spec().timings, ha_queue=0.0, migrate=0.0, migrate_gib=0.0)
    cues = (
        Cue("alice", at=0.0, types="/upgrade cluster nodes=pve3"),
        Cue("carol", when="asked", after=120.0, reacts="white_check_mark"),
    )
    night = Night(Scenario("lost", "", replace(default_spec(), timings=quick), (), cues, lasts=3600.0)).live()
    assert lost == ["pve3"]
    assert "pve3: drained, listed again, no guest runs here (db (103) to pve2, web (104) by HA)" in night.text
    assert "guests back and running: db (103), web (104)" in night.text


@pytest.mark.parametrize(("asked_before", "due"), [(True, {"104": "web", "105": "pbx"}), (False, {"105": "pbx"})])
def test_a_guest_that_left_before_is_due_only_if_maintenance_mode_was_asked_for(
    asked_before: bool, due: dict[str, str]
) -> None:
    """What a person took elsewhere HA does not bring back: it would be waited for in vain."""
    web = replace(guest(104, "pve2"), name="web", ha="started")
    pbx = replace(guest(105, "pve1"), name="pbx", ha="started")
    dns = replace(guest(110, "pve2"), name="dns", ha="started")  # it never ran here
    ha = Ha("pve2", frozenset({"pve1"} if asked_before else ()), {}, armed=True)
    cluster = SimpleNamespace(
        guests=lambda: (web, pbx, dns),
        survey=lambda *_: Machines(ha=Read(ha, 0.0)),
        node_status=lambda _: SimpleNamespace(uptime=5.0),
        maintenance=lambda *_: None,
    )
    w = SimpleNamespace(node="pve1", site=SimpleNamespace(cluster=cluster, clock=lambda: 0.0))
    assert _enter(SimpleNamespace(wheel=w, need=SimpleNamespace(moves=(104, 105)))) == due  # type: ignore[arg-type]


# ---- who is back ----------------------------------------------------------------------------------------------------

RETURNS = (
    Cue("alice", at=0.0, types="/upgrade cluster nodes=pve3"),
    Cue("carol", when="asked", after=120.0, reacts="white_check_mark"),
)


def stopped_meanwhile(number: int) -> Night:
    """Somebody stops a guest of pve3 after it has moved, and before it is brought back."""
    faults = (Fault(SimKind.GUEST_STOPS, guest=number, after="reboot pve3"),)
    return Night(Scenario("stopped", "", default_spec(), faults, RETURNS, lasts=2 * 3600.0)).live()


def test_a_guest_that_a_person_told_ha_to_stop_is_told_of_and_not_waited_for() -> None:
    """It held the run, and no hint said why: it was to stay off."""
    night = stopped_meanwhile(104)
    assert "guests back and running: db (103); stopped by somebody else, and left so: web (104)" in night.text
    assert "pve3 is done" in night.text
    assert night.pages == []


def test_a_guest_that_runs_no_more_and_may_have_died_holds_with_the_command_that_starts_it() -> None:
    night = stopped_meanwhile(103)
    held = next(line for line in night.lines if "I hold" in line)
    assert "in vain for guests to be running; last seen: db (103) is stopped on pve2 (`qm start 103` there)" in held
    assert "PAGE" in held, "it ran before, and the run has moved it"


def back(*seen: Guest, asked: tuple[int, ...] = (101, 104), after: float = 0.0) -> Any:
    rows = (Member("pve1", True, 1), Member("pve2", True, 1))
    world = replace(machines(*seen), membership=Read(Membership("lab", True, rows, 1, 0, 4), 0.0))
    return drain._all_running(wheel(Few(world)), asked, Look(after, 0.0, 1000.0))


def test_a_guest_that_is_not_listed_is_waited_for_until_it_was_removed_for_certain() -> None:
    """A list that lacks it for a moment passed for a guest that is back."""
    here = guest(101, "pve1")
    assert back(here) == Waiting("not listed: 104")
    found = back(here, after=60.0)
    assert found == {"back": [101], "away": {}, "off": [], "gone": [104]}
    called = {"101": "router-a", "104": "web"}
    text = messages.returned("pve1", found["back"], found["away"], called, found["off"], found["gone"]).text
    assert text.endswith("guests back and running: router-a (101); removed by somebody else: web (104).")


def test_a_guest_that_ha_gave_up_is_waited_for_and_what_ha_says_is_told() -> None:
    down = replace(guest(104, "pve2"), status="stopped", ha="error", kind="lxc")
    told = "guest-104 (104) is stopped on pve2, HA says error (`pct start 104` there)"
    assert back(guest(101, "pve1"), down) == Waiting(told)
